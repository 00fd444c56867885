"""The engine on tiny notebooks and real kernels: what ran, what did not, and what the journal says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import nbformat
import papermill
from harness import process_environment
from nbclient.exceptions import CellTimeoutError, DeadKernelError

PAPERMILL = str(Path(sys.executable).with_name("papermill"))


def write_notebook(path: Path, *cells: str) -> Path:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel)
    made.cells.insert(0, nbformat.v4.new_markdown_cell("# A tiny notebook"))
    nbformat.write(made, path)
    return path


def tag_parameters(notebook: Path) -> None:
    made = nbformat.read(notebook, 4)
    made.cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(made, notebook)


def started(notebook: Path, *words: str) -> subprocess.Popen[str]:
    """Plain papermill with our engine, as every printed job uses it."""
    command = [PAPERMILL, "--engine", "opsnb", "--no-progress-bar", notebook.name, output(notebook).name, *words]
    environment = process_environment(notebook.parent)
    del environment["OPSNB_HOME"]  # an engine needs no project
    return subprocess.Popen(command, cwd=notebook.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def output(notebook: Path) -> Path:
    return notebook.with_name(f"executed {notebook.name}")


def journal(notebook: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(notebook).with_suffix(".journal.jsonl").read_text().splitlines()]


def statuses(notebook: Path) -> list[str]:
    return [cell.metadata.papermill.status for cell in nbformat.read(output(notebook), 4).cells if cell.cell_type == "code"]


def agrees(notebook: Path) -> None:
    """Journal and executed notebook tell the same story, in the order of time."""
    lines = journal(notebook)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    cells = nbformat.read(output(notebook), 4).cells
    told = {line["id"]: line.get("status", "interrupted") for line in lines if line["event"] in ("cell_end", "cell_interrupted")}
    ran = {cell.id: cell.metadata.papermill.status for cell in cells if cell.cell_type == "code"}
    assert told == {cell: status for cell, status in ran.items() if status != "not run"}
    assert [line["id"] for line in lines if line["event"] == "cell_start"] == list(told)
    assert lines[0]["event"] == "notebook_start" and lines[0]["code_cells"] == len(ran)
    assert lines[-1]["event"] == "notebook_end" and lines[-1]["not_run"] == list(ran.values()).count("not run")


def run(notebook: Path, **options: Any) -> BaseException | None:
    """Runs *notebook* in this process; answers what stopped it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries that talk to the kernel
            papermill.execute_notebook(
                notebook, output(notebook), engine_name="opsnb", progress_bar=False, cwd=notebook.parent, **options
            )  # fmt: skip
    except (papermill.PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        return error
    return None


def test_two_kernels_side_by_side_in_one_folder(tmp_path: Path) -> None:
    """The sockets of parallel kernels must not meet: every output belongs to its own notebook."""
    notebooks = [write_notebook(tmp_path / f"{name}.ipynb", "mine = None", "import time; time.sleep(0.5)", "print(mine)") for name in "ab"]
    for notebook in notebooks:
        tag_parameters(notebook)
    processes = [started(notebook, "-p", "mine", notebook.stem) for notebook in notebooks]
    printed = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    for notebook, name in zip(notebooks, "ab", strict=True):
        assert statuses(notebook) == ["completed"] * 4
        assert nbformat.read(output(notebook), 4).cells[-1].outputs[0].text == f"{name}\n"
        agrees(notebook)


def test_a_raising_cell_ends_the_run_and_later_cells_are_not_run(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "raising.ipynb", "1", "raise ValueError('the reason')", "print('never')", "2")
    assert "the reason" in str(run(notebook))
    assert statuses(notebook) == ["completed", "failed", "not run", "not run"]
    agrees(notebook)
    never = [cell for cell in nbformat.read(output(notebook), 4).cells if "never" in cell.source and cell.cell_type == "code"]
    assert not never[-1].outputs and never[-1].execution_count is None


def test_a_killed_kernel_leaves_no_completed_cell_behind(tmp_path: Path) -> None:
    """papermill's own engine marks cells completed that never ran."""
    notebook = write_notebook(tmp_path / "dying.ipynb", "1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "2", "3")
    assert isinstance(run(notebook), DeadKernelError)
    assert statuses(notebook) == ["completed", "interrupted", "not run", "not run"]
    agrees(notebook)
    assert [line["reason"] for line in journal(notebook) if line["event"] == "cell_interrupted"] == ["DeadKernelError"]


def test_a_deadline_stops_a_sleeping_cell(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "sleeping.ipynb", "1", "import time; time.sleep(600)", "2")
    began = time.monotonic()
    assert isinstance(run(notebook, deadline_s=4), CellTimeoutError)
    assert time.monotonic() - began < 15
    assert statuses(notebook) == ["completed", "interrupted", "not run"]
    agrees(notebook)
    assert [line["reason"] for line in journal(notebook) if line["event"] == "cell_interrupted"] == ["CellTimeoutError"]


def test_the_deadline_is_the_notebooks_not_each_cells(tmp_path: Path) -> None:
    """Cells that each end in time do not add up to more than the deadline."""
    notebook = write_notebook(tmp_path / "slow.ipynb", *["import time; time.sleep(0.6)"] * 8)
    assert isinstance(run(notebook, execution_timeout=2), CellTimeoutError)
    ended = statuses(notebook)
    assert ended.count("completed") <= 3 and ended[-1] == "not run"
    agrees(notebook)


def test_a_journal_lost_to_kill_minus_9_still_says_what_ran(tmp_path: Path) -> None:
    """Every line is on disk before the next step: killing the engine itself loses nothing but the end."""
    notebook = write_notebook(tmp_path / "killed.ipynb", "1", "import time; time.sleep(600)")
    process = started(notebook)
    path = output(notebook).with_suffix(".journal.jsonl")
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (path.is_file() and path.read_text().count("cell_start") == 2):
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert [line["event"] for line in journal(notebook)] == ["notebook_start", "cell_start", "cell_end", "cell_start"]


def test_the_output_is_whole_at_any_moment(tmp_path: Path) -> None:
    """papermill writes it after every cell, and may be killed while it does: whoever reads meanwhile finds a notebook, every time."""
    tiny = write_notebook(tmp_path / "tiny.ipynb", *(f"print('{number}' * 200_000)" for number in range(12)))
    running = started(tiny)
    read = 0
    while running.poll() is None:
        if output(tiny).is_file():
            json.loads(output(tiny).read_text(encoding="utf-8"))
            read += 1
    told, _ = running.communicate()
    assert running.returncode == 0 and read > 20, told
    assert not list(tmp_path.glob("*.tmp"))
