"""Kernels that need no start: forked from a process that has imported everything, through jupyter_client's provisioner interface.

A worker forks its kernel before it does anything else, while it has one thread and nothing open; the fork waits for the order
that jupyter_client would have given to a new process: the connection file, the environment, the folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from opsnb.config import become
from opsnb.execution.worker import end_with_parent

PROVISIONER = "opsnb-forked"
_waiting: list[ForkedKernel] = []


class ForkedKernel:
    """The fork, with as much of subprocess.Popen as jupyter_client's LocalProvisioner uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, orders: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._orders = orders

    def begin(self, order: dict[str, Any]) -> None:
        """Lets the fork become a kernel."""
        with os.fdopen(self._orders, "w", encoding="utf-8") as orders:
            json.dump(order, orders)

    def poll(self) -> int | None:
        """The exit code, None while the kernel runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; TimeoutError after *timeout* seconds."""
        ends = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError(f"the kernel did not end within {timeout:g} s")
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Sends the signal, unless the kernel has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Hands the kernel in waiting its connection file; starts a process the usual way where none waits."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """As LocalProvisioner's. A kernel spec that asks for another program gets that program."""
        if not _waiting or cmd[:3] != [sys.executable, "-m", "ipykernel_launcher"]:
            return await super().launch_kernel(cmd, **kwargs)
        kernel = _waiting.pop()
        cwd = kwargs.get("cwd") or Path.cwd()
        environment = {**kwargs["env"], "JPY_PARENT_PID": str(os.getpid())}
        kernel.begin({"arguments": cmd[3:], "environment": environment, "folder": str(cwd)})
        self.process = kernel  # type: ignore[assignment]  # as much of a Popen as is used
        self.pid = self.pgid = kernel.pid  # it leads a session of its own
        self.cwd = cwd
        return self.connection_info


def fork_one_in_waiting() -> None:
    """Forks a kernel that waits for its order, and makes this process's kernels come from there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        _be_kernel(read)
    os.close(read)
    _waiting.append(ForkedKernel(pid, write))
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[PROVISIONER] = EntryPoint(PROVISIONER, f"{__name__}:ForkedProvisioner", factory.GROUP_NAME)
    factory.default_provisioner_name = PROVISIONER


def _be_kernel(orders: int) -> NoReturn:
    code = 1
    try:
        end_with_parent()
        os.setsid()
        with os.fdopen(orders, encoding="utf-8") as lines:
            text = lines.read()
        if text:
            order = json.loads(text)
            become(order["environment"])
            if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
                del sys.path[0]  # as ipykernel_launcher does; IPython adds the folder of the notebook
            os.chdir(order["folder"])
            # what a headless run executes does not belong in the history of who explores
            sys.argv = ["ipykernel_launcher", *order["arguments"], "--HistoryManager.enabled=False"]
            from ipykernel import kernelapp

            kernelapp.launch_new_instance()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
