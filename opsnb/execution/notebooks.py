"""The notebooks of a project: where they are, which parameters they take."""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsnb.errors import UsageError
from opsnb.runbook import notebook_of


def notebook_path(root: Path, phase: str) -> Path:
    """The notebook of *phase*; UsageError where the project has none."""
    path = root / "notebooks" / f"{notebook_of(phase)}.ipynb"
    if not path.is_file():
        raise UsageError(f"{path}: the notebook of the phase {phase} is missing; restore it from the release of opsnb you installed.")
    return path


def declared_parameters(path: Path) -> dict[str, Any]:
    """Name → default of every parameter in the cell tagged `parameters`."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", []):
            return _assignments("".join(cell["source"]))
    raise UsageError(f"{path}: no cell is tagged `parameters`; papermill could not hand anything over.")


def _assignments(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
            found[statement.target.id] = ast.literal_eval(statement.value)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
    return found


def refuse_unknown_parameters(root: Path, phase: str, given: Mapping[str, Any]) -> None:
    """UsageError for a parameter the notebook of *phase* does not declare: papermill would only warn."""
    path = notebook_path(root, phase)
    declared = declared_parameters(path)
    for name in given:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it takes {', '.join(declared)}"
            raise UsageError(f"{path.name}: unknown parameter {name}{hint}")
