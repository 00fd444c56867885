"""The clock of the way back while a deployment is under way: whether the promise can still be kept."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opsnb.checks.tables import known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

_ROWS = "rows from the snapshot"
_FUNCTIONS = "functions from the archive"


@check(
    "rollback.still_possible",
    title="The way back is open, and short enough",
    items=(),
    harm="If it goes wrong now, you are not back within the time that was promised.",
    fix="Take a snapshot and rehearse it before going on (opsnb snapshot ENV, opsnb rehearse ENV); "
    "where it takes too long, promise another time.",
    empty="INCONCLUSIVE: no snapshot was taken in this deployment, so there is nothing to go back to.",
)
def still_possible(ways: pd.DataFrame, at_stake: pd.DataFrame, *, minutes: float) -> Outcome:
    """Rows and functions can come back within *minutes*, as measured in rehearsal and scaled to the rows there are now.

    Tables: way, possible, rehearsed_s, now_s, why; table, then, now, more (rows since T0, by the planner's figures). FAIL: a way that was
    walked takes longer than promised, or did not give back what was taken. INCONCLUSIVE: no way was ever walked. Measured: minutes.
    """
    if ways.empty:
        return inconclusive("No snapshot was taken in this deployment, so there is nothing to go back to.", limit=minutes)
    known(ways, "way", "possible")
    row = ways[ways["way"] == _ROWS].iloc[0]
    closed = [f"{each['way']} ({each['why']})" for each in ways[~ways["possible"].astype(bool)].to_dict("records") if each["way"] != _ROWS]
    changed = int(at_stake["more"].abs().sum()) if not at_stake.empty else 0
    stake = f"about {changed:,} rows have come or gone since" if changed else "by the planner's figures no row has come or gone since"
    details: dict[str, Any] = {"table": ways, "limit": minutes}
    also = f" Closed: {some(closed)}." if closed else ""
    if pd.isna(row["now_s"]):
        return inconclusive(f"The snapshot was never restored, so nobody knows how long the way back takes; {stake}.{also}", **details)
    functions = ways[ways["way"] == _FUNCTIONS]["now_s"]
    took = (float(row["now_s"]) + float(functions.fillna(0).sum())) / 60
    details["measured"] = round(took, 2)
    if not bool(row["possible"]):
        return failed(f"The snapshot's rehearsal did not give back what was taken: there is no whole way back.{also}", **details)
    if took > minutes:
        return failed(f"The way back takes {took:.1f} minutes now, {minutes:g} are promised; {stake}.{also}", **details)
    return passed(f"The way back takes {_words(took)} of {minutes:g} minutes now; {stake}.{also}", **details)


def _words(minutes: float) -> str:
    return f"{minutes:.1f}" if minutes >= 1 else f"{minutes * 60:.1f} s"
