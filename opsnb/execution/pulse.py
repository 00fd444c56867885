"""The life of a kernel while a cell runs: how much memory it takes, and that it is still there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from opsnb.execution.journal import Journal

BEAT_S = 5.0


def memory_mb(pid: int | None, *, peak: bool = False) -> float | None:
    """Resident memory of the process *pid* in MB, or the most it ever had; None where the system does not tell."""
    if pid is None:
        return None
    wanted = "VmHWM:" if peak else "VmRSS:"
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(wanted):
                return round(int(line.split()[1]) / 1024, 1)
    except (OSError, ValueError, IndexError):
        pass
    return None


class Pulse:
    """Writes a heartbeat to *journal* every few seconds until it is stopped; `with` it, while cells run."""

    def __init__(self, journal: Journal, pid: Callable[[], int | None], *, every_s: float = BEAT_S) -> None:
        self._journal, self._pid, self._every_s = journal, pid, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            self._journal.write("alive", memory_mb=memory_mb(self._pid()))
