"""A database, a release that names test records in it, and the action on both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from pyrage import x25519

from opsnb.actions.cleanup import Cleanup, Undo
from opsnb.config import Environment, Release
from opsnb.evidence.deployments import open_deployment

IDENTITY = x25519.Identity.generate()


@dataclass
class Desk:
    """`dsn` is the superuser's; `cleanup` the release's section."""

    dsn: str
    root: Path
    cleanup: dict[str, Any]
    encrypted: bool = True

    def action(self) -> Cleanup:
        """The action on this database."""
        self.root.mkdir(exist_ok=True)
        (self.root / "dsn").write_text(self.dsn)
        (self.root / "key").write_text(f"# made by a test\n{IDENTITY}\n")
        encryption = {"recipient": str(IDENTITY.to_public()), "identity": "file:key"} if self.encrypted else None
        environment = Environment.model_validate(
            {"name": "desk", "release": "tests", "postgres": {"dsn": "file:dsn", "write_dsn": "file:dsn"}, "encryption": encryption}
        )
        release = Release.model_validate({"name": "tests", "title": "Tests", "schema": {"tables": {}}, "cleanup": self.cleanup})
        deployment = open_deployment(self.root / "reports", "desk", "tests", datetime.now(UTC))
        return Cleanup(environment, release, deployment, self.root)

    def undo(self, record: str = "") -> Undo:
        """The undo of the newest cleanup, or of *record*."""
        action = self.action()
        return Undo.of(action.environment, action.deployment, self.root, record)

    def run(self, statements: str) -> None:
        """Any statements, as superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def hashes(self) -> dict[str, tuple[int, str]]:
        """Every table → (rows, hash of the rows as text)."""
        names = self.rows(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' order by 1"
        )
        hashed = "select count(*), coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from only "
        return {name: self.rows(f"{hashed}{name} t")[0] for (name,) in names}

    @property
    def actions(self) -> Path:
        """Where records and before-images lie."""
        return self.action().deployment.folder / "actions"
