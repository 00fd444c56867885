"""What the parts of the running target share: one `Context` per daemon.

Routes find it as ``request.app.state.context``; faults are applied to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from opsnb.local.identity import PROJECT_REF, Identity
from opsnb.local.logbook import LogBook
from opsnb.local.store import FunctionStore

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

    from opsnb.local.cluster import Cluster
    from opsnb.local.gateway import Gateway
    from opsnb.local.pglog import PostgresLog
    from opsnb.local.recovery import Backups
    from opsnb.local.rest import RestDoor
    from opsnb.local.traffic import Traffic

REGION = "eu-central-1"
CONNECT_TIMEOUT_S = 3


@dataclass
class Context:
    """The running target. `folder` is ``<root>/.opsnb/local``; `base_url` ends without a slash.

    What may be None is so until the daemon has started it, and in tests of single parts. `third_party`: whether the platform trusts the
    identity provider. `way_back`: RESTORING while the database is taken back (by `restoring`), RESTORE_FAILED after that failed, else ''.
    """

    folder: Path
    identity: Identity
    store: FunctionStore
    logbook: LogBook
    cluster: Cluster
    base_url: str = ""
    postgres_log: PostgresLog | None = None
    rest: RestDoor | None = None
    gateway: Gateway | None = None
    traffic: Traffic | None = None
    backups: Backups | None = None
    way_back: str = ""
    restoring: asyncio.Task[None] | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    project_ref: str = PROJECT_REF
    third_party: bool = True
    _effects: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def run(self) -> Path:
        """The folder of the files that environments refer to."""
        return self.folder / "run"

    async def rows(self, sql: str, params: Any = None, *, user: str = "postgres", timeout_s: float = 10) -> list[dict[str, Any]]:
        """The rows of one trusted statement, asked over a connection of its own; raises psycopg.Error."""
        async with await self.connect(user) as connection, asyncio.timeout(timeout_s):
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(sql, params)
            return await cursor.fetchall() if cursor.description else []

    async def connect(self, user: str = "postgres", **options: Any) -> psycopg.AsyncConnection[Any]:
        """A new autocommit connection as *user*; fails fast where the server is down."""
        return await psycopg.AsyncConnection.connect(
            self.cluster.dsn(user), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="platform", **options
        )

    async def database_error(self) -> str:
        """'' while Postgres answers, else one sentence without connection data."""
        try:
            await self.rows("select 1", timeout_s=CONNECT_TIMEOUT_S)
        except (psycopg.Error, OSError, TimeoutError) as error:
            return f"the database does not answer ({type(error).__name__})"
        return ""

    def spawn(self, effect: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs a fault's lasting *effect* in the background until `calm`."""
        task = asyncio.get_running_loop().create_task(effect)
        self._effects.add(task)
        task.add_done_callback(self._effects.discard)
        return task

    async def calm(self) -> None:
        """Ends every lasting effect and waits until each has cleaned up after itself."""
        effects = list(self._effects)
        for task in effects:
            task.cancel()
        await asyncio.gather(*effects, return_exceptions=True)

    def pool(self) -> AsyncConnectionPool[Any] | None:
        """The REST door's pool while it is open."""
        try:
            return self.rest.pool if self.rest is not None else None
        except RuntimeError:
            return None
