"""Reads what may let a caller in: policies, privileges, views, functions, publications, buckets; of one moment, in six statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
import psycopg

from opsnb.errors import SourceError
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres, frame
from opsnb.sources.statements import statement

PLATFORMS_OWN = ("storage", "realtime")
"""Schemas of the platform whose tables' policies are the project's."""
_PARTS = ("policies", "lint_relations", "lint_columns", "lint_routines", "lint_published", "catalogue_buckets")
# names are printed in full whatever the reader's search_path
_PRINTING = "select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('row_security', 'off', true)"
WITHIN_S = 60.0


class Openings(NamedTuple):
    """What `checks.lint.no_excess` judges, in its order."""

    policies: Facts
    relations: Facts
    columns: Facts
    routines: Facts
    published: Facts
    buckets: Facts


def read(database: Postgres, *, schemas: Sequence[str], api_roles: Sequence[str]) -> Openings:
    """Everything the lint reads. *schemas* are all of the project's own: helpers of policies may live in any of them.

    Storage buckets are an empty table where the platform keeps none, or the role may not read them.
    """
    tables: dict[str, pd.DataFrame] = {}
    given = {"schemas": [*schemas, *PLATFORMS_OWN], "api_roles": list(api_roles)}

    def ask(connection: Connection) -> pd.DataFrame:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction isolation level repeatable read, read only")
            connection.execute(_PRINTING)
            for part in _PARTS[:-1]:
                tables[part] = _asked(connection, part, given)
            tables[_PARTS[-1]] = _buckets(connection, given)
        return pd.DataFrame({"part": list(tables), "rows": [len(table) for table in tables.values()]})

    question = "begin read only, repeatable read: what may let a caller in (opsnb/sql/postgres/lint_*.sql)"
    facts = database.ask(question, ask, within_s=WITHIN_S)
    if facts.answer is None:
        return Openings(*(facts for _ in _PARTS))
    return Openings(*(replace(facts, question=f"{question}: {part}", answer=tables[part]) for part in _PARTS))


def _asked(connection: Connection, part: str, given: dict[str, Any]) -> pd.DataFrame:
    asked = statement("postgres", part)
    params = {name: given[name] for name in asked.params}
    return frame(connection.execute(asked.text.encode(), params or None), asked)


def _buckets(connection: Connection, given: dict[str, Any]) -> pd.DataFrame:
    try:
        with connection.transaction():
            return _asked(connection, "catalogue_buckets", given)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.InsufficientPrivilege, SourceError):
        names = [column.name for column in statement("postgres", "catalogue_buckets").columns]
        return pd.DataFrame({name: pd.Series(dtype="object") for name in names})
