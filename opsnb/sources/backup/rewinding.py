"""Takes tables of a running database back to what a restored copy of them holds, row by row, in one transaction.

Rows are compared by the digest of their text, and matched by primary key; a table without one is compared whole rows. What is as it was
is not touched. Triggers and foreign keys are held off where the role may (session_replication_role); the constraints are the copy's own,
so what they would have said holds again when the tables do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceTimeout
from opsnb.sources.backup.contents import EXACT
from opsnb.sources.postgres import dsn_parts, place
from opsnb.sources.refusals import no_connection
from opsnb.sources.statements import statement

SOURCE = "backup"
Name = tuple[str, str]
Row = tuple[object, ...]
LOCK_TIMEOUT_MS = 5000
_THERE = "select pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %s::text, %s::text))"


@dataclass
class Difference:
    """One table now, beside T0: how many rows came since (`added`), went (`lost`) or are other than they were (`changed`)."""

    schema: str
    name: str
    key: tuple[str, ...]
    added: list[str] = field(default_factory=list, repr=False)
    changed: list[str] = field(default_factory=list, repr=False)
    lost: list[str] = field(default_factory=list, repr=False)

    @property
    def table(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return len(self.added) + len(self.changed) + len(self.lost)


class Rewinding:
    """The two sides: the database as it is (a transaction that holds the tables), and the copy as it was."""

    def __init__(self, now: psycopg.Connection[Row], then: psycopg.Connection[Row]) -> None:
        self._now = now
        self._then = then
        self._triggers: dict[str, list[tuple[str, str]]] = {}
        self.undisturbed = False
        """Whether triggers and foreign keys are held off for the whole transaction."""

    def differences(self, tables: Sequence[Name]) -> list[Difference]:
        """Every table of *tables* that differs, parents before what refers to them; one that is missing on one side is left out."""
        found = []
        for schema, name in self._ordered(tables):
            key = self._key(schema, name)
            if key is None:
                continue
            now, then = (self._digests(side, schema, name, key) for side in (self._now, self._then))
            each = Difference(schema, name, key)
            if key:
                each.added = [row for row in now if row not in then]
                each.changed = [row for row, digest in now.items() if row in then and then[row] != digest]
                each.lost = [row for row in then if row not in now]
            else:  # the whole row is its own key; how often it is there counts
                for row in {**now, **then}:
                    more = int(now.get(row, "0")) - int(then.get(row, "0"))
                    each.added += [row] * max(0, more)
                    each.lost += [row] * max(0, -more)
            if each.rows:
                found.append(each)
        return found

    def export(self, difference: Difference) -> Iterator[bytes]:
        """The rows that would be lost, added and changed ones, one JSON object a line."""
        wanted = [*difference.added, *difference.changed]
        relation, match = sql.Identifier(difference.schema, difference.name), self._match(difference.key)
        question = sql.SQL("select pg_catalog.to_jsonb(r)::text from {} as r where {} = any (%s)").format(relation, match)
        for start in range(0, len(wanted), 5000):
            for row in self._now.execute(question, [wanted[start : start + 5000]]):
                yield json.dumps({"table": difference.table, "row": json.loads(str(row[0]))}, ensure_ascii=False).encode() + b"\n"

    def everything(self, schema: str, name: str) -> Iterator[bytes]:
        """Every row of a table that is only here, as `export` gives them."""
        question = sql.SQL("select pg_catalog.to_jsonb(r)::text from only {} as r").format(sql.Identifier(schema, name))
        for row in self._now.execute(question):
            yield json.dumps({"table": f"{schema}.{name}", "row": json.loads(str(row[0]))}, ensure_ascii=False).encode() + b"\n"

    def rows(self, schema: str, name: str) -> int:
        """How many rows a table has here."""
        found = self._now.execute(sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, name))).fetchone()
        return int(str(found[0])) if found else 0

    def rewind(self, differences: Sequence[Difference]) -> None:
        """Makes the tables what they were: rows that came go, rows that went come back, changed ones are as they were."""
        if not self.undisturbed:
            for each in differences:
                self._quiet(each, on=False)
        for each in reversed(differences):
            if not each.key:
                self._forget(each)
        for number, each in enumerate(differences):
            self._bring(each, number)
        for each in reversed(differences):
            if each.key and each.added:
                relation, match = sql.Identifier(each.schema, each.name), self._match(each.key)
                self._now.execute(sql.SQL("delete from {} as r where {} = any (%s)").format(relation, match), [each.added])
        if not self.undisturbed:
            for each in differences:
                self._quiet(each, on=True)

    def _quiet(self, each: Difference, *, on: bool) -> None:
        """Switches the table's own triggers off, and on again as they were: they would stamp what is put back with today."""
        relation = sql.Identifier(each.schema, each.name)
        names = {"schema": each.schema, "name": each.name}
        if not on:
            found = self._now.execute(statement("postgres", "rewind_triggers").text, names).fetchall()
            self._triggers[each.table] = [(str(row[0]), str(row[1])) for row in found]
        for trigger, state in self._triggers[each.table]:
            how = "enable always trigger" if state == "A" else "enable trigger"
            change = sql.SQL("alter table {} {} {}").format(
                relation, sql.SQL(how if on else "disable trigger"), sql.Identifier(trigger)
            )  # fmt: skip
            self._now.execute(change)

    def _bring(self, each: Difference, number: int) -> None:
        """Inserts what went, updates what changed, from rows of the copy."""
        wanted = [*each.changed, *each.lost]
        if not wanted:
            return
        columns = self._columns(each)
        relation, match = sql.Identifier(each.schema, each.name), self._match(each.key)
        held = sql.Identifier("pg_temp", f"opsnb_then_{number}")
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        self._now.execute(
            sql.SQL("create temporary table {} on commit drop as select {} from {} with no data").format(held, listed, relation)
        )
        self._then.execute("create temporary table if not exists pg_temp.opsnb_wanted (k text)")
        self._then.execute("truncate pg_temp.opsnb_wanted")
        with self._then.cursor().copy("copy pg_temp.opsnb_wanted from stdin") as out:
            for row in set(wanted):
                out.write_row([row])
        chosen = sql.SQL("copy (select {} from {} as r where {} in (select k from pg_temp.opsnb_wanted)) to stdout").format(
            sql.SQL(", ").join(sql.Identifier("r", column) for column in columns), relation, match)  # fmt: skip
        with self._then.cursor().copy(chosen) as reading, self._now.cursor().copy(
            sql.SQL("copy {} ({}) from stdin").format(held, listed)) as writing:  # fmt: skip
            for piece in reading:
                writing.write(piece)
        if each.key and each.changed:
            others = [column for column in columns if column not in each.key]
            same = sql.SQL("r.{0} is not distinct from h.{0}")
            keys = sql.SQL(" and ").join(same.format(sql.Identifier(column)) for column in each.key)
            values = sql.SQL(", ").join(sql.SQL("{0} = h.{0}").format(sql.Identifier(column)) for column in others)
            if others:
                self._now.execute(sql.SQL("update {} as r set {} from {} as h where {}").format(relation, values, held, keys))
            there = sql.SQL("exists (select from {} as r where {})").format(relation, keys)
            self._now.execute(sql.SQL("delete from {} as h where {}").format(held, there))
        how = sql.SQL("overriding system value")
        self._now.execute(sql.SQL("insert into {} ({}) {} select {} from {}").format(relation, listed, how, listed, held))

    def _forget(self, each: Difference) -> None:
        """Of a table without a key: every row like those that differ goes; those that were there come back."""
        differing = sorted({*each.added, *each.lost})
        relation, match = sql.Identifier(each.schema, each.name), self._match(())
        self._now.execute(sql.SQL("delete from {} as r where {} = any (%s)").format(relation, match), [differing])
        each.lost = differing

    def _ordered(self, tables: Sequence[Name]) -> list[Name]:
        """Parents first, as the foreign keys of then say; tables that refer to each other in a circle as they come."""
        parents: dict[Name, set[Name]] = {table: set() for table in tables}
        for child_schema, child, parent_schema, parent in self._then.execute(statement("postgres", "rewind_order").text).fetchall():
            known, of = (str(child_schema), str(child)), (str(parent_schema), str(parent))
            if known in parents and of in parents:
                parents[known].add(of)
        ordered: list[Name] = []
        while parents:
            free = [table for table, above in parents.items() if not above & parents.keys()] or list(parents)[:1]
            ordered += free
            for table in free:
                del parents[table]
        return ordered

    def _key(self, schema: str, name: str) -> tuple[str, ...] | None:
        """The primary key's columns; empty where there is none, None where the table is missing on one side."""
        found = []
        for side in (self._now, self._then):
            row = side.execute(statement("postgres", "rewind_key").text, {"schema": schema, "name": name}).fetchone()
            if row is None:
                return None
            found.append(tuple(str(column) for column in (row[0] if isinstance(row[0], list) else [])))
        return found[0] if found[0] == found[1] else ()

    def _digests(self, side: psycopg.Connection[Row], schema: str, name: str, key: tuple[str, ...]) -> dict[str, str]:
        """Key (as text) → digest of the row; without a key, digest → how often."""
        relation = sql.Identifier(schema, name)
        digest = sql.SQL("pg_catalog.md5(r::text)")
        if key:
            question = sql.SQL("select {}, {} from only {} as r").format(self._match(key), digest, relation)
        else:
            question = sql.SQL("select {0}, count(*)::text from only {1} as r group by 1").format(digest, relation)
        with side.cursor("opsnb_digests") as cursor:
            cursor.itersize = 20_000
            cursor.execute(question)
            return {str(row[0]): str(row[1]) for row in cursor}

    def _columns(self, each: Difference) -> list[str]:
        """What can be written: generated columns are made by the server again."""
        rows = self._now.execute(statement("postgres", "rewind_columns").text, {"schema": each.schema, "name": each.name}).fetchall()
        return [str(row[0]) for row in rows]

    def _match(self, key: Sequence[str]) -> sql.Composable:
        """The text a row is known by."""
        if not key:
            return sql.SQL("pg_catalog.md5(r::text)")
        if len(key) == 1:
            return sql.SQL("r.{}::text").format(sql.Identifier(key[0]))
        return sql.SQL("pg_catalog.jsonb_build_array({})::text").format(
            sql.SQL(", ").join(sql.SQL("r.{}::text").format(sql.Identifier(column)) for column in key)
        )  # fmt: skip


@contextmanager
def rewinding(
    now: SecretStr,
    then: SecretStr,
    tables: Sequence[Name],
    *,
    write: bool,
    timeout_s: float,
) -> Iterator[Rewinding]:
    """Both sides in a transaction each; with *write*, the *tables* are held against other writers, and the block's end commits.

    Readers go on reading. Raises SourceError in words; nothing is changed then.
    """
    here, there = _connect(now, timeout_s), _connect(then, timeout_s)
    try:
        here.read_only = not write
        if write:  # a snapshot of before the locks would not show what was committed while they were waited for
            here.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        both = Rewinding(here, there)
        if write:
            here.execute("select")  # begins the transaction that the setting is local to
            with _lenient(here):
                here.execute("select pg_catalog.set_config('session_replication_role', 'replica', true)")
                both.undisturbed = True
            for schema, name in sorted(tables):
                known = here.execute(_THERE, [schema, name]).fetchone()
                if known and known[0] is not None:
                    here.execute(sql.SQL("lock table {} in exclusive mode").format(sql.Identifier(schema, name)))
        yield both
        if write:
            here.commit()
    except psycopg.Error as error:
        raise _refused(error) from None
    finally:
        here.close()
        there.close()


def write_row(dsn: SecretStr, *, table: Name, values: dict[str, object], where: dict[str, object]) -> list[dict[str, object]] | None:
    """Sets columns of the rows that *where* names; the old values of each, as JSON; None where the table is gone. One transaction."""
    connection = _connect(dsn, 10)
    try:
        conditions = sql.SQL(" and ").join(sql.SQL("r.{}::text = %s").format(sql.Identifier(column)) for column in where)
        old = sql.SQL("select pg_catalog.jsonb_build_object({}) from {} as r where {} for update").format(
            sql.SQL(", ").join(sql.SQL("{}, r.{}").format(sql.Literal(column), sql.Identifier(column)) for column in values),
            sql.Identifier(*table), conditions)  # fmt: skip
        keys = [str(value) for value in where.values()]
        before = [dict(row[0]) for row in connection.execute(old, keys) if isinstance(row[0], dict)]
        change = sql.SQL("update {} as r set {} where {}").format(
            sql.Identifier(*table),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in values), conditions)  # fmt: skip
        connection.execute(change, [*(_text(value) for value in values.values()), *keys])
        connection.commit()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.Error as error:
        raise _refused(error) from None
    finally:
        connection.close()
    return before


def _text(value: object) -> str:
    """A value as text that its column's type reads; the release writes JSON for a column of JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _connect(dsn: SecretStr, timeout_s: float) -> psycopg.Connection[Row]:
    parts = dsn_parts(dsn, "the DSN")
    try:
        connection = psycopg.connect(
            **{**parts, "application_name": "opsnb/rollback", "connect_timeout": 10}, prepare_threshold=None,
            cursor_factory=psycopg.ClientCursor,
        )  # fmt: skip
    except (psycopg.Error, UnicodeError) as error:
        raise no_connection(error, place(parts), 10) from None
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    settings = {**EXACT, "lock_timeout": str(LOCK_TIMEOUT_MS), "statement_timeout": str(round(timeout_s * 1000))}
    for name, value in settings.items():
        connection.execute("select pg_catalog.set_config(%s, %s, false)", [name, value])
    connection.commit()
    return connection


@contextmanager
def _lenient(connection: psycopg.Connection[Row]) -> Iterator[None]:
    """What a role may not do is left out: then triggers fire and foreign keys are looked at, as for everybody."""
    try:
        with connection.transaction():
            yield
    except psycopg.errors.InsufficientPrivilege:
        return


def _refused(error: psycopg.Error) -> SourceError:
    """The error in words; DETAIL quotes rows, so only the kind of the error leaves."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return SourceTimeout("a table is held by somebody else; nothing was changed, try again", source=SOURCE)
    if isinstance(error, psycopg.errors.QueryCanceled):
        return SourceTimeout("a statement took too long and was stopped; nothing was changed", source=SOURCE)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return SourceDenied("the role may not write these tables (postgres.write_dsn); nothing was changed", source=SOURCE)
    if isinstance(error, psycopg.IntegrityError):
        why = "a constraint forbids to go back row by row while others hold; nothing was changed"
        return SourceError(f"{why}. Let the role set session_replication_role, or go back to a point in time", source=SOURCE)
    return SourceError(
        f"the database refused ({type(error).__name__}, {error.sqlstate or 'no SQLSTATE'}); nothing was changed", source=SOURCE
    )
