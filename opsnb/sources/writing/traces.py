"""Rows that an action makes, removes and puts back by name: single statements in one transaction, values never in a message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from opsnb.errors import SourceError
from opsnb.sources.writing.door import connect, refused

Name = tuple[str, str]


class Traces:
    """One connection with a transaction per call."""

    def __init__(self, dsn: SecretStr, *, phase: str) -> None:
        self._connection = connect(dsn, phase)

    def make(self, table: Name, row: Mapping[str, str], key: str) -> str:
        """Inserts one row, values as text; its key."""
        columns, values = sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
        statement = sql.SQL("insert into {} ({}) values ({}) returning {}::text").format(
            sql.Identifier(*table), columns, values, sql.Identifier(key))  # fmt: skip
        return str(self._run(statement, list(row.values()))[0][0])

    def kept(self, table: Name, columns: Sequence[str], where: Mapping[str, str]) -> list[dict[str, Any]]:
        """The *columns* of the rows that *where* names, as JSON."""
        pairs = sql.SQL(", ").join(sql.SQL("{}, r.{}").format(sql.Literal(name), sql.Identifier(name)) for name in columns)
        statement = sql.SQL("select pg_catalog.jsonb_build_object({}) from {} as r where {}").format(
            pairs, sql.Identifier(*table), self._where(where))  # fmt: skip
        return [dict(row[0]) for row in self._run(statement, list(where.values()))]

    def put_back(self, table: Name, old: Mapping[str, Any], where: Mapping[str, str]) -> int:
        """Sets the columns to what `kept` told; how many rows. Triggers run: what they stamp is theirs."""
        columns = sql.SQL(", ").join(sql.SQL("{0} = o.{0}").format(sql.Identifier(name)) for name in old)
        change = sql.SQL("update {0} as r set {1} from pg_catalog.jsonb_populate_record(null::{0}, %s::jsonb) as o where {2} returning 1")
        statement = change.format(sql.Identifier(*table), columns, self._where(where))
        return len(self._run(statement, [json.dumps(dict(old)), *where.values()]))

    def remove(self, table: Name, column: str, values: Sequence[str]) -> int:
        """Deletes the rows whose *column* has one of *values*; how many."""
        statement = sql.SQL("delete from {} as r where r.{}::text = any (%s) returning 1").format(
            sql.Identifier(*table), sql.Identifier(column)
        )
        return len(self._run(statement, [list(values)]))

    def count(self, table: Name, column: str, values: Sequence[str]) -> int:
        """How many rows there are of them."""
        statement = sql.SQL("select count(*) from {} as r where r.{}::text = any (%s)").format(
            sql.Identifier(*table), sql.Identifier(column)
        )
        return int(self._run(statement, [list(values)])[0][0])

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _where(self, where: Mapping[str, str]) -> sql.Composable:
        return sql.SQL(" and ").join(sql.SQL("r.{}::text = %s").format(sql.Identifier(name)) for name in where)

    def _run(self, statement: sql.Composed, values: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._connection.transaction():
                self._connection.execute("select pg_catalog.set_config('statement_timeout', '10000', true), "
                                         "pg_catalog.set_config('lock_timeout', '2000', true)")  # fmt: skip
                rows: list[tuple[Any, ...]] = self._connection.execute(statement, values).fetchall()
                return rows
        except psycopg.Error as error:
            raise refused(error) from None
        except UnicodeError:
            raise SourceError("a text is not UTF-8; nothing was changed", source="journey") from None
