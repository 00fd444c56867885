"""Where a project is, and the switches of the process environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_project import Project

from opsnb.config import child_environment, find_root, settings
from opsnb.errors import UsageError


def test_the_nearest_project_at_or_above(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project.root / "notebooks" / "mine"
    below.mkdir(parents=True)
    assert find_root(below) == find_root(project.root) == project.root.resolve()
    monkeypatch.chdir(below)
    assert find_root() == project.root.resolve()


def test_opsnb_home_wins(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPSNB_HOME", str(project.root))
    assert find_root(tmp_path) == project.root.resolve()
    monkeypatch.setenv("OPSNB_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"OPSNB_HOME=.*parameters/environments.*unset"):
        find_root(project.root)


def test_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSNB_HOME", raising=False)
    with pytest.raises(UsageError, match=r"no project here or above.*OPSNB_HOME"):
        find_root(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="the current folder is gone"):
        find_root()


def test_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    said = settings()
    assert (said.home, said.run_dir, said.journal, said.reports, said.local_autostart) == (None, None, None, None, True)
    assert said.reports_folder(project.root) == project.root / "reports"
    monkeypatch.setenv("OPSNB_REPORTS", "~/archive")
    monkeypatch.setenv("OPSNB_RUN_DIR", "/runs/1")
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", "0")
    said = settings()
    assert said.reports_folder(project.root) == Path.home() / "archive"
    assert said.run_dir == Path("/runs/1")
    assert said.local_autostart is False


@pytest.mark.parametrize(("value", "on"), [("", True), ("1", True), ("0", False)])
def test_autostart(value: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", value)
    assert settings().local_autostart is on


def test_a_switch_is_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`false` would be taken for on by whoever only compares with 0."""
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", "false")
    with pytest.raises(UsageError, match=r"OPSNB_LOCAL_AUTOSTART: expected 1 .* or 0"):
        settings()


def test_child_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child inherits everything but the journal of this process's own run."""
    monkeypatch.setenv("OPSNB_JOURNAL", "/runs/1/journal.jsonl")
    monkeypatch.setenv("OPSNB_REPORTS", "/archive")
    child = child_environment(OPSNB_RUN_DIR="/runs/2")
    assert "OPSNB_JOURNAL" not in child
    assert (child["OPSNB_REPORTS"], child["OPSNB_RUN_DIR"]) == ("/archive", "/runs/2")
    assert child_environment(OPSNB_JOURNAL="mine")["OPSNB_JOURNAL"] == "mine"
