"""A notebook that claims what its journal never saw is believed in nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsnb.evidence.agreement import disagreement

Lines = list[dict[str, Any]]
CELLS = [
    {"cell_type": "markdown", "id": "m", "metadata": {}},
    *({"cell_type": "code", "id": name, "metadata": {"papermill": {"status": "completed"}}} for name in "ab"),
    {"cell_type": "code", "id": "c", "metadata": {"papermill": {"status": "not run"}}},
]
JOURNAL: Lines = [
    {"event": "notebook_start"},
    *({"event": event, "id": name, "status": "completed"} for name in "ab" for event in ("cell_start", "cell_end")),
    {"event": "alive", "memory_mb": 1.0},
    {"event": "notebook_end"},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "notebook.ipynb").write_text(json.dumps({"cells": CELLS}))
    write(tmp_path, JOURNAL)
    return tmp_path


def write(folder: Path, lines: Lines, tail: str = "") -> None:
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)


def test_they_agree(run: Path) -> None:
    assert disagreement(run) == ""
    write(run, JOURNAL, tail='{"event": "cell_st')  # cut off while it was written
    assert disagreement(run) == ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda lines: lines[:3] + lines[5:], "b completed; the journal says that it never began"),
        (lambda lines: lines[:4] + lines[5:], "b completed; the journal says that it began and did not end"),
        (lambda lines: [{**line, "status": "failed"} if line.get("id") == "a" else line for line in lines], "it ended as failed"),
    ],
)
def test_the_first_difference_is_named(run: Path, spoil: Callable[[Lines], Lines], says: str) -> None:
    write(run, spoil(JOURNAL))
    assert says in disagreement(run)


def test_what_cannot_be_read_is_said(run: Path) -> None:
    write(run, [], tail="{\n{\n")
    assert "cannot be read" in disagreement(run)
    shutil.copy(run / "journal.jsonl", run / "notebook.ipynb")
    assert "cannot be read" in disagreement(run)
    (run / "journal.jsonl").unlink()
    (run / "notebook.ipynb").write_text(json.dumps({"cells": CELLS}))
    assert disagreement(run) == "", "a run without the engine has no journal"
