"""Rows on one open transaction: found through references, held, deleted by key, and counted afterwards.

Rows are known by (table, ctid), which is exact within one repeatable-read transaction; what changes them names them by their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from opsnb.sources.writing.catalog import Catalog, Column, Link, Table

Ids = Mapping[int, frozenset[str]]
"""Table or partition (its oid) → ctids of rows."""
Keys = Sequence[Sequence[str | None]]
"""Rows by their key, one list per column of it; partition and ctid where a table has no key."""

_ALONE = 0x6F70736E62  # "opsnb": one action at a time changes a database
_CHANGES = """
select coalesce(pg_catalog.pg_partition_root(s.relid), s.relid)::bigint, s.schemaname::text, s.relname::text,
    s.n_tup_ins::bigint, s.n_tup_upd::bigint, s.n_tup_del::bigint
from pg_catalog.pg_stat_xact_all_tables s
where s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    and s.schemaname !~ '^pg_(toast|temp)' and s.schemaname <> 'information_schema'
    and (s.schemaname <> 'pg_catalog' or s.relname in ('pg_largeobject', 'pg_largeobject_metadata'))
"""
# a trigger that empties, rewrites or alters a table is in no row count, but must hold it like this
_STRONG_LOCKS = """
select distinct pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted and c.oid >= 16384
    and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and n.nspname !~ '^pg_(toast|temp)' and c.relkind in ('r', 'p', 'm')
order by 1
"""


@dataclass(frozen=True)
class Reference:
    """Columns that hold what identifies a row of another table."""

    columns: tuple[str, ...]
    parent: int
    parent_columns: tuple[str, ...]
    link: Link


@dataclass(frozen=True)
class Update:
    """Rows that stay and lose their reference: what `link` does when what they refer to goes."""

    table: Table
    keys: Keys
    link: Link


@dataclass(frozen=True)
class Changes:
    """Rows of one table that this transaction has inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class Transaction:
    """The statements actions need, on one open transaction. Names of tables are the catalogue's own text."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self.catalog = Catalog(connection)
        self._before: dict[int, Changes] = {}

    def begin_changes(self) -> bool:
        """Whether this is the one transaction of an action here, and the server counts what it changes."""
        row = self._one("select pg_catalog.pg_try_advisory_xact_lock({})", sql.Literal(_ALONE))
        # an earlier client of a pooled session may have left counts that were not handed in yet
        self._before = self._counted()
        return bool(row[0])

    @property
    def counts(self) -> bool:
        """Whether the server counts changed rows; without it nothing could be asserted."""
        return bool(self._one("select pg_catalog.current_setting('track_counts')::boolean")[0])

    @property
    def database(self) -> str:
        """The database's name."""
        return str(self._one("select pg_catalog.current_database()")[0])

    @property
    def number(self) -> str:
        """The transaction's own number, by which its end can be asked for later."""
        return str(self._one("select pg_catalog.pg_current_xact_id()::text")[0])

    def ended(self, number: str) -> str:
        """How transaction *number* ended: committed, aborted, in progress; empty where the server no longer knows."""
        # a number the server has not given out yet (another server's) raises
        newest = self._one("select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric")[0]
        if not number.isdigit() or int(number) >= int(newest):
            return ""
        return str(self._one("select pg_catalog.pg_xact_status({}::xid8)", sql.Literal(number))[0] or "")

    def named(self, table: Table, column: str, values: Sequence[str], most: int) -> Ids:
        """At most *most* rows of *table*, and of tables that inherit from it, whose *column* is one of *values*."""
        statement = sql.SQL("select t.tableoid::bigint, t.ctid::text from {} t where t.{} = any ({}::text[]::{}[]) limit {}").format(
            sql.SQL(table.name), sql.Identifier(column), sql.Literal(list(values)), sql.SQL(table.column(column).type), sql.Literal(most),
        )  # fmt: skip
        return self._ids(statement)

    def children(self, link: Link, parents: Ids, most: int, *, among: Ids | None = None) -> Ids:
        """At most *most* rows that refer to *parents* by *link*; only those *among* some, where given."""
        if not parents or among == {}:
            return {}
        return self._ids(self._joined(link, "c", [among_ids("p", parents), *([among_ids("c", among)] if among else [])], most))

    def parents(self, link: Link, children: Ids, most: int) -> Ids:
        """At most *most* rows that *children* refer to by *link*."""
        return self._ids(self._joined(link, "p", [among_ids("c", children)], most)) if children else {}

    def count(self, table: Table, ids: Ids, condition: sql.Composable) -> int:
        """How many of the rows *ids* (called t in *condition*) meet *condition*."""
        statement = sql.SQL("select pg_catalog.count(*) from {} t where {} and ({})").format(table.only, among_ids("t", ids), condition)
        return int(self._connection.execute(statement).fetchall()[0][0]) if ids else 0

    def outside(self, table: Table, ids: Ids, column: str, since: datetime | None, until: datetime | None) -> int:
        """How many of the rows have no time in *column*, or one before *since* or after *until*; times without a zone are UTC."""
        base = table.column(column).base
        moment = "t.{c}" if base == "timestamp with time zone" else "(t.{c}::timestamp at time zone 'UTC')"
        time = sql.SQL(moment).format(c=sql.Identifier(column))
        bounds = [
            sql.SQL("{} {} {}").format(time, sql.SQL(sign), sql.Literal(bound)) for sign, bound in (("<", since), (">", until)) if bound
        ]
        return self.count(table, ids, sql.SQL(" or ").join([sql.SQL("{} is null").format(time), *bounds]))

    def unlike(self, table: Table, ids: Ids, expression: str) -> int:
        """How many of the rows do not meet *expression*, an SQL expression over a row; what is unknown is not met."""
        return self.count(table, ids, sql.SQL("({}\n) is not true").format(sql.SQL(expression)))

    def strangers(self, table: Table, ids: Ids, reference: Reference, known: Ids) -> Ids:
        """Those of the rows *ids* that refer to a row of the reference's table that is not one of *known*."""
        if not ids:
            return {}
        parent = self.catalog.table(reference.parent)
        matches = self._match(reference.link, table, parent, reference.columns, reference.parent_columns, "t", "p")
        statement = sql.SQL(
            "select t.tableoid::bigint, t.ctid::text from {} t where {} and exists (select from {} p where {} and not ({}))"
        ).format(table.only, among_ids("t", ids), sql.SQL(parent.name), matches, among_ids("p", known) if known else sql.SQL("false"))
        return self._ids(statement)

    def hold(self, table: Table, ids: Ids) -> int:
        """Locks the rows until the transaction ends; how many there were."""
        statement = sql.SQL("select pg_catalog.count(*) from (select from {} t where {} for update of t) held").format(
            table.only, among_ids("t", ids)
        )
        return int(self._connection.execute(statement).fetchall()[0][0])

    def keys(self, table: Table, ids: Ids) -> Keys:
        """The rows' keys as text, in a fixed order."""
        wanted: list[sql.Composable] = [sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in table.key]
        wanted = wanted or [sql.SQL("t.tableoid::bigint::text"), sql.SQL("t.ctid::text")]
        ordered = sql.SQL(", ").join(sql.SQL('{} collate "C"').format(each) for each in wanted)
        statement = sql.SQL("select {} from {} t where {} order by {}").format(
            sql.SQL(", ").join(wanted), table.only, among_ids("t", ids), ordered
        )
        rows = self._connection.execute(statement).fetchall()
        return [list(column) for column in zip(*rows, strict=True)]

    def heartbeat(self) -> None:
        """Writes a message into the write-ahead log that changes no table; its commit is a moment that can be restored."""
        self._one("select pg_catalog.pg_logical_emit_message(true, 'opsnb', 'heartbeat')::text")

    def delete(self, rows: Sequence[tuple[Table, Keys]]) -> list[int]:
        """Deletes rows of tables in one statement, in which they may refer to each other; how many of each."""
        parts, counts = [], []
        for number, (table, keys) in enumerate(rows):
            name = sql.Identifier(f"deleted{number}")
            source, condition = keyed(table, keys)
            parts.append(sql.SQL("{} as (delete from {} t{} where {} returning 1)").format(
                name, table.only, sql.SQL(" using {}").format(source) if source else sql.SQL(""), condition))  # fmt: skip
            counts.append(sql.SQL("(select pg_catalog.count(*) from {})").format(name))
        statement = sql.SQL("with {} select {}").format(sql.SQL(", ").join(parts), sql.SQL(", ").join(counts))
        return [int(count) for count in self._connection.execute(statement).fetchall()[0]]

    def update(self, update: Update) -> int:
        """Takes the reference out of the rows, as deleting what they refer to would; how many."""
        value = sql.SQL("null" if update.link.on_delete == "set null" else "default")
        columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), value) for name in update.link.set_columns)
        source, condition = keyed(update.table, update.keys)
        statement = sql.SQL("update {} t set {} from {} where {}").format(update.table.only, columns, source, condition)
        return self._connection.execute(statement).rowcount

    def copy_out(self, table: Table, ids: Ids, columns: Sequence[str]) -> bytes:
        """The rows in COPY's text format, which keeps every type exactly."""
        listed = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in columns)
        query = sql.SQL("copy (select {} from {} t where {}) to stdout").format(listed, table.only, among_ids("t", ids))
        with self._connection.cursor() as cursor, cursor.copy(query) as rows:
            return b"".join(bytes(block) for block in rows)

    def digest(self, table: Table, keys: Keys, columns: Sequence[str]) -> str:
        """A hash of the rows' values in *columns*, whatever their order."""
        source, condition = keyed(table, keys)
        statement = sql.SQL("select {} from {} t{} where {}").format(
            digest_of("t", columns), table.only, sql.SQL(", {}").format(source) if source else sql.SQL(""), condition
        )
        return str(self._connection.execute(statement).fetchall()[0][0])

    def changes(self) -> dict[int, Changes]:
        """Table → what this transaction changed in it, by itself, through cascades and triggers; tables of every schema."""
        now, none = self._counted(), Changes()
        differences = {
            oid: Changes(count.inserted - was.inserted, count.updated - was.updated, count.deleted - was.deleted)
            for oid, count in now.items()
            for was in (self._before.get(oid, none),)
        }
        return {oid: change for oid, change in differences.items() if change != none}

    def relation(self, oid: int) -> str:
        """The name of the table *oid*."""
        return str(self._one("select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c "
                             "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = {}", sql.Literal(oid))[0])  # fmt: skip

    def strong_locks(self) -> list[str]:
        """Tables this transaction holds in a mode that deleting rows does not need: something emptied or altered them."""
        return [str(name) for (name,) in self._connection.execute(_STRONG_LOCKS).fetchall()]

    def still_referring(self, link: Link, values: Iterable[str]) -> int:
        """How many rows carry one of *values* in the column of a link that no constraint guards."""
        child = self.catalog.table(link.child)
        statement = sql.SQL("select pg_catalog.count(*) from {} t where t.{}::text = any ({}::text[])").format(
            sql.SQL(child.name), sql.Identifier(link.columns[0]), sql.Literal(list(values))
        )
        return int(self._connection.execute(statement).fetchall()[0][0])

    def values(self, table: Table, ids: Ids, column: str) -> list[str]:
        """The values of *column* in the rows, as text."""
        statement = sql.SQL("select t.{c}::text from {} t where {} and t.{c} is not null").format(
            table.only, among_ids("t", ids), c=sql.Identifier(column)
        )
        return [str(value) for (value,) in self._connection.execute(statement).fetchall()]

    def _joined(self, link: Link, wanted: str, conditions: Sequence[sql.Composable], most: int) -> sql.Composed:
        child, parent = self.catalog.table(link.child), self.catalog.table(link.parent)
        return sql.SQL("select distinct {w}.tableoid::bigint, {w}.ctid::text from {} c join {} p on {} where {} limit {}").format(
            self._declared(link.child_oid, child), self._declared(link.parent_oid, parent),
            self._match(link, child, parent, link.columns, link.parent_columns, "c", "p"), sql.SQL(" and ").join(conditions),
            sql.Literal(most), w=sql.SQL(wanted),
        )  # fmt: skip

    def _declared(self, oid: int, table: Table) -> sql.Composable:
        """The table in a FROM clause; the partition alone where a constraint was declared on it."""
        return table.only if oid == table.oid else sql.SQL(self.relation(oid))

    def _match(
        self, link: Link, child: Table, parent: Table, columns: Sequence[str], parent_columns: Sequence[str], c: str, p: str
    ) -> sql.Composable:
        parts: list[sql.Composable] = []
        for number, (name, other) in enumerate(zip(columns, parent_columns, strict=True)):
            ours, theirs = (sql.SQL(f"{alias}.{{}}").format(sql.Identifier(each)) for alias, each in ((c, name), (p, other)))
            if link.operators and link.columns == columns:
                parts.append(sql.SQL(f"{{}} operator({link.operators[number]}) {{}}").format(theirs, ours))
            else:
                parts.append(_alike(ours, child.column(name), theirs, parent.column(other)))
        return sql.SQL(" and ").join(parts)

    def _ids(self, statement: sql.Composed) -> Ids:
        found: dict[int, set[str]] = {}
        for oid, ctid in self._connection.execute(statement).fetchall():
            found.setdefault(int(oid), set()).add(str(ctid))
        return {oid: frozenset(ctids) for oid, ctids in found.items()}

    def _counted(self) -> dict[int, Changes]:
        totals: dict[int, Changes] = {}
        for oid, _, _, inserted, updated, deleted in self._connection.execute(_CHANGES).fetchall():
            was = totals.get(int(oid), Changes())
            totals[int(oid)] = Changes(was.inserted + int(inserted), was.updated + int(updated), was.deleted + int(deleted))
        return totals

    def _one(self, statement: str, *values: sql.Composable) -> tuple[Any, ...]:
        return self._connection.execute(sql.SQL(statement).format(*values)).fetchall()[0]


def plus(left: Ids, right: Ids) -> Ids:
    """The rows of both."""
    return {oid: left.get(oid, frozenset()) | right.get(oid, frozenset()) for oid in {*left, *right}}


def minus(left: Ids, right: Ids) -> Ids:
    """The rows of *left* that are not in *right*."""
    rest = {oid: ids - right.get(oid, frozenset()) for oid, ids in left.items()}
    return {oid: ids for oid, ids in rest.items() if ids}


def size(ids: Ids) -> int:
    """How many rows."""
    return sum(map(len, ids.values()))


def among_ids(alias: str, ids: Ids) -> sql.Composable:
    """The condition that a row is one of *ids*."""
    one = f"({alias}.tableoid = {{}} and {alias}.ctid = any ({{}}::text[]::tid[]))"
    parts = [sql.SQL(one).format(sql.Literal(oid), sql.Literal(sorted(ctids))) for oid, ctids in sorted(ids.items())]
    return sql.SQL("({})").format(sql.SQL(" or ").join(parts))


def keyed(table: Table, keys: Keys) -> tuple[sql.Composable | None, sql.Composable]:
    """(What to join with, on what) so that t is one of the rows with *keys*."""
    if not keys:
        return None, sql.SQL("false")
    if not table.key:
        ids: dict[int, set[str]] = {}
        for oid, ctid in zip(*keys, strict=True):
            ids.setdefault(int(oid or 0), set()).add(str(ctid))
        return None, among_ids("t", {oid: frozenset(ctids) for oid, ctids in ids.items()})
    types = [table.column(name).type for name in table.key]
    array = sql.SQL("pg_catalog.unnest({}::text[]::{}[])")
    arrays = [array.format(sql.Literal(list(values)), sql.SQL(type_)) for values, type_ in zip(keys, types, strict=True)]
    names = [sql.Identifier(f"k{number}") for number in range(len(keys))]
    source = sql.SQL("rows from ({}) as k ({})").format(sql.SQL(", ").join(arrays), sql.SQL(", ").join(names))
    pairs = [sql.SQL("t.{} = k.{}").format(sql.Identifier(name), k) for name, k in zip(table.key, names, strict=True)]
    return source, sql.SQL(" and ").join(pairs)


def digest_of(alias: str, columns: Sequence[str]) -> sql.Composable:
    """The aggregate that hashes rows, whatever their order."""
    row = sql.SQL("pg_catalog.md5(row({})::text)").format(
        sql.SQL(", ").join(sql.SQL(f"{alias}.{{}}").format(sql.Identifier(name)) for name in columns)
    )
    return sql.SQL("pg_catalog.md5(coalesce(pg_catalog.string_agg({row}, '' order by {row} collate \"C\"), ''))").format(row=row)


def _alike(ours: sql.Composable, column: Column, theirs: sql.Composable, other: Column) -> sql.Composable:
    """Equality of columns that no constraint ties: of one type as they are, else as text, on the side that keeps our index usable."""
    if column.base == other.base:
        return sql.SQL("{} = {}").format(ours, theirs)
    if column.base in ("text", "character varying"):
        return sql.SQL("{} = {}::text").format(ours, theirs)
    return sql.SQL("{}::text = {}::text").format(ours, theirs)
