"""The processes that run phases: forked from one that has imported everything, or started anew where that cannot be.

Each is a process group of its own, so that whoever stops the run stops all it started.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Protocol

from opsnb.config import child_environment
from opsnb.errors import UsageError

FORKS = sys.platform == "linux"


class Work(Protocol):
    """One phase at work."""

    pid: int

    def wait(self, timeout_s: float) -> int | None:
        """The exit code (negative: the signal); None where the process that forked it is gone. TimeoutError."""

    def complaint(self) -> str:
        """What it wrote to its standard error; after its end."""

    def reap(self) -> None:
        """Waits for the end of what was killed."""


class Workers:
    """The workers of one run. Use as a context: leaving it ends the process that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._server = _start_server() if FORKS else None
        self.stopped = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._server is not None:
            process, control = self._server
            control.close()
            process.kill()  # it holds nothing, and may still be importing
            process.wait()

    def start(self, order: Mapping[str, Any], environment: Mapping[str, str]) -> Work:
        """Starts a worker on *order*. One that begins after the stop ends at once. UsageError where no process can be started."""
        work: Work | None = None
        if self._server is not None:
            with suppress(OSError, ValueError):
                work = _Forked(self._server[1], {**order, "environment": dict(environment)})
        if work is None:
            work = _Spawned(order, environment)
        with self._lock:
            self._groups.add(work.pid)
            if self.stopped:
                _stop_group(work.pid)
        return work

    def end(self, work: Work) -> None:
        """The phase is over: nothing it started outlives it."""
        with self._lock:
            self._groups.discard(work.pid)
            _stop_group(work.pid)
        work.reap()

    def stop(self) -> None:
        """Ends every worker that runs."""
        with self._lock:
            self.stopped = True
            for group in self._groups:
                _stop_group(group)


def _start_server() -> tuple[subprocess.Popen[bytes], socket.socket] | None:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "opsnb.execution.forkserver", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=child_environment(OPENBLAS_NUM_THREADS="1"), pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            return None
    return process, ours


class _Forked:
    def __init__(self, control: socket.socket, order: Mapping[str, Any]) -> None:
        # a file: a pipe could fill, and would then hang who writes
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._channel, theirs = socket.socketpair()
        self._answers = self._channel.makefile("rb")
        try:
            with theirs:
                socket.send_fds(control, [b"."], [theirs.fileno(), self._complaints.fileno()])
            self._channel.sendall(json.dumps(order).encode() + b"\n")
            first = self._answers.readline()
            if not first:
                raise ConnectionError("the process that forks workers is gone")
        except OSError:
            self._close()
            raise
        self.pid = int(first)
        self._ended = False

    def wait(self, timeout_s: float) -> int | None:
        self._channel.settimeout(timeout_s)
        line = self._answers.readline()
        self._ended = True
        return int(line) if line else None

    def complaint(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode("utf-8", "replace")

    def reap(self) -> None:
        if not self._ended:
            with suppress(OSError):
                self._channel.settimeout(5)
                self._channel.recv(64)  # its exit code: it is gone
        self._close()

    def _close(self) -> None:
        self._answers.close()
        self._channel.close()
        self._complaints.close()


class _Spawned:
    def __init__(self, order: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "opsnb.execution.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._complaints,
                env=dict(environment), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(f"A worker process could not be started: {error.strerror}.") from error
        self.pid = self._process.pid
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as orders:
            orders.write(json.dumps(order).encode())

    def wait(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def complaint(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode("utf-8", "replace")

    def reap(self) -> None:
        self._process.wait()
        self._complaints.close()


def _stop_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
