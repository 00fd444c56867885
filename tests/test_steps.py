"""Steps, time so far and time left, as a terminal shows them."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from opsnb.cli import steps as module
from opsnb.cli.steps import MEMORY, known, steps


def shown(root: Path, what: str = "snapshot", *, seconds: float = 0.0) -> str:
    """What a terminal was sent."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    with steps(console, what, root=root, environment="local") as step:
        step("dump [bold]")
        time.sleep(seconds)
    return file.getvalue()


def test_the_first_time_says_no_time_left_and_the_second_does(tmp_path: Path) -> None:
    assert "dump [bold]" in shown(tmp_path) and "left" not in shown(tmp_path, "rehearsal")
    (tmp_path / MEMORY).write_text('{"snapshot local": 90.0}')
    assert "about 90" in shown(tmp_path, seconds=0.2) or "about 89" in shown(tmp_path)
    (tmp_path / MEMORY).write_text('{"snapshot local": 0.05}')
    assert "longer than the" in shown(tmp_path, seconds=0.3)


def test_only_a_whole_run_is_remembered(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), steps(Console(file=io.StringIO()), "snapshot", root=tmp_path, environment="local"):
        raise KeyboardInterrupt
    assert known(tmp_path) == {}
    shown(tmp_path)
    assert set(known(tmp_path)) == {"snapshot local"}


@pytest.mark.parametrize("text", ["", "[]", '{"snapshot local": "soon"}', "\x00"])
def test_a_memory_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / MEMORY).parent.mkdir()
    (tmp_path / MEMORY).write_text(text)
    assert "dump" in shown(tmp_path)
    assert set(known(tmp_path)) == {"snapshot local"}


def test_a_memory_that_cannot_be_kept_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomic", full)
    assert "dump" in shown(tmp_path)
