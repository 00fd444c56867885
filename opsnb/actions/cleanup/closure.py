"""Every row that goes with the named test records: found through foreign keys and the release's own links, and put in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from opsnb.actions.cleanup.guards import judge
from opsnb.actions.cleanup.plan import Fires, Plan, Step
from opsnb.config.schema import Cleanup as Section
from opsnb.errors import ActionRefused
from opsnb.sources.writing import Ids, Link, Table, Transaction, Update, minus, plus, size

MAX_ROWS = 10_000
"""More rows than this are no test records."""
LARGE = 10_000
"""A table of so many rows (by the server's estimate) is not read whole without a word."""


@dataclass
class Node:
    """Rows of one table reached in one way."""

    table: Table
    what: str
    how: str
    columns: tuple[str, ...]
    parent: int | None
    link: Link | None = None
    ids: Ids = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A plan with the rows it means, good for the transaction it was made in. `order` are groups of tables, deleted group by group."""

    plan: Plan
    order: tuple[tuple[Table, ...], ...]
    deleted: dict[int, Ids]
    changed: dict[int, Ids]
    updates: tuple[Update, ...]
    links: tuple[Link, ...]


def make_plan(transaction: Transaction, section: Section) -> Plan:
    """What deleting the release's test records (*section*) takes along, and whether it all is test data."""
    return find(transaction, section).plan


def find(transaction: Transaction, section: Section) -> Found:
    """The plan and its rows. ActionRefused where the release names a table that is not there, or more than MAX_ROWS rows are meant."""
    closure = _Closure(transaction, section)
    closure.follow()
    closure.loosen()
    return closure.found(section)


class _Closure:
    def __init__(self, transaction: Transaction, section: Section) -> None:
        self.transaction = transaction
        self.catalog = transaction.catalog
        self.links = list(_links(transaction, section))
        self.nodes: list[Node] = []
        self.obstacles: list[str] = []
        self.notes: list[str] = []
        self._name_records(section)

    @property
    def deleted(self) -> dict[int, Ids]:
        """Table → its rows that go."""
        return _by_table(node for node in self.nodes if node.what == "deleted")

    def follow(self) -> None:
        """Adds the rows that refer to rows that go, and those that refer to these, until there are no more."""
        waiting = [(number, node.ids) for number, node in enumerate(self.nodes) if node.ids]
        self._require_few()
        while waiting:
            number, ids = waiting.pop(0)
            for link in self.links:
                if link.parent != self.nodes[number].table.oid or link.sets:
                    continue
                self._remark(link)
                children = self.transaction.children(link, ids, MAX_ROWS + 1)
                fresh = minus(children, self.deleted.get(link.child, {}))
                if fresh:
                    place = self._place(number, link)
                    self.nodes[place].ids = plus(self.nodes[place].ids, fresh)
                    self._require_few()
                    waiting.append((place, fresh))

    def loosen(self) -> None:
        """Adds the rows that stay and lose their reference to a row that goes."""
        deleted = self.deleted
        seen: dict[str, Ids] = {}
        for number, node in list(enumerate(self.nodes)):
            for link in self.links:
                if link.parent != node.table.oid or not link.sets or not node.ids:
                    continue
                children = self.transaction.children(link, node.ids, 2 * MAX_ROWS + 1)
                fresh = minus(minus(children, deleted.get(link.child, {})), seen.get(_name(link), {}))
                if fresh:
                    seen[_name(link)] = plus(seen.get(_name(link), {}), fresh)
                    child = self.catalog.table(link.child)
                    self.nodes.append(Node(child, "changed", link.on_delete, link.set_columns, number, link, fresh))
                    self._require_changeable(child, link, size(fresh))
        self._require_few()

    def found(self, section: Section) -> Found:
        """What was found, judged and in order."""
        deleted = {oid: ids for oid, ids in self.deleted.items() if ids}
        changed = _by_table(node for node in self.nodes if node.what == "changed")
        order = self._order(deleted)
        hashed = hashlib.sha256()
        for what, tables in (("deleted", deleted), ("changed", changed)):
            for oid, ids in sorted(tables.items(), key=lambda item: item[0]):
                hashed.update(repr((what, oid, self.transaction.keys(self.catalog.table(oid), ids))).encode())
        updates = tuple(
            Update(node.table, self.transaction.keys(node.table, node.ids), node.link)
            for node in self.nodes
            if node.what == "changed" and node.link is not None
        )
        for oid in sorted({*deleted, *changed}):
            if self.catalog.table(oid).rewritten:
                self.obstacles.append(f"{self.catalog.table(oid).name} has a rule that rewrites what is done to it")
        named = {node.table.oid: node.table for node in self.nodes if node.how == "named"}
        only_named = _by_table(node for node in self.nodes if node.how == "named")
        plan = Plan(
            steps=tuple(Step(node.table.name, node.what, node.how, node.columns, size(node.ids), node.parent) for node in self.nodes),
            order=tuple(tuple(table.name for table in group) for group in order),
            guards=tuple(judge(self.transaction, section.guards, self.links, deleted, changed, list(named.values()), only_named)),
            obstacles=tuple(self.obstacles),
            triggers=tuple(self._triggers(deleted, changed)),
            notes=tuple(dict.fromkeys([*self.notes, *self._cycles(order)])),
            fingerprint=hashed.hexdigest(),
        )
        return Found(plan, order, deleted, changed, updates, tuple(link for link in self.links if link.on_delete == "link"))

    def _name_records(self, section: Section) -> None:
        for record in section.records:
            table = self.catalog.find(record.table)
            if table is None:
                raise ActionRefused(f"The release's cleanup names the table {record.table}, which this database does not have.")
            found = self.transaction.named(table, record.key, record.values, MAX_ROWS + 1)
            # rows of tables that inherit from it are rows of those
            per_table: dict[int, Ids] = {table.oid: {}}
            for oid, ids in found.items():
                mine = self.catalog.table(oid).oid
                per_table[mine] = plus(per_table.get(mine, {}), {oid: ids})
            for oid, found_ids in per_table.items():
                fresh = minus(found_ids, self.deleted.get(oid, {}))
                self.nodes.append(Node(self.catalog.table(oid), "deleted", "named", (record.key,), None, None, fresh))

    def _place(self, number: int, link: Link) -> int:
        """The node for rows reached by *link* from node *number*; a path that comes back to itself stays one node."""
        ancestor: int | None = number
        while ancestor is not None:
            if self.nodes[ancestor].link == link:
                return ancestor
            ancestor = self.nodes[ancestor].parent
        for place, node in enumerate(self.nodes):
            if node.parent == number and node.link == link:
                return place
        child = self.catalog.table(link.child)
        self.nodes.append(Node(child, "deleted", link.on_delete, link.columns, number, link))
        return len(self.nodes) - 1

    def _require_few(self) -> None:
        if sum(size(node.ids) for node in self.nodes) > MAX_ROWS:
            largest = max(self.nodes, key=lambda node: size(node.ids))
            raise ActionRefused(
                f"The plan has more than {MAX_ROWS:,} rows, most of them of {largest.table.name}: these are not test records. "
                "Nothing was changed. Look at the release's cleanup section."
            )

    def _require_changeable(self, table: Table, link: Link, rows: int) -> None:
        if link.on_delete == "set null" and any(table.column(name).not_null for name in link.set_columns):
            self.obstacles.append(f"{rows} rows of {table.name} would lose {', '.join(link.set_columns)}, which may not be NULL")
        if not table.key:
            self.obstacles.append(f"{rows} rows of {table.name} would be changed, and it has no key by which they could be restored")

    def _remark(self, link: Link) -> None:
        child = self.catalog.table(link.child)
        if not link.indexed and child.rows > LARGE:
            self.notes.append(
                f"{child.name} has no index on {', '.join(link.columns)}: it is read whole for what refers to a row that goes"
            )

    def _order(self, deleted: dict[int, Ids]) -> tuple[tuple[Table, ...], ...]:
        """Tables whose rows go, children first; those that refer to each other in a circle together."""
        parents = {oid: {link.parent for link in self.links if link.child == oid and link.parent in deleted} - {oid} for oid in deleted}
        reach = {oid: _reachable(oid, parents) for oid in deleted}
        names = {oid: self.catalog.table(oid).name for oid in deleted}
        circles = {oid: frozenset({oid, *(other for other in reach[oid] if oid in reach[other])}) for oid in deleted}
        sorter: TopologicalSorter[frozenset[int]] = TopologicalSorter()
        for oid in sorted(deleted, key=lambda each: names[each]):
            sorter.add(circles[oid])
            for parent in sorted(parents[oid], key=lambda each: names[each]):
                if circles[parent] != circles[oid]:
                    sorter.add(circles[parent], circles[oid])
        return tuple(
            tuple(self.catalog.table(oid) for oid in sorted(group, key=lambda each: names[each])) for group in sorter.static_order()
        )

    def _cycles(self, order: Iterable[tuple[Table, ...]]) -> Iterator[str]:
        for group in order:
            if len(group) > 1:
                yield f"{', '.join(table.name for table in group)} refer to each other: their rows are deleted in one statement"

    def _triggers(self, deleted: dict[int, Ids], changed: dict[int, Ids]) -> Iterator[Fires]:
        for what, tables in (("deleted", deleted), ("changed", changed)):
            for oid in sorted(tables, key=lambda each: self.catalog.table(each).name):
                for trigger in self.catalog.triggers(self.catalog.table(oid)):
                    if trigger.fires_on(what) and trigger.effects:
                        yield Fires(trigger.table, trigger.name, trigger.function, trigger.effects)


def _links(transaction: Transaction, section: Section) -> Iterator[Link]:
    constraints = transaction.catalog.links()
    yield from constraints
    known = {(link.child, link.columns, link.parent, link.parent_columns) for link in constraints}
    for said in section.links:
        link = transaction.catalog.named_link(said.child, said.parent)
        if (link.child, link.columns, link.parent, link.parent_columns) not in known:
            yield link


def _name(link: Link) -> str:
    return f"{link.child_oid} {link.name}"


def _by_table(nodes: Iterable[Node]) -> dict[int, Ids]:
    tables: dict[int, Ids] = {}
    for node in nodes:
        tables[node.table.oid] = plus(tables.get(node.table.oid, {}), node.ids)
    return tables


def _reachable(start: int, edges: dict[int, set[int]]) -> set[int]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for other in edges[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return seen
