"""Questions about the runs of the monitoring schedule: the journal that `opsnb monitor` and `opsnb watch` keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.facts import Facts
from opsnb.questions.base import Base

FILE_NAME = "slots.jsonl"
COLUMNS = ("slot", "event", "at", "began", "seconds", "gate", "run", "why")


class SlotQuestions(Base):
    """What a phase can be asked about the slots of its deployment."""

    def slot_runs(self) -> Facts:
        """What happened to the slots of the monitoring schedule: one row per line of their journal (COLUMNS)."""
        path = self.deployment.folder / "monitor" / FILE_NAME
        return Facts("archive", f"{FILE_NAME} of {self.deployment.id}", 0.0, answer=entries_table(read_lines(path)[0]))


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Every whole entry of the journal *path*, oldest first, and how many lines are none."""
    if not path.is_file():
        return [], 0
    lines = path.read_bytes().splitlines()
    entries, damaged = [], 0
    for line in lines:
        try:
            entry = json.loads(line)
            whole = isinstance(entry, dict) and isinstance(entry["slot"], int) and isinstance(entry["event"], str)
        except (ValueError, KeyError):
            whole = False
        if whole:
            entries.append(entry)
        else:
            damaged += 1
    return entries, damaged


def entries_table(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """The entries as the checks read them: COLUMNS; what an event does not say is missing."""
    table = pd.DataFrame([{name: entry.get(name) for name in COLUMNS} for entry in entries], columns=list(COLUMNS))
    times = {name: pd.to_datetime(table[name], utc=True, format="ISO8601") for name in ("at", "began")}
    return table.assign(**times).astype({"slot": "Int64", "seconds": "Float64"})
