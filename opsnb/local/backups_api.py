"""Backups over the Management API, answered from the base backups and the archive there really are."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opsnb.local.answers import Problem, json_body
from opsnb.local.cluster import ClusterError
from opsnb.local.recovery import SECONDS_BETWEEN_LOOKS, Backups, NotRestorable, utc
from opsnb.local.state import REGION, Context


async def list_backups(_request: Request, context: Context) -> Response:
    """The base backups and the seconds between which the database can be recovered; none of either before the first backup."""
    bases, window = (context.backups.bases(), context.backups.window()) if context.backups is not None else ([], None)
    return JSONResponse({
        "region": REGION,
        "walg_enabled": True,
        "pitr_enabled": window is not None,
        "backups": [
            {"id": base.at, "is_physical_backup": True, "status": "COMPLETED", "inserted_at": utc(base.at)} for base in reversed(bases)
        ],
        "physical_backup_data": dict(
            zip(("earliest_physical_backup_date_unix", "latest_physical_backup_date_unix"), window or (), strict=False)
        ),
    })  # fmt: skip


async def restore_pitr(request: Request, context: Context) -> Response:
    """Takes the database back to a second: 201 without a body at once; the project's status tells how it goes on."""
    body = await json_body(request, dict)
    target = body.get("recovery_time_target_unix")
    if type(target) is not int or target < 0:
        raise Problem(400, "recovery_time_target_unix must be an integer number")
    backups = context.backups
    if backups is None or backups.window() is None:
        raise Problem(400, "PITR is not enabled for this project.")
    if context.way_back == "RESTORING":
        raise Problem(400, "The project is being restored.")
    try:
        backups.promise(target)
    except NotRestorable as refused:
        raise Problem(400, str(refused)) from None
    _begin(context, backups, target, request.app.state.changing)
    return Response(status_code=201)


def resume(context: Context, backups: Backups, changing: asyncio.Lock) -> None:
    """Goes on with the restore that was answered with 201 and that an earlier daemon did not live to end."""
    target = backups.promised()
    if target is not None:
        _begin(context, backups, target, changing)


def _begin(context: Context, backups: Backups, target: int, changing: asyncio.Lock) -> None:
    context.way_back = "RESTORING"
    context.restoring = asyncio.create_task(_restore(context, backups, target, changing))


async def _restore(context: Context, backups: Backups, target: int, changing: asyncio.Lock) -> None:
    async with changing:
        try:
            await asyncio.to_thread(backups.restore, target)
            await _open_anew(context)
            context.way_back = ""
        except Exception as error:
            context.way_back = "RESTORE_FAILED"
            _say(f"the database was not taken back to {target}", error)


async def _open_anew(context: Context) -> None:
    """A pool that lost its server waits longer with every attempt to connect again: the platform's is made anew."""
    if context.rest is not None:
        await context.rest.close()
        await context.rest.open()


async def keep(context: Context, backups: Backups) -> None:
    """Takes a base backup whenever one is due, until cancelled."""
    while True:
        try:
            if context.way_back != "RESTORING" and await asyncio.to_thread(backups.due):
                await asyncio.to_thread(backups.take)
        except (ClusterError, psycopg.Error, OSError) as error:
            _say("no base backup", error)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _say(what: str, error: Exception) -> None:
    """Into the daemon's log. Only our own sentences: the text of other errors may carry connection data."""
    why = str(error) if isinstance(error, ClusterError | NotRestorable) else type(error).__name__
    print(f"{datetime.now(UTC).isoformat(timespec='seconds')} {what}: {why}", file=sys.stderr, flush=True)  # noqa: T201


TABLE = [
    ("GET", "/database/backups", list_backups),
    ("POST", "/database/backups/restore-pitr", restore_pitr),
]
