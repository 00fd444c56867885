"""How much something is used: rows per hour and how many different people made them. Counts only; bounded by time and by the statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import pandas as pd
from psycopg import sql

from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres

COLUMNS = ("hour", "what", "n", "people")


class Use(Protocol):
    """One kind of use; `config.UseSpec` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def table(self) -> str: ...  # noqa: D102
    @property
    def at_column(self) -> str: ...  # noqa: D102
    @property
    def person_column(self) -> str: ...  # noqa: D102


def usage(database: Postgres, uses: Sequence[Use], *, since: datetime) -> Facts:
    """One row per hour and use since *since*: hour (UTC), what, n (rows), people (different ones). Hours without any have no row."""

    def ask(connection: Connection) -> pd.DataFrame:
        rows: list[tuple[object, ...]] = []
        for use in uses:
            schema, _, name = use.table.rpartition(".")
            question = sql.SQL(
                "select date_trunc('hour', r.{at} at time zone 'UTC') at time zone 'UTC', {what}, count(*), count(distinct r.{who}) "
                "from {table} as r where r.{at} >= %s group by 1 order by 1"
            ).format(
                at=sql.Identifier(use.at_column), what=sql.Literal(use.name), who=sql.Identifier(use.person_column),
                table=sql.Identifier(schema or "public", name),
            )  # fmt: skip
            rows += connection.execute(question, [since]).fetchall()
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return table.assign(hour=pd.to_datetime(table["hour"], utc=True)).astype({"what": "string", "n": "Int64", "people": "Int64"})

    names = ", ".join(use.table for use in uses)
    return database.ask(f"rows per hour since {since:%Y-%m-%d %H:%M} UTC, and how many people made them: {names}", ask)
