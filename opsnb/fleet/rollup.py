"""What a fleet run adds up to: targets worst first, the trend of each, one gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsnb.fleet.store import FleetRun
from opsnb.fleet.target import WORST_FIRST, TargetEnd, from_json, to_json
from opsnb.verdicts import WORST_FIRST as VERDICTS
from opsnb.verdicts import Gate, Verdict

SCHEMA_VERSION = 1
WORSE, NEW, SAME, BETTER = "worse", "new", "same", "better"
_GATES = (Gate.FAILED, Gate.UNMEASURED, Gate.HELD, Gate.PASSED)


@dataclass(frozen=True)
class Row:
    """One target of the roll-up. `trend` against the fleet run before: worse, better, same or new; `was` says from what, in words."""

    end: TargetEnd
    trend: str
    was: str


@dataclass(frozen=True)
class Rollup:
    """A fleet run's targets, worst first; `waiting`: those that have not ended; `gone`: those of the run before that are no more."""

    run: FleetRun
    rows: tuple[Row, ...]
    waiting: tuple[str, ...]
    gone: tuple[str, ...]
    before: str
    gate: Gate

    @property
    def reason(self) -> str:
        """The sentence beside the gate: how many targets ended how."""
        words = [row.end.word for row in self.rows]
        parts = [f"{words.count(word)} {word}" for word in WORST_FIRST if word in words]
        parts += [f"{len(self.waiting)} not run"] if self.waiting else []
        count = len(self.rows) + len(self.waiting)
        return f"{count} target{'' if count == 1 else 's'}: {', '.join(parts)}."


def roll_up(run: FleetRun, ends: Mapping[str, TargetEnd], before: Mapping[str, Any] | None) -> Rollup:
    """Joins *ends* of *run*; *before*: results.json of the fleet run before, where there is one."""
    earlier = _earlier(before)
    rows = [Row(end, *_trend(end, earlier.get(end.environment), known=before is not None)) for end in ends.values()]
    rows.sort(key=lambda row: (_rank(row.end), row.end.environment))
    waiting = tuple(target for target in run.targets if target not in ends)
    gates = [row.end.gate for row in rows] + ([Gate.UNMEASURED] if waiting or not rows else [])
    gone = tuple(sorted(set(earlier) - set(run.targets)))
    return Rollup(run, tuple(rows), waiting, gone, str(before["run"]) if before else "", min(gates, key=_GATES.index))


def to_dict(rollup: Rollup) -> dict[str, Any]:
    """The roll-up for machines: results.json, and what ``--json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": rollup.run.id,
        "started_at": rollup.run.started_at,
        "phases": list(rollup.run.phases),
        "gate": str(rollup.gate),
        "exit_code": rollup.gate.exit_code,
        "reason": rollup.reason,
        "before": rollup.before,
        "targets": [{**to_json(row.end), "trend": row.trend, "was": row.was} for row in rollup.rows],
        "not_run": list(rollup.waiting),
        "gone": list(rollup.gone),
    }


def counts_text(counts: Mapping[str, int], *, only: Sequence[Verdict] = VERDICTS[:3]) -> str:
    """``2 FAIL, 1 ERROR``: the verdicts that need a person."""
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in only if counts.get(verdict))


def _earlier(before: Mapping[str, Any] | None) -> dict[str, TargetEnd]:
    try:
        return {str(kept["environment"]): from_json(kept) for kept in (before or {}).get("targets", ())}
    except (KeyError, TypeError, ValueError, AttributeError):  # a roll-up nobody can read is none
        return {}


def _rank(end: TargetEnd) -> tuple[int, ...]:
    """Smaller is worse: the word, then how many checks failed, erred, were inconclusive, warned."""
    return (WORST_FIRST.index(end.word), *(-end.counts.get(verdict, 0) for verdict in VERDICTS[:4]))


def _trend(end: TargetEnd, was: TargetEnd | None, *, known: bool) -> tuple[str, str]:
    if was is None:
        return (NEW if known else ""), ""
    now, then = _rank(end), _rank(was)
    if now == then:
        return SAME, ""
    return (WORSE if now < then else BETTER), f"was {was.word}" + (f" with {text}" if (text := counts_text(was.counts)) else "")
