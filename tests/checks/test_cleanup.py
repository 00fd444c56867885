"""Test records: test data alone, all gone, nothing else."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opsnb.checks import cleanup
from opsnb.verdicts import CheckResult, Verdict


def test_listing_params() -> None:
    """The release's list becomes three parallel arrays."""
    assert cleanup.listing_params([("notes", "id", ["a", "b"]), ("users", "id", ["c"])]) == {
        "tables": ["notes", "notes", "users"],
        "keys": ["id", "id", "id"],
        "values": ["a", "b", "c"],
    }


def guards(*rows: tuple[str, str, int, int]) -> CheckResult:
    columns = ["table_name", "guard", "rows", "refused"]
    return cleanup.plan_is_test_data(pd.DataFrame(rows, columns=columns).assign(finding="as the guard says"))


def test_plan_is_test_data() -> None:
    """One refused row fails and is first; what no guard looked at is a warning, unless there is nothing."""
    assert guards(("notes", "people", 2, 0), ("users", "window", 2, 0)).verdict is Verdict.PASS
    failing = guards(("notes", "people", 2, 0), ("users", "none", 2, 0), ("users", "window", 2, 1))
    assert failing.verdict is Verdict.FAIL and failing.measured == 1 and "users: as the guard says" in failing.summary
    assert failing.table is not None and list(failing.table["severity"]) == ["FAIL", "WARN", "PASS"]
    unguarded = guards(("notes", "none", 2, 0), ("users", "people", 2, 0))
    assert unguarded.verdict is Verdict.WARN and "no guard for notes" in unguarded.summary
    nothing = guards(("notes", "none", 0, 0))
    assert nothing.verdict is Verdict.PASS and "Nothing is left" in nothing.summary
    assert cleanup.plan_is_test_data(pd.DataFrame()).verdict is Verdict.INCONCLUSIVE
    assert cleanup.plan_is_test_data(pd.DataFrame({"table_name": ["notes"]})).verdict is Verdict.ERROR


def test_remaining() -> None:
    """One row left fails and is first."""
    table = pd.DataFrame({"table_name": ["notes", "users"], "key": "id", "listed": [2, 1], "remaining": [0, 0]})
    assert cleanup.remaining(table).verdict is Verdict.PASS
    left = cleanup.remaining(table.assign(remaining=[0, 1]))
    assert left.verdict is Verdict.FAIL
    assert left.table is not None
    assert left.table.iloc[0]["table_name"] == "users"


NONE = {"planned": 0, "deleted": 0, "to_change": 0, "changed": 0, "added": 0, "remaining": 0, "unplanned": 0, "refused": 0}


def executed(**said: Any) -> CheckResult:
    row = {"table_name": "notes", **NONE, "before_image": "kept", "state": "committed", **said}
    other = {"table_name": "other", **NONE, "before_image": "", "state": said.get("state", "committed")}
    return cleanup.executed(pd.DataFrame([other, row]))


@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [
        ({"planned": 2, "deleted": 2}, Verdict.PASS, "2 rows deleted as planned"),
        ({"planned": 2, "deleted": 2, "before_image": "0" * 64}, Verdict.PASS, "2 rows deleted as planned"),
        ({}, Verdict.PASS, "Nothing was left to delete"),
        ({"to_change": 1, "changed": 1}, Verdict.PASS, "1 row lost a reference"),
        ({"planned": 1, "deleted": 1, "added": 3}, Verdict.PASS, "Triggers added 3 rows"),
        ({"planned": 2, "deleted": 1}, Verdict.FAIL, "notes: 2 planned, 1 deleted"),
        ({"to_change": 1, "changed": 0}, Verdict.FAIL, "1 planned to change, 0 changed"),
        ({"planned": 2, "deleted": 2, "remaining": 1}, Verdict.FAIL, "1 row left"),
        ({"planned": 2, "deleted": 2, "unplanned": 1}, Verdict.FAIL, "1 row changed that nobody planned"),
        ({"planned": 2, "deleted": 2, "refused": 1}, Verdict.FAIL, "1 row looked real"),
        ({"planned": 2, "deleted": 2, "before_image": ""}, Verdict.FAIL, "no before-image was kept"),
        ({"planned": 2, "deleted": 2, "before_image": "changed"}, Verdict.FAIL, "not the one that was written"),
        ({"planned": 2, "deleted": 2, "before_image": "missing"}, Verdict.WARN, "cannot be undone"),
        ({"planned": 2, "deleted": 2, "state": "committing"}, Verdict.INCONCLUSIVE, "stopped while it ended"),
        ({"planned": 2, "deleted": 2, "state": "perhaps"}, Verdict.ERROR, "neither committed nor committing"),
    ],
)
def test_executed(said: dict[str, Any], verdict: Verdict, words: str) -> None:
    """Every disagreement between plan and effect fails, first; nothing left to delete passes."""
    result = executed(**said)
    assert result.verdict is verdict and words in result.summary
    if verdict in (Verdict.FAIL, Verdict.WARN):
        assert result.table is not None and result.table.iloc[0]["table_name"] == "notes"


def test_a_listed_backup_is_no_proof() -> None:
    """A completed backup in a list was not restored."""
