"""Runs a notebook's own cells in this process: the real cells, the real target, no kernel to wait for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opsnb.errors import GateFailed
from opsnb.phase import Phase


def run_cells(notebook: Path, **parameters: Any) -> Phase:
    """Executes the code cells of *notebook* with *parameters* injected after the cell tagged so; answers its phase."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        try:
            exec(compile("".join(cell["source"]), f"{notebook.name}[{cell['id']}]", "exec"), names)
        except GateFailed:
            pass  # what the phase concluded is asked below
        if "parameters" in cell["metadata"].get("tags", []):
            names.update(parameters)
    phase = names["ops"]
    assert isinstance(phase, Phase)
    return phase


def verdicts(phase: Phase) -> dict[str, str]:
    """Check id → verdict of a finished phase."""
    assert phase.report is not None, "the notebook never reached its last cell"
    return {result.id: str(result.verdict) for result in phase.report.results}
