"""Is it test data that goes, is it gone, and nothing else (runbook step 3).

Tables in: `cleanup_remaining` of opsnb/sql/postgres; the guards of the cleanup's plan; what the cleanup action writes about itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, warned

_NUMBERS = ("planned", "deleted", "to_change", "changed", "added", "remaining", "unplanned", "refused")


def listing_params(records: Iterable[tuple[str, str, Iterable[str]]]) -> dict[str, list[str]]:
    """What `cleanup_remaining` asks of the release's (table, key, values): three parallel lists, one entry per value."""
    triples = [(table, key, str(value)) for table, key, values in records for value in values]
    return {
        "tables": [table for table, _, _ in triples],
        "keys": [key for _, key, _ in triples],
        "values": [value for _, _, value in triples],
    }


@check(
    "cleanup.plan_is_test_data",
    title="Everything to be deleted is test data",
    items=("S3-1",),
    harm="Applied, the clean-up would delete the history of a real patient.",
    fix="Take what is real out of the release's cleanup section, or correct its guards; a refused plan is not applied.",
    empty="INCONCLUSIVE: no table was planned: the release lists no test record.",
)
def plan_is_test_data(guards: pd.DataFrame) -> Outcome:
    """No row of the plan looks real to any guard of the release.

    Tables: one row per table and guard (`table_name`, `guard`, `rows` looked at, `refused`, `finding`). FAIL where a guard refuses rows;
    WARN where rows would be deleted that no guard looked at.
    """
    if guards.empty:
        return inconclusive("No table was planned: the release lists no test record.", limit=0)
    known(guards, "table_name", "guard", "rows", "refused", "finding")
    rows: list[dict[Any, Any]] = []
    for row in guards.to_dict("records"):
        unguarded = int(row["rows"]) and str(row["guard"]) == "none"
        severity = "FAIL" if int(row["refused"]) else "WARN" if unguarded else "PASS"
        rows.append({**row, "severity": severity})
    table = findings(rows, ["severity", "table_name", "guard", "rows", "refused", "finding"], worst_first=("FAIL", "WARN", "PASS"))
    refused = int(table["refused"].astype(int).sum())
    details: dict[str, Any] = {"table": table, "measured": refused, "limit": 0}
    tables = list(dict.fromkeys(table["table_name"]))
    if refused:
        bad = table[table["severity"] == "FAIL"]
        first = bad.iloc[0]
        places = list(dict.fromkeys(bad["table_name"]))
        return failed(f"The plan holds rows that look real, in {some(places)}: {first['table_name']}: {first['finding']}.", **details)
    planned = table[table["rows"].astype(int) > 0]
    open_ = list(dict.fromkeys(planned[planned["severity"] == "WARN"]["table_name"]))
    if open_:
        return warned(f"The release has no guard for {some(open_)}: only its list says that their rows are of tests.", **details)
    if planned.empty:
        return passed(f"Nothing is left to delete in {counted(len(tables), 'table')}.", **details)
    return passed(
        f"No row in {counted(planned['table_name'].nunique(), 'table')} of the plan looks real to a guard of the release.", **details
    )


@check(
    "cleanup.remaining",
    title="All test records are deleted",
    items=("S3-1",),
    harm="Test patients turn up in searches, counts and reports, and somebody treats them as real.",
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
    harm="Real rows may be gone with the test records, or test patients still stand among the real ones.",
    fix="opsnb cleanup ENVIRONMENT --undo puts back what went, from the before-image; correct the release's list and run it again.",
    empty="INCONCLUSIVE: no cleanup has been run in this deployment.",
)
def executed(report: pd.DataFrame) -> Outcome:
    """What was planned was deleted or changed, nothing is left, no other row went, and what went can be put back.

    Tables: one row per table, written by the cleanup action: `table_name`, `planned` (rows found beforehand), `deleted`, `to_change` and
    `changed` (rows that stay and lose a reference), `added` (by triggers), `remaining`, `unplanned` (rows that changed beyond the plan),
    `refused` (rows that looked real), `before_image` (its SHA-256, or kept, missing, changed; empty where no row went) and `state`.
    FAIL where they disagree; WARN where the before-image is no longer there; INCONCLUSIVE where the run was stopped while it ended.
    """
    if report.empty:
        return inconclusive("No cleanup has been run in this deployment.", limit=0)
    known(report, "table_name", *_NUMBERS, "before_image", "state")
    rows = [_row(row) for row in report.to_dict("records")]
    columns = ["severity", *report.columns, "finding"]
    table = findings(rows, columns, worst_first=("FAIL", "INCONCLUSIVE", "WARN", "PASS"))
    deleted = int(report["deleted"].astype(int).sum())
    details: dict[str, Any] = {"table": table, "measured": deleted, "limit": int(report["planned"].astype(int).sum())}
    wrong, first = table[table["severity"] == table.iloc[0]["severity"]], table.iloc[0]
    if first["severity"] == "FAIL":
        return failed(f"{counted(len(wrong), 'table')} not as planned: {first['table_name']}: {first['finding']}.", **details)
    if first["severity"] == "INCONCLUSIVE":
        why = "The newest cleanup was stopped while it ended; opsnb cleanup ENVIRONMENT asks the server how, and files it."
        return inconclusive(why, **details)
    changed, added = (int(report[name].astype(int).sum()) for name in ("changed", "added"))
    also = f" {counted(changed, 'row')} lost a reference, as planned." if changed else ""
    also += f" Triggers added {counted(added, 'row')}." if added else ""
    places = counted(len(report), "table")
    if first["severity"] == "WARN":
        return warned(f"{counted(deleted, 'row')} deleted as planned; the before-image is gone, so it cannot be undone.{also}", **details)
    if not deleted and not changed:
        return passed(f"Nothing was left to delete; no other row changed in {places}.{also}", **details)
    return passed(f"{counted(deleted, 'row')} deleted as planned; no other row changed in {places}.{also}", **details)


def _row(row: dict[Any, Any]) -> dict[Any, Any]:
    numbers = {name: int(row[name]) for name in _NUMBERS}
    severity, finding = _judged(numbers, str(row["before_image"]), str(row["state"]))
    return {**row, **numbers, "severity": severity, "finding": finding}


def _judged(row: dict[str, int], image: str, state: str) -> tuple[str, str]:
    if state not in ("committed", "committing"):
        raise SourceNonsense(f"the record's state is neither committed nor committing but {state[:20]!r}")
    if row["refused"]:
        return "FAIL", f"{counted(row['refused'], 'row')} looked real"
    if row["unplanned"]:
        return "FAIL", f"{counted(row['unplanned'], 'row')} changed that nobody planned"
    if row["planned"] != row["deleted"]:
        return "FAIL", f"{row['planned']} planned, {row['deleted']} deleted"
    if row["to_change"] != row["changed"]:
        return "FAIL", f"{row['to_change']} planned to change, {row['changed']} changed"
    if row["remaining"]:
        return "FAIL", f"{counted(row['remaining'], 'row')} left"
    if (row["deleted"] or row["changed"]) and image in ("", "none", "changed"):
        return (
            "FAIL",
            "the before-image is not the one that was written" if image == "changed" else "rows went and no before-image was kept",
        )
    if state == "committing":
        return "INCONCLUSIVE", "the run was stopped while it ended"
    if (row["deleted"] or row["changed"]) and image == "missing":
        return "WARN", "as planned; the before-image is gone"
    return "PASS", "as planned"
