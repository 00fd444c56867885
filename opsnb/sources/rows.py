"""Whether rows that a release names are there: looked at through the reading door, one at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from psycopg import sql

from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres


def there(database: Postgres, table: str, *, columns: Sequence[str], where: Mapping[str, str]) -> Facts:
    """One row, without a value in it, where *table* (``schema.name``) has a row whose columns have the texts of *where*; else none.

    An error where the table or one of *columns* is not there, or the role may not read it.
    """
    schema, _, name = table.rpartition(".")
    conditions = sql.SQL(" and ").join(sql.SQL("r.{}::text = %s").format(sql.Identifier(column)) for column in where)
    asked = sql.SQL("select true as there from (select {} from {} as r where {} limit 1) as found").format(
        sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(column)) for column in columns),
        sql.Identifier(*filter(None, (schema, name))), conditions,
    )  # fmt: skip

    def answer(connection: Connection) -> pd.DataFrame:
        with connection.transaction():
            return pd.DataFrame(connection.execute(asked, [*where.values()]).fetchall(), columns=["there"])

    return database.ask(f"whether {table} has the row that the release names", answer)
