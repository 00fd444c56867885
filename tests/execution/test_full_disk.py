"""The disk fills up while a phase runs: the command says so, nothing half-written is left, and with room again the run is taken up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from harness import make_home, run_opsnb

from opsnb.evidence import results

pytestmark = pytest.mark.target


def mounted(folder: Path, *options: str) -> bool:
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "a small disk"
    folder.mkdir()
    if not mounted(folder, "size=64k"):
        pytest.skip("this user may not mount a small disk (tmpfs)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


# tables, then results without a page, then the page of the phase
@pytest.mark.parametrize(
    "size", [pytest.param("64k", marks=pytest.mark.campaign), "160k", pytest.param("5100k", marks=pytest.mark.campaign)]
)
def test_a_full_disk(target: Path, tmp_path: Path, disk: Path, size: str) -> None:
    home = make_home(tmp_path / "a home of its own")
    (home / ".opsnb").symlink_to(target / ".opsnb")
    assert mounted(disk, "remount", f"size={size}")
    ended = run_opsnb("run", "local", "--phase", "schema", root=home, OPSNB_REPORTS=str(disk))
    assert ended.code == 2 and "No space left on device" in ended.err and "Traceback" not in ended.err, ended
    assert not list(disk.rglob("*.tmp"))
    assert not list(disk.rglob("report.html"))
    for path in disk.glob("local/*/schema/*/results.json"):
        jsonschema.validate(json.loads(path.read_text()), results.schema())
    assert mounted(disk, "remount", "size=60m")
    ended = run_opsnb("run", "local", "--resume", root=home, OPSNB_REPORTS=str(disk))
    assert ended.code == 0, ended
    *_, newest = sorted(disk.glob("local/*/schema/*/results.json"))
    assert json.loads(newest.read_text())["gate"] == "passed" and newest.with_name("report.html").is_file()
