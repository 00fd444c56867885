"""Runs one target to its end, whatever happens to it. What an executor calls, here or on another machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.config import child_environment, settings
from opsnb.errors import OpsnbError
from opsnb.evidence.safe import utc
from opsnb.fleet import remote
from opsnb.fleet.target import Order, PhaseRow, TargetEnd
from opsnb.runbook import PHASES

GRACE_S = 15.0
"""How long a target that is stopped may take to write the reports of what ran."""


class Processes:
    """The targets at work in this process, so that whoever stops the fleet stops them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def add(self, process: subprocess.Popen[str]) -> None:
        """A target began; one that begins after the stop ends at once."""
        with self._lock:
            self._running.add(process)
            if self.stopped:
                _signal(process, signal.SIGTERM)

    def remove(self, process: subprocess.Popen[str]) -> None:
        """A target ended: nothing of its process group outlives it."""
        with self._lock:
            self._running.discard(process)
        _signal(process, signal.SIGKILL)

    def stop(self) -> None:
        """Asks every target that runs to end; those that do not are killed by whoever waits for them."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                _signal(process, signal.SIGTERM)


def work(order: Order, processes: Processes | None = None) -> TargetEnd:
    """Runs *order* in a process group of its own, killed at its time-out; never raises for what the target does."""
    processes = processes or Processes()
    began = time.monotonic()
    started_at = utc(datetime.now(UTC))
    lines, error = _run(order, processes)
    ended = [PhaseRow(**line["phase"]) for line in lines if "phase" in line]
    rows = tuple(sorted(ended, key=lambda row: PHASES.index(row.phase)))
    deployment = next((str(line["deployment"]) for line in lines if "deployment" in line), "")
    if deployment and order.reports_url:
        error = _copy(order, deployment) or error
    return TargetEnd(order.environment, started_at, time.monotonic() - began, rows, deployment, error)


def _run(order: Order, processes: Processes) -> tuple[list[dict[str, Any]], str]:
    if processes.stopped:
        return [], "The fleet run was stopped before this target began."
    command = [sys.executable, "-m", "opsnb.fleet.worker"]
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=child_environment(OPSNB_HOME=order.root),
            text=True, start_new_session=True,
        )  # fmt: skip
    except OSError as wrong:
        return [], f"Its process could not be started: {wrong.strerror}."
    processes.add(process)
    given = json.dumps({"environment": order.environment, "phases": list(order.phases), "root": order.root, "parent": os.getpid()})
    late = False
    try:
        said, complaint = process.communicate(given, timeout=order.timeout_s)
    except subprocess.TimeoutExpired:
        late = True
        said, complaint = _end(process)
    finally:
        processes.remove(process)
        process.wait()
    lines = _parsed(said)
    if late:
        return lines, f"It did not end within its time-out of {_minutes(order.timeout_s)} and was stopped."
    if processes.stopped and not any("done" in line for line in lines):
        return lines, "The fleet run was stopped before this target had ended."
    if told := next((str(line["error"]) for line in lines if "error" in line), ""):
        return lines, told
    if any("done" in line for line in lines):
        return lines, ""
    return lines, f"Its process ended early: {_last_line(complaint) or _ended(process.returncode)}"


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Asks the target to end, then ends it; what it said until then."""
    _signal(process, signal.SIGTERM)
    try:
        return process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        return process.communicate(timeout=GRACE_S)
    return "", ""


def _copy(order: Order, deployment: str) -> str:
    """Copies the deployment's folder to the archive elsewhere; answers why that did not go, in a sentence, or nothing."""
    folder = settings().reports_folder(Path(order.root)) / order.environment / deployment
    try:
        remote.Archive(order.reports_url).copy(folder, f"{order.environment}/{deployment}")
    except OpsnbError as error:
        return str(error)
    return ""


def _parsed(said: str) -> list[dict[str, Any]]:
    lines = []
    for line in said.splitlines():
        with suppress(ValueError):  # the last line of a killed process may be cut
            lines.append(json.loads(line))
    return [line for line in lines if isinstance(line, dict)]


def _last_line(complaint: str) -> str:
    lines = complaint.strip().splitlines()
    return lines[-1][:300] if lines else ""


def _ended(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _minutes(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min"


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
