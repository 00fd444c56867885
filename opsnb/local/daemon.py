"""The target's daemon: ``python -m opsnb.local.daemon FOLDER [--port N]``; started and stopped by `opsnb.local.target`.

Starts Postgres, serves the application on one loopback port, writes the files that environments refer to,
and undoes all of it on SIGTERM. Holds a file lock while it lives: that lock, not a process id, says "running".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.local import tokens
from opsnb.local.store import write_private

HOST = "127.0.0.1"
TOKEN_LIFETIME_S = 3600
TOKEN_RENEWED_S = 1200
GRACE_S = 3
SETTLE_S = 0.3  # whoever started us asks first, before ClickHouse and the traffic take the processor
LOCK_PATIENCE_S = 1.0  # somebody who asks whether a daemon runs holds the lock for a moment


class AlreadyRunning(Exception):
    """Another daemon holds the lock of this folder."""


@contextlib.contextmanager
def held_lock(path: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Holds the exclusive lock *path* or raises AlreadyRunning; the kernel lets go of it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise AlreadyRunning(str(path)) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def listen(port: int, *, else_any: bool) -> socket.socket:
    """A listening loopback socket on *port* (0: any free one); raises OSError where it is taken, unless *else_any*."""
    for wanted in (port, 0) if else_any else (port,):
        # the protocol is named because asyncio sets TCP_NODELAY only where it sees one; without it a call takes 100 ms
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, wanted))
            bound.listen(512)
        except OSError:
            bound.close()
            if wanted == 0 or not else_any:
                raise
        else:
            return bound
    raise OSError("no port is free")


def remembered(folder: Path) -> dict[str, Any]:
    """What ``run/daemon.json`` says of the last start; {} where there was none."""
    try:
        told = json.loads((folder / "run" / "daemon.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def sweep(folder: Path) -> list[int]:
    """Ends function workers that a killed daemon left behind: Deno processes working in this folder's sources."""
    sources = (folder / "platform" / "sources").resolve()
    ended = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "exe").readlink().name.startswith("deno") and (process / "cwd").readlink().is_relative_to(sources):
                os.kill(int(process.name), signal.SIGKILL)
                ended.append(int(process.name))
        except OSError:  # gone meanwhile, or somebody else's
            continue
    return ended


def write_run_files(context: Any, made: Mapping[str, str]) -> None:
    """The files that environments refer to, each readable by its owner only; *made*: the callers' tokens."""
    from opsnb.local.seed import ADMIN_KEY_FILE

    files = {
        "dsn": context.cluster.dsn("opsnb_reader"),
        "write_dsn": context.cluster.dsn("postgres"),
        "platform_url": context.base_url,
        "access_token": context.identity.access_token,
        "functions_url": f"{context.base_url}/functions/v1",
        "rest_url": f"{context.base_url}/rest/v1",
        "metrics_url": f"{context.base_url}/customer/v1/privileged/metrics",
        "metrics_password": context.identity.service_key,
        "anon_key": context.identity.anon_key,
        "service_key": context.identity.service_key,
        **made,
        "jwks_url": f"{context.base_url}/identity/jwks.json",
        **age_key(context.folder / "platform" / "age_identity"),
        "notify_url": f"json://{context.base_url.partition('//')[2]}/local/notices",
        "firebase_admin_key": (context.store.folder / ADMIN_KEY_FILE).read_text(encoding="utf-8").rstrip("\n"),
    }
    context.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, value in files.items():
        write_private(context.run / name, f"{value}\n".encode())


def age_key(kept: Path) -> dict[str, str]:
    """The target's age key pair, made at its first start: what was kept encrypted once can be opened after any restart."""
    from pyrage import x25519

    if not kept.exists():
        write_private(kept, f"{x25519.Identity.generate()}\n".encode())
    identity = x25519.Identity.from_str(kept.read_text(encoding="utf-8").strip())
    return {"age_recipient": str(identity.to_public()), "age_identity": str(identity)}


async def renew_token(context: Any) -> None:
    """Keeps the callers' tokens valid until cancelled, also after the machine slept."""
    issued = time.time()
    while True:
        await asyncio.sleep(60)
        if time.time() - issued >= TOKEN_RENEWED_S:
            issued = time.time()
            tokens.write(context, await tokens.fresh(context))


async def serve(folder: Path, port: int | None) -> None:
    """Everything between the lock and its release."""
    import uvicorn

    from opsnb.local import app as application
    from opsnb.local import backups_api, seed
    from opsnb.local.identity import Identity
    from opsnb.local.logbook import LogBook
    from opsnb.local.pglog import PostgresLog
    from opsnb.local.recovery import Backups
    from opsnb.local.state import Context
    from opsnb.local.store import FunctionStore

    before = remembered(folder)
    sweep(folder)
    bound = listen(port or int(before.get("port", 0)), else_any=port is None)
    base_url = f"http://{HOST}:{bound.getsockname()[1]}"
    starting = asyncio.create_task(asyncio.to_thread(_start_cluster, folder))
    identity = Identity(folder / "platform")
    store = FunctionStore(folder / "platform")
    if not store.is_seeded():
        seed.seed(store)
    seed.complete(store)
    logbook = LogBook(folder / "logs")
    try:
        cluster = await starting
    except BaseException:
        bound.close()
        raise
    backups = Backups(cluster)
    context = Context(folder, identity, store, logbook, cluster, base_url, backups=backups)
    context.postgres_log = PostgresLog(cluster.folder / "log", logbook, folder / "platform" / "postgres_log.json")
    background: list[asyncio.Task[Any]] = []
    try:
        await _open_parts(context)
        config = uvicorn.Config(
            "unused", lifespan="off", log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S
        )
        server = uvicorn.Server(config)

        def stop() -> None:
            server.should_exit = True

        config.app = served = application.create_app(context, stop=stop)
        backups_api.resume(context, backups, served.state.changing)
        write_run_files(context, await tokens.fresh(context))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        ports = {"port": bound.getsockname()[1], "postgres_port": cluster.port}
        daemon = {"pid": os.getpid(), **ports, "started": context.started.isoformat(timespec="seconds")}
        write_private(context.run / "daemon.json", json.dumps(daemon).encode())
        background = [asyncio.create_task(renew_token(context)), asyncio.create_task(context.postgres_log.follow())]
        await asyncio.sleep(SETTLE_S)
        background.append(asyncio.create_task(backups_api.keep(context, backups)))
        application.warm(context)
        if context.traffic is not None and not serving.done():
            await context.traffic.start()
        await serving
    finally:
        for task in background:
            task.cancel()
        if context.restoring is not None:
            await context.restoring
        await _close_parts(context)
        await asyncio.to_thread(cluster.stop)
        with contextlib.suppress(OSError):
            context.postgres_log.look()
        logbook.close()


def _start_cluster(folder: Path) -> Any:
    """The running cluster, made and filled where it is new; on its last port where that is free."""
    from opsnb.local import database
    from opsnb.local.cluster import Cluster
    from opsnb.local.recovery import Backups

    cluster = Cluster(folder / "pg")
    backups = Backups(cluster)
    backups.mend()
    cluster.initdb()
    cluster.start()
    if database.build(cluster):
        backups.clear()
    return cluster


async def _open_parts(context: Any) -> None:
    from opsnb.local.gateway import Clocks, Gateway
    from opsnb.local.rest import RestDoor
    from opsnb.local.traffic import Traffic

    clocks = Clocks()  # one for both: a call that was moved in time logs its requests to the database there, too
    context.rest = RestDoor(context.cluster.dsn("authenticator"), context.identity, context.logbook, clocks=clocks)
    await context.rest.open()
    context.gateway = Gateway(
        context.folder / "platform", context.store, context.identity, context.logbook, context.base_url, clocks=clocks
    )
    await context.gateway.open()
    context.traffic = Traffic(context)


async def _close_parts(context: Any) -> None:
    """Ends the parts that use the others first; one that fails does not keep the rest alive."""
    for close in (
        context.traffic and context.traffic.stop,
        context.calm,
        context.gateway and context.gateway.close,
        context.rest and context.rest.close,
    ):
        if close is not None:
            try:
                await close()
            except Exception as error:
                print(f"{datetime.now(UTC).isoformat()} a part did not close: {type(error).__name__}", file=sys.stderr)  # noqa: T201


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or ``/local/shutdown``; 0, or 1 where another daemon runs already."""
    parser = argparse.ArgumentParser(prog="opsnb.local.daemon")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=None)
    options = parser.parse_args(arguments)
    try:
        with held_lock(options.folder / "daemon.lock", patience_s=LOCK_PATIENCE_S):
            asyncio.run(serve(options.folder, options.port))
    except AlreadyRunning:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
