"""A run that was cut off is taken up where it ended: what came to its end stays, what did not is done, nothing twice."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from harness import REPOSITORY, make_home, process_environment, run_opsnb

from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.execution import orders

pytestmark = pytest.mark.target
PHASES = ("schema", "cleanup", "verify")


@pytest.fixture
def own(target: Path, tmp_path: Path) -> Path:
    root = make_home(tmp_path / "a home of its own")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    return root


def killed(root: Path, until: str) -> Path:
    """Begins a run and kills it, and with it all it started, when a folder of the phase *until* is there; the deployment's folder."""
    words = [str(Path(sys.executable).with_name("opsnb")), "run", "local", *(word for phase in PHASES for word in ("--phase", phase))]
    running = subprocess.Popen(
        words, cwd=root, env=process_environment(root), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ends = time.monotonic() + 60
    while not list((root / "reports").glob(f"local/*/{until}/*/journal.jsonl")):
        assert time.monotonic() < ends and running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    (folder,) = (path.parent for path in (root / "reports").glob("local/*/deployment.json"))
    return folder


def runs(folder: Path, phase: str) -> list[Path]:
    return sorted(path for path in (folder / phase).iterdir() if path.is_dir()) if (folder / phase).is_dir() else []


def test_what_came_to_its_end_is_not_done_again(own: Path) -> None:
    folder = killed(own, "verify")  # the wave before it is through
    before = {phase: runs(folder, phase) for phase in PHASES[:2]}
    assert all(len(found) == 1 for found in before.values())
    ended = run_opsnb("run", "local", "--resume", root=own)
    assert "2 of 3 phases came to their end" in ended.err
    assert {phase: runs(folder, phase) for phase in PHASES[:2]} == before
    *_, newest = runs(folder, "verify")
    assert json.loads((newest / "results.json").read_text())["unfinished"] is None
    assert "schema" in ended.out or ended.code in (0, 3)
    again = run_opsnb("run", "local", "--resume", root=own)
    assert again.code == 2 and "nothing to resume" in again.err


@pytest.mark.campaign
def test_phases_that_were_cut_off_run_again(own: Path) -> None:
    folder = killed(own, "schema")
    ended = run_opsnb("run", "local", "--resume", root=own)
    assert ended.code in (0, 3), ended
    for phase in PHASES:
        *_, newest = runs(folder, phase)
        assert json.loads((newest / "results.json").read_text())["unfinished"] is None
    first, *_ = runs(folder, "schema")
    told = json.loads((first / "results.json").read_text())
    assert told["unfinished"] == "The run was cut off before this phase had ended." and (first / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--resume",), "nothing to resume"),
        (("--resume", "--phase", "schema"), "--resume takes phases and parameters"),
        (("--resume", "--set", "window_hours=1"), "--resume takes phases and parameters"),
        (("--resume", "--deployment", "nowhere"), "no deployment 'nowhere'"),
    ],
)
def test_what_cannot_be_resumed_is_said(own: Path, words: tuple[str, ...], says: str) -> None:
    ended = run_opsnb("run", "local", *words, root=own)
    assert ended.code == 2 and says in " ".join(ended.err.split()), ended
    assert not list((own / "reports").glob("local/*/schema"))


def test_an_order_that_lives_is_left_alone(tmp_path: Path) -> None:
    opened = deployments.open_deployment(tmp_path, "here", "release", datetime.now(UTC))
    with orders.begin(opened, ["schema"], {}), pytest.raises(UsageError, match="still lives"), orders.taken_up(opened):
        pass
    with orders.taken_up(opened) as order:
        assert order.phases == ("schema",) and not order.acts
        order.end()
    with pytest.raises(UsageError, match="nothing to resume"), orders.taken_up(opened):
        pass


def test_a_damaged_order_is_named(tmp_path: Path) -> None:
    opened = deployments.open_deployment(tmp_path, "here", "release", datetime.now(UTC))
    with orders.begin(opened, ["schema"], {"apply": True}) as order:
        assert order.acts
    order.path.write_text("{")
    with pytest.raises(UsageError, match=r"orders/.*expected JSON with phases"), orders.taken_up(opened):
        pass


def test_acting_again_needs_the_name_again(own: Path) -> None:
    opened = deployments.open_deployment(own / "reports", "local", "patient-history", datetime.now(UTC))
    with orders.begin(opened, ["cleanup"], {"apply": True, "confirm": "local"}):
        pass
    ended = run_opsnb("run", "local", "--resume", "--confirm", "production", root=own)
    assert ended.code == 2 and "nothing was changed" in ended.err
    assert not (opened.folder / "cleanup").exists()
    shutil.rmtree(opened.folder)


def test_a_parameter_that_holds_a_secret_is_refused(own: Path) -> None:
    """Parameters are archived in three places; an own notebook may have any."""
    (own / "notebooks").unlink()
    shutil.copytree(REPOSITORY / "notebooks", own / "notebooks")
    path = own / "notebooks" / "06_rls.ipynb"
    made = nbformat.read(path, 4)
    (cell,) = (cell for cell in made.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += '\nnote: str = ""'
    nbformat.write(made, path)
    token = (own / ".opsnb" / "local" / "run" / "access_token").read_text().strip()
    ended = run_opsnb("run", "local", "--phase", "rls", "--set", f"note=it is {token}", root=own)
    assert ended.code == 2 and "platform.access_token" in ended.err and token not in ended.out + ended.err, ended
    assert not list(own.glob("reports/local/2*"))
