"""Every door of one environment, opened when first used and closed together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from opsnb.config import ClickHouseSpec, Environment, Release, text_of
from opsnb.sources.absent import Absent
from opsnb.sources.aws import Aws
from opsnb.sources.clickhouse import ClickHouse
from opsnb.sources.firebase import Firebase
from opsnb.sources.gateway import Gateway
from opsnb.sources.kept_logs import KeptLogs, folder_of
from opsnb.sources.logs import Logs
from opsnb.sources.metrics import Metrics
from opsnb.sources.openehr import OpenEhr
from opsnb.sources.postgres import Postgres
from opsnb.sources.supabase import Supabase

T = TypeVar("T")


class Doors:
    """The sources of *environment*; `Absent` where it names none.

    References are resolved when a door is first used: ReferenceError_ where one does not. *collect* brings the archive of logs up to a
    moment.
    """

    def __init__(
        self, environment: Environment, release: Release, *, phase: str, root: Path, probe_journal: Path | None = None,
        collect: Callable[[Doors, datetime], object] | None = None,
    ) -> None:  # fmt: skip
        self._environment = environment
        self._release = release
        self._phase = phase
        self._root = root
        self._probe_journal = probe_journal
        self._collect = collect
        self._open: list[Callable[[], None]] = []

    @cached_property
    def database(self) -> Postgres:
        """Postgres, reading."""
        said = self._environment.postgres
        return self._kept(
            Postgres(
                said.dsn.resolve(self._root),
                phase=self._phase,
                statement_timeout_ms=said.statement_timeout_ms,
                lock_timeout_ms=said.lock_timeout_ms,
                connect_timeout_s=said.connect_timeout_s,
            )
        )

    @cached_property
    def platform(self) -> Supabase | Absent:
        """The management API."""
        said, project = self._environment.platform, self._environment.project_ref
        if said is None or project is None:
            return self._absent("platform", "platform")
        return self._kept(Supabase(text_of(said.url, self._root), project, said.access_token.resolve(self._root), timeout_s=said.timeout_s))

    @cached_property
    def logs(self) -> Logs | Absent:
        """The logs, wherever the environment keeps them."""
        said = self._environment.logs
        if said.clickhouse is not None:
            return Logs(self._kept(self._clickhouse(said.clickhouse)), longest=None)
        return self.archived_logs() if said.archive else self.platform_logs

    @cached_property
    def platform_logs(self) -> Logs | Absent:
        """The platform's logs."""
        return self._absent("logs", "platform") if isinstance(self.platform, Absent) else Logs(self.platform)

    def archived_logs(self, *, only_kept: bool = False) -> Logs:
        """The logs of the archive; *only_kept*: neither collected now nor completed by the platform's."""
        folder = folder_of(self._root, self._environment.name)
        if only_kept:
            return Logs(self._kept(KeptLogs(folder, only_kept=True)), longest=None)
        rest = None if isinstance(self.platform, Absent) else self.platform
        refresh = None if rest is None or self._collect is None else partial(self._collect, self)
        return Logs(self._kept(KeptLogs(folder, rest=rest, refresh=refresh)), longest=None)

    def _clickhouse(self, said: ClickHouseSpec) -> ClickHouse:
        password = None if said.password is None else said.password.resolve(self._root)
        url = text_of(said.url, self._root).rstrip("/")
        return ClickHouse(url, table=said.table, user=said.user, password=password, timeout_s=said.timeout_s)

    @cached_property
    def functions(self) -> Gateway | Absent:
        """The functions gateway, as the test caller."""
        said = self._environment.functions
        if said is None:
            return self._absent("functions", "functions")
        token = None if said.caller_token is None else said.caller_token.resolve(self._root)
        return self._kept(
            Gateway(
                text_of(said.url, self._root),
                anon_key=said.anon_key.resolve(self._root),
                caller_token=token,
                other_token=None if said.other_caller_token is None else said.other_caller_token.resolve(self._root),
                caller_header=said.caller_header,
                timeout_s=said.timeout_s,
                journal=self._probe_journal,
            )
        )

    @cached_property
    def metrics(self) -> Metrics | Absent:
        """The metrics endpoint."""
        said = self._environment.metrics
        if said is None:
            return self._absent("metrics", "metrics")
        return self._kept(
            Metrics(text_of(said.url, self._root), user=said.user, password=said.password.resolve(self._root), timeout_s=self._patience)
        )

    @cached_property
    def firebase(self) -> Firebase | Absent:
        """The identity provider."""
        said, identity = self._environment.firebase, self._release.identity
        if identity is None:
            return Absent("firebase", f"the release {self._release.name} names no `identity`")
        if said is None:
            return self._absent("firebase", "firebase")
        token = None if said.token is None else said.token.resolve(self._root)
        url = text_of(said.jwks_url, self._root)
        return self._kept(Firebase(url, issuer=identity.issuer, audience=identity.project_id, token=token, timeout_s=self._patience))

    @cached_property
    def openehr(self) -> OpenEhr | Absent:
        """An openEHR server."""
        said = self._environment.openehr
        if said is None:
            return self._absent("openehr", "openehr")
        return self._kept(OpenEhr(text_of(said.url, self._root), timeout_s=self._patience))

    @cached_property
    def aws(self) -> Aws | Absent:
        """AWS, with the credentials of whoever runs this."""
        said = self._environment.aws
        return self._absent("aws", "aws") if said is None else Aws(said.region)

    @property
    def _patience(self) -> float:
        """For systems without a time-out of their own: the platform's."""
        said = self._environment.platform
        return 10 if said is None else said.timeout_s

    def _absent(self, source: str, key: str) -> Absent:
        return Absent(source, f"the environment {self._environment.name} names no `{key}`")

    def close(self) -> None:
        """Closes what was opened, last first; a door used afterwards opens again."""
        while self._open:
            self._open.pop()()
        for name in ("database", "platform", "logs", "platform_logs", "functions", "metrics", "firebase", "openehr", "aws"):
            self.__dict__.pop(name, None)

    def _kept(self, door: T) -> T:
        self._open.append(door.close)  # type: ignore[attr-defined]
        return door
