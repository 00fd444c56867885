"""One target of a fleet: what is ordered of it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsnb.verdicts import Gate

ERROR = "ERROR"
"""The word for a target that could not be run to its end; it counts as unmeasured."""
WORST_FIRST = (str(Gate.FAILED), ERROR, str(Gate.UNMEASURED), str(Gate.HELD), str(Gate.PASSED))


@dataclass(frozen=True)
class Order:
    """Run *phases* of *environment* in the project at *root*, within *timeout_s*; copy its deployment to *reports_url*, where named."""

    environment: str
    phases: tuple[str, ...]
    root: str
    timeout_s: float
    reports_url: str = ""


@dataclass(frozen=True)
class PhaseRow:
    """How one phase of a target ended. `report`: the page, relative to the archive; `counts`: verdict → number of checks."""

    phase: str
    gate: str
    seconds: float
    sentence: str
    report: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetEnd:
    """How one target ended. `error` says in a sentence why it did not come to its end; empty where it did."""

    environment: str
    started_at: str
    seconds: float
    phases: tuple[PhaseRow, ...] = ()
    deployment: str = ""
    error: str = ""

    @property
    def finished(self) -> bool:
        """Whether every phase ran to an end and its reports are where they should be: a resumed fleet leaves it alone."""
        return not self.error

    @property
    def word(self) -> str:
        """The word shown: ERROR, else the worst gate of its phases. A failed phase outweighs an error after it."""
        gates = [row.gate for row in self.phases]
        words = [*gates, *([ERROR] if self.error or not gates else [])]
        return min(words, key=WORST_FIRST.index)

    @property
    def gate(self) -> Gate:
        """The gate that counts."""
        return Gate.UNMEASURED if self.word == ERROR else Gate(self.word)

    @property
    def counts(self) -> dict[str, int]:
        """Verdict → number of checks, over all phases."""
        total: dict[str, int] = {}
        for row in self.phases:
            for verdict, number in row.counts.items():
                total[verdict] = total.get(verdict, 0) + number
        return total

    @property
    def why(self) -> str:
        """The sentence that a person should read first."""
        if self.error:
            return self.error
        worst = min(self.phases, key=lambda row: WORST_FIRST.index(row.gate), default=None)
        return "" if worst is None or worst.gate == Gate.PASSED else f"{worst.phase}: {worst.sentence}"


def to_json(end: TargetEnd) -> dict[str, Any]:
    """*end* as it is kept and shown to machines."""
    return {
        "environment": end.environment, "gate": str(end.gate), "word": end.word, "finished": end.finished, "error": end.error,
        "deployment": end.deployment, "started_at": end.started_at, "seconds": round(end.seconds, 2), "counts": end.counts,
        "phases": {
            row.phase: {"gate": row.gate, "seconds": round(row.seconds, 2), "sentence": row.sentence, "report": row.report,
                        "counts": dict(row.counts)}
            for row in end.phases
        },
    }  # fmt: skip


def from_json(kept: Mapping[str, Any]) -> TargetEnd:
    """What `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    rows = tuple(
        PhaseRow(phase, str(Gate(said["gate"])), float(said["seconds"]), str(said["sentence"]), str(said["report"]), dict(said["counts"]))
        for phase, said in kept["phases"].items()
    )
    return TargetEnd(
        str(kept["environment"]), str(kept["started_at"]), float(kept["seconds"]), rows, str(kept["deployment"]), str(kept["error"])
    )
