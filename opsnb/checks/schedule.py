"""Whether the monitoring schedule was kept: runs that are late, missed, overlapping or failed (SO-1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.config.schedule import Slot, Stretch, slots
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Gate, Outcome, check, failed, inconclusive, passed, unmeasured, warned

_COLUMNS = ("severity", "slot", "period", "due", "state", "began", "late_min", "seconds", "gate", "attempts", "run", "finding")
_WORST_FIRST = ("FAIL", "ERROR", "WARN", "OPEN", "PASS")
_STATES = ("begun", "ended", "stopped", "missed", "reopened")
LATE_MINUTES = 10.0
"""A run that begins this long after it was due is late; a scheduler that looks every five minutes is not."""


@check(
    "schedule.kept",
    title="The monitoring schedule was kept",
    items=("SO-1",),
    harm="Hours went unwatched: what happened in them is known from callers' complaints alone.",
    fix="A run that was missed cannot be made up for: note why, and watch on where it matters. Let a scheduler call opsnb monitor ENV.",
    empty="INCONCLUSIVE or FAIL, by the time that has passed: nothing was run, so every slot that is over was missed.",
)
def kept(
    entries: pd.DataFrame, *, schedule: Sequence[Stretch], deployed_at: datetime, now: datetime, late_minutes: float = LATE_MINUTES
) -> Outcome:
    """Every slot of *schedule* was run once, in time, and what the runs found is settled.

    Table: the journal of the slots (slot, event, at; began, seconds, gate, run where it knows them). A slot that nobody ran, and a run
    that failed with no better one after it, FAIL; a run that could not measure is ERROR; late and overlapping runs, and failures that a
    later run settled, are warnings. Slots to come are INCONCLUSIVE.
    """
    if not schedule:
        return inconclusive("The release has no monitoring schedule.")
    table = slot_table(entries, schedule=schedule, deployed_at=deployed_at, now=now, late_minutes=late_minutes)
    if table.empty:
        return inconclusive("The release's monitoring schedule holds no run.")
    of = len(table)
    states = table["state"].value_counts().to_dict()
    done = int(states.get("done", 0))
    worst = findings(table.to_dict("records"), _COLUMNS, worst_first=_WORST_FIRST)  # type: ignore[arg-type]
    details = {"table": worst, "measured": done, "limit": of}
    seen = f"{done} of {counted(of, 'run')} of the schedule done"
    told = _told(worst)
    severities = set(table["severity"])
    if "FAIL" in severities:
        return failed(f"{seen}; {told}.", **details)
    if "ERROR" in severities:
        return unmeasured(f"{seen}; {told}.", **details)
    if "OPEN" in severities:
        upcoming = table[table["severity"] == "OPEN"].iloc[0]
        more = f"; {told}" if told else ""
        return inconclusive(f"{seen}, slot {upcoming['slot']} is next at {upcoming['due']:%Y-%m-%d %H:%M} UTC{more}.", **details)
    if "WARN" in severities:
        return warned(f"{seen}; {told}.", **details)
    latest = float(pd.to_numeric(table["late_min"]).max())
    return passed(f"{seen}, each in time: the latest began {latest:.1f} min after it was due.", **details)


def slot_table(
    entries: pd.DataFrame, *, schedule: Sequence[Stretch], deployed_at: datetime, now: datetime, late_minutes: float = LATE_MINUTES
) -> pd.DataFrame:
    """One row per slot, in order: severity, slot, period, due, state, began, late_min, seconds, gate, attempts, run, finding.

    States: done, running, due, missed, to come. Raises SourceNonsense for entries that are none.
    """
    if now.tzinfo is None:
        raise SourceNonsense("a time carries no zone; expected one like 2026-01-31T12:00:00+00:00")
    plan = slots(deployed_at, schedule)
    by_slot: dict[int, list[dict[str, Any]]] = {slot.number: [] for slot in plan}
    if not entries.empty:
        for entry in known(entries, "slot", "event", "at").astype(object).to_dict("records"):
            if entry["event"] not in _STATES:
                raise SourceNonsense("the journal of the slots holds an event of no known kind")
            if entry["slot"] not in by_slot:
                raise SourceNonsense(f"the journal names slot {entry['slot']}, of {len(plan)}: was the schedule changed meanwhile?")
            by_slot[int(entry["slot"])].append({str(name): value for name, value in entry.items()})
    rows = [_row(slot, by_slot[slot.number], now, late_minutes) for slot in plan]
    _settle(rows)
    return findings(rows, _COLUMNS)


def _row(slot: Slot, entries: Sequence[dict[str, Any]], now: datetime, late_minutes: float) -> dict[str, Any]:
    """What became of one slot, and what of it a person should know."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    attempts = [entry for entry in entries if entry["event"] == "begun"]
    again = max((place for place, entry in enumerate(entries) if entry["event"] == "reopened"), default=-1)
    row |= {"slot": slot.number, "period": slot.period, "due": slot.due, "attempts": len(attempts)}
    ends = [entry for entry in entries[again + 1 :] if entry["event"] == "ended"]
    last = entries[-1]["event"] if entries else ""
    if ends:
        return row | _ended(slot, ends[0], late_minutes, twice=len(ends) > 1)
    if last == "missed" or now >= slot.closes:
        why = _text(entries[-1].get("why")) if last == "missed" else ""
        return row | {"state": "missed", "severity": "FAIL", "finding": f"was missed{f' ({why})' if why else ''}"}
    if last == "begun":
        return row | {"state": "running", "severity": "OPEN", "began": entries[-1]["at"], "finding": ""}
    return row | {"state": "due" if slot.due <= now else "to come", "severity": "OPEN", "finding": ""}


def _ended(slot: Slot, end: dict[str, Any], late_minutes: float, *, twice: bool) -> dict[str, Any]:
    began = end.get("began")
    if began is None or pd.isna(began) or end.get("gate") not in set(Gate):
        raise SourceNonsense(f"the journal does not say when the run of slot {slot.number} began, or how it ended")
    late_min = max(0.0, (began - pd.Timestamp(slot.due)).total_seconds() / 60)
    found = []
    if twice:
        found.append("was run more than once")
    if late_min > late_minutes:
        found.append(f"began {late_min:.0f} min late")
    seconds = end.get("seconds")
    if not pd.isna(seconds) and slot.number < slot.of and began + pd.Timedelta(seconds=float(str(seconds))) > slot.closes:
        found.append("ran into the next")
    return {
        "state": "done", "began": began, "late_min": round(late_min, 1), "seconds": seconds, "gate": str(end["gate"]),
        "run": _text(end.get("run")), "severity": "WARN" if found else "PASS", "finding": " and ".join(found),
    }  # fmt: skip


def _settle(rows: Sequence[dict[str, Any]]) -> None:
    """Gates that failed or measured nothing: a failure counts as settled once a later run passed or held."""
    well_after = False
    for row in reversed(rows):
        if row["state"] != "done":
            continue
        if row["gate"] in (Gate.PASSED, Gate.HELD):
            well_after = True
        elif row["gate"] == Gate.UNMEASURED:
            row |= {"severity": "ERROR", "finding": _and(row["finding"], "could not measure")}
        else:
            settled = " (a later run did not)" if well_after else ""
            row |= {"severity": "WARN" if well_after else "FAIL", "finding": _and(row["finding"], f"failed{settled}")}


def _told(table: pd.DataFrame) -> str:
    """The findings as a clause, slots with the same one together: `slots 6 and 7 were missed, slot 9 failed`."""
    by_finding: dict[str, list[int]] = {}
    for row in table[table["finding"] != ""].to_dict("records"):
        by_finding.setdefault(str(row["finding"]), []).append(int(row["slot"]))
    clauses = []
    for finding, numbers in by_finding.items():
        many = f"slots {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} {finding.replace('was ', 'were ', 1)}"
        clauses.append(many if len(numbers) > 1 else f"slot {numbers[0]} {finding}")
    return some(clauses)


def _and(one: str, other: str) -> str:
    return f"{one} and {other}" if one else other


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
