"""Are the test records gone, and nothing else (runbook step 3).

Tables in: `cleanup_remaining` of opsnb/sql/postgres; what the cleanup action writes about itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed


def listing_params(records: Iterable[tuple[str, str, Iterable[str]]]) -> dict[str, list[str]]:
    """What `cleanup_remaining` asks of the release's (table, key, values): three parallel lists, one entry per value."""
    triples = [(table, key, str(value)) for table, key, values in records for value in values]
    return {
        "tables": [table for table, _, _ in triples],
        "keys": [key for _, key, _ in triples],
        "values": [value for _, _, value in triples],
    }


@check(
    "cleanup.remaining",
    title="All test records are deleted",
    items=("S3-1",),
    fix="opsnb cleanup ENVIRONMENT shows the plan; with --apply it deletes in one transaction.",
    empty="INCONCLUSIVE: the release lists no test record, so none was looked for.",
)
def remaining(records: pd.DataFrame) -> Outcome:
    """No listed test record is left. Tables: `cleanup_remaining`."""
    if records.empty:
        return inconclusive("The release lists no test record, so none was looked for.", limit=0)
    known(records, "table_name", "key", "listed", "remaining")
    left = int(records["remaining"].sum())
    table = records.sort_values("remaining", ascending=False, kind="stable").reset_index(drop=True)
    table["finding"] = ["all gone" if not rows else f"{counted(int(rows), 'row')} left" for rows in table["remaining"]]
    details: dict[str, Any] = {"table": table, "measured": left, "limit": 0}
    listed = counted(int(records["listed"].sum()), "listed value")
    if left:
        where = [str(row.table_name) for row in table.itertuples() if row.remaining]
        return failed(f"{counted(left, 'test row')} left in {some(where)} ({listed}).", **details)
    return passed(f"No row is left of {listed} in {counted(len(records), 'place')}.", **details)


@check(
    "cleanup.executed",
    title="The cleanup ran without error and deleted nothing else",
    items=("S3-2",),
    fix="The transaction was rolled back or is to be undone from the before-images; correct the release's list and run the cleanup again.",
    empty="INCONCLUSIVE: no cleanup has been run in this deployment.",
)
def executed(report: pd.DataFrame) -> Outcome:
    """What was planned was deleted, nothing is left and no other row went.

    Tables: one row per table of the schemas, written by the cleanup action: `table_name`, `planned` (rows found beforehand), `deleted`,
    `remaining`, `unplanned` (rows that changed beyond the plan, for example by a cascade). FAIL where they disagree.
    """
    if report.empty:
        return inconclusive("No cleanup has been run in this deployment.", limit=0)
    known(report, "table_name", "planned", "deleted", "remaining", "unplanned")
    table = report.copy()
    numbers = (report[name].astype(int) for name in ("planned", "deleted", "remaining", "unplanned"))
    table["finding"] = [_outcome(*row) for row in zip(*numbers, strict=True)]
    wrong = table["finding"] != "as planned"
    table = table.iloc[(~wrong).argsort(kind="stable")].reset_index(drop=True)
    deleted = int(report["deleted"].sum())
    details: dict[str, Any] = {"table": table, "measured": deleted, "limit": int(report["planned"].sum())}
    if wrong.any():
        first = table.iloc[0]
        return failed(f"{counted(int(wrong.sum()), 'table')} not as planned: {first['table_name']}: {first['finding']}.", **details)
    if not deleted:
        return passed(f"Nothing was left to delete; no other row changed in {counted(len(report), 'table')}.", **details)
    return passed(f"{counted(deleted, 'row')} deleted as planned; no other row changed in {counted(len(report), 'table')}.", **details)


def _outcome(planned: int, deleted: int, remaining: int, unplanned: int) -> str:
    if unplanned:
        return f"{counted(unplanned, 'row')} changed that nobody planned"
    if planned != deleted:
        return f"{planned} planned, {deleted} deleted"
    return f"{counted(remaining, 'row')} left" if remaining else "as planned"
