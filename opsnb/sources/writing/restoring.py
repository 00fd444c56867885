"""Rows on their way back: laid out in temporary tables, compared with what is there, then put where they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from opsnb.sources.writing.catalog import Table
from opsnb.sources.writing.rows import Transaction, digest_of

_TRIGGERS = """
select pg_catalog.format('%I.%I', n.nspname, c.relname), t.tgname::text, t.tgenabled::text
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where t.tgrelid in (select {oid} union all select relid::oid from pg_catalog.pg_partition_tree({oid}))
    and not t.tgisinternal and t.tgenabled in ('O', 'A') and (t.tgtype::int & {events}) > 0
order by 1, 2
"""
_EVENTS = {"deleted": 4, "changed": 16}  # a deleted row comes back by an INSERT, a changed one by an UPDATE


@dataclass(frozen=True)
class Laid:
    """Rows of one table in a temporary table. `columns` are all that were kept, `rows` how many."""

    table: Table
    name: str
    columns: tuple[str, ...]
    rows: int

    @property
    def writable(self) -> list[str]:
        """The columns that hold a value of their own; generated ones follow by themselves."""
        return [name for name in self.columns if not self.table.column(name).generated]


class Restoring:
    """What an undo needs beyond `Transaction`."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self._connection: psycopg.Connection[tuple[Any, ...]] = transaction._connection
        self._laid = 0

    def lay_out(self, table: Table, columns: Sequence[str], rows: bytes) -> Laid:
        """Copies *rows* (COPY's text format) into a temporary table, gone with the transaction."""
        name = f"pg_temp.opsnb_kept_{self._laid}"
        self._laid += 1
        listed = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(each)) for each in columns)
        self._connection.execute(
            sql.SQL("create temporary table {} on commit drop as select {} from {} t with no data").format(
                sql.SQL(name.removeprefix("pg_temp.")), listed, table.only
            )
        )
        with self._connection.cursor() as cursor:
            with cursor.copy(sql.SQL("copy {} from stdin").format(sql.SQL(name))) as copy:
                copy.write(rows)
            return Laid(table, name, tuple(columns), cursor.rowcount)

    def there_again(self, laid: Laid) -> int:
        """How many of the rows have a row of their key in the table; 0 where the table has no key."""
        if not laid.table.key:
            return 0
        statement = sql.SQL("select pg_catalog.count(*) from {} t join {} k on {}").format(laid.table.only, sql.SQL(laid.name), _same(laid))
        return int(self._connection.execute(statement).fetchall()[0][0])

    def digest(self, laid: Laid) -> str:
        """A hash of the rows of the table that have the key of one laid out; they are held from now on."""
        self._connection.execute(
            sql.SQL("select from {} t join {} k on {} for update of t").format(laid.table.only, sql.SQL(laid.name), _same(laid))
        )
        statement = sql.SQL("select {} from {} t join {} k on {}").format(
            digest_of("t", laid.columns), laid.table.only, sql.SQL(laid.name), _same(laid)
        )
        return str(self._connection.execute(statement).fetchall()[0][0])

    def insert(self, rows: Sequence[Laid]) -> list[tuple[int, str]]:
        """Puts rows back in one statement, in which they may refer to each other; how many of each, and their hash as they now are."""
        parts, results = [], []
        for number, laid in enumerate(rows):
            name = sql.Identifier(f"put{number}")
            columns = sql.SQL(", ").join(map(sql.Identifier, laid.writable))
            parts.append(
                sql.SQL("{} as (insert into {} as t ({}) overriding system value select {} from {} returning {})").format(
                    name, sql.SQL(laid.table.name), columns, columns, sql.SQL(laid.name), _listed("t", laid.columns)
                )
            )
            results += [sql.SQL("(select pg_catalog.count(*) from {} t)").format(name),
                        sql.SQL("(select {} from {} t)").format(digest_of("t", laid.columns), name)]  # fmt: skip
        statement = sql.SQL("with {} select {}").format(sql.SQL(", ").join(parts), sql.SQL(", ").join(results))
        row = self._connection.execute(statement).fetchall()[0]
        return [(int(row[place]), str(row[place + 1])) for place in range(0, len(row), 2)]

    def put_right(self, laid: Laid) -> tuple[int, str]:
        """Gives rows that were changed their old values; how many, and their hash as they now are."""
        fixed = {name for name in laid.columns if laid.table.column(name).identity}  # an identity is never changed
        sets = [sql.SQL("{c} = k.{c}").format(c=sql.Identifier(name)) for name in laid.writable if name not in fixed]
        changed = sql.SQL("update {} t set {} from {} k where {} returning {}").format(
            laid.table.only, sql.SQL(", ").join(sets), sql.SQL(laid.name), _same(laid), _listed("t", laid.columns)
        )
        statement = sql.SQL("with put as ({}) select pg_catalog.count(*), {} from put t").format(changed, digest_of("t", laid.columns))
        row = self._connection.execute(statement).fetchall()[0]
        return int(row[0]), str(row[1])

    @contextmanager
    def triggers_held_off(self, tables: Sequence[tuple[Table, str]]) -> Iterator[None]:
        """Users' triggers that ("deleted" or "changed") rows on their way back would fire stay silent; constraints do not."""
        held: list[tuple[str, str, str]] = []
        for table, what in dict.fromkeys(tables):
            statement = sql.SQL(_TRIGGERS).format(oid=sql.Literal(table.oid), events=sql.Literal(_EVENTS[what]))
            held += [(str(name), str(trigger), str(state)) for name, trigger, state in self._connection.execute(statement).fetchall()]
        held = list(dict.fromkeys(held))
        for name, trigger, _ in held:
            self._alter(name, "disable trigger", trigger)
        yield
        self._connection.execute("set constraints all immediate")  # a table with checks still to come cannot be altered
        for name, trigger, state in held:
            self._alter(name, "enable always trigger" if state == "A" else "enable trigger", trigger)

    def _alter(self, table: str, how: str, trigger: str) -> None:
        self._connection.execute(sql.SQL("alter table only {} {} {}").format(sql.SQL(table), sql.SQL(how), sql.Identifier(trigger)))


def _listed(alias: str, columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL(f"{alias}.{{}}").format(sql.Identifier(name)) for name in columns)


def _same(laid: Laid) -> sql.Composable:
    return sql.SQL(" and ").join(sql.SQL("t.{c} = k.{c}").format(c=sql.Identifier(name)) for name in laid.table.key)
