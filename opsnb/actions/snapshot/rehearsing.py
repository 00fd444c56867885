"""``opsnb rehearse``: restores the newest snapshot into a scratch server and compares everything; every step is timed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import SecretStr

from opsnb.actions.snapshot.kept import Kept, check_files, newest_kept
from opsnb.actions.snapshot.redeploying import redeploy
from opsnb.checks.drift.comparing import Catalogue, compare
from opsnb.config import Environment, load_environment, load_release, settings
from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import baseline, deployments, sealed
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.safe import utc, write_atomic
from opsnb.sources import backup, catalogue
from opsnb.sources.postgres import Postgres

Progress = Callable[[str], None]
PREFIX = "rehearsal-"


@dataclass
class Rehearsal:
    """The action, for one snapshot of one deployment."""

    environment: Environment
    deployment: Deployment
    kept: Kept
    root: Path
    seconds: dict[str, float] = field(default_factory=dict, init=False)

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Rehearsal:
        """Finds the newest snapshot; UsageError where none was taken."""
        loaded = load_environment(environment, root)
        load_release(loaded.release, root)
        reports = settings().reports_folder(root)
        found = deployments.find(reports, environment, deployment) if deployment else deployments.named(reports, environment)
        kept = newest_kept(found)
        if kept is None:
            raise UsageError(f"{found.id} has no snapshot to rehearse; take one: opsnb snapshot {environment}")
        return cls(loaded, found, kept, root)

    def run(self, progress: Progress = lambda _: None) -> dict[str, Any]:
        """Restores and compares; files what was found beside the snapshot. Raises ActionRefused before anything is restored."""
        started = datetime.now(UTC)
        with self._step("verify", progress):
            check_files(self.kept)
        with self.restored(progress) as (dsn, broken):
            with self._step("compare rows", progress):
                tables = self._tables(dsn)
            with self._step("compare catalogue", progress):
                changes = self._catalogue(dsn)
        progress("deploying a function")
        function = redeploy(self.environment, self.deployment, self.root)
        differing = [each["table"] for each in tables if each["state"] == "differs"]
        unknown = [each["table"] for each in tables if each["state"] == "not compared"]
        record = {
            "snapshot": self.kept.name, "at": self.kept.at.isoformat(), "started_at": utc(started), "ended_at": utc(datetime.now(UTC)),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()}, "tables": tables, "not_restored": broken,
            "catalogue": changes, "differing": differing, "not_compared": unknown,
            "function": function.record,
            "whole": not (differing or unknown or broken or changes or function.same is False) and bool(tables),
        }  # fmt: skip
        write_atomic(self.kept.folder / f"{PREFIX}{started.strftime(STAMP)}.json", json.dumps(record, indent=1) + "\n")
        return record

    @contextmanager
    def restored(self, progress: Progress = lambda _: None) -> Iterator[tuple[SecretStr, list[str]]]:
        """The DSN of a scratch server that holds the snapshot while the block lasts, and the objects that could not be restored."""
        server = int(self.kept.data["server"]["version_number"])
        named = Path(self.environment.backup.programs).expanduser() if self.environment.backup.programs else None
        programs = backup.find_programs(server, named=named, with_server=True)
        with self._plain(progress) as folder, ExitStack() as stack:
            with self._step("start a scratch server", progress):
                dsn = stack.enter_context(backup.scratch_server(programs, where=self._scratch()))
            with self._step("restore", progress):
                broken = self._restore(programs, dsn, folder)
            shutil.rmtree(folder / "dump", ignore_errors=True)
            yield dsn, broken

    def _restore(self, programs: backup.Programs, dsn: SecretStr, folder: Path) -> list[str]:
        said = self.environment.backup
        catalogue_facts = baseline.read(self.kept.folder / "catalogue.jsonl")
        backup.prepare(dsn, roles=_roles(catalogue_facts.table))
        definitions = (folder / "definitions.sql").read_text(encoding="utf-8")
        if definitions:
            backup.restore_text(programs, dsn, definitions, timeout_s=said.timeout_s)
        return backup.restore(programs, dsn, folder / "dump", jobs=said.jobs, timeout_s=said.timeout_s)

    @contextmanager
    def _plain(self, progress: Progress) -> Iterator[Path]:
        """The decrypted files in a folder only we can enter, removed with the block."""
        with backup.private_folder("dump", where=self._scratch()) as folder:
            with self._step("decrypt", progress):
                self.open_dump(folder)
            yield folder

    def open_dump(self, folder: Path) -> None:
        """Decrypts the dump and the definitions into *folder*. ActionRefused where a file is not what was taken, or the key is another."""
        encryption = self.environment.encryption
        if encryption is None or encryption.identity is None:
            raise ActionRefused(f"environment {self.environment.name}: encryption.identity is not named; without it no dump can be opened")
        identity = encryption.identity.resolve(self.root).get_secret_value()
        (folder / "dump").mkdir(mode=0o700)
        files: Mapping[str, Mapping[str, Any]] = self.kept.data["files"]
        for name, said in files.items():
            if name.endswith(".age") and name != "secrets.json.age":
                was = sealed.open_file(self.kept.folder / name, folder / name.removesuffix(".age"), identity)
                if was != said["plain_sha256"]:
                    raise ActionRefused(f"{name}: what it holds is not what was dumped")

    def _scratch(self) -> Path | None:
        return Path(self.environment.backup.scratch).expanduser() if self.environment.backup.scratch else None

    def _tables(self, dsn: SecretStr) -> list[dict[str, Any]]:
        """Every table of the snapshot beside the restored one: rows and fingerprints."""
        rows = []
        with backup.moment(dsn, phase="rehearse") as moment:
            there = {f"{schema}.{name}": (schema, name) for schema, name in moment.tables(self.kept.data["schemas"])}
            for table, said in self.kept.tables.items():
                now = moment.count(*there[table], timeout_s=self.environment.backup.timeout_s) if table in there else None
                state = "differs" if now is None else "not compared" if said["fingerprint"] is None or now.fingerprint is None else (
                    "equal" if now.fingerprint == said["fingerprint"] else "differs")  # fmt: skip
                rows.append({"table": table, "rows": said["rows"], "restored": now.rows if now else None, "state": state})
        return rows

    def _catalogue(self, dsn: SecretStr) -> list[dict[str, str]]:
        """Objects that are not as they were: what a drift check finds between the two."""
        was = baseline.read(self.kept.folder / "catalogue.jsonl")
        database = Postgres(dsn, phase="rehearse", statement_timeout_ms=60_000)
        try:
            now = catalogue.read(database, schemas=list(self.kept.data["schemas"]))
            found = compare(Catalogue.of(was.table), Catalogue.of(now.table), but=OF_THE_SERVER)
        finally:
            database.close()
        return [{"kind": each.kind, "object": each.object, "change": " ".join(filter(None, (each.change, each.what)))} for each in found]

    @contextmanager
    def _step(self, name: str, progress: Progress) -> Iterator[None]:
        progress(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


OF_THE_SERVER = frozenset({"role", "extension", "publication", "event trigger", "bucket"})
"""Kinds of objects that belong to no schema: no dump of schemas holds them."""


def newest_rehearsal(kept: Kept) -> dict[str, Any] | None:
    """What the newest rehearsal of *kept* found; None where none was done, or its record is damaged."""
    for path in sorted(kept.folder.glob(f"{PREFIX}*.json"), reverse=True):
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return found
    return None


def _roles(objects: pd.DataFrame) -> list[str]:
    """The roles that the catalogue names: owners and grantees, which a copy needs by name."""
    return sorted(str(name) for name in objects[objects["kind"] == "role"]["object"])
