"""The way a user takes: does it work, twice and at once, and is every trace of it gone (POST-4.1, POST-4.3, POST-4.4)."""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

__all__ = ["no_trace", "walked"]

_SHOWN = ("step", "door", "kind", "requests", "status", "seconds", "wrong")
_WALK = "opsnb journey ENV --apply walks it; what is named here went wrong, and callers meet the same."


@check(
    "journey.walked",
    title="The provider's way works",
    items=("POST-4.1", "POST-4.3", "POST-4.4"),
    harm="The way a provider goes every day is broken somewhere, although each function answers by itself.",
    fix=_WALK,
    empty="INCONCLUSIVE: no journey was walked in this deployment.",
)
def walked(steps: pd.DataFrame, *, item: str = "", broken_off: str = "") -> Outcome:
    """Every step of the newest journey answered as the release expects; repeated ones alike; none was left out.

    Table: step, door, kind (step, again, at once), requests, status, seconds, wrong (in words, else empty), items. *item*: only the
    steps that answer it count. Measured: steps that went well.
    """
    if steps.empty:
        return inconclusive("No journey was walked in this deployment: opsnb journey ENV --apply, or a person walks it and attests it.")
    known(steps, "step", "wrong", "items")
    mine = steps[[item in str(items).split(", ") for items in steps["items"]]] if item else steps
    rows = findings([dict(zip(_SHOWN, row, strict=True)) for row in mine[list(_SHOWN)].itertuples(index=False)], _SHOWN)
    bad = [f"{step} ({wrong})" for step, wrong in zip(mine["step"].astype(str), mine["wrong"].astype(str), strict=True) if wrong]
    details = {"table": rows, "measured": len(mine) - len(bad), "limit": len(mine)}
    if bad:
        return failed(f"{len(bad)} of {counted(len(mine), 'step')} went wrong: {some(bad)}.", **details)
    if broken_off:
        return failed(f"The journey was broken off: {broken_off}", **details)
    if mine.empty:
        return inconclusive("No step of the journey says anything about it.", **details)
    again = int(mine["requests"].sum()) - len(mine)
    also = f", {again} of them asked again or at once" if again else ""
    return passed(
        f"{counted(int(mine['requests'].sum()), 'request')} in {counted(len(mine), 'step')} answered as expected{also}.", **details
    )


@check(
    "journey.no_trace",
    title="Every trace of the journey is gone",
    items=(),
    harm="A synthetic patient stays in the record, or a real row keeps a change nobody made for a patient.",
    fix="opsnb journey ENV --clean --apply removes what is left; look at the tables named.",
    empty="INCONCLUSIVE: no journey was walked in this deployment.",
)
def no_trace(left: pd.DataFrame) -> Outcome:
    """No row that the journey made is left, and what it changed is as it was. Table: what, removed, left (rows)."""
    if left.empty:
        return inconclusive("No journey was walked in this deployment.")
    known(left, "what", "left")
    remaining = [str(row.what) for row in left.itertuples() if row.left]
    details = {"table": left, "measured": int(left["left"].sum()), "limit": 0}
    if remaining:
        return failed(f"Something is left of the journey: {some(remaining)}.", **details)
    return passed(f"{counted(int(left['removed'].sum()), 'row')} removed, none is left, and what was changed is as it was.", **details)
