"""When a row looks real: linked to people outside the plan, outside the test window, or not synthetic. Counts only, never a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from opsnb.actions.cleanup.plan import Guard
from opsnb.checks.tables import counted
from opsnb.config import CleanupGuards
from opsnb.errors import ActionRefused
from opsnb.sources.writing import Ids, Link, Reference, Table, Transaction, minus, plus, size

_MOST = 100_000


def judge(
    transaction: Transaction, guards: CleanupGuards, links: Sequence[Link],
    deleted: dict[int, Ids], changed: dict[int, Ids], named_tables: Sequence[Table], named: dict[int, Ids],
) -> Iterator[Guard]:  # fmt: skip
    """What every guard says of every table of the plan; a table of the release that has no row in it is one of no rows."""
    catalog = transaction.catalog
    people = [_table(transaction, name, "people") for name in guards.people]
    synthetic = {_table(transaction, name, "synthetic").oid: said for name, said in guards.synthetic.items()}
    linked = _People(transaction, links, people, deleted, {*deleted, *changed, *(table.oid for table in named_tables)})
    oids = {*deleted, *changed, *(table.oid for table in named_tables)}
    for table in sorted((catalog.table(oid) for oid in oids), key=lambda each: each.name):
        ids = plus(deleted.get(table.oid, {}), changed.get(table.oid, {}))
        rows = size(ids)
        yield from _listed(table, ids, named.get(table.oid, {}), people)
        if people:
            yield linked.guard(table, ids, rows)
        if guards.window_from or guards.window_to:
            yield _window(transaction, table, ids, rows, guards)
        if table.oid in synthetic:
            refused = transaction.unlike(table, ids, synthetic[table.oid])
            real = f"{counted(refused, 'row')} of {rows} {_do(refused, 'is', 'are')} not synthetic"
            yield Guard(table.name, "synthetic", rows, refused, real if refused else "every row is synthetic")
        elif not (people or guards.window_from or guards.window_to):
            yield Guard(
                table.name, "none", rows, 0, "the release declares no guard for it: only the list says that these rows are of tests"
            )


def _listed(table: Table, ids: Ids, named: Ids, people: Sequence[Table]) -> Iterator[Guard]:
    """Nobody goes, or is changed, whom the release does not name."""
    if table not in people:
        return
    rows = size(ids)
    others = rows - sum(len(ids.get(oid, frozenset()) & ctids) for oid, ctids in named.items())
    unnamed = f"{counted(others, 'person', 'people')} in the plan whom the release does not name"
    yield Guard(table.name, "listed", rows, others, unnamed if others else "everybody is named by the release")


def _window(transaction: Transaction, table: Table, ids: Ids, rows: int, guards: CleanupGuards) -> Guard:
    column = next((column for column in table.columns if column.name == guards.time_column), None)
    if column is None or not column.base.startswith(("timestamp", "date")):
        return Guard(table.name, "window", rows, 0, f"it has no time in {guards.time_column}: not looked at")
    refused = transaction.outside(table, ids, column.name, guards.window_from, guards.window_to)
    if not refused:
        return Guard(table.name, "window", rows, 0, "every row is of the test window")
    between = f"{_moment(guards.window_from) or 'ever'} to {_moment(guards.window_to) or 'now'}"
    finding = (
        f"{counted(refused, 'row')} of {rows} {_do(refused, 'has', 'have')} a {guards.time_column} outside the test window ({between})"
    )
    return Guard(table.name, "window", rows, refused, finding)


class _People:
    """Who rows are linked to: directly, by columns that mean the same through other tables, or by a row of the release's own tables."""

    def __init__(
        self, transaction: Transaction, links: Sequence[Link], people: Sequence[Table], deleted: dict[int, Ids], walked: set[int]
    ) -> None:  # fmt: skip
        self.transaction, self.links, self.people, self.deleted = transaction, links, people, deleted
        self.walked = walked - {table.oid for table in people}
        self.references = _references(links, {table.oid for table in people})

    def guard(self, table: Table, ids: Ids, rows: int) -> Guard:
        """What the guard says of the rows *ids*."""
        refused: Ids = {}
        words = []
        for reference in self.references.get(table.oid, ()):
            strangers = self._strangers(table, ids, reference)
            if strangers:
                parent = self.transaction.catalog.table(reference.parent).name
                count = size(strangers)
                words.append(f"{counted(count, 'row')} of {rows} {_do(count, 'refers', 'refer')} by {', '.join(reference.columns)} "
                             f"to rows of {parent} that are not in the plan")  # fmt: skip
                refused = plus(refused, strangers)
        for link, outer in self._outer(table, ids):
            beyond = self.transaction.catalog.table(link.parent)
            theirs = self.transaction.children(link, self._of_others(beyond, outer, {table.oid}), _MOST, among=ids)
            if theirs:
                count = size(theirs)
                words.append(f"{counted(count, 'row')} of {rows} {_do(count, 'belongs', 'belong')} to rows of {beyond.name} "
                             "outside the plan, and these to people who are not in it")  # fmt: skip
                refused = plus(refused, theirs)
        return Guard(table.name, "people", rows, size(refused), "; ".join(words) or "linked to nobody outside the plan")

    def _of_others(self, table: Table, ids: Ids, visited: set[int]) -> Ids:
        """Those of the rows *ids*, outside the plan, that are linked to people outside it."""
        bad: Ids = {}
        for reference in self.references.get(table.oid, ()):
            bad = plus(bad, self._strangers(table, ids, reference))
        for link, outer in self._outer(table, ids):
            if link.parent not in visited:
                worse = self._of_others(self.transaction.catalog.table(link.parent), outer, {*visited, table.oid})
                bad = plus(bad, self.transaction.children(link, worse, _MOST, among=ids))
        return bad

    def _outer(self, table: Table, ids: Ids) -> Iterator[tuple[Link, Ids]]:
        """Rows outside the plan, in tables of the plan or the release's list, that *ids* refer to."""
        for link in self.links:
            if link.child == table.oid and link.parent in self.walked and ids:
                outside = minus(self.transaction.parents(link, ids, _MOST), self.deleted.get(link.parent, {}))
                if outside:
                    yield link, outside

    def _strangers(self, table: Table, ids: Ids, reference: Reference) -> Ids:
        return self.transaction.strangers(table, ids, reference, self.deleted.get(reference.parent, {}))


def _references(links: Sequence[Link], people: set[int]) -> dict[int, list[Reference]]:
    """Table → its columns that identify a person: by a reference of their own, or because they equal a column that does."""
    found: dict[tuple[int, tuple[str, ...]], Reference] = {}
    for link in links:
        if link.parent in people:
            found.setdefault((link.child, link.columns), Reference(link.columns, link.parent, link.parent_columns, link))
    grew = True
    while grew:
        grew = False
        for link in links:
            for column, other in zip(link.columns, link.parent_columns, strict=True):
                known = found.get((link.parent, (other,)))
                if known is not None and (link.child, (column,)) not in found:
                    found[link.child, (column,)] = Reference((column,), known.parent, known.parent_columns, known.link)
                    grew = True
    tables: dict[int, list[Reference]] = {}
    for (oid, _), reference in sorted(found.items()):
        tables.setdefault(oid, []).append(reference)
    return tables


def _table(transaction: Transaction, name: str, guard: str) -> Table:
    table = transaction.catalog.find(name)
    if table is None:
        raise ActionRefused(f"The release's cleanup guard {guard} names the table {name}, which this database does not have.")
    return table


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


def _do(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
