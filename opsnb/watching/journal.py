"""The record of a deployment's slots: ``monitor/slots.jsonl``, append-only, each line on disk before anything goes on.

Written only by the process that holds the deployment's claim; read by anybody at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opsnb.config.schedule import Slot
from opsnb.evidence.safe import unwritable
from opsnb.questions.slots import FILE_NAME, read_lines

EVENTS = ("begun", "ended", "stopped", "missed", "reopened")


@dataclass(frozen=True)
class Journal:
    """The slots.jsonl of one deployment, in *folder* (its ``monitor`` folder)."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / FILE_NAME

    def entries(self) -> list[dict[str, Any]]:
        """Every whole line, oldest first; a line that a power cut tore is left out of it and counted by `damaged`."""
        return read_lines(self.path)[0]

    @property
    def damaged(self) -> int:
        """How many lines are none."""
        return read_lines(self.path)[1]

    def write(self, event: str, slot: Slot, *, at: datetime, **details: Any) -> None:
        """One line. Raises UsageError where the folder cannot be written."""
        assert event in EVENTS
        entry = {"at": at.isoformat(), "event": event, "slot": slot.number, "due": slot.due.isoformat(), **details}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                line = json.dumps(entry).encode() + b"\n"
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, b"\n" + line if torn else line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unwritable(self.folder, error) from error


def settled(entries: Iterable[dict[str, Any]]) -> set[int]:
    """Numbers of the slots about which nothing is left to do: ended or missed, and not reopened since."""
    done: set[int] = set()
    for entry in entries:
        if entry["event"] in ("ended", "missed"):
            done.add(entry["slot"])
        elif entry["event"] == "reopened":
            done.discard(entry["slot"])
    return done


def unfinished(entries: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The `begun` entry of a run that neither ended nor was stopped; None where there is none. Only one runs at a time."""
    open_: dict[str, Any] | None = None
    for entry in entries:
        if entry["event"] == "begun":
            open_ = entry
        elif entry["event"] in ("ended", "stopped", "missed") and open_ is not None and entry["slot"] == open_["slot"]:
            open_ = None
    return open_


def settled_in_the_future(entries: Iterable[dict[str, Any]], now: datetime) -> dict[int, str]:
    """Slots that were settled at a time that has not come yet, and how: the clock was ahead, and was put back."""
    ahead: dict[int, str] = {}
    for entry in entries:
        if entry["event"] in ("ended", "missed", "reopened"):
            moment = entry.get("began") if entry["event"] == "ended" else entry["at"]
            if entry["event"] != "reopened" and datetime.fromisoformat(str(moment)) > now:
                ahead[entry["slot"]] = entry["event"]
            else:
                ahead.pop(entry["slot"], None)
    return ahead
