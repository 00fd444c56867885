"""The runner: one command, an archive whatever happens to its phases, and an exit code that says how it went."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pandas as pd
import pytest
from harness import REPOSITORY, Ended, make_home, process_environment, run_program

from opsnb.config import child_environment
from opsnb.evidence import results
from opsnb.execution import plan, runner
from opsnb.execution.runner import PhaseEnd
from opsnb.execution.workers import FORKS, Workers
from opsnb.runbook import PHASES
from opsnb.verdicts import Gate

pytestmark = pytest.mark.target
Opsnb = Callable[..., Ended]


@pytest.fixture
def spoilt(target: Path, tmp_path: Path) -> Path:
    """A home of its own, with notebooks to spoil, that shares the session's target."""
    root = make_home(tmp_path / "a spoilt home")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    (root / "notebooks").unlink()
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks")
    return root


def begin_with(root: Path, notebook: str, code: str) -> None:
    """Puts *code* into the set-up cell of *notebook*, before anything else."""
    path = root / "notebooks" / f"{notebook}.ipynb"
    made = nbformat.read(path, 4)
    setup = [cell for cell in made.cells if cell.cell_type == "code"][1]
    setup.source = f"{code}\n{setup.source}"
    nbformat.write(made, path)


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / "parameters" / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def runs(ended: Ended, phase: str) -> list[Path]:
    """The folders of the runs of *phase*, in the deployment the command named."""
    return sorted(path for path in (Path(ended.last_line).parent / phase).iterdir() if path.is_dir())


def valid(folder: Path) -> dict[str, Any]:
    """results.json of *folder*, which holds to its schema and to the tables beside it."""
    told: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    jsonschema.validate(told, results.schema())
    for relative in [entry["table"] for entry in told["results"] if entry["table"]] + list(told["saved"].values()):
        pd.read_parquet(folder / relative)
    return told


def test_one_phase_leaves_a_complete_archive(target: Path, opsnb: Opsnb) -> None:
    ended = opsnb("run", "local", "--phase", "schema")
    assert ended.code == 0, ended
    assert "Traceback" not in ended.out + ended.err
    index = Path(ended.last_line)
    assert index.name == "index.html" and index.is_file() and index.is_relative_to(target / "reports" / "local")
    assert "05_schema" in ended.err and "passed" in ended.err
    assert "schema" in index.read_text(encoding="utf-8")
    (folder,) = runs(ended, "schema")
    assert {path.name for path in folder.iterdir()} == {"notebook.ipynb", "report.html", "results.json", "journal.jsonl", "tables"}
    told = valid(folder)
    assert (told["phase"], told["gate"], told["unfinished"], told["journalled"]) == ("schema", "passed", None, True)
    assert told["results"] and any(entry["table"] for entry in told["results"])
    executed = nbformat.read(folder / "notebook.ipynb", 4)
    states = {cell.metadata.papermill.status for cell in executed.cells if cell.cell_type == "code"}
    assert states == {"completed"}
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["event"] == "notebook_end" and lines[-1]["not_run"] == 0


def test_plain_papermill_is_filed_with_the_deployment_too(target: Path, tmp_path: Path) -> None:
    """What every printed job does: the same archive, journalled, without our command line."""
    words = [
        "--engine",
        "opsnb",
        "--no-progress-bar",
        "notebooks/05_schema.ipynb",
        str(tmp_path / "out.ipynb"),
        "-p",
        "environment",
        "local",
    ]
    ended = run_program("papermill", *words, root=target)
    assert ended.code == 0, ended
    newest = max((target / "reports" / "local").glob("*/schema/*"), key=lambda folder: folder.stat().st_mtime)
    told = valid(newest)
    assert told["journalled"] and told["gate"] == "passed"
    assert (newest / "report.html").is_file() and (newest / "journal.jsonl").is_file() and (newest / "notebook.ipynb").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".run")] == []


def test_what_happens_to_one_phase_leaves_the_others_alone(spoilt: Path, opsnb: Opsnb) -> None:
    """One phase fails, the kernel of another dies: each leaves its report, and the run ends as the worst of them."""
    change(spoilt, "releases/patient-history.yaml", "  tables:\n", "  tables:\n    no_such_table: { items: [S5-3] }\n")
    begin_with(spoilt, "03_cleanup", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    ended = opsnb("run", "local", "--phase", "03", "--phase", "schema", root=spoilt, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 1, ended
    assert "Traceback" not in ended.out + ended.err
    failed, died = valid(runs(ended, "schema")[0]), valid(runs(ended, "cleanup")[0])
    assert failed["gate"] == "failed" and failed["unfinished"] is None
    assert any(entry["verdict"] == "FAIL" and "no_such_table" in entry["id"] for entry in failed["results"])
    assert died["gate"] == "unmeasured" and died["unfinished"] == "The kernel died."
    for phase in ("schema", "cleanup"):
        page = (runs(ended, phase)[0] / "report.html").read_text(encoding="utf-8")
        assert "Traceback" not in page
    assert "The kernel died." in " ".join(ended.out.split())
    states = [cell.metadata.papermill.status for cell in nbformat.read(runs(ended, "cleanup")[0] / "notebook.ipynb", 4).cells]
    assert "interrupted" in states and "not run" in states


def test_a_phase_that_hangs_is_stopped_at_its_deadline(spoilt: Path, opsnb: Opsnb) -> None:
    change(spoilt, "environments/local.yaml", "phase_deadline_s: 120", "phase_deadline_s: 3")
    begin_with(spoilt, "04_environment", "import time; time.sleep(600)")
    ended = opsnb("run", "local", "--phase", "environment", root=spoilt, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 4, ended
    told = valid(runs(ended, "environment")[0])
    assert told["unfinished"] == "The phase did not end within its deadline of 3 s."
    assert told["seconds"] < 20
    assert (runs(ended, "environment")[0] / "report.html").is_file()
    assert "deadline of 3 s" in " ".join(ended.out.split())


def test_a_run_that_is_stopped_leaves_its_report_and_no_process(spoilt: Path) -> None:
    """A scheduler's stop, which ends a run as Ctrl-C does."""
    began = spoilt / "began"
    begin_with(
        spoilt, "04_environment", f"import os, time; open({str(began)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} '); time.sleep(600)"
    )
    program = str(Path(sys.executable).with_name("opsnb"))
    environment = process_environment(spoilt, OPSNB_LOCAL_AUTOSTART="0")
    process = subprocess.Popen([program, "run", "local", "--phase", "environment"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: began.exists() and began.read_text().endswith(" "))
        kernel, worker = began.read_text().split()
        assert Path("/proc", kernel).exists() and Path("/proc", worker).exists()
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130 and "stopped" in complaint and "Traceback" not in complaint
    (folder,) = (spoilt / "reports" / "local").glob("*/environment/*")
    assert valid(folder)["unfinished"] == "The run was stopped before this phase had ended."
    assert (folder / "report.html").is_file() and (folder.parents[1] / "index.html").is_file()
    wait_for(lambda: not Path("/proc", kernel).exists() and not Path("/proc", worker).exists())


def wait_for(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "growth=1"], "unknown parameter growth"),
        (["--set", "growth=1", "--set", "deadline=2"], "unknown parameter"),
        (["--set", "growth_mb"], "expected NAME=VALUE"),
        (["--set", "apply=true"], "an option or a command of its own"),
        (["--deployment", "20200101T000000Z-none"], "no deployment"),
    ],
)
def test_what_is_wrong_is_refused_before_a_kernel_starts(spoilt: Path, opsnb: Opsnb, words: list[str], said: str) -> None:
    begin_with(spoilt, "05_schema", "open('a kernel ran', 'w').close()")
    ended = opsnb("run", "local", "--phase", "schema", *words, root=spoilt, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 2 and said in ended.err and ended.out == ""
    assert not (spoilt / "a kernel ran").exists() and not (spoilt / "reports").exists()


def test_no_phase_sees_what_another_left_behind(spoilt: Path, opsnb: Opsnb) -> None:
    """All are forked from one process: what one does to the interpreter stays its own, and so does its environment."""
    for notebook in ("03_cleanup", "04_environment", "05_schema"):
        begin_with(
            spoilt, notebook,
            "import builtins, opsnb, os; assert not hasattr(builtins, 'left') and not hasattr(opsnb, 'left') and 'LEFT' not in os.environ;"
            f" assert '/{notebook.split('_')[1]}/' in os.environ['OPSNB_RUN_DIR'] and 'OPENBLAS_NUM_THREADS' not in os.environ;"
            " builtins.left = opsnb.left = True; os.environ['LEFT'] = '1'; from pathlib import Path;"
            f" Path({str(spoilt)!r}, 'kernel {notebook}').write_text(Path('/proc/self/cmdline').read_text())",
        )  # fmt: skip
    words = [word for name in ("cleanup", "environment", "schema") for word in ("--phase", name)]
    ended = opsnb("run", "local", *words, root=spoilt, OPSNB_LOCAL_AUTOSTART="0")
    told = [valid(runs(ended, name)[0]) for name in ("cleanup", "environment", "schema")]
    assert [each["unfinished"] for each in told] == [None] * 3, told
    commands = {path.read_text() for path in spoilt.glob("kernel *")}
    assert len(commands) == 1 and ("forkserver" in commands.pop()) == FORKS


def test_without_the_process_that_forks_a_phase_runs_all_the_same(tmp_path: Path) -> None:
    """It may be killed, by whoever is short of memory."""
    with Workers() as workers:
        assert workers._server is not None
        workers._server[0].kill()
        workers._server[0].wait()
        work = workers.start({"phase": "schema", "folder": str(tmp_path / "nowhere")}, child_environment())
        code = work.wait(60)
        assert code == 1 and "KeyError" in work.complaint()
        workers.end(work)


def end(gate: Gate) -> PhaseEnd:
    return PhaseEnd("schema", gate, 1.0, Path(), "")


@pytest.mark.parametrize(
    ("gates", "joined", "code"),
    [
        ([Gate.PASSED, Gate.PASSED], Gate.PASSED, 0),
        ([Gate.PASSED, Gate.HELD], Gate.HELD, 3),
        ([Gate.HELD, Gate.UNMEASURED], Gate.UNMEASURED, 4),
        ([Gate.UNMEASURED, Gate.FAILED, Gate.HELD], Gate.FAILED, 1),
        ([], Gate.UNMEASURED, 4),
    ],
)
def test_the_worst_gate_decides(gates: list[Gate], joined: Gate, code: int) -> None:
    told = runner.joined([end(gate) for gate in gates])
    assert told is joined and told.exit_code == code


def test_waves_keep_the_order_of_the_runbook() -> None:
    assert [phase for wave in plan.WAVES for phase in wave] == list(PHASES)
    assert plan.waves(["11", "schema", "window"]) == [["schema", "window"], ["signoff"]]
