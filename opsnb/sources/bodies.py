"""Reads function bodies and what the names in them may mean, and asks plpgsql_check where it is installed.

A fixed number of catalogue statements, and one call of the checker per function that only reads: to check a body that writes,
plpgsql_check locks its tables as the write would, which is more than a reading phase may take.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import psycopg
from psycopg import sql

from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres

BUDGET_S = 20.0
"""How long plpgsql_check is asked in one phase; what it did not reach is left to the syntax trees."""
_NAMES = re.compile(r"[^\W\d][\w$]*|\"(?:[^\"]|\"\")+\"")
# words by which a body may take more than AccessShareLock or make tables the checker does not see; in strings too, which it may read
_WRITES = re.compile(r"\b(insert|update|delete|merge|share|create|plpgsql_check\w*)\b", re.IGNORECASE)
_CHECK = """
select f.lineno::pg_catalog.int4, f.sqlstate::pg_catalog.text, f.message::pg_catalog.text
from {schema}.plpgsql_check_function_tb(
    funcoid => %(function)s::pg_catalog.oid::pg_catalog.regprocedure, relid => %(relation)s::pg_catalog.oid::pg_catalog.regclass,
    fatal_errors => false, other_warnings => false, performance_warnings => false, extra_warnings => false, security_warnings => false
) as f
where f.level = 'error'
limit 200
"""
_COLUMNS = {"oid": "Int64", "relation": "Int64", "outcome": "string", "line": "Int64", "sqlstate": "string", "message": "string"}


class BodiesFacts(NamedTuple):
    """What `checks.schema.bodies_resolve` judges, in its order."""

    routines: Facts
    views: Facts
    relations: Facts
    functions: Facts
    types: Facts
    paths: Facts
    checked: Facts


def bodies(database: Postgres, *, schemas: Sequence[str], budget_s: float = BUDGET_S) -> BodiesFacts:
    """Everything that is needed to resolve the bodies in *schemas*. plpgsql_check is asked for at most *budget_s* seconds.

    `checked` holds a row per function it was asked about (outcome ``checked``) and one per error (outcome ``error``), none where it is
    not installed. Its messages may quote a body: they are for the check, never for a page.
    """
    routines = database.query("bodies_routines", schemas=list(schemas))
    views = database.query("bodies_views", schemas=list(schemas))
    names, oids = _named(routines.answer)
    return BodiesFacts(
        routines,
        views,
        database.query("bodies_relations", names=names, oids=oids),
        database.query("bodies_functions", names=names),
        database.query("bodies_types", names=names),
        database.query("bodies_paths"),
        _checked(database, routines, budget_s),
    )


def _named(routines: pd.DataFrame | None) -> tuple[list[str], list[int]]:
    """Every word of the bodies, as it is written and in lower case, and the relations the signatures name."""
    names: set[str] = set()
    oids: set[int] = set()
    for row in [] if routines is None else routines.to_dict("records"):
        for word in _NAMES.findall(f"{row['body']} {' '.join(row['argument_types'])}"):
            if word.startswith('"'):
                names.add(word[1:-1].replace('""', '"'))
                for inner in re.findall(r"[^\W\d][\w$]*", word):  # a quote inside a string is no name's
                    names.update((inner, inner.lower()))
            else:
                names.update((word, word.lower(), word.lower().encode()[:63].decode(errors="ignore")))
        oids.update(int(oid) for oid in [*row["argument_relations"], *row["trigger_tables"]] if oid)
    return sorted(name for name in names if len(name.encode()) < 64), sorted(oids)  # longer ones the server cuts


def _checked(database: Postgres, routines: Facts, budget_s: float) -> Facts:
    checker = database.query("bodies_checker")
    if checker.answer is None or routines.answer is None or checker.answer.empty:
        return Facts(checker.source, checker.question, checker.seconds, answer=_frame([]), error=checker.error)
    schema = str(checker.answer["schema"].iloc[0])
    version = str(checker.answer["version"].iloc[0])
    plain = routines.answer["body"].map(lambda body: _WRITES.search(body) is None)
    asked = routines.answer[(routines.answer["language"] == "plpgsql") & plain]

    def ask(connection: Connection) -> pd.DataFrame:
        rows: list[dict[str, Any]] = []
        deadline = time.monotonic() + budget_s
        for routine in asked.to_dict("records"):
            if time.monotonic() > deadline:
                break
            rows += _ask(connection, schema, routine)
        return _frame(rows)

    facts = database.ask(f"plpgsql_check {version} about each PL/pgSQL function that only reads", ask, within_s=budget_s + 10)
    if facts.error is not None:  # the bodies are read all the same
        return Facts(facts.source, facts.question, facts.seconds, answer=_frame([]))
    facts.extra.update(version=version)
    return facts


def _ask(connection: Connection, schema: str, routine: dict[Any, Any]) -> list[dict[str, Any]]:
    """The checker's rows for one function, for each table its triggers stand on; none where it could not be asked."""
    oid = int(routine["oid"])
    tables = [int(table) for table in routine["trigger_tables"]]
    if len(routine["transition_tables"]) or (routine["trigger_kind"] == "trigger" and not tables):
        return []
    if routine["trigger_kind"] == "event trigger":
        return []
    rows: list[dict[str, Any]] = []
    text = sql.SQL(_CHECK).format(schema=sql.Identifier(schema))
    for table in tables or [0]:
        try:
            found = connection.execute(text, {"function": oid, "relation": table}).fetchall()
        except psycopg.Error:
            if connection.closed:
                raise
            return []  # it may not, a lock was held, or the checker itself failed: the syntax trees are left
        if any(sqlstate in ("55P03", "57014", "42501", "0A000") for _, sqlstate, _ in found):
            return []
        rows.append({"oid": oid, "relation": table, "outcome": "checked", "line": 0, "sqlstate": "", "message": ""})
        rows += [
            {"oid": oid, "relation": table, "outcome": "error", "line": line or 1, "sqlstate": sqlstate or "", "message": message or ""}
            for line, sqlstate, message in found
        ]
    return rows


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in _COLUMNS.items()})
