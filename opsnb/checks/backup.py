"""Is there a way back: a snapshot that was restored (S1-1, PRE-4.4), and the platform's own window (PRE-4.2)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

__all__ = ["point_in_time", "restored"]

CLOCK_TOLERANCE = timedelta(minutes=5)
_SHOWN = ("snapshot", "at", "tables", "rows", "unknown", "rehearsed", "whole", "differing", "seconds")


@check(
    "backup.restored",
    title="A backup was made and restored",
    items=("S1-1", "PRE-4.4"),
    harm="A backup nobody restored is a hope: it may be empty, of another version, or need a key that is gone.",
    fix="Take a snapshot and rehearse it: opsnb snapshot ENV, then opsnb rehearse ENV. What could not be restored is named there.",
    empty="INCONCLUSIVE: no snapshot was taken in this deployment, so there is nothing known to come back to.",
)
def restored(snapshots: pd.DataFrame, *, now: datetime, age_h: float) -> Outcome:
    """The newest snapshot is at most *age_h* hours old and was restored whole: rows, fingerprints and catalogue equal to T0.

    Table: one row per snapshot of the deployment, newest first: snapshot, at, tables, rows, unknown (tables without a fingerprint),
    rehearsed (moment or NULL), whole, differing (names), seconds. Measured: hours since T0.
    """
    if snapshots.empty:
        return inconclusive("No snapshot was taken in this deployment.", limit=age_h)
    known(snapshots, "snapshot", "at", "tables", "rows")
    newest = snapshots.sort_values("at", ascending=False).iloc[0]
    hours = (pd.Timestamp(now) - pd.Timestamp(newest["at"])).total_seconds() / 3600
    details = {
        "table": findings([dict(zip(_SHOWN, row, strict=True)) for row in snapshots[list(_SHOWN)].itertuples(index=False)], _SHOWN),
        "measured": round(hours, 2),
        "limit": age_h,
    }
    size = f"{newest['rows']:,} rows of {counted(int(newest['tables']), 'table')}"
    what = f"The snapshot of {pd.Timestamp(newest['at']):%Y-%m-%d %H:%M:%S} UTC ({size})"
    if hours < -0.1:
        return inconclusive(f"{what} is {-hours:.1f} hours in the future: one of the two clocks is wrong.", **details)
    if pd.isna(newest["rehearsed"]):
        return inconclusive(f"{what} was never restored, so it is not known that it can be.", **details)
    if not bool(newest["whole"]):
        names = some(str(newest["differing"]).split(", ")) if newest["differing"] else "see its rehearsal"
        return failed(f"{what} was restored and is not what was taken: {names}.", **details)
    if hours > age_h:
        return failed(f"{what} is {hours:.0f} hours old, at most {age_h:g} are allowed.", **details)
    if int(newest["tables"]) == 0 or int(newest["unknown"]):
        return inconclusive(f"{what} was restored; {counted(int(newest['unknown']), 'table')} could not be compared.", **details)
    return passed(f"{what} was restored in {newest['seconds']:.1f} s, and every table and object equals T0.", **details)


@check(
    "backup.point_in_time",
    title="The window of point-in-time recovery is known",
    items=("PRE-4.2",),
    harm="What is written between the last backup and an accident is lost, up to a day of consultations.",
    fix="Switch point-in-time recovery on (it needs a plan and a compute size), or let a person accept that only the snapshot is there.",
    empty="ERROR: the platform's answer says nothing about point-in-time recovery.",
)
def point_in_time(backups: pd.DataFrame, *, now: datetime, lag_minutes: float = 10, at: datetime | None = None) -> Outcome:
    """The platform names an earliest and a latest restorable moment, the latest no older than *lag_minutes*; *at* (T0) lies between.

    Table: the platform's backups (kind, status, at). Point-in-time recovery that is not enabled is FAIL: nothing between two backups can
    come back. Measured: minutes since the latest restorable moment.
    """
    known(backups, "kind", "status")
    said = backups[backups["kind"] == "point-in-time recovery"]["status"]
    state = str(said.iloc[0]) if len(said) else "not told"
    if state == "not enabled":
        done = int(((backups["status"] == "COMPLETED") & backups["kind"].str.endswith("backup")).sum())
        return failed(f"Point-in-time recovery is not enabled; {counted(done, 'completed backup')} of the platform listed.", table=backups)
    earliest, latest = (_moment(backups, which) for which in ("earliest", "latest"))
    if state != "enabled" or earliest is None or latest is None:
        return inconclusive("The platform does not say from when to when it could restore.", table=backups)
    behind = (pd.Timestamp(now) - latest).total_seconds() / 60
    details = {"table": backups, "measured": round(behind, 2), "limit": lag_minutes}
    window = f"{earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S} UTC"
    if behind < -CLOCK_TOLERANCE.total_seconds() / 60:
        return inconclusive(
            f"The window, {window}, ends in the future: one of the two clocks is wrong, and its age is not known.", **details
        )
    if earliest > latest:
        return inconclusive(f"The window ends before it begins ({window}).", **details)
    if at is not None and pd.Timestamp(at) < earliest:
        return failed(f"T0 is no longer in the window, {window}: the platform cannot go back to it.", **details)
    if at is not None and pd.Timestamp(at) > latest:
        return inconclusive(f"The window, {window}, has not reached T0 yet; an idle database archives late.", **details)
    if behind > lag_minutes:
        return failed(
            f"The latest restorable moment is {behind:.0f} minutes old ({window}): what was written since would be lost.", **details
        )
    return passed(f"Restorable from {window}.", **details)


def _moment(backups: pd.DataFrame, which: str) -> pd.Timestamp | None:
    times = backups[backups["kind"] == f"point in time, {which}"]["at"].dropna()
    return None if times.empty else pd.Timestamp(times.iloc[0])
