"""The twelve notebooks as files: pages of a runbook, with nothing in them but what a person can read."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from harness import REPOSITORY

from opsnb.errors import UsageError
from opsnb.execution import notebooks, plan
from opsnb.runbook import PHASES, notebook_of

FIRST_FOUR = {"environment": "local", "deployment": "", "apply": False, "confirm": ""}
TYPES = {"environment": "str", "deployment": "str", "apply": "bool", "confirm": "str"}
CONTROL_FLOW = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.If, ast.With,
    ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
SQL = re.compile(r"\b(select\b.+\bfrom|insert\s+into|delete\s+from|update\b.+\bset|create\s+table|drop\s+table)\b", re.I | re.S)
ENDS = "ops.finish()"

pytestmark = pytest.mark.parametrize("phase", PHASES)


def path(phase: str) -> Path:
    return REPOSITORY / "notebooks" / f"{notebook_of(phase)}.ipynb"


def cells(phase: str, kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path(phase).read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_nothing_of_a_run_is_stored(phase: str) -> None:
    for cell in cells(phase):
        assert cell["outputs"] == [] and cell["execution_count"] is None
    notebook = json.loads(path(phase).read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3", "papermill's output would have no kernel"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids), "the journal names cells by their ids"


def test_parameters(phase: str) -> None:
    tagged = [cell for cell in cells(phase) if "parameters" in cell["metadata"].get("tags", [])]
    assert [cell["id"] for cell in tagged] == [cells(phase)[0]["id"]], "one cell, the first"
    declared = notebooks.declared_parameters(path(phase))
    assert dict(list(declared.items())[:4]) == FIRST_FOUR
    statements = ast.parse(source(tagged[0])).body
    assert all(isinstance(statement, ast.AnnAssign) for statement in statements), "every parameter has a type"
    types = {
        ast.unparse(statement.target): ast.unparse(statement.annotation) for statement in statements if isinstance(statement, ast.AnnAssign)
    }
    assert {name: types[name] for name in TYPES} == TYPES
    for name in list(declared)[4:]:
        assert declared[name] is None and types[name].endswith("| None"), f"{name}: None = from the environment"
    for line in source(tagged[0]).strip().splitlines():
        assert "  # " in line, f"no unit or meaning: {line}"


def test_every_parameter_is_handed_over(phase: str) -> None:
    setup = source(cells(phase)[1])
    assert f'opsnb.open_phase(\n    "{phase}"' in setup or f'opsnb.open_phase("{phase}"' in setup
    used = {node.id for cell in cells(phase)[1:] for node in ast.walk(ast.parse(source(cell))) if isinstance(node, ast.Name)}
    assert set(notebooks.declared_parameters(path(phase))) <= used
    assert all(f"{name}={name}" in setup for name in FIRST_FOUR)
    assert setup.rstrip().splitlines()[-1] == "ops", "it shows where it is"


def test_cells_are_short_and_plain(phase: str) -> None:
    for cell in cells(phase):
        text = source(cell)
        assert len(text.strip().splitlines()) <= 8, text
        for node in ast.walk(ast.parse(text)):
            assert not isinstance(node, CONTROL_FLOW), text
        assert not SQL.search(text), text


def test_every_judgement_has_a_claim_above_it(phase: str) -> None:
    """A reader meets the claim before the code; several cells may answer one claim."""
    notebook = json.loads(path(phase).read_text(encoding="utf-8"))["cells"]
    seen = ""
    for cell in notebook:
        if cell["cell_type"] == "markdown":
            seen = source(cell).splitlines()[0]
        elif re.search(r"ops\.(judge|judge_each|chart)\(", source(cell)):
            assert seen.startswith("## "), source(cell)


def test_the_first_cell_says_what_it_decides_and_whether_it_changes_anything(phase: str) -> None:
    notebook = json.loads(path(phase).read_text(encoding="utf-8"))["cells"]
    first = source(notebook[0])
    assert notebook[0]["cell_type"] == "markdown" and first.startswith(f"# {notebook_of(phase)[:2]} · ")
    assert "**Decides**" in first
    assert re.search(r"\*\*(READS|CHANGES)\b", first)
    assert "On FAIL" in first, "what to do then"
    assert re.search(r"\*\*CHANGES", first) is not None if phase == "cleanup" else "CHANGES" not in first


def test_the_last_cell_is_the_gate(phase: str) -> None:
    last = json.loads(path(phase).read_text(encoding="utf-8"))["cells"][-1]
    assert last["cell_type"] == "code" and source(last).strip() == ENDS
    assert sum(ENDS in source(cell) for cell in cells(phase)) == 1


def test_the_readme_lists_it_in_order(phase: str) -> None:
    rows = re.findall(r"^\| `(\d\d_\w+)` \|(.+)\|(.+)\|$", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.M)
    assert [row[0] for row in rows] == [notebook_of(each) for each in PHASES]
    changes = {name: said.strip() for name, _, said in rows}[notebook_of(phase)]
    assert changes.startswith("nothing") is (phase != "cleanup")


def test_it_is_found_and_runs_in_exactly_one_wave(phase: str) -> None:
    assert notebooks.notebook_path(REPOSITORY, phase) == path(phase)
    assert sum(phase in wave for wave in plan.WAVES) == 1
    assert plan.waves([notebook_of(phase)]) == [[phase]]


def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(phase: str) -> None:
    with pytest.raises(UsageError, match=r"unknown parameter enviroment; did you mean environment\?"):
        notebooks.refuse_unknown_parameters(REPOSITORY, phase, {"enviroment": "local"})
    notebooks.refuse_unknown_parameters(REPOSITORY, phase, FIRST_FOUR)
