"""Every door of one environment, opened when first used and closed together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from opsnb.config import Environment, Release, text_of
from opsnb.errors import UsageError
from opsnb.sources.firebase import Firebase
from opsnb.sources.gateway import Gateway
from opsnb.sources.logs import Logs
from opsnb.sources.metrics import Metrics
from opsnb.sources.postgres import Postgres
from opsnb.sources.supabase import Supabase

T = TypeVar("T")


class Doors:
    """The sources of *environment*. References are resolved when a door is first used: ReferenceError_ where one does not."""

    def __init__(self, environment: Environment, release: Release, *, phase: str, root: Path, probe_journal: Path | None = None) -> None:
        self._environment = environment
        self._release = release
        self._phase = phase
        self._root = root
        self._probe_journal = probe_journal
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
    def platform(self) -> Supabase:
        """The management API."""
        said = self._environment.platform
        url = text_of(said.url, self._root)
        return self._kept(Supabase(url, self._environment.project_ref, said.access_token.resolve(self._root), timeout_s=said.timeout_s))

    @cached_property
    def logs(self) -> Logs:
        """The platform's logs."""
        return Logs(self.platform)

    @cached_property
    def functions(self) -> Gateway:
        """The functions gateway, as the test caller."""
        said = self._environment.functions
        token = None if said.caller_token is None else said.caller_token.resolve(self._root)
        return self._kept(
            Gateway(
                text_of(said.url, self._root),
                anon_key=said.anon_key.resolve(self._root),
                caller_token=token,
                caller_header=said.caller_header,
                timeout_s=said.timeout_s,
                journal=self._probe_journal,
            )
        )

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics endpoint."""
        said = self._environment.metrics
        if said is None:
            raise UsageError(f"environment {self._environment.name}: `metrics` is not set; name the endpoint to ask it")
        return self._kept(
            Metrics(text_of(said.url, self._root), user=said.user, password=said.password.resolve(self._root), timeout_s=self._patience)
        )

    @cached_property
    def firebase(self) -> Firebase:
        """The identity provider."""
        said, identity = self._environment.firebase, self._release.identity
        if said is None or identity is None:
            raise UsageError(
                f"environment {self._environment.name}: `firebase` or the release's `identity` is not set; name the provider to ask it"
            )
        token = None if said.token is None else said.token.resolve(self._root)
        url = text_of(said.jwks_url, self._root)
        return self._kept(Firebase(url, issuer=identity.issuer, audience=identity.project_id, token=token, timeout_s=self._patience))

    @property
    def _patience(self) -> float:
        """For systems without a time-out of their own: the platform's."""
        return self._environment.platform.timeout_s

    def close(self) -> None:
        """Closes what was opened, last first; a door used afterwards opens again."""
        while self._open:
            self._open.pop()()
        for name in ("database", "platform", "logs", "functions", "metrics", "firebase"):
            self.__dict__.pop(name, None)

    def _kept(self, door: T) -> T:
        self._open.append(door.close)  # type: ignore[attr-defined]
        return door
