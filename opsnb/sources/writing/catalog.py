"""What the catalogue says of tables whose rows are to go: columns, keys, references to and from them, triggers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from opsnb.errors import SourceError
from opsnb.sources.refusals import SOURCE

ON_DELETE = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}

_TABLE = """
select c.oid::bigint, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text,
    coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)::bigint,
    exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.ev_type in ('2', '3', '4') and r.rulename <> '_RETURN'),
    c.reltuples::bigint
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = {oid}
"""
_COLUMNS = """
select a.attname::text,
    pg_catalog.format('%I.%I', n.nspname, t.typname),
    coalesce(nullif(t.typbasetype, 0), t.oid)::pg_catalog.regtype::text,
    a.attnotnull, a.attgenerated::text, a.attidentity::text
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
# the primary key, else any unique index by which every row can be named
_KEY = """
select array(
    select a.attname::text from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (number, place)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
    where k.place <= i.indnkeyatts order by k.place)
from pg_catalog.pg_index i
where i.indrelid = {oid} and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
    and not exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[]) and not a.attnotnull)
order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
limit 1
"""
# one row per foreign key as it was declared; those of partitions that come with it are left out
_FOREIGN_KEYS = """
select c.conname::text, c.conrelid::bigint, c.confrelid::bigint,
    coalesce(pg_catalog.pg_partition_root(c.conrelid), c.conrelid)::bigint,
    coalesce(pg_catalog.pg_partition_root(c.confrelid), c.confrelid)::bigint,
    c.confdeltype::text,
    array(select a.attname::text from pg_catalog.unnest(c.conkey) with ordinality as k (number, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number order by k.place),
    array(select a.attname::text from pg_catalog.unnest(c.confkey) with ordinality as k (number, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number order by k.place),
    array(select pg_catalog.format('%I', n.nspname) || '.' || o.oprname
          from pg_catalog.unnest(c.conpfeqop) with ordinality as k (operator, place)
          join pg_catalog.pg_operator o on o.oid = k.operator
          join pg_catalog.pg_namespace n on n.oid = o.oprnamespace order by k.place),
    array(select a.attname::text
          from pg_catalog.jsonb_array_elements_text(
              -- newer than the oldest server
              coalesce(nullif(pg_catalog.to_jsonb(c) -> 'confdelsetcols', 'null'::jsonb), '[]'::jsonb)) as k (number)
          join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number::int2),
    exists (select from pg_catalog.pg_index i
            where i.indrelid = c.conrelid and i.indisvalid and i.indpred is null
                and (i.indkey::int2[])[0:pg_catalog.cardinality(c.conkey) - 1] @> c.conkey)
from pg_catalog.pg_constraint c
join pg_catalog.pg_class r on r.oid = c.conrelid
join pg_catalog.pg_namespace s on s.oid = r.relnamespace
where c.contype = 'f' and c.conparentid = 0
order by s.nspname, r.relname, c.conname
"""
_TRIGGERS = """
select t.tgname::text, pg_catalog.format('%I.%I', n.nspname, p.proname), l.lanname::text, p.prosrc, t.tgtype::int
from pg_catalog.pg_trigger t
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where t.tgrelid in (select {oid} union all select relid::oid from pg_catalog.pg_partition_tree({oid}))
    and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgparentid = 0
order by t.tgname
"""
_EFFECTS = {
    "deletes rows": r"\bdelete\s+from\b|\btruncate\b",
    "updates rows": r"\bupdate\s+(?:only\s+)?[\w\".]+(?:\s+(?:as\s+)?\w+)?\s+set\b",
    "inserts rows": r"\binsert\s+into\b|\bmerge\s+into\b",
    "calls out": r"\bnet\s*\.\s*http_|\bhttp_(?:get|post|put|delete|request)\b|\bhttp_request\b|\bdblink\w*\s*\(|\bnotify\b|\bpg_notify\b"
    r"|\baws_lambda\b|\bcopy\b.*\bprogram\b",
    "runs composed text": r"\bexecute\b",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column. `type` has its schema, `base` is what a domain is made of."""

    name: str
    type: str
    base: str
    not_null: bool
    generated: bool
    identity: bool


@dataclass(frozen=True)
class Table:
    """A table, partitioned ones as a whole. `key` names every row, empty where nothing does; `rows` is the server's estimate."""

    oid: int
    name: str
    partitioned: bool
    rewritten: bool
    rows: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def column(self, name: str) -> Column:
        """The column called *name*; SourceError where there is none."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise SourceError(f"{self.name} has no column {name}; it has {', '.join(c.name for c in self.columns)}", source=SOURCE)
        return found

    @property
    def only(self) -> sql.Composable:
        """The table in a FROM clause, without the tables that inherit from it."""
        return sql.SQL(self.name if self.partitioned else f"only {self.name}")


@dataclass(frozen=True)
class Link:
    """A reference between tables: a foreign key, or one the release names (`on_delete` is then "link").

    `child` and `parent` are the tables as a whole, `child_oid` and `parent_oid` what was declared (perhaps a partition).
    """

    name: str
    child: int
    parent: int
    child_oid: int
    parent_oid: int
    on_delete: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    operators: tuple[str, ...] = ()
    set_columns: tuple[str, ...] = ()
    indexed: bool = True

    @property
    def sets(self) -> bool:
        """Whether deleting the parent changes the child and keeps it."""
        return self.on_delete in ("set null", "set default")


@dataclass(frozen=True)
class Trigger:
    """A user's trigger and what its function's text says it does beyond its own row."""

    table: str
    name: str
    function: str
    effects: tuple[str, ...]
    events: int = field(repr=False)

    def fires_on(self, what: str) -> bool:
        """Whether rows being "deleted" or "changed" fire it."""
        return bool(self.events & {"deleted": 8, "changed": 16, "restored": 4}[what])


class Catalog:
    """The catalogue as one transaction sees it; each table is asked for once."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._tables: dict[int, Table] = {}
        self._roots: dict[int, int] = {}
        self._links: list[Link] | None = None

    def find(self, name: str) -> Table | None:
        """The table called *name*, with its partitions where it has some; None where there is none."""
        row = self._connection.execute("select pg_catalog.to_regclass(%s)::oid::bigint", (name,)).fetchone()
        return None if row is None or row[0] is None else self.table(int(row[0]))

    def table(self, oid: int) -> Table:
        """The table *oid*; for a partition the table it is one of. SourceError for what is no table."""
        if oid in self._roots:
            return self._tables[self._roots[oid]]
        row = self._one(_TABLE, oid)
        root = int(row[3])
        if root != oid:
            if row[2] not in ("r", "p"):
                raise SourceError(f"{row[1]} is a partition outside this database; its rows cannot be held", source=SOURCE)
            self._roots[oid] = root
            return self.table(root)
        if row[2] not in ("r", "p"):
            raise SourceError(f"{row[1]} is no table: a view or a foreign table holds no rows of its own", source=SOURCE)
        columns = tuple(
            Column(name, type_, base, bool(needed), bool(generated), bool(identity))
            for name, type_, base, needed, generated, identity in self._all(_COLUMNS, oid)
        )
        keys = self._all(_KEY, oid)
        key = tuple(keys[0][0]) if keys else ()
        if any(column.base.endswith("[]") for column in columns if column.name in key):
            key = ()  # arrays of arrays are not lists of keys
        self._tables[oid] = Table(oid, str(row[1]), row[2] == "p", bool(row[4]), int(row[5]), columns, key)
        self._roots[oid] = oid
        return self._tables[oid]

    def links(self) -> list[Link]:
        """Every foreign key of the database."""
        if self._links is None:
            self._links = [
                Link(str(name), int(child), int(parent), int(child_oid), int(parent_oid), ON_DELETE[letter], tuple(columns),
                     tuple(parent_columns), tuple(operators), tuple(set_columns) or tuple(columns), bool(indexed))
                for name, child_oid, parent_oid, child, parent, letter, columns, parent_columns, operators, set_columns, indexed
                in self._connection.execute(_FOREIGN_KEYS).fetchall()
            ]  # fmt: skip
        return self._links

    def named_link(self, child: str, parent: str) -> Link:
        """The reference from one ``schema.table.column`` to another; SourceError where one does not exist."""
        (table, column), (other, its_column) = self._column(child), self._column(parent)
        return Link(f"{child} → {parent}", table.oid, other.oid, table.oid, other.oid, "link", (column,), (its_column,))

    def triggers(self, table: Table) -> list[Trigger]:
        """The triggers of *table* that are switched on and not the server's own."""
        return [
            Trigger(table.name, str(name), str(function), _effects(str(language), str(source)), int(events))
            for name, function, language, source, events in self._all(_TRIGGERS, table.oid)
        ]

    def _column(self, name: str) -> tuple[Table, str]:
        schema, relation, column = name.split(".")
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, relation))
        table = self.find(quoted)
        if table is None:
            raise SourceError(f"a link names {name}, and this database has no table {schema}.{relation}", source=SOURCE)
        return table, table.column(column).name

    def _one(self, statement: str, oid: int) -> tuple[Any, ...]:
        return next(iter(self._all(statement, oid)))

    def _all(self, statement: str, oid: int) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql.SQL(statement).format(oid=sql.Literal(oid))).fetchall()


def _effects(language: str, source: str) -> tuple[str, ...]:
    return tuple(_found(language, source))


def _found(language: str, source: str) -> Iterator[str]:
    if language not in ("plpgsql", "sql"):
        yield f"is written in {language} and cannot be read"
        return
    text = re.sub(r"--[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL).lower()
    for effect, sign in _EFFECTS.items():
        if re.search(sign, text, flags=re.DOTALL):
            yield effect
