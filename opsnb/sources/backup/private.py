"""Folders that only we can enter, for what must not stay: removed with their block, and, where that was killed, by the next one."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_parents: set[Path] = set()
_NAME = re.compile(r"opsnb-[a-z]+-(\d+)-\w+")


@contextmanager
def private_folder(kind: str, *, where: Path | None = None) -> Iterator[Path]:
    """A new folder ``opsnb-<kind>-<pid>-…`` in *where* (the system's place for temporary files by default)."""
    parent = where or Path(tempfile.gettempdir())
    sweep(parent)
    _parents.add(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"opsnb-{kind}-{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        _remove(folder)


@atexit.register
def _leave_nothing() -> None:
    """Ends and removes what this process made and a Ctrl-C kept it from removing: one can come between any two lines."""
    for parent in _parents:
        for folder in parent.glob(f"opsnb-*-{os.getpid()}-*"):
            if _NAME.fullmatch(folder.name) and not folder.is_symlink():
                _end_server(folder / "d" / "postmaster.pid")
                _remove(folder)


def _remove(folder: Path) -> None:
    """Removes *folder*, also while a process that was just killed still leaves files in it."""
    ends = time.monotonic() + 5
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() >= ends:
            return
        time.sleep(0.05)


def sweep(parent: Path) -> None:
    """Ends the servers and removes the folders of processes of ours that are gone."""
    for folder in parent.glob("opsnb-*-*-*"):
        found = _NAME.fullmatch(folder.name)
        with contextlib.suppress(OSError):
            if found and not Path(f"/proc/{found[1]}").exists() and folder.is_dir() and not folder.is_symlink():
                if folder.stat().st_uid not in (os.getuid(), _server_user()):
                    continue
                _end_server(folder / "d" / "postmaster.pid")
                _remove(folder)


def _server_user() -> int:
    """Whom a server of ours belongs to where we are root."""
    import pwd

    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.getuid()


def _end_server(lock_file: Path) -> None:
    """Stops the scratch server that wrote *lock_file*, where it still runs from that folder."""
    try:
        lines = lock_file.read_text(encoding="utf-8", errors="replace").splitlines()
        pid, data = int(lines[0]), lines[1]
    except (OSError, ValueError, IndexError):
        return
    if data != str(lock_file.parent):
        return
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if str(lock_file.parent).encode() in command:
            os.kill(pid, signal.SIGQUIT)
            ends = time.monotonic() + 5
            while Path(f"/proc/{pid}").exists() and time.monotonic() < ends:
                time.sleep(0.02)
