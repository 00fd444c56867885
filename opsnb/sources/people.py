"""What the database knows of people, for one purpose: that none of it leaves. Bounded, read-only, and never part of a result."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from psycopg import sql

from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres

MOST = 20_000
"""Rows read of each column: the first the server finds, so that a large table costs no more than a small one."""


def known(database: Postgres, table: str, columns: Sequence[str], *, most: int = MOST) -> Facts:
    """One row per value, `value`: the texts in *columns* of *table* (``schema.name``); ``first last`` joins two columns to one value."""
    each = sql.SQL(", ").join(_joined(names) for names in columns)
    asked = sql.SQL("select {} from {} limit {}").format(each, sql.Identifier(*table.split(".", 1)), sql.Literal(most))

    def ask(connection: Connection) -> pd.DataFrame:
        values = {value for row in connection.execute(asked) for value in row if value}
        return pd.DataFrame({"value": pd.array(sorted(values), dtype="string")})

    return database.ask(f"{table} ({', '.join(columns)})", ask)


def _joined(names: str) -> sql.Composable:
    return sql.SQL("pg_catalog.concat_ws(' ', {})").format(sql.SQL(", ").join(map(sql.Identifier, names.split())))
