"""The whole of a runbook, judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.config import load_environment, load_release
from opsnb.guide import boxes, commands, document, grammar, limits, statements
from opsnb.guide.boxes import Box
from opsnb.guide.document import Guide
from opsnb.guide.findings import ORDER, Finding
from opsnb.sources import Doors


@dataclass(frozen=True)
class Judged:
    """What was found, by line, and what every box is. `asked` says which target the SQL was shown to; empty where none."""

    findings: tuple[Finding, ...]
    boxes: tuple[Box, ...]
    asked: str
    commands: int
    statements: int

    def for_machines(self) -> dict[str, Any]:
        """As it goes into JSON."""
        return {
            "client_grammar": grammar.version(), "target": self.asked or None, "commands": self.commands, "statements": self.statements,
            "findings": [finding.for_machines() for finding in self.findings], "boxes": [box.for_machines() for box in self.boxes],
        }  # fmt: skip


def judge(path: Path, *, environment: str = "", root: Path | None = None) -> Judged:
    """Reads *path*; with *environment* (of the project *root*) its statements are prepared there, never run. UsageError, SourceError."""
    guide = document.read(path)
    prepared = _prepared(guide, environment, root) if environment and root is not None else None
    sorted_boxes = boxes.sort(guide)
    found = [*commands.judge(guide), *statements.judge(guide, prepared), *limits.judge(guide), *boxes.judge(sorted_boxes)]
    found.sort(key=lambda finding: (finding.line, ORDER[finding.severity], finding.rule))
    return Judged(tuple(found), sorted_boxes, environment, len(guide.commands), len(guide.statements))


def _prepared(guide: Guide, name: str, root: Path) -> dict[int, str]:
    """Line → why the target does not take the statement there."""
    environment = load_environment(name, root)
    doors = Doors(environment, load_release(environment.release, root), phase="guide", root=root)
    asked = [statement for statement in guide.statements if statements.can_prepare(statement.text)]
    try:
        told = doors.database.prepared([statement.text for statement in asked])
    finally:
        doors.close()
    return {statement.line: why for statement, why in zip(asked, told, strict=True) if why}
