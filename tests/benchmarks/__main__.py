"""``make bench``: a phase through opsnb against the plain way, same notebook, same target, one run. Ratios, not seconds.

The plain way is ``papermill`` and then ``jupyter nbconvert --to html``; opsnb's also journals, archives and draws its page.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opsnb.config import find_root
from opsnb.execution.runner import run
from opsnb.local import target

N = 5
PHASE = "schema"


def plainly(root: Path, folder: Path) -> None:
    """The notebook of the phase through papermill and nbconvert, each a process of its own."""
    programs = Path(sys.executable).parent
    done = folder / "out.ipynb"
    notebook = root / "notebooks" / "05_schema.ipynb"
    subprocess.run([programs / "papermill", notebook, done, "-p", "environment", "local"], cwd=root, check=True, capture_output=True)
    subprocess.run([programs / "jupyter", "nbconvert", "--to", "html", done], cwd=folder, check=True, capture_output=True)


def seconds(task: Callable[[], object]) -> float:
    """How long *task* takes."""
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def main() -> None:
    """Interleaves the two ways, so that a busy machine slows both."""
    root = find_root()
    target.up(root)
    ours: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(N + 1):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            pair = seconds(lambda: run("local", phases=[PHASE], root=root)), seconds(lambda folder=folder: plainly(root, folder))
            if number:  # the first warms the disk's cache
                ours.append(pair[0])
                plain.append(pair[1])
    one, other = statistics.median(ours), statistics.median(plain)
    print(f"phase {PHASE}, n = {N}, medians, Python {platform.python_version()}")
    print(f"  opsnb run                 {one:6.2f} s")
    print(f"  papermill + nbconvert     {other:6.2f} s")
    print(f"  ratio                     {one / other:6.2f}")


if __name__ == "__main__":
    main()
