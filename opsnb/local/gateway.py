"""The functions gateway: `/functions/v1/<slug>`, answered by the bundle that was uploaded.

What the platform itself refuses (no token, unknown function, wrong method) carries no execution id; what
reached a worker does. Every answer is a row of function_edge_logs with the time it really took; everything
a worker prints is a row of function_logs. Bodies and headers are never logged.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opsnb.local.identity import PROJECT_REF, Identity, TokenRefused
from opsnb.local.logbook import LogBook
from opsnb.local.store import Deployment, FunctionStore, UnknownFunction
from opsnb.local.workers import BootError, Event, Worker, Workers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
IDLE_TIMEOUT_S = 150.0
REGION = "eu-central-1"

EXECUTION_HEADER = "x-sb-execution-id"
ERROR_HEADER = "sb-error-code"
KEY_HEADER = "x-opsnb-worker-key"
FAILED_HEADER = "x-opsnb-uncaught"
# what belongs to one connection, and what only the gateway may say
NOT_FORWARDED = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    "host", "content-length", "accept-encoding", EXECUTION_HEADER, KEY_HEADER,
})  # fmt: skip
NOT_RETURNED = frozenset({
    "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", FAILED_HEADER, EXECUTION_HEADER, ERROR_HEADER,
})  # fmt: skip
LEVELS = {"error": "ERROR", "fatal": "FATAL", "warning": "WARN", "debug": "DEBUG"}
OUT_OF_MEMORY = (-5, -6)
"""Exit codes of V8 at its memory limit: SIGTRAP, SIGABRT."""


class Clocks:
    """The control clock: what time it is for executions that were moved back in time.

    Only code inside the daemon can move a call (`Gateway.invoke`); a request cannot ask for it.
    """

    def __init__(self, kept: int = 4096) -> None:
        self._offsets: OrderedDict[str, timedelta] = OrderedDict()
        self._kept = kept

    def move(self, execution_id: str, moment: datetime) -> None:
        """The execution happens at *moment*, which is now, and goes on from there."""
        self._offsets[execution_id] = moment - datetime.now(UTC)
        while len(self._offsets) > self._kept:
            self._offsets.popitem(last=False)

    def now(self, execution_id: str) -> datetime | None:
        """What time it is for *execution_id*; None is real time."""
        offset = self._offsets.get(execution_id)
        return None if offset is None else datetime.now(UTC) + offset


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An answer of the gateway itself."""

    status: int
    code: str
    message: str

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """As the platform words it: `{code, message}` and the code as a header."""
        return JSONResponse({"code": self.code, "message": self.message}, self.status, {ERROR_HEADER: self.code, **(headers or {})})


class Gateway:
    """Routes of `/functions/v1` over the functions of *store*. *base_url* is where the daemon answers.

    `open` and `close` belong into the application's lifespan; `close` stops every worker.
    """

    def __init__(
        self,
        folder: Path,
        store: FunctionStore,
        identity: Identity,
        logbook: LogBook,
        base_url: str,
        *,
        clocks: Clocks | None = None,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
    ) -> None:
        self.clocks = clocks or Clocks()
        self.idle_timeout_s = idle_timeout_s
        self._store = store
        self._identity = identity
        self._logbook = logbook
        self._base_url = base_url.rstrip("/")
        self.workers = Workers(folder, base_url, self.environment, self._worker_event)
        self._client: httpx.AsyncClient | None = None

    def routes(self) -> list[Route]:
        """What the application mounts at its root."""
        methods = [*METHODS, "HEAD"]
        return [Route(path, self.call, methods=methods) for path in ("/functions/v1/{slug}", "/functions/v1/{slug}/{rest:path}")]

    async def open(self) -> None:
        """Makes ready to call workers; they start with their first call."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False, follow_redirects=False)  # noqa: S113  (call has its own)

    async def close(self) -> None:
        """Stops every worker."""
        await self.workers.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def environment(self) -> dict[str, str]:
        """The variables of every function: the secrets, and what the platform injects."""
        return {
            "FIREBASE_JWKS_URL": f"{self._base_url}/identity/jwks.json",
            **self._store.secrets(),
            "SUPABASE_URL": self._base_url,
            "SUPABASE_ANON_KEY": self._identity.anon_key,
            "SUPABASE_SERVICE_ROLE_KEY": self._identity.service_key,
            "SB_REGION": REGION,
        }

    async def call(self, request: Request) -> Response:
        """Answers one request and logs it."""
        return await self._answer(request, None)

    async def invoke(self, slug: str, content: bytes, headers: Mapping[str, str], *, moment: datetime | None = None) -> Response:
        """A POST from inside the daemon, admitted and answered as any other; the logs say it happened at *moment*."""
        given = {"host": self._base_url.partition("//")[2], "content-type": "application/json", **headers}
        path = f"/functions/v1/{slug}"
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "path_params": {"slug": slug},
        }

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": content, "more_body": False}

        return await self._answer(Request(scope, receive), moment)

    async def _answer(self, request: Request, moment: datetime | None) -> Response:
        started = time.perf_counter()
        execution_id = ""
        deployment: Deployment | None = None
        try:
            deployment = self._find(request)
            self._admit(request, deployment)
            execution_id = str(uuid.uuid4())
            if moment is not None:
                self.clocks.move(execution_id, moment)
            response = await self._execute(request, deployment, execution_id)
        except Refusal as refusal:
            response = refusal.response({EXECUTION_HEADER: execution_id} if execution_id else None)
        self._log(request, deployment, execution_id, response.status_code, time.perf_counter() - started, moment)
        return response

    def _find(self, request: Request) -> Deployment:
        try:
            return self._store.current(request.path_params["slug"])
        except UnknownFunction:
            raise Refusal(404, "NOT_FOUND", "Requested function was not found") from None

    def _admit(self, request: Request, deployment: Deployment) -> None:
        if request.method == "HEAD":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "Method not allowed")
        if deployment.status == "REMOVED":
            raise Refusal(404, "NOT_FOUND", "Requested function was not found")
        if deployment.verify_jwt and request.method != "OPTIONS":  # a browser's preflight carries no token
            self._verify(request.headers.get("authorization"))
        if deployment.status == "THROTTLED":
            raise Refusal(429, "RATE_LIMIT_EXCEEDED", "The function is throttled")

    def _verify(self, authorization: str | None) -> None:
        """verify_jwt: one of the project's own keys. A Firebase token is somebody else's and belongs into x-firebase-token."""
        if not authorization:
            raise Refusal(401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header")
        scheme, _, token = authorization.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if token in (self._identity.anon_key, self._identity.publishable_key, self._identity.secret_key):
            return
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
        except jwt.PyJWTError:
            algorithm = None
        match algorithm:
            case None:
                raise Refusal(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT")
            case "HS256":
                try:
                    self._identity.verify_legacy(token)
                except TokenRefused:
                    raise Refusal(401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT") from None
            case "RS256" | "ES256" | "EdDSA":
                raise Refusal(401, "UNAUTHORIZED_ASYMMETRIC_JWT", "Invalid JWT")
            case _:
                raise Refusal(401, "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", "Unsupported JWT algorithm")

    async def _execute(self, request: Request, deployment: Deployment, execution_id: str) -> Response:
        if self._client is None:
            raise RuntimeError("the gateway is not open: await gateway.open() in the application's lifespan")
        body = await request.body()
        try:
            worker = await self.workers.get(deployment, self._store.generation)
        except BootError:
            raise Refusal(503, "BOOT_ERROR", "Function failed to start (please check logs)") from None
        # as it was sent, percent-encoding and all: the function sees /<slug>/..., as on the platform
        path = request.scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix("/functions/v1") + _search(request)
        url = httpx.URL(f"http://127.0.0.1:{worker.port}").copy_with(raw_path=path.encode("latin-1"))
        headers = [(name, value) for name, value in request.headers.items() if name not in NOT_FORWARDED]
        headers += [
            ("host", request.headers.get("host", "127.0.0.1")),
            ("accept-encoding", "identity"),
            (KEY_HEADER, worker.key),
            (EXECUTION_HEADER, execution_id),
        ]
        try:
            with worker.request():
                async with asyncio.timeout(self.idle_timeout_s):
                    answer = await self._client.request(request.method, url, headers=headers, content=body)
        except TimeoutError:
            raise Refusal(504, "IDLE_TIMEOUT", "The function did not respond in time") from None
        except httpx.TransportError:
            raise await _worker_failure(worker) from None
        if FAILED_HEADER in answer.headers:
            raise Refusal(500, "EDGE_FUNCTION_ERROR", "Internal Server Error")
        response = Response(answer.content, answer.status_code)
        # header by header: cookies may repeat
        response.raw_headers += [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode("latin-1") not in NOT_RETURNED
        ]
        response.headers[EXECUTION_HEADER] = execution_id
        if answer.status_code >= 500:
            response.headers[ERROR_HEADER] = "EDGE_FUNCTION_ERROR"
        return response

    def _log(
        self, request: Request, deployment: Deployment | None, execution_id: str, status: int, seconds: float, moment: datetime | None
    ) -> None:
        search = _search(request)
        url = f"{self._base_url}{request.url.path}"
        attributes = {
            "execution_id": execution_id,
            "execution_time_ms": f"{seconds * 1000:.1f}",
            "request.method": request.method,
            "request.pathname": request.url.path,
            "request.search": search,
            "request.url": url + search,
            "response.status_code": str(status),
        }
        self._logbook.write(
            "function_edge_logs",
            f"{request.method} | {status} | {url}",
            severity="ERROR" if status >= 500 else "INFO",
            attributes=attributes | _of(deployment),
            timestamp=moment,
        )

    def _worker_event(self, deployment: Deployment, event: Event) -> None:
        attributes = {"execution_id": event.execution_id, "level": event.level, "event_type": event.event_type}
        self._logbook.write(
            "function_logs",
            event.message,
            severity=LEVELS.get(event.level, "INFO"),
            attributes=attributes | _of(deployment),
            timestamp=self.clocks.now(event.execution_id),
        )


def _of(deployment: Deployment | None) -> dict[str, str]:
    if deployment is None:
        return {"function_id": "", "deployment_id": "", "version": ""}
    return {
        "function_id": deployment.id,
        "deployment_id": f"{PROJECT_REF}_{deployment.id}_{deployment.version}",
        "version": str(deployment.version),
    }


def _search(request: Request) -> str:
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"?{query}" if query else ""


async def _worker_failure(worker: Worker) -> Refusal:
    """Why a request to *worker* got no answer."""
    if await worker.exit_code() in OUT_OF_MEMORY:
        return Refusal(546, "WORKER_RESOURCE_LIMIT", "The function exceeded its memory limit")
    return Refusal(500, "WORKER_ERROR", "The function's worker ended unexpectedly")
