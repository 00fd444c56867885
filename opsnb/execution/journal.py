"""The record of what ran: append-only, on disk before the next step begins."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JOURNAL_NAME = "journal.jsonl"


class Journal:
    """Append-only JSON lines, each on disk before the next step begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **details: Any) -> None:
        """One line: when, what happened, to which cell."""
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "event": event, **details}, sort_keys=True)
        os.write(self._descriptor, line.encode() + b"\n")
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
