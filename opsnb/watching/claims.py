"""Who is at it: one process at a time does a deployment's slots.

The claim is a lock on ``monitor/claim.json``. The system releases it when its holder ends, however it ends: by kill -9 or by a power cut.
On a folder shared by several machines whose file system keeps locks to one machine, the file's heartbeat says whether the holder lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.evidence.safe import unwritable

FILE_NAME = "claim.json"
HEARTBEAT_S = 10.0
STALE_S = 90.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Holder:
    """Who holds the claim. `slot` is None while it only looks."""

    host: str
    pid: int
    slot: int | None
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", at slot {self.slot} since {self.since[11:19]} UTC" if self.slot else "")


class Claim:
    """A held claim."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.id = uuid.uuid4().hex[:12]
        self._say(None)

    def _say(self, slot: int | None) -> None:
        said = {
            "claim": self.id, "slot": slot, "pid": os.getpid(), "host": socket.gethostname(), "boot": boot_id(),
            "since": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        content = json.dumps(said).encode() + b"\n"
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    @contextlib.contextmanager
    def at(self, slot: int, *, every_s: float = HEARTBEAT_S) -> Iterator[None]:
        """Says which slot is being run, and that its runner lives, until it is done."""
        self._say(slot)
        done = threading.Event()

        def beat() -> None:
            while not done.wait(every_s):
                os.utime(self._descriptor)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._say(None)


@contextlib.contextmanager
def claimed(folder: Path, *, patience_s: float = 2.0) -> Iterator[Claim | Holder]:
    """The claim of the deployment whose monitor folder is *folder*; who holds it, where somebody else does.

    Waits up to *patience_s* for a holder that only looks. Raises UsageError where the folder cannot be written.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        until = time.monotonic() + patience_s
        while not _lock(descriptor):
            holder = _holder(_said(descriptor))
            if holder.slot is not None or time.monotonic() >= until:
                yield holder
                return
            time.sleep(0.02)
        elsewhere = _lives_elsewhere(descriptor, folder)
        yield elsewhere or Claim(descriptor)
    finally:
        os.close(descriptor)  # and with it the lock


def boot_id() -> str:
    """The id of this boot of this machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(descriptor: int) -> dict[str, Any]:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # empty, or being written
        return {}
    return said if isinstance(said, dict) else {}


def _holder(said: dict[str, Any]) -> Holder:
    return Holder(str(said.get("host", "another machine")), int(said.get("pid", 0)), said.get("slot"), str(said.get("since", "")))


def _lives_elsewhere(descriptor: int, folder: Path) -> Holder | None:
    """The holder on another machine whose lock is not seen here, while its heartbeat is fresh."""
    said = _said(descriptor)
    if said.get("slot") is None or said.get("boot") == boot_id() or said.get("host") == socket.gethostname():
        return None  # nobody, or one whose lock would be seen, or this machine before its reboot
    # both times are the file server's: the machines' clocks may differ
    probe = folder / f".now-{os.getpid()}"
    probe.touch()
    age = probe.stat().st_mtime - os.fstat(descriptor).st_mtime
    probe.unlink(missing_ok=True)
    return _holder(said) if age < STALE_S else None
