"""One release into one environment, opened once, whoever opens it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.safe import write_atomic

NOW = datetime(2026, 1, 17, 22, 4, 5, tzinfo=UTC)


def test_opening_makes_a_folder_and_finds_it_again(tmp_path: Path) -> None:
    made = deployments.open_deployment(tmp_path, "local", "patient-history", NOW)
    assert made.id == "20260117T220405Z-patient-history"
    assert made.folder == tmp_path / "local" / made.id
    assert deployments.read_deployment(made.folder) == made
    assert deployments.open_deployment(tmp_path, "local", "patient-history", NOW + timedelta(hours=1)) == made
    assert deployments.newest_open(tmp_path, "local") == made


def test_a_closed_deployment_is_not_opened_again(tmp_path: Path) -> None:
    first = deployments.open_deployment(tmp_path, "local", "r", NOW)
    closed = deployments.close_deployment(first, NOW + timedelta(minutes=1))
    assert not closed.is_open
    assert deployments.close_deployment(closed, NOW + timedelta(days=1)).closed_at == NOW + timedelta(minutes=1)
    second = deployments.open_deployment(tmp_path, "local", "r", NOW)  # within the same second
    assert second.id == f"{first.id}-2"
    assert deployments.newest_open(tmp_path, "local", "r") == second


def test_another_release_has_a_deployment_of_its_own(tmp_path: Path) -> None:
    one = deployments.open_deployment(tmp_path, "local", "one", NOW)
    two = deployments.open_deployment(tmp_path, "local", "two", NOW)
    assert one != two
    assert deployments.newest_open(tmp_path, "local", "one") == one


def test_an_unknown_deployment_is_answered_with_the_nearest(tmp_path: Path) -> None:
    made = deployments.open_deployment(tmp_path, "local", "patient-history", NOW)
    with pytest.raises(UsageError, match=f"Did you mean {made.id}"):
        deployments.find(tmp_path, "local", "20260117T220406Z-patient-history")
    with pytest.raises(UsageError, match="There is none yet"):
        deployments.find(tmp_path, "production", "x")
    assert deployments.find_or_open(tmp_path, "local", "patient-history", identifier=made.id, now=NOW) == made


@pytest.mark.parametrize("name", ["../etc", "", "a/b", ".hidden", "a b"])
def test_names_cannot_leave_the_archive(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        deployments.open_deployment(tmp_path, name, "r", NOW)
    with pytest.raises(UsageError, match="is no name"):
        deployments.open_deployment(tmp_path, "local", name, NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) in ([], ["local"])


@pytest.mark.parametrize("content", ["{", "{}", '{"id": 1, "closed_at": 5}', "[]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    made = deployments.open_deployment(tmp_path, "local", "r", NOW)
    (made.folder / "deployment.json").write_text(content)
    with pytest.raises(UsageError, match=r"deployment\.json does not say"):
        deployments.newest_open(tmp_path, "local")


def test_processes_that_open_at_once_get_the_same(tmp_path: Path) -> None:
    program = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path; from opsnb.evidence import deployments\n"
        "sys.stdin.readline()\n"
        "print(deployments.open_deployment(Path(sys.argv[1]), 'local', 'r', datetime.now(UTC)).id)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(deployments.__file__).parents[2])}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]  # fmt: skip
    answers = {racer.communicate("go\n", timeout=60)[0].strip() for racer in racers}
    assert len(answers) == 1 and answers != {""}


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(UsageError, match=str(tmp_path / "reports")):
        deployments.require_writable(tmp_path / "reports")
    with pytest.raises(UsageError, match="cannot be written"):
        deployments.open_deployment(tmp_path / "reports", "local", "r", NOW)


def test_a_writable_folder_is_left_as_it_was(tmp_path: Path) -> None:
    deployments.require_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
