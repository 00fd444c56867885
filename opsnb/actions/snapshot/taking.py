"""``opsnb snapshot``: a consistent, encrypted dump with counts and fingerprints of the same moment, and what else a way back needs."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from opsnb.actions.snapshot.kept import FOLDER, FORMAT, MANIFEST, Kept, read
from opsnb.config import Environment, Release, load_environment, load_release, require_references, settings, text_of
from opsnb.errors import ActionRefused, SourceError
from opsnb.evidence import baseline, deployments, sealed
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.safe import unwritable, utc, write_atomic
from opsnb.sources import Absent, Doors, backup, catalogue
from opsnb.sources.backup.contents import Counted

Progress = Callable[[str], None]
POLL_S = 2.0
ROOM = 1.5
"""A dump may need so many times the size of its tables on disk while it is made: plain and encrypted, compressed both."""


@dataclass
class Snapshot:
    """The action, for one environment and deployment."""

    environment: Environment
    release: Release
    deployment: Deployment
    root: Path

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Snapshot:
        """Loads the environment and its release; opens a deployment where there is none."""
        loaded = load_environment(environment, root)
        release = load_release(loaded.release, root)
        require_references(loaded, root)
        now = datetime.now(UTC)
        found = deployments.find_or_open(settings().reports_folder(root), loaded.name, release.name, identifier=deployment, now=now)
        return cls(loaded, release, found, root)

    def take(self, progress: Progress = lambda _: None) -> Kept:
        """Takes the snapshot; whole in the archive, or not at all. Raises ActionRefused, SourceError or UsageError."""
        recipient = self._recipient()
        doors = Doors(self.environment, self.release, phase="snapshot", root=self.root)
        try:
            with _made(self.deployment.folder / FOLDER) as (folder, place), backup.moment(self.dsn, phase="snapshot") as moment:
                progress(f"T0 is {utc(moment.at)}")
                schemas = self._schemas(doors)
                programs = backup.find_programs(moment.version, named=self._programs())
                began = time.monotonic()
                counted = self._dump(programs, moment, schemas, folder / "plain", progress)
                seconds = {"dump": time.monotonic() - began}
                began = time.monotonic()
                progress("encrypting")
                files = self._seal(folder, recipient)
                seconds["encrypt"] = time.monotonic() - began
                self._definitions(programs, schemas, folder, files, recipient)
                objects = self._catalogue(doors, schemas, folder, files)
                platform = self._platform(doors, folder, files, recipient)
                began = time.monotonic()
                restorable = self._restorable(doors, moment.at, progress)
                seconds["restorable"] = time.monotonic() - began
                manifest = {
                    "format": FORMAT, "environment": self.environment.name, "release": self.release.name, "deployment": self.deployment.id,
                    "at": moment.at.isoformat(), "lsn": moment.lsn, "database": moment.database,
                    "server": {"version": moment.version_text, "version_number": moment.version}, "client": programs.version,
                    "schemas": schemas, "tables": [asdict(each) for each in counted], "objects": objects,
                    "files": files, "recipient": recipient, "restorable": restorable, **platform,
                    "seconds": {name: round(value, 3) for name, value in seconds.items()},
                }  # fmt: skip
                write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
                _sync(folder)
                folder.rename(place)
                _sync(place.parent)
        finally:
            doors.close()
        return read(place)

    @property
    def dsn(self) -> SecretStr:
        """Of the role that reads everything."""
        said = self.environment.backup.dsn or self.environment.postgres.dsn
        return said.resolve(self.root)

    def _recipient(self) -> str:
        encryption = self.environment.encryption
        if encryption is None:
            raise ActionRefused(
                f"environment {self.environment.name}: a dump holds patients' rows and is kept encrypted only; name an age key at "
                "encryption.recipient. Nothing was taken."
            )
        return sealed.require_recipient(text_of(encryption.recipient, self.root))

    def _schemas(self, doors: Doors) -> list[str]:
        """What is dumped: the schemas named, else the release's and every other of the project's own."""
        named = self.environment.backup.schemas
        if named:
            return list(named)
        own = doors.database.query("own_schemas", platform=catalogue.PLATFORM).table
        return list(dict.fromkeys([*self.release.schema_.schemas, *(str(name) for name in own.iloc[:, 0])]))

    def _programs(self) -> Path | None:
        return Path(self.environment.backup.programs).expanduser() if self.environment.backup.programs else None

    def _dump(
        self, programs: backup.Programs, moment: backup.Moment, schemas: list[str], folder: Path, progress: Progress
    ) -> list[Counted]:
        """pg_dump and the counts of the same snapshot, side by side."""
        said = self.environment.backup
        tables = moment.tables(schemas)
        self._require_room(moment.size(schemas), folder.parent)
        progress(f"pg_dump {programs.version} of {len(tables)} tables")
        counted: list[Counted] = []
        with ThreadPoolExecutor(max_workers=1) as side:
            dumping = side.submit(
                backup.dump, programs, self.dsn, folder, schemas=schemas, snapshot=moment.snapshot, jobs=said.jobs,
                timeout_s=said.timeout_s, lock_ms=self.environment.postgres.lock_timeout_ms,
            )  # fmt: skip
            for schema, name in tables:
                if dumping.done() and dumping.exception():
                    break
                counted.append(moment.count(schema, name, timeout_s=said.table_timeout_s))
            dumping.result()
        return counted

    def _require_room(self, size: int, folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if free < size * ROOM:
            raise ActionRefused(
                f"{folder.parent}: {free // 2**20:,} MB are free, and a dump of {size // 2**20:,} MB of tables may need "
                f"{int(size * ROOM) // 2**20:,} MB while it is made. Nothing was taken."
            )

    def _seal(self, folder: Path, recipient: str) -> dict[str, dict[str, Any]]:
        """Encrypts the dump's files, each plain one removed as soon as it is done. File → sha256, plain_sha256, bytes."""
        files: dict[str, dict[str, Any]] = {}
        target = folder / "dump"
        target.mkdir(mode=0o700)
        for plain in sorted((folder / "plain").iterdir()):
            place = target / f"{plain.name}.age"
            was, is_ = sealed.seal_file(plain, place, recipient)
            files[f"dump/{place.name}"] = {"sha256": is_, "plain_sha256": was, "bytes": place.stat().st_size}
            plain.unlink()
        (folder / "plain").rmdir()
        _sync(target)
        return files

    def _definitions(
        self, programs: backup.Programs, schemas: list[str], folder: Path, files: dict[str, dict[str, Any]], recipient: str
    ) -> None:
        wanted = [schema for schema in self.environment.backup.schema_only if schema not in schemas]
        try:
            text = backup.dump_text(programs, self.dsn, schemas=wanted, timeout_s=60) if wanted else ""
        except SourceError:
            text = ""  # none of them is here, or they may not be read: the rehearsal says what a copy lacks
        self._keep(folder, "definitions.sql.age", text.encode(), files, recipient)

    def _catalogue(self, doors: Doors, schemas: list[str], folder: Path, files: dict[str, dict[str, Any]]) -> int:
        facts = catalogue.read(doors.database, schemas=schemas)
        path = folder / "catalogue.jsonl"
        baseline.write(
            path, facts, environment=self.environment.name, release=self.release.name, captured_at=datetime.now(UTC),
            server_version=str(facts.extra.get("server_version", "")),
        )  # fmt: skip
        content = path.read_bytes()
        files[path.name] = {"sha256": sealed.digest(content), "bytes": len(content)}
        return len(facts) - 1

    def _platform(self, doors: Doors, folder: Path, files: dict[str, dict[str, Any]], recipient: str) -> dict[str, Any]:
        """What no backup covers, as far as it can be told; names and digests of secrets are kept encrypted."""
        lists: dict[str, Any] = {"functions": None, "secrets": None, "buckets": None, "roles": None}
        if not isinstance(doors.platform, Absent):
            functions, secrets = doors.platform.functions(), doors.platform.secrets()
            if functions.error is None:
                lists["functions"] = sorted(str(slug) for slug in functions.table["slug"])
            if secrets.error is None:
                lists["secrets"] = len(secrets)
                rows = [[str(row.name), str(row.digest)] for row in secrets.table.itertuples(index=False)]
                self._keep(folder, "secrets.json.age", json.dumps(rows).encode(), files, recipient)
        roles = doors.database.query("login_roles")
        if roles.error is None:
            lists["roles"] = sorted(str(name) for name in roles.table["role"])
        return {"not_covered": lists}

    def _keep(self, folder: Path, name: str, content: bytes, files: dict[str, dict[str, Any]], recipient: str) -> None:
        made = sealed.seal(folder / name, content, recipient)
        sealed.write_sealed(made)
        files[name] = {"sha256": made.sha256, "plain_sha256": sealed.digest(content), "bytes": len(made.content)}

    def _restorable(self, doors: Doors, at: datetime, progress: Progress) -> dict[str, Any]:
        """The platform's own window; where it can go back to a point in time, waits until that point has passed T0."""
        if isinstance(doors.platform, Absent):
            return {"point_in_time": "absent", "why": doors.platform.why}
        ends = time.monotonic() + self.environment.backup.restorable_wait_s
        beaten = ""
        while True:
            facts = doors.platform.backups()
            if facts.error is not None:
                return {"point_in_time": "not measured", "why": str(facts.error), "heartbeat": beaten}
            said = _window(facts.table)
            if said["point_in_time"] != "enabled" or (said["latest"] and datetime.fromisoformat(said["latest"]) >= at):
                return {**said, "heartbeat": beaten, "passed": said["point_in_time"] == "enabled"}
            beaten = beaten or self._heartbeat()
            left = ends - time.monotonic()
            if left <= 0:
                return {**said, "heartbeat": beaten, "passed": False, "why": "the latest restorable moment did not pass T0 in time"}
            progress(f"latest restorable {said['latest'] or 'not told'}; waiting for it to pass T0, at most {left:.0f} s")
            time.sleep(min(POLL_S, left))

    def _heartbeat(self) -> str:
        """Something to archive: an idle server writes nothing, and its latest restorable moment stands still."""
        from opsnb.sources import writing

        dsn = self.environment.postgres.write_dsn
        if dsn is None:
            return "not sent: postgres.write_dsn is not named"
        try:
            with writing.transaction(dsn.resolve(self.root), phase="snapshot", read_only=False) as beating:
                beating.heartbeat()
        except SourceError as error:
            return f"not sent: {error}"
        return f"sent {utc(datetime.now(UTC))}"


def _window(table: Any) -> dict[str, Any]:
    """What `backups` of the platform says: point_in_time (enabled, not enabled, not told), earliest, latest, newest_backup; UTC."""

    def at(rows: Any) -> str | None:
        times = rows["at"].dropna()
        return None if times.empty else times.max().isoformat()

    kinds = table["kind"]
    state = table[kinds == "point-in-time recovery"]["status"]
    whole = table[kinds.str.endswith("backup") & (table["status"] == "COMPLETED")]
    return {
        "point_in_time": str(state.iloc[0]) if len(state) else "not told", "earliest": at(table[kinds == "point in time, earliest"]),
        "latest": at(table[kinds == "point in time, latest"]), "newest_backup": at(whole),
    }  # fmt: skip


@contextmanager
def _made(parent: Path) -> Iterator[tuple[Path, Path]]:
    """A hidden folder to fill, and what it is called once it is whole. What a killed run left is removed first."""
    try:
        parent.mkdir(mode=0o755, exist_ok=True)
        for left in parent.glob(".taking-*"):
            if not _alive(left.name.rpartition("-")[2]):
                shutil.rmtree(left, ignore_errors=True)
        now = datetime.now(UTC)
        place = parent / now.strftime(STAMP)
        if place.exists():
            raise ActionRefused(f"{place} exists: a snapshot was taken this second")
        folder = parent / f".taking-{now.strftime(STAMP)}-{os.getpid()}"
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise unwritable(parent, error) from error
    try:
        yield folder, place
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
