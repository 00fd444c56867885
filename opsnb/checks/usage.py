"""Is it used (H4-4)? Counts of what people did since the deployment, and how many different ones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

__all__ = ["adopted"]


@check(
    "usage.adopted",
    title="Providers use it",
    items=("H4-4",),
    harm="The deployment works and nobody uses it: errors that would have shown stay hidden.",
    fix="Ask a provider to show you what they see; a feature that nobody opens may be switched off, or nobody was told of it.",
    empty="INCONCLUSIVE before the time it is given is over, FAIL after it: nobody used it since the deployment.",
)
def adopted(usage: pd.DataFrame, *, names: Sequence[str], hours: float, within_h: float, people: float) -> Outcome:
    """Each use of *names* was made by at least *people* different people since the deployment, *hours* ago.

    Too few for one of them is INCONCLUSIVE until *within_h* hours are over, then FAIL. Table: hour, what, n, people (of that hour),
    counted per hour; the busiest hour is what is surely different people. Measured: the fewest of all uses.
    """
    if not names:
        return inconclusive("The release names no `usage`, so nothing is known of it.")
    if not usage.empty:
        known(usage, "hour", "what", "n", "people")
    rows = []
    for name in names:
        mine = usage[usage["what"] == name] if not usage.empty else usage
        most = int(mine["people"].max()) if len(mine) else 0
        rows.append(
            {"what": name, "number": int(mine["n"].sum()) if len(mine) else 0, "hours with any": len(mine), "people at least": most}
        )
    table = findings(rows, ("what", "number", "hours with any", "people at least"))
    fewest = min(int(str(row["people at least"])) for row in rows)
    lacking = [str(row["what"]) for row in rows if int(str(row["people at least"])) < people]
    details = {"table": table, "measured": fewest, "limit": people}
    told = "; ".join(f"{row['what']}: {counted(int(str(row['number'])), 'row')}" for row in rows)
    if lacking and hours < within_h:
        return inconclusive(
            f"{some(lacking)}: used by fewer than {people:g} so far, {within_h - hours:.1f} hours are left ({told}).", **details
        )
    if lacking:
        return failed(f"{some(lacking)}: used by fewer than {people:g} people in {hours:.0f} hours ({told}).", **details)
    return passed(f"Used in {hours:.1f} hours: {told}; at least {fewest} different people in one hour.", **details)
