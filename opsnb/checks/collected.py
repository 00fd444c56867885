"""The functions' logs: kept in one place, complete and searchable (MON-4)."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

__all__ = ["complete"]


@check(
    "collected.complete",
    title="The functions' logs are collected in one place",
    items=("MON-4",),
    harm="What happened cannot be looked up later: the platform forgets its logs after days, and caps every answer.",
    fix="Run `opsnb logs collect ENV` from a scheduler, every few minutes; it goes on where it was.",
    empty="INCONCLUSIVE: nothing was collected yet.",
)
def complete(collected: pd.DataFrame, *, until: datetime | None, now: datetime, lag_minutes: float) -> Outcome:
    """The archive is complete up to at most *lag_minutes* ago, and its key events can be counted.

    Table: event, lines (the empty event: lines without one); *until*: the archive's watermark. Measured: minutes since it.
    """
    if until is None or collected.empty:
        return inconclusive("Nothing was collected yet: opsnb logs collect ENV.", limit=lag_minutes)
    known(collected, "event", "lines")
    behind = (pd.Timestamp(now) - pd.Timestamp(until)).total_seconds() / 60
    details = {"table": collected, "measured": round(behind, 1), "limit": lag_minutes}
    events = collected[collected["event"] != ""]
    found = ", ".join(f"{event} {lines:,}" for event, lines in zip(events["event"], events["lines"], strict=True)) or "no key event"
    said = f"{counted(int(collected['lines'].sum()), 'line')} of the last day kept, with {found}"
    if behind > lag_minutes:
        return failed(f"{said}; the archive ends {behind:.0f} minutes ago, at most {lag_minutes:g} are allowed.", **details)
    return passed(f"{said}; complete up to {behind:.0f} minutes ago.", **details)
