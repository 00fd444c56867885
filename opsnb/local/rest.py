"""The REST door `/rest/v1`: tables and routines of schema public, spoken to as PostgREST is.

Every request is one transaction of role authenticator in which the caller's role and claims are set, so that
row-level security decides. Connections come from a real pool; one that is exhausted answers 504 PGRST003.
Messages of the database go to the caller, as PostgREST's do; logs get the code and its name only, because a
message may hold a value.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsnb.local import rest_sql
from opsnb.local.gateway import EXECUTION_HEADER, Clocks
from opsnb.local.identity import Identity, TokenRefused
from opsnb.local.logbook import LogBook
from opsnb.local.rest_sql import NotUnderstood, Query, Statement

POOL_SIZE = 15
POOL_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_MS = {"anon": 3000}
DEFAULT_STATEMENT_TIMEOUT_MS = 8000
OBJECT_TYPE = "application/vnd.pgrst.object+json"

# the first that fits, as PostgREST documents them; 42501 depends on the role
STATUS = (
    ("23503", 409), ("23505", 409), ("25006", 405), ("53400", 500), ("42883", 404), ("42P01", 404), ("42P17", 500), ("P0001", 400),
    ("08", 503), ("09", 500), ("0L", 403), ("0P", 403), ("25", 500), ("28", 403), ("2D", 500), ("38", 500), ("39", 500), ("3B", 500),
    ("40", 500), ("53", 503), ("54", 500), ("55", 500), ("57", 500), ("58", 500), ("F0", 500), ("HV", 500), ("P0", 500), ("XX", 500),
)  # fmt: skip

SETTINGS = sql.SQL(
    "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true), set_config('statement_timeout', %s, true), "
    "set_config('request.method', %s, true), set_config('request.path', %s, true)"
)


class Answer(Exception):
    """An error answer: PostgREST's code and texts, and what the log may say."""

    def __init__(
        self, status: int, code: str, message: str, *, details: str | None = None, hint: str | None = None, logged: str | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.body = {"code": code, "details": details, "hint": hint, "message": message}
        self.logged = logged or code


class RestDoor:
    """Routes of `/rest/v1` over *dsn*, which logs in as authenticator. `pool` is the real connection pool.

    `open` and `close` belong into the application's lifespan. Connections that a reset of the database closed
    are replaced when they are next asked for.
    """

    def __init__(
        self,
        dsn: str,
        identity: Identity,
        logbook: LogBook,
        *,
        clocks: Clocks | None = None,
        pool_size: int = POOL_SIZE,
        pool_timeout_s: float = POOL_TIMEOUT_S,
    ) -> None:
        self._dsn = dsn
        self._identity = identity
        self._logbook = logbook
        self._clocks = clocks or Clocks()
        self._keys: dict[str, dict[str, Any]] = {
            identity.publishable_key: {"role": "anon"},
            identity.secret_key: {"role": "service_role"},
            identity.anon_key: identity.verify_legacy(identity.anon_key),
            identity.service_key: identity.verify_legacy(identity.service_key),
        }
        self._pool_size = pool_size
        self._pool_timeout_s = pool_timeout_s
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]] | None = None

    @property
    def pool(self) -> AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """The pool, between `open` and `close`."""
        if self._pool is None:
            raise RuntimeError("the REST door is not open: await door.open() in the application's lifespan")
        return self._pool

    def routes(self) -> list[Route]:
        """What the application mounts at its root."""
        return [
            Route("/rest/v1/rpc/{name}", self.answer, methods=["POST", "GET", "HEAD"]),
            Route("/rest/v1/{name}", self.answer, methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"]),
        ]

    async def open(self) -> None:
        """Opens the pool; does not wait for its first connection."""
        self._pool = AsyncConnectionPool(
            self._dsn,
            min_size=2,
            max_size=self._pool_size,
            timeout=self._pool_timeout_s,
            kwargs={"application_name": "PostgREST"},
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="rest",
        )
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection."""
        if self._pool is not None:
            await self._pool.close(timeout=2)
            self._pool = None

    async def answer(self, request: Request) -> Response:
        """Answers one request and logs it."""
        started = time.perf_counter()
        moment = self._clocks.now(request.headers.get(EXECUTION_HEADER, ""))
        role = ""
        try:
            role, claims = self._caller(request)
            response = await self._serve(request, role, claims)
        except Answer as error:
            # the body of a refusal for lack of a key is the API gateway's, which has no codes
            body = error.body if error.code else {key: error.body[key] for key in ("message", "hint")}
            response = _json(json.dumps(body), error.status)
            if error.code:
                self._logbook.write(
                    "postgrest_logs",
                    f"{error.code} {error.logged}",
                    severity="ERROR" if error.status >= 500 else "WARN",
                    attributes={"code": error.code, "response.status_code": str(error.status), "role": role},
                    timestamp=moment,
                )
        attributes = {
            "identifier": "localclinicopsnbdemo",
            "request.method": request.method,
            "request.path": request.url.path,
            "response.status_code": str(response.status_code),
            "response.origin_time": f"{(time.perf_counter() - started) * 1000:.1f}",
        }
        severity = "ERROR" if response.status_code >= 500 else "INFO"
        message = f"{request.method} | {response.status_code} | {request.url.path}"
        self._logbook.write("edge_logs", message, severity=severity, attributes=attributes, timestamp=moment)
        return response

    def _caller(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Role and claims: `apikey` opens the door, Authorization (a legacy key or a third-party token) says who comes."""
        key = request.headers.get("apikey") or request.query_params.get("apikey")
        if not key:
            raise Answer(401, "", "No API key found in request", hint="No `apikey` request header or url param was found.")
        claims = self._key_claims(key)
        if claims is None:
            raise Answer(401, "", "Invalid API key", hint="Double check your API key.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (token := token.strip()) and token != key:
            claims = self._key_claims(token)
            if claims is None:
                try:
                    claims = self._identity.verify_third_party(token)
                except TokenRefused as refused:
                    code = "PGRST303" if str(refused) == "expired" else "PGRST301"
                    message = "JWT expired" if code == "PGRST303" else "No suitable key or wrong key type"
                    raise Answer(401, code, message, logged=f"token refused: {refused}") from None
        role = claims.get("role")
        return (role if isinstance(role, str) and role else "anon"), claims

    def _key_claims(self, key: str) -> dict[str, Any] | None:
        if (known := self._keys.get(key)) is not None:
            return known
        try:
            return self._identity.verify_legacy(key)
        except TokenRefused:
            return None

    async def _serve(self, request: Request, role: str, claims: Mapping[str, Any]) -> Response:
        prefer = {word.strip() for header in request.headers.getlist("prefer") for word in header.split(",")}
        if unsupported := sorted(word for word in prefer if word.startswith(("resolution=", "tx=", "max-affected="))):
            raise Answer(400, "PGRST122", f"Preference not supported here: {unsupported[0]}", logged="unsupported preference")
        try:
            async with self.pool.connection() as connection:
                timeout = str(STATEMENT_TIMEOUT_MS.get(role, DEFAULT_STATEMENT_TIMEOUT_MS))
                settings = (role, json.dumps(claims), timeout, request.method, request.url.path)
                await connection.execute(SETTINGS, settings)
                if request.url.path.startswith("/rest/v1/rpc/"):
                    return await _call(connection, request)
                return await _table(connection, request, prefer)
        except NotUnderstood as error:
            raise Answer(error.status, error.code, str(error), hint=error.hint, logged="request not understood") from None
        except PoolTimeout:
            message = "Timed out acquiring connection from connection pool."
            raise Answer(504, "PGRST003", message, logged="connection pool timed out") from None
        except psycopg.Error as error:
            raise _database_error(error, role) from None


async def _table(connection: psycopg.AsyncConnection[Any], request: Request, prefer: set[str]) -> Response:
    query = rest_sql.parse(request.path_params["name"], request.query_params.multi_items())
    returning = "return=representation" in prefer
    match request.method:
        case "GET" | "HEAD":
            return await _read(connection, request, query, exact="count=exact" in prefer)
        case "POST":
            statement, status = rest_sql.insert(query, await _body(request), returning=returning), 201
        case "PATCH":
            statement, status = rest_sql.update(query, await _body(request), returning=returning), 200
        case "DELETE":
            statement, status = rest_sql.delete(query, returning=returning), 200
        case _:
            raise NotUnderstood("PGRST117", f"Unsupported HTTP method: {request.method}", status=405)
    cursor = await connection.execute(statement.text, statement.parameters)
    if returning:
        rows, n = await _one_row(cursor)
        response = _rows(request, rows, n, status)
    else:
        n = cursor.rowcount
        response = Response(status_code=201 if status == 201 else 204)
    if "count=exact" in prefer:
        response.headers["content-range"] = f"*/{n}" if status == 201 else f"{_range(0, n)}/{n}"
    return response


async def _read(connection: psycopg.AsyncConnection[Any], request: Request, query: Query, *, exact: bool) -> Response:
    total = "*"
    if exact:
        total = str((await _one_row(await _execute(connection, rest_sql.count(query))))[0])
    rows, n = await _one_row(await _execute(connection, rest_sql.select(query)))
    if exact and query.offset and query.offset > int(total):
        raise NotUnderstood("PGRST103", "Requested range not satisfiable", status=416)
    response = _rows(request, rows, n, 206 if exact and query.offset + n < int(total) else 200)
    response.headers["content-range"] = f"{_range(query.offset, n)}/{total}"
    if request.method == "HEAD":
        response.body = b""
    return response


async def _call(connection: psycopg.AsyncConnection[Any], request: Request) -> Response:
    if request.method != "POST":
        raise NotUnderstood("PGRST117", "Only POST is supported here for routines", status=405)
    name = request.path_params["name"]
    arguments = await _body(request, empty={})
    if not isinstance(arguments, dict):
        raise NotUnderstood("PGRST102", "Empty or invalid json: expected an object of named arguments")
    found = await (await connection.execute(rest_sql.ROUTINES, (rest_sql.SCHEMA, name))).fetchall()
    statement, is_void = rest_sql.routine(name, arguments, found)
    value, n = await _one_row(await _execute(connection, statement))
    if is_void:
        return Response(status_code=204)
    return _rows(request, value, n, 200) if value and value.startswith("[") else _json(value or "null")


async def _execute(connection: psycopg.AsyncConnection[Any], statement: Statement) -> psycopg.AsyncCursor[Any]:
    return await connection.execute(statement.text, statement.parameters)


async def _one_row(cursor: psycopg.AsyncCursor[Any]) -> tuple[Any, Any]:
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an aggregate answers one row")
    return row[0], row[-1]


async def _body(request: Request, empty: Any = None) -> Any:
    content = await request.body()
    if not content.strip() and empty is not None:
        return empty
    try:
        return json.loads(content)
    except ValueError:
        raise NotUnderstood("PGRST102", "Empty or invalid json") from None


def _rows(request: Request, rows: str, n: int, status: int) -> Response:
    """The rows, or the one row where the caller asks for an object."""
    if OBJECT_TYPE not in request.headers.get("accept", ""):
        return _json(rows, status)
    if n != 1:
        raise Answer(
            406, "PGRST116", "Cannot coerce the result to a single JSON object", details=f"The result contains {n} rows",
            logged="not a single row",
        )  # fmt: skip
    return _json(rows.strip()[1:-1], status)


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json; charset=utf-8")


def _range(offset: int, n: int) -> str:
    return f"{offset}-{offset + n - 1}" if n else "*"


def _database_error(error: psycopg.Error, role: str) -> Answer:
    """PostgREST's status for a database error; its texts for the caller, its name for the log."""
    code = error.sqlstate
    if code is None:  # no answer of the server: the connection is gone
        return Answer(503, "PGRST001", "Database connection error. Retrying the connection.", logged="connection lost")
    diagnosis = error.diag
    if code == "42501":
        status = 401 if role == "anon" else 403
    elif own := re.fullmatch(r"PT([1-5]\d\d)", code):
        status = int(own[1])
    else:
        status = next((status for prefix, status in STATUS if code.startswith(prefix)), 400)
    return Answer(
        status, code, diagnosis.message_primary or type(error).__name__,
        details=diagnosis.message_detail, hint=diagnosis.message_hint, logged=type(error).__name__,
    )  # fmt: skip
