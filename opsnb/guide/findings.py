"""What was found in a runbook."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
ORDER: dict[str, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One finding: the line, the rule, what stands there, what is wrong with it, and what to do instead."""

    line: int
    severity: Severity
    rule: str
    text: str
    sentence: str
    instead: str = ""

    def for_machines(self) -> dict[str, str | int]:
        """As it goes into JSON."""
        return asdict(self)
