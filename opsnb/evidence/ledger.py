"""An append-only record of statements: one JSON line each, chained by hash, so that none can be changed, removed or put in later.

The chain begins with the deployment's own name: a record of another deployment does not continue it. An entry counts once its line is
whole; a line that a killed process left without its end was never acknowledged, and the next entry takes its place.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opsnb.errors import OpsnbError
from opsnb.evidence.safe import unwritable, utc

FILE_NAME = "record.jsonl"


class RecordDamaged(OpsnbError):
    """The record was changed after it was written; names the file and the line."""


@dataclass(frozen=True)
class Entry:
    """One statement. `digest` is the SHA-256 over everything else in it, `previous` that of the entry before."""

    number: int
    at: str
    kind: str
    data: Mapping[str, Any]
    previous: str
    digest: str


def path_of(folder: Path) -> Path:
    """Where the record of the deployment in *folder* is."""
    return folder / FILE_NAME


def read(folder: Path, *, name: str = "") -> list[Entry]:
    """Every entry of the deployment in *folder*, oldest first; RecordDamaged where the chain does not hold.

    *name*: the deployment's, where its folder was given another one.
    """
    try:
        content = path_of(folder).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordDamaged(f"{path_of(folder)} cannot be read ({error.strerror}).") from None
    whole = content[: content.rfind(b"\n") + 1]
    return list(_entries(whole, folder, name or folder.name))


def head(folder: Path) -> str:
    """The digest of the newest entry, which stands for all of them; the deployment's own where there is none, '' where it is damaged."""
    try:
        entries = read(folder)
    except RecordDamaged:
        return ""
    return entries[-1].digest if entries else genesis(folder.name)


def append(folder: Path, kind: str, data: Mapping[str, Any], *, now: datetime) -> Entry:
    """Adds one entry; on disk when this returns. Two processes at once add one after the other.

    Raises RecordDamaged where the chain is broken: nothing is added to a record that was changed. UsageError where it cannot be written.
    """
    try:
        with _locked(path_of(folder)) as descriptor:
            entries = read(folder)
            last = entries[-1].digest if entries else genesis(folder.name)
            entry = _made(len(entries) + 1, utc(now), kind, dict(data), last)
            size = os.fstat(descriptor).st_size
            content = os.pread(descriptor, size, 0) if size else b""
            os.ftruncate(descriptor, content.rfind(b"\n") + 1)
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, (_line(entry, with_digest=True) + "\n").encode())
            os.fsync(descriptor)
            return entry
    except OSError as error:
        raise unwritable(folder, error) from error


def genesis(name: str) -> str:
    """What the first entry follows: the name of its deployment."""
    return hashlib.sha256(f"opsnb record of {name}".encode()).hexdigest()


def _entries(content: bytes, folder: Path, name: str) -> Iterator[Entry]:
    previous = genesis(name)
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        where = f"{path_of(folder)}, line {number}"
        try:
            said = json.loads(line)
            entry = Entry(
                int(said["number"]), str(said["at"]), str(said["kind"]), dict(said["data"]), str(said["previous"]), str(said["digest"])
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            raise RecordDamaged(f"{where}: it is no entry of a record. Restore the file from a backup.") from None
        if entry.digest != _digest(entry) or line.decode() != _line(entry, with_digest=True):
            raise RecordDamaged(f"{where}: it was changed after it was written. Restore the file from a backup.")
        if entry.previous != previous or entry.number != number:
            raise RecordDamaged(
                f"{where}: it does not follow the entry before it: one was removed, put in, moved, or belongs to another deployment. "
                "Restore the file from a backup."
            )
        previous = entry.digest
        yield entry


def _made(number: int, at: str, kind: str, data: dict[str, Any], previous: str) -> Entry:
    unsigned = Entry(number, at, kind, data, previous, "")
    return Entry(number, at, kind, data, previous, _digest(unsigned))


def _digest(entry: Entry) -> str:
    return hashlib.sha256(_line(entry, with_digest=False).encode()).hexdigest()


def _line(entry: Entry, *, with_digest: bool) -> str:
    """The one way an entry is written: keys in order, no spaces."""
    said = {"number": entry.number, "at": entry.at, "kind": entry.kind, "data": dict(entry.data), "previous": entry.previous}
    if with_digest:
        said["digest"] = entry.digest
    return json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
