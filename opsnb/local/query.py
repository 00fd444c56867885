"""SQL over the Management API: ``database/query`` and its read-only twin, run for real."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncRawCursor
from psycopg.pq import ExecStatus
from psycopg.types.string import TextLoader
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opsnb.local.answers import Problem, json_body
from opsnb.local.state import Context

TIMEOUT_S = 60
# As the platform answers: numbers, booleans, JSON and arrays as such, everything else as Postgres writes it.
AS_TEXT = (
    "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "numeric", "inet", "cidr", "bytea", "int4range", "int8range",
    "numrange", "daterange", "tsrange", "tstzrange", "oid",
)  # fmt: skip
READ_ONLY_USER = "supabase_read_only_user"


async def run(request: Request, context: Context) -> Response:
    """POST ``database/query``: rows of the last statement that gave any, as `postgres`. 201."""
    return await _run(request, context, read_only=False)


async def run_read_only(request: Request, context: Context) -> Response:
    """POST ``database/query/read-only``: the same as `supabase_read_only_user`. 201."""
    return await _run(request, context, read_only=True)


async def _run(request: Request, context: Context, *, read_only: bool) -> Response:
    body = await json_body(request, dict)
    sql, parameters = body.get("query"), body.get("parameters") or []
    if not isinstance(sql, str) or not sql.strip():
        raise Problem(400, "query must be a non-empty string")
    if not isinstance(parameters, list):
        raise Problem(400, "parameters must be an array")
    user = READ_ONLY_USER if read_only or body.get("read_only") is True else "postgres"
    async with await context.connect(user) as connection:
        for name in AS_TEXT:
            connection.adapters.register_loader(name, TextLoader)
        # autocommit: several statements of one text are one transaction all the same, as in the simple protocol
        cursor = AsyncRawCursor(connection)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await cursor.execute(sql.encode(), parameters or None, prepare=False)
                return JSONResponse(await _last_rows(cursor), 201)
        except psycopg.errors.Error as error:
            if error.diag.message_primary is None:
                raise
            raise Problem(400, f"Failed to run sql query: ERROR: {error.sqlstate}: {error.diag.message_primary}") from None
        except TimeoutError:
            raise Problem(400, "Failed to run sql query: Query read timeout") from None


async def _last_rows(cursor: AsyncRawCursor[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        result = cursor.pgresult
        if result is not None and result.status == ExecStatus.TUPLES_OK and cursor.description:
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        if not cursor.nextset():
            return rows


TABLE = [
    ("POST", "/database/query", run),
    ("POST", "/database/query/read-only", run_read_only),
]
