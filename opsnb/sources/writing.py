"""The writing door to Postgres: used by actions alone, each in one transaction that ends whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceTimeout
from opsnb.sources.postgres import dsn_parts, place
from opsnb.sources.refusals import SOURCE, no_connection

CONNECT_TIMEOUT_S = 5

FOREIGN_KEYS = """
select c.conrelid::regclass::text, c.confrelid::regclass::text, c.confdeltype::text,
    array(select a.attname::text from unnest(c.conkey) with ordinality as k (number, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number order by k.place),
    array(select a.attname::text from unnest(c.confkey) with ordinality as k (number, place)
          join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number order by k.place)
from pg_catalog.pg_constraint c
where c.contype = 'f'
order by c.conrelid::regclass::text, c.conname
"""

PRIMARY_KEY = """
select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a
left join pg_catalog.pg_index i on i.indrelid = a.attrelid and i.indisprimary and a.attnum = any(i.indkey)
where a.attrelid = %(table)s::regclass and a.attnum > 0 and not a.attisdropped
order by (i.indexrelid is null), a.attnum
"""

_FOR_THIS_TRANSACTION = """
select pg_catalog.set_config(name, value, true)
from unnest(%(names)s::text[], %(values)s::text[]) as setting (name, value)
"""

DELETED_HERE = """
select relid::regclass::text, n_tup_del
from pg_catalog.pg_stat_xact_all_tables
where n_tup_del > 0 and schemaname not like 'pg\\_%'
order by 1
"""


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key. `on_delete` is pg_constraint's letter: a, r, c, n, d."""

    child: str
    parent: str
    on_delete: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]

    @property
    def cascades(self) -> bool:
        """Whether deleting the parent deletes the child."""
        return self.on_delete == "c"

    @property
    def blocks(self) -> bool:
        """Whether a child keeps its parent from being deleted."""
        return self.on_delete in "ar"


class Transaction:
    """The few statements actions need, on one open transaction. Table names are the catalogue's own text."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def foreign_keys(self) -> list[ForeignKey]:
        """Every foreign key of the database."""
        rows = cast(list[tuple[str, str, str, list[str], list[str]]], self._connection.execute(FOREIGN_KEYS).fetchall())
        return [ForeignKey(child, parent, on_delete, tuple(columns), tuple(others)) for child, parent, on_delete, columns, others in rows]

    def table_name(self, table: str) -> str | None:
        """The catalogue's spelling of *table*; None where there is no such table."""
        row = self._connection.execute("select pg_catalog.to_regclass(%s)::text", (table,)).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def columns(self, table: str) -> dict[str, str]:
        """Column → type; columns of the primary key first."""
        rows = self._connection.execute(PRIMARY_KEY, {"table": table}).fetchall()
        return {str(name): str(type_) for name, type_ in rows}

    def keys_where(self, table: str, wanted: str, column: str, values: Sequence[str]) -> list[str]:
        """The values (as text) of *wanted* in the rows of *table* whose *column* is one of *values*."""
        statement = sql.SQL("select distinct {wanted}::text from {table} where {column} = any(%s::{type}[])").format(
            wanted=sql.Identifier(wanted), table=self._name(table), column=sql.Identifier(column),
            type=sql.SQL(self._type(table, column)),
        )  # fmt: skip
        return [str(row[0]) for row in self._connection.execute(statement, (list(values),)).fetchall()]

    def children(self, link: ForeignKey, parents: Sequence[str]) -> list[str]:
        """The first key column (as text) of the rows of *link*'s child that refer to the rows *parents* of its parent."""
        parent_key, child_key = next(iter(self.columns(link.parent))), next(iter(self.columns(link.child)))
        matches = sql.SQL(" and ").join(
            sql.SQL("c.{} = p.{}").format(sql.Identifier(column), sql.Identifier(other))
            for column, other in zip(link.columns, link.parent_columns, strict=True)
        )
        statement = sql.SQL(
            "select distinct c.{key}::text from {child} c join {parent} p on {matches} where p.{own} = any(%s::{type}[])"
        ).format(
            key=sql.Identifier(child_key), child=self._name(link.child), parent=self._name(link.parent), matches=matches,
            own=sql.Identifier(parent_key), type=sql.SQL(self._type(link.parent, parent_key)),
        )  # fmt: skip
        return [str(row[0]) for row in self._connection.execute(statement, (list(parents),)).fetchall()]

    def delete(self, table: str, column: str, values: Sequence[str]) -> int:
        """Deletes the rows of *table* whose *column* is one of *values*; how many."""
        statement = sql.SQL("delete from {table} where {column} = any(%s::{type}[])").format(
            table=self._name(table), column=sql.Identifier(column), type=sql.SQL(self._type(table, column))
        )
        return self._connection.execute(statement, (list(values),)).rowcount

    def deleted_here(self) -> dict[str, int]:
        """Table → rows this transaction deleted so far, by itself or through cascades."""
        return {str(table): int(str(count)) for table, count in self._connection.execute(DELETED_HERE).fetchall()}

    def _name(self, table: str) -> sql.Composable:
        # regclass text is already quoted where it must be, and only ever comes from the catalogue
        if self.table_name(table) != table:
            raise SourceError(f"{table} is not a table of this database", source="postgres")
        return sql.SQL(table)

    def _type(self, table: str, column: str) -> str:
        columns = self.columns(table)
        if column not in columns:
            raise SourceError(f"{table} has no column {column}; it has {', '.join(sorted(columns))}", source="postgres")
        return columns[column]


@contextmanager
def transaction(
    dsn: SecretStr, *, phase: str, read_only: bool, lock_timeout_ms: int = 2000, statement_timeout_ms: int = 30_000
) -> Iterator[Transaction]:
    """One transaction: committed when the block ends, rolled back whole when it raises. SourceError without any value in it.

    UsageError for a DSN that is none, or one of the transaction pooler: what is counted there may be other people's.
    """
    connection = _connect(dsn, phase)
    committing = False
    try:
        # psycopg says "begin read only"; what poolers do with options of the start-up packet nobody knows
        connection.read_only = read_only
        settings = {
            "statement_timeout": str(max(1, statement_timeout_ms)),
            "lock_timeout": str(max(1, lock_timeout_ms)),
            "idle_in_transaction_session_timeout": "60000",
        }
        connection.execute(_FOR_THIS_TRANSACTION, {"names": list(settings), "values": list(settings.values())})
        yield Transaction(connection)
        committing = True
        connection.commit()
    except psycopg.Error as error:
        raise _refused(error, committing=committing) from None
    except UnicodeError:
        raise SourceError("a text is not UTF-8; nothing was changed", source=SOURCE) from None
    finally:
        connection.close()  # what was not committed is rolled back


def _connect(dsn: SecretStr, phase: str) -> psycopg.Connection[tuple[object, ...]]:
    parts = dsn_parts(dsn, "the DSN in section postgres")
    own = {"application_name": f"opsnb/{phase}", "connect_timeout": CONNECT_TIMEOUT_S, "client_encoding": "UTF8"}
    try:
        return psycopg.connect(**{**parts, **own}, prepare_threshold=None)
    except (psycopg.Error, UnicodeError) as error:
        raise no_connection(error, place(parts), CONNECT_TIMEOUT_S) from None


def _refused(error: psycopg.Error, *, committing: bool) -> SourceError:
    """The error in words. DETAIL quotes rows: only the kind of the error leaves."""
    state = error.sqlstate
    if committing and (state is None or state.startswith(("08", "57P"))):
        why = "the connection was lost while the transaction ended: whether it was committed is not known; look before you repeat it"
        return SourceError(why, source=SOURCE)
    if isinstance(error, psycopg.errors.QueryCanceled):
        return SourceTimeout("a statement took too long and was stopped; nothing was changed", source=SOURCE)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return SourceTimeout("a row or table was locked by somebody else; nothing was changed, try again", source=SOURCE)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return SourceDenied("the role may not do this; nothing was changed", source=SOURCE)
    return SourceError(f"the database refused ({type(error).__name__}, {state or 'no SQLSTATE'}); nothing was changed", source=SOURCE)
