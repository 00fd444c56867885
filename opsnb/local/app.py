"""The one HTTP application of the target: platform, gateway, REST door, metrics, identity and control."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from opsnb.local import management, tokens
from opsnb.local.answers import Problem, RateLimits
from opsnb.local.metrics import metrics
from opsnb.local.state import Context

KEYS_MAX_AGE_S = 300


def create_app(context: Context, *, limits: RateLimits | None = None, stop: Callable[[], None] = lambda: None) -> Starlette:
    """The application over *context*. *stop* is what ``POST /local/shutdown`` calls."""
    routes: list[BaseRoute] = [
        Route("/customer/v1/privileged/metrics", metrics),
        Route("/identity/jwks.json", jwks),
        Route("/local/health", control(health)),
        Route("/local/reset", control(reset), methods=["POST"]),
        Route("/local/repair", control(repair), methods=["POST"]),
        Route("/local/fault/{name}", control(fault), methods=["POST"]),
        Route("/local/day", control(day), methods=["POST"]),
        Route("/local/notices", notice, methods=["POST"]),
        Route("/local/shutdown", control(shutdown), methods=["POST"]),
        *management.routes(limits),
    ]
    for part in (context.gateway, context.rest):
        if part is not None:
            routes += part.routes()
    app = Starlette(routes=routes)
    app.state.context = context
    app.state.stop = stop
    app.state.changing = asyncio.Lock()
    return app


async def jwks(request: Request) -> Response:
    """The public keys of the identity issuer; public, as the real ones are."""
    context: Context = request.app.state.context
    return JSONResponse(context.identity.jwks(), headers={"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}, must-revalidate"})


def control(handler: Callable[[Request, Context], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """*handler* behind the access token."""

    async def answer(request: Request) -> Response:
        context: Context = request.app.state.context
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not context.identity.is_access_token(token.strip()):
            return JSONResponse({"message": "Unauthorized"}, 401)
        try:
            return await handler(request, context)
        except Problem as problem:
            return JSONResponse({"message": str(problem)}, problem.status)

    return answer


async def health(_request: Request, context: Context) -> Response:
    """Whether the parts are up: ``database`` is '' or what is wrong, ``traffic`` the generator's state."""
    return JSONResponse({
        "started": context.started.isoformat(timespec="seconds"),
        "database": await context.database_error(),
        "traffic": traffic_state(context),
    })  # fmt: skip


def traffic_state(context: Context) -> str:
    """The traffic generator's state in one word, 'off' where there is none."""
    return str(context.traffic.state) if context.traffic is not None else "off"


async def shutdown(request: Request, _context: Context) -> Response:
    """Ends the daemon once this answer is out."""
    asyncio.get_running_loop().call_soon(request.app.state.stop)
    return JSONResponse({"stopping": True}, 202)


async def repair(request: Request, context: Context) -> Response:
    """Starts Postgres again where it died."""
    async with request.app.state.changing:
        if await context.database_error():
            await asyncio.to_thread(context.cluster.start)
        context.way_back = ""
    return JSONResponse({"database": await context.database_error()})


async def fault(request: Request, context: Context) -> Response:
    """Applies a fault: a change of state of this target, nothing else."""
    from opsnb.local.faults import FAULTS

    name = request.path_params["name"]
    if name not in FAULTS:
        raise Problem(404, f"No fault is called {name}: there are {', '.join(sorted(FAULTS))}")
    async with request.app.state.changing:
        if context.postgres_log is not None:
            await asyncio.to_thread(context.postgres_log.look)
        apply: Callable[[Context], Any] = FAULTS[name].apply
        told = await apply(context) if inspect.iscoroutinefunction(apply) else await asyncio.to_thread(apply, context)
        if inspect.isawaitable(told):
            await told
    return JSONResponse({"fault": name})


async def day(_request: Request, context: Context) -> Response:
    """Writes a day of logs behind the present."""
    from opsnb.local import day as whole_day

    written = await asyncio.to_thread(whole_day.write, context.logbook, now=datetime.now(UTC))
    return JSONResponse({"rows": written})


async def notice(request: Request) -> Response:
    """A message to people, kept: the clinic has nobody to read it. Whoever knows the address may write, as to any chat."""
    context: Context = request.app.state.context
    told = await request.json()
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "title": told.get("title"), "message": told.get("message")}
    with (context.folder / "notices.jsonl").open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(line) + "\n")
    return JSONResponse({"kept": True})


async def reset(request: Request, context: Context) -> Response:
    """Back to the pristine state: database, functions, secrets; no log, no statistic, no fault; fresh traffic."""
    async with request.app.state.changing:
        await renew(context)
    return JSONResponse({"reset": True, "traffic": traffic_state(context)})


async def renew(context: Context) -> None:
    """What `reset` does, in the order that leaves nothing behind: first whoever uses, then what is used."""
    from opsnb.local import database

    if context.traffic is not None:
        await context.traffic.stop()
    await context.calm()
    context.third_party = True
    context.way_back = ""
    if context.gateway is not None:
        await context.gateway.close()
    if context.rest is not None:
        await context.rest.close()
    await asyncio.to_thread(database.reset, context.cluster)
    if context.run.is_dir():  # a fault may have handed over another token
        tokens.write(context, await tokens.fresh(context))
    await asyncio.to_thread(context.store.reset)
    if context.postgres_log is not None:
        await asyncio.to_thread(context.postgres_log.skip)
    await asyncio.to_thread(context.logbook.clear)
    if context.rest is not None:
        await context.rest.open()
    if context.gateway is not None:
        await context.gateway.open()
    if context.traffic is not None:
        await context.traffic.start()


def warm(context: Context) -> threading.Thread:
    """Loads ClickHouse and the log files beside the start, so that the first question need not wait."""

    def load() -> None:
        with contextlib.suppress(ImportError):  # the question itself says what is missing
            context.logbook.warm()

    thread = threading.Thread(target=load, name="warm", daemon=True)
    thread.start()
    return thread
