"""The whole runbook through ``opsnb run`` against the plain way: ``papermill``, then ``jupyter nbconvert --to html``, notebook by notebook.

``python -m tests.benchmarks.runbook [N]``: the same notebooks on the running embedded target, the two ways in turn, so that a busy
machine slows both. Work is the time in which some cell after the set-up runs (checks and actions; of cells that
run side by side the time counts once); all else is overhead: imports, kernels, saving, pages. Must hold: overhead at least 8 times
smaller, the whole at least 6 times.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kept import keep

from opsnb.config import child_environment, find_root
from opsnb.local import target

N = 3
OVERHEAD, WHOLE = 8.0, 6.0
PROGRAMS = Path(sys.executable).parent


def plainly(root: Path, folder: Path) -> list[Path]:
    """Every notebook in turn, each through two processes; the executed notebooks."""
    done = []
    for notebook in sorted((root / "notebooks").glob("*.ipynb")):
        out = folder / notebook.name
        environment = child_environment(OPSNB_REPORTS=str(folder / "reports"))
        subprocess.run(
            [PROGRAMS / "papermill", notebook, out, "-p", "environment", "local"], cwd=root, env=environment, capture_output=True
        )
        subprocess.run([PROGRAMS / "jupyter", "nbconvert", "--to", "html", out], cwd=folder, check=True, capture_output=True)
        done.append(out)
    return done


def ours(root: Path, folder: Path) -> list[Path]:
    """One command; the executed notebooks of its archive."""
    environment = child_environment(OPSNB_REPORTS=str(folder / "reports"))
    subprocess.run([PROGRAMS / "opsnb", "run", "local"], cwd=root, env=environment, capture_output=True)
    return sorted((folder / "reports").glob("local/*/*/*/notebook.ipynb"))


def worked(notebooks: list[Path]) -> float:
    """Seconds in which at least one cell after a set-up ran."""
    spans = sorted(span for notebook in notebooks for span in _spans(notebook))
    seconds, until = 0.0, float("-inf")
    for begin, end in spans:
        seconds += max(0.0, end - max(begin, until))
        until = max(until, end)
    return seconds


def _spans(notebook: Path) -> Iterator[tuple[float, float]]:
    code = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    set_up = next(place for place, cell in enumerate(code) if "import opsnb" in "".join(cell["source"]))
    for cell in code[set_up + 1 :]:
        told = cell["metadata"].get("papermill", {})
        if told.get("start_time") and told.get("end_time"):
            yield datetime.fromisoformat(told["start_time"]).timestamp(), datetime.fromisoformat(told["end_time"]).timestamp()


def main() -> int:
    """Prints every part, cold (the first of each) and warm; exit code 1 where it does not hold."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else N
    root = find_root()
    target.up(root)
    taken: dict[str, list[tuple[float, float]]] = {"opsnb run": [], "papermill + nbconvert": []}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(n):
            for way, does in (("opsnb run", ours), ("papermill + nbconvert", plainly)):
                folder = Path(scratch) / f"{number} {way[0]}"
                folder.mkdir()
                began = time.perf_counter()
                notebooks = does(root, folder)
                whole = time.perf_counter() - began
                assert len(notebooks) == 12, f"{way}: {len(notebooks)} notebooks were executed"
                taken[way].append((whole, worked(notebooks)))
    print(f"the whole runbook, 12 notebooks, n = {n}, Python {platform.python_version()}; seconds: whole = work + overhead")
    middle = {}
    for way, runs in taken.items():
        whole, work = statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
        overhead = statistics.median(run[0] - run[1] for run in runs)
        middle[way] = (whole, overhead)
        first, its_work = runs[0]
        warm = f"median {whole:6.1f} = {work:5.1f} + {overhead:6.1f}"
        print(f"  {way:22} {warm}    cold {first:6.1f} = {its_work:5.1f} + {first - its_work:6.1f}")
    (one, less), (other, more) = middle["opsnb run"], middle["papermill + nbconvert"]
    print(f"  smaller by               whole {other / one:5.1f} x (limit {WHOLE:g}), overhead {more / less:5.1f} x (limit {OVERHEAD:g})")
    figures = {"runbook: whole, times smaller": (other / one, WHOLE), "runbook: overhead, times smaller": (more / less, OVERHEAD)}
    keep(figures, n=n, smaller_is_better=False)
    return int(other / one < WHOLE or more / less < OVERHEAD)


if __name__ == "__main__":
    raise SystemExit(main())
