"""Whether an executed notebook and the journal of its run tell the same story. The journal was on disk before each step; it is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opsnb.evidence.results import JOURNAL_NAME, NOTEBOOK_NAME

NEVER = "never began"
BROKEN_OFF = "began and did not end"


def disagreement(folder: Path) -> str:
    """The first cell of which notebook and journal say different things, in a sentence; nothing where they agree or one is missing."""
    try:
        cells = json.loads((folder / NOTEBOOK_NAME).read_text(encoding="utf-8"))["cells"]
        journal = _journalled(folder / JOURNAL_NAME)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"The executed notebook or its journal cannot be read ({type(error).__name__})."
    for cell in cells:
        told = cell.get("metadata", {}).get("papermill", {}).get("status")
        if cell.get("cell_type") != "code" or told not in ("completed", "failed"):
            continue
        known = journal.get(str(cell.get("id")), NEVER)
        if known != told:
            return f"The notebook says that its cell {cell.get('id')} {told}; the journal says that it {_said(known)}."
    return ""


def _said(status: str) -> str:
    return status if status in (NEVER, BROKEN_OFF) else f"ended as {status}"


def _journalled(path: Path) -> dict[str, str]:
    """Cell id → how it ended. A last line that was cut off is none: it was being written."""
    states: dict[str, str] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            if number == len(lines) - 1:
                break
            raise
        match entry.get("event"):
            case "cell_start":
                states[str(entry.get("id"))] = BROKEN_OFF
            case "cell_end":
                states[str(entry.get("id"))] = str(entry.get("status"))
    return states
