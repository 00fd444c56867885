"""The guide's recent-merge query, timed; where it is too slow, the plan says why. Names and numbers of rows, never a record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from psycopg import sql
from psycopg.rows import dict_row

from opsnb.errors import SourceError, SourceTimeout
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres
from opsnb.sources.refusals import SOURCE
from opsnb.sources.statements import statement

STATEMENT = "record_recent"
_TABLE = """
select
    c.reltuples::float8 as rows,
    (
        select ic.relname from pg_catalog.pg_index i
        join pg_catalog.pg_class ic on ic.oid = i.indexrelid
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and i.indisvalid and a.attname = %(column)s
        order by i.indpred is not null, ic.relname limit 1
    ) as index,
    n.nspname as schema, c.relname as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = %(table)s::pg_catalog.regclass
"""


def recent(
    db: Postgres, *, table: str, record_column: str, updated_at_column: str, array_keys: list[str], within_s: float, max_records: int,
    limit_s: float,
) -> Facts:  # fmt: skip
    """The rows of `record_recent`; `seconds` is the wall time here, the way to the server and back included, connecting not.

    ``extra["hint"]`` is empty where it took no more than *limit_s*, else says why, as far as the plan tells. A query that its time-out
    stopped after *limit_s* was measured: the answer is an empty table. One that was stopped sooner was not: the error stays.
    """
    params = {"record_column": record_column, "array_keys": array_keys, "within_s": within_s, "max_records": max_records}
    facts = db.query(STATEMENT, table=table, updated_at_column=updated_at_column, **params)
    # only the server's own time-out measured the query: a server that fell silent, or a lock, says nothing of it
    stopped = isinstance(facts.error, SourceTimeout) and "57014" in str(facts.error) and facts.seconds > limit_s
    if not stopped and (not facts.ok or facts.seconds <= limit_s):
        return replace(facts, extra={**facts.extra, "hint": ""})
    why = db.ask(f"the plan of {STATEMENT}", lambda connection: _plan(connection, table, updated_at_column, within_s, max_records))
    hint = str(why.answer["hint"].iloc[0]) if why.answer is not None else ""
    if stopped:
        empty = pd.DataFrame(columns=[column.name for column in statement("postgres", STATEMENT).columns])
        hint = f"It was stopped by the statement time-out. {hint}".strip()
        return replace(facts, answer=empty, error=None, extra={**facts.extra, "hint": hint})
    return replace(facts, extra={**facts.extra, "hint": hint})


def _plan(connection: Connection, table: str, column: str, within_s: float, most: int) -> pd.DataFrame:
    """One row, `hint`: what the planner would do. EXPLAIN without ANALYZE runs nothing."""
    with connection.cursor(row_factory=dict_row) as cursor:
        about = cursor.execute(_TABLE, {"table": table, "column": column}).fetchone()
    if about is None:
        raise SourceError(f"{table} is not there", source=SOURCE)
    asked = sql.SQL(
        "explain (format json) select {column} from {table} where {column} > pg_catalog.now() - pg_catalog.make_interval(secs => {within})"
        " order by {column} desc limit {most}"
    ).format(
        column=sql.Identifier(column),
        table=sql.Identifier(about["schema"], about["name"]),
        within=sql.Literal(within_s),
        most=sql.Literal(most),
    )
    row = connection.execute(asked).fetchone()
    nodes = list(_nodes(row[0][0]["Plan"])) if row else []
    started = time.perf_counter()
    connection.execute("select 1").fetchone()
    there_ms = (time.perf_counter() - started) * 1000
    return pd.DataFrame({"hint": [f"{_hint(nodes, about, column)} The way to the server and back alone takes {there_ms:.0f} ms."]})


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _hint(nodes: list[Mapping[str, Any]], about: Mapping[str, Any], column: str) -> str:
    """The sentence: what is read how, and which index is missing."""
    name = f"{about['schema']}.{about['name']}"
    whole = any("Seq Scan" in node["Node Type"] for node in nodes)
    used = next((node["Index Name"] for node in nodes if "Index Name" in node), None)
    if whole and about["rows"] is not None and about["rows"] > 0:  # -1: never counted; a view has none
        size = f"all of {name} (about {about['rows']:,.0f} rows)"
    else:
        size = f"all of {name}"
    if whole and about["index"] is None:
        return f"The plan reads {size}: an index that begins with {column} is missing."
    if whole:
        return f"The plan reads {size} although the index {about['index']} begins with {column}: run analyze on the table."
    if used:
        return f"The plan uses the index {used}: look at what the server waits for and at the size of the records."
    return "The plan says nothing about why."
