"""What the local platform keeps: functions with every version that was uploaded, and secrets.

One JSON file holds the state, source folders beside it are written once and never changed. Every
change is atomic (write beside, rename), so a process killed at any moment leaves the old or the new state.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

MAGIC = b"EZBR"
"""The first four bytes of an uploaded bundle; brotli follows."""

SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
STATUSES = ("ACTIVE", "REMOVED", "THROTTLED")
MAX_BUNDLE_BYTES = 20 * 1024 * 1024
MAX_SECRETS = 100
KEPT_SOURCES = 20


class StoreError(Exception):
    """The store was asked for something it does not accept; the text is fit for an HTTP answer."""


class UnknownFunction(StoreError):
    """No function has this slug."""


@dataclass(frozen=True)
class Deployment:
    """One version of one function, as it was deployed. Times are epoch milliseconds.

    `entrypoint_path` and `import_map_path` are relative to `source_dir`.
    """

    id: str
    slug: str
    name: str
    status: str
    version: int
    created_at_ms: int
    updated_at_ms: int
    verify_jwt: bool
    entrypoint_path: str
    import_map_path: str | None
    ezbr_sha256: str
    source_dir: Path

    @property
    def entrypoint(self) -> Path:
        """The file the function starts from."""
        return self.source_dir / self.entrypoint_path

    def files(self) -> dict[str, bytes]:
        """Every source file by its path relative to `source_dir`, sorted."""
        found = sorted(path for path in self.source_dir.rglob("*") if path.is_file())
        return {path.relative_to(self.source_dir).as_posix(): path.read_bytes() for path in found}


@dataclass(frozen=True)
class Secret:
    """A stored secret. Its value never appears in a repr."""

    value: str = dataclasses.field(repr=False)
    updated_at: str

    @property
    def digest(self) -> str:
        """Lower-case hex SHA-256 of the UTF-8 value: what the platform lists in the place of the value."""
        return hashlib.sha256(self.value.encode()).hexdigest()


def pack(files: Mapping[str, bytes]) -> bytes:
    """*files* as an upload bundle: ``EZBR`` and brotli around an archive; equal files give equal bytes."""
    import brotli

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    compressed: bytes = brotli.compress(archive.getvalue(), quality=9)
    return MAGIC + compressed


def unpack(bundle: bytes) -> dict[str, bytes]:
    """The files of an upload bundle; raises StoreError where it is not one of ours."""
    import brotli

    try:
        # the decompressed size is bounded by reading members one by one, each checked before it is read
        archive = brotli.decompress(bundle.removeprefix(MAGIC))
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            if sum(member.size for member in members) > MAX_BUNDLE_BYTES:
                raise StoreError(f"The bundle unpacks to more than {MAX_BUNDLE_BYTES} bytes.")
            files = {}
            for member in members:
                content = tar.extractfile(member)
                files[member.name] = content.read() if content else b""
            return files
    except (brotli.error, tarfile.TarError) as error:
        raise StoreError("The bundle could not be read: expected EZBR followed by brotli, as downloaded from this platform.") from error


def write_private(path: Path, content: bytes) -> None:
    """Writes *path* atomically, readable by its owner only."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


class FunctionStore:
    """Functions and secrets under one folder. Safe to use from several threads of one process.

    `generation` changes with every change of what a running function would see.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generation = 1
        self._lock = threading.RLock()
        self._state = folder / "state.json"
        self._history: dict[str, list[Deployment]] = {}
        self._secrets: dict[str, Secret] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()

    # -- functions

    def list(self) -> list[Deployment]:
        """The current deployment of every function, by slug."""
        with self._lock:
            return [self._history[slug][-1] for slug in sorted(self._history)]

    def current(self, slug: str) -> Deployment:
        """The current deployment of *slug*; raises UnknownFunction."""
        with self._lock:
            if slug not in self._history:
                raise UnknownFunction("Function not found")
            return self._history[slug][-1]

    def deploy(
        self,
        slug: str,
        files: Mapping[str, bytes],
        entrypoint: str,
        verify_jwt: bool = True,
        name: str | None = None,
        *,
        import_map_path: str | None = None,
        version: int | None = None,
        now: datetime | None = None,
    ) -> Deployment:
        """Stores *files* and makes them the current version: one more than before, unless *version* is given.

        The id and the time of creation stay. Raises StoreError on a slug, path or size the platform refuses.
        """
        with self._lock:
            before = self._history.get(slug, [])
            made = self.prepare(slug, files, entrypoint, verify_jwt, name, import_map_path=import_map_path, version=version, now=now)
            self._history[slug] = [*before, made][-KEPT_SOURCES:]
            self._changed()
            return made

    def prepare(
        self,
        slug: str,
        files: Mapping[str, bytes],
        entrypoint: str,
        verify_jwt: bool = True,
        name: str | None = None,
        *,
        import_map_path: str | None = None,
        version: int | None = None,
        now: datetime | None = None,
    ) -> Deployment:
        """Stores *files* without activating them (the platform's ``bundleOnly``)."""
        _accept(slug, files, entrypoint, import_map_path)
        with self._lock:
            before = self._history[slug][-1] if slug in self._history else None
            moment = int((now or datetime.now(UTC)).timestamp() * 1000)
            source = self.folder / "sources" / slug / uuid.uuid4().hex
            for path, content in files.items():
                target = source / path
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                target.write_bytes(content)
            return Deployment(
                id=before.id if before else str(uuid.uuid4()),
                slug=slug,
                name=name or (before.name if before else slug),
                status="ACTIVE",
                version=version if version is not None else (before.version + 1 if before else 1),
                created_at_ms=before.created_at_ms if before else moment,
                updated_at_ms=moment,
                verify_jwt=verify_jwt,
                entrypoint_path=PurePosixPath(entrypoint).as_posix(),
                import_map_path=import_map_path,
                ezbr_sha256=hashlib.sha256(pack(files)).hexdigest(),
                source_dir=source,
            )

    def activate(self, deployments: Iterable[Deployment]) -> None:
        """Makes every one of *deployments* current, all or none."""
        with self._lock:
            for made in deployments:
                self._history[made.slug] = [*self._history.get(made.slug, []), made][-KEPT_SOURCES:]
            self._changed()

    def bundle(self, slug: str) -> bytes:
        """The current sources of *slug* as an upload bundle."""
        return pack(self.current(slug).files())

    def set(self, slug: str, **changes: Any) -> Deployment:
        """Replaces fields of the current deployment in place, for example ``status="THROTTLED"``."""
        if changes.get("status", "ACTIVE") not in STATUSES:
            raise StoreError(f"status must be one of {', '.join(STATUSES)}")
        with self._lock:
            changed = dataclasses.replace(self.current(slug), **changes)
            self._history[slug][-1] = changed
            self._changed()
            return changed

    def rewind(self, slug: str) -> Deployment:
        """Makes the version before the current one current again, with its own number, times and sources."""
        with self._lock:
            self.current(slug)
            if len(self._history[slug]) < 2:
                raise StoreError(f"{slug} has no earlier version")
            self._history[slug].pop()
            self._changed()
            return self._history[slug][-1]

    def delete(self, slug: str) -> None:
        """Removes *slug* with all its versions; raises UnknownFunction."""
        with self._lock:
            self.current(slug)
            del self._history[slug]
            self._changed()

    # -- secrets

    def secrets(self) -> dict[str, str]:
        """Every secret's value by name, as a function's environment needs them."""
        with self._lock:
            return {name: secret.value for name, secret in self._secrets.items()}

    def listed_secrets(self) -> dict[str, Secret]:
        """Every secret with its digest and time, by name."""
        with self._lock:
            return dict(sorted(self._secrets.items()))

    def set_secrets(self, values: Mapping[str, str]) -> None:
        """Adds or replaces secrets; raises StoreError on a name or value the platform refuses."""
        for name, value in values.items():
            if not name or len(name) > 256 or "=" in name or "\0" in name:
                raise StoreError("Secret names have 1 to 256 characters.")
            if name.startswith("SUPABASE_"):
                raise StoreError("Secret name must not start with the SUPABASE_ prefix.")
            if len(value) > 24576:
                raise StoreError(f"The value of {name} is longer than 24576 characters.")
        with self._lock:
            if len(self._secrets.keys() | values.keys()) > MAX_SECRETS:
                raise StoreError(f"A project holds at most {MAX_SECRETS} secrets.")
            moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._secrets |= {name: Secret(value, moment) for name, value in values.items()}
            self._changed()

    def unset_secrets(self, names: Iterable[str]) -> None:
        """Removes secrets; names that are not there are ignored, as the platform does."""
        gone = set(names)
        with self._lock:
            self._secrets = {name: secret for name, secret in self._secrets.items() if name not in gone}
            self._changed()

    # -- the pristine copy

    def is_seeded(self) -> bool:
        """Whether there is a pristine state, that is, whether seeding once came to its end."""
        return (self.folder / "pristine.json").exists()

    def keep_pristine(self) -> None:
        """Remembers the present state as the one `reset` goes back to."""
        with self._lock:
            write_private(self.folder / "pristine.json", self._dump())

    def reset(self, now: datetime | None = None) -> None:
        """Goes back to the pristine state, as old as it was when it was kept, and drops what only later versions used."""
        with self._lock:
            pristine = self.folder / "pristine.json"
            if not pristine.exists():
                raise StoreError("there is no pristine copy to go back to")
            kept_at = self._read(pristine.read_bytes())
            passed = int((now or datetime.now(UTC)).timestamp() * 1000) - kept_at
            self._history = {slug: [_later(made, passed) for made in history] for slug, history in self._history.items()}
            self._changed()
            kept = {made.source_dir for history in self._history.values() for made in history}
            for source in (self.folder / "sources").glob("*/*"):
                if source not in kept:
                    shutil.rmtree(source, ignore_errors=True)

    # -- the file

    def _load(self) -> None:
        if self._state.exists():
            self._read(self._state.read_bytes())

    def _read(self, content: bytes) -> int:
        """Takes over a written state; returns when it was written, in epoch milliseconds."""
        state = json.loads(content)
        self._history = {
            slug: [Deployment(**{**made, "source_dir": self.folder / made["source_dir"]}) for made in history]
            for slug, history in state["functions"].items()
        }
        self._secrets = {name: Secret(**secret) for name, secret in state["secrets"].items()}
        return int(state["written_ms"])

    def _dump(self) -> bytes:
        state = {
            "written_ms": int(datetime.now(UTC).timestamp() * 1000),
            "functions": {
                slug: [{**dataclasses.asdict(made), "source_dir": made.source_dir.relative_to(self.folder).as_posix()} for made in history]
                for slug, history in self._history.items()
            },
            "secrets": {name: dataclasses.asdict(secret) for name, secret in self._secrets.items()},
        }
        return json.dumps(state, indent=1).encode()

    def _changed(self) -> None:
        write_private(self._state, self._dump())
        self.generation += 1


def _later(made: Deployment, by_ms: int) -> Deployment:
    return dataclasses.replace(made, created_at_ms=made.created_at_ms + by_ms, updated_at_ms=made.updated_at_ms + by_ms)


def _accept(slug: str, files: Mapping[str, bytes], entrypoint: str, import_map_path: str | None) -> None:
    """Raises StoreError where an upload is not one the platform takes."""
    if not SLUG.fullmatch(slug):
        raise StoreError("The slug must start with a letter and hold letters, digits, _ and - only.")
    if not files:
        raise StoreError("At least one file is needed.")
    for path in files:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path or len(path) > 100:
            raise StoreError("Every file needs a relative path without '..' of at most 100 characters.")
    normal = {PurePosixPath(path).as_posix() for path in files}
    if PurePosixPath(entrypoint).as_posix() not in normal:
        raise StoreError("entrypoint_path must be the path of one of the files.")
    if import_map_path and PurePosixPath(import_map_path).as_posix() not in normal:
        raise StoreError("import_map_path must be the path of one of the files.")
    if sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        raise StoreError(f"The bundle is larger than {MAX_BUNDLE_BYTES} bytes.")
