"""Ctrl-C at any moment: a sentence that is true, exit code 130, no process and no dump left behind, and the command works afterwards."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from harness import Ended, make_home, process_environment

from opsnb.cli.shared import app
from opsnb.cli.stopping import LEFT

pytestmark = [pytest.mark.target, pytest.mark.slow]
COMMANDS = {
    "snapshot": (("snapshot", "local"), 2.5),
    "rehearse": (("rehearse", "local"), 4.0),
    "rollback": (("rollback", "local", "--apply", "--confirm", "local", "--why", "a test"), 4.0),
    "journey": (("journey", "local", "--apply", "--confirm", "local"), 3.0),
    "logs": (("logs", "collect", "local", "--hours", "120"), 2.0),
    "doctor": (("doctor", "local"), 2.0),
    "follow": (("logs", "follow", "local"), 3.0),
}  # fmt: skip


@pytest.fixture
def stopping(target: Path, tmp_path: Path) -> Path:
    root = make_home(tmp_path / "a home")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    return root


def left_of(root: Path) -> list[str]:
    """Processes that work for the project *root*; the target itself belongs to another."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"OPSNB_HOME={root}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if command]


def catches_sigterm(pid: int) -> bool:
    """Whether the process has come so far that it minds signals: before that it is Python that is stopped, not the command."""
    try:
        said = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return True
    caught = next(line for line in said.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c(stopping: Path, opsnb: Callable[..., Ended], name: str) -> None:
    words, latest = COMMANDS[name]
    dice = random.Random(name)
    if name in ("rehearse", "rollback"):
        assert opsnb("snapshot", "local", root=stopping).code == 0
    stopped = 0
    for _ in range(4):
        shutil.rmtree(stopping / ".opsnb" / "logs", ignore_errors=True)  # else it goes on where it was, and has little to do
        child = subprocess.Popen(
            [str(Path(sys.executable).with_name("opsnb")), *words], cwd=stopping, env=process_environment(stopping), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it, and its children do
        )  # fmt: skip
        until = time.monotonic() + 30
        while not catches_sigterm(child.pid) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(dice.uniform(0.1, latest))
        child.send_signal(signal.SIGINT)
        try:
            out, err = child.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise
        if child.returncode in (0, 3, 4) and "stopped" not in err:
            continue  # it came too late
        assert child.returncode == 130, (child.returncode, out, err)
        assert "stopped" in err and "Traceback" not in err, err
        stopped += 1
        until = time.monotonic() + 10
        while left_of(stopping) and time.monotonic() < until:
            time.sleep(0.1)
        assert left_of(stopping) == []
        assert not list(Path(tempfile.gettempdir()).glob(f"opsnb-*-{child.pid}-*"))
    assert stopped
    if name != "follow":
        assert opsnb(*words, root=stopping).code in (0, 3), "it works afterwards"


def test_every_sentence_is_of_a_command() -> None:
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert set(LEFT) <= names | {group.name for group in app.registered_groups}
