"""A process that has imported everything once, and forks a worker for each phase. Linux only.

Of a phase that only reads, nine tenths of the time are imports: of papermill in its worker, of pandas, plotly and opsnb in its
kernel. Here they happen once. A worker is forked from this process, which has run nothing and opened nothing, and so has a
kernel of its own: no phase sees what another left behind.

Started by `opsnb.execution.workers` with the number of a socket. Each byte on it asks for a worker and carries two descriptors:
the worker's channel (its order comes in as one line of JSON; its process id, and at the end its exit code, go out) and the file
for its standard error. When the socket closes, this process ends, and its workers with it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import IO, NoReturn

from opsnb.config import become
from opsnb.execution import kernels, worker

PRELOADED = (
    "papermill",
    "nbclient",
    "jupyter_client.asynchronous",
    "jupyter_client.provisioning.local_provisioner",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "opsnb.execution.engine",
    "opsnb.execution.reporting",
    "opsnb.evidence.signoff",
    "opsnb.phase",
    "opsnb.charts",
)


def preload() -> None:
    """Imports what workers and kernels need; nothing that starts a thread or opens a connection."""
    worker.skip_unused_grammar()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is shared stays shared: a collection in a fork would write to every page


def serve(control: socket.socket) -> None:
    """Forks a worker for each request on *control*, and reports the end of each on its channel, until *control* closes."""
    channels: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _report_ended(channels)
        if control in ready:
            asked, descriptors, _flags, _address = socket.recv_fds(control, 1, 2)
            if not asked:
                return
            channel, complaints = socket.socket(fileno=descriptors[0]), descriptors[1]
            pid = os.fork()
            if pid == 0:
                for other in (control, woken, wake, *channels.values()):
                    other.close()
                _be_worker(channel, complaints)
            os.close(complaints)
            channels[pid] = channel
            _tell(channel, pid)


def _report_ended(channels: dict[int, socket.socket]) -> None:
    while channels:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with channels.pop(pid) as channel:
            _tell(channel, os.waitstatus_to_exitcode(status))


def _tell(channel: socket.socket, number: int) -> None:
    try:
        channel.sendall(f"{number}\n".encode())
    except OSError:
        return  # who asked is gone, and this process with it


def _be_worker(channel: socket.socket, complaints: int) -> NoReturn:
    code = 1
    try:
        worker.end_with_parent()
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for target, source in enumerate((nothing, nothing, complaints)):
            os.dup2(source, target)
        lines: IO[bytes] = channel.makefile("rb")
        order = json.loads(lines.readline())
        lines.close()
        channel.close()
        become(order.pop("environment"))
        kernels.fork_one_in_waiting()
        code = worker.run(order)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """``python -m opsnb.execution.forkserver DESCRIPTOR``."""
    control = socket.socket(fileno=int(sys.argv[1]))
    preload()
    serve(control)


if __name__ == "__main__":
    main()
