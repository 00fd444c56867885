"""Runs a notebook's own cells in this process (the real cells, the real target, no kernel to wait for), and projects to run them in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.errors import GateFailed
from opsnb.phase import Phase

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of what it printed."""
        return self.out.rstrip("\n").splitlines()[-1]


def make_home(root: Path) -> Path:
    """A project of its own at *root*: parameters to spoil at will; notebooks, the clinic's sources and migrations linked."""
    shutil.copytree(REPOSITORY / "parameters", root / "parameters")
    (root / "notebooks").symlink_to(REPOSITORY / "notebooks")
    (root / "opsnb" / "local").mkdir(parents=True)
    (root / "opsnb" / "local" / "clinic").symlink_to(REPOSITORY / "opsnb" / "local" / "clinic")
    return root.resolve()


def process_environment(root: Path, **extra: str) -> dict[str, str]:
    """The process environment of a command run in the home *root*: none of the caller's own switches."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPSNB_")}
    return {**inherited, "OPSNB_HOME": str(root), "COLUMNS": "80", "NO_COLOR": "1", **extra}


def run_opsnb(*words: str, root: Path, timeout_s: float = 120, **environment: str) -> Ended:
    """``opsnb`` in a process of its own, in the home *root*, without a terminal."""
    return run_program("opsnb", *words, root=root, timeout_s=timeout_s, **environment)


def run_program(program: str, *words: str, root: Path, timeout_s: float = 120, **environment: str) -> Ended:
    """*program* of this virtual environment with *words*, in the home *root*, without a terminal."""
    ended = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *words], cwd=root, env=process_environment(root, **environment),
        timeout=timeout_s, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_cells(notebook: Path, **parameters: Any) -> Phase:
    """Executes the code cells of *notebook* with *parameters* injected after the cell tagged so; answers its phase."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        with contextlib.suppress(GateFailed):  # what the phase concluded is asked below
            exec(compile("".join(cell["source"]), f"{notebook.name}[{cell['id']}]", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", []):
            names.update(parameters)
    phase = names["ops"]
    assert isinstance(phase, Phase)
    return phase


def verdicts(phase: Phase) -> dict[str, str]:
    """Check id → verdict of a finished phase."""
    assert phase.report is not None, "the notebook never reached its last cell"
    return {result.id: str(result.verdict) for result in phase.report.results}
