"""Test records: all gone, nothing else."""

from __future__ import annotations

import pandas as pd

from opsnb.checks import backup, cleanup
from opsnb.verdicts import Verdict


def test_listing_params() -> None:
    """The release's list becomes three parallel arrays."""
    assert cleanup.listing_params([("notes", "id", ["a", "b"]), ("users", "id", ["c"])]) == {
        "tables": ["notes", "notes", "users"],
        "keys": ["id", "id", "id"],
        "values": ["a", "b", "c"],
    }


def test_remaining() -> None:
    """One row left fails and is first."""
    table = pd.DataFrame({"table_name": ["notes", "users"], "key": "id", "listed": [2, 1], "remaining": [0, 0]})
    assert cleanup.remaining(table).verdict is Verdict.PASS
    left = cleanup.remaining(table.assign(remaining=[0, 1]))
    assert left.verdict is Verdict.FAIL
    assert left.table is not None
    assert left.table.iloc[0]["table_name"] == "users"


def executed(planned: int, deleted: int, remaining: int = 0, unplanned: int = 0) -> Verdict:
    row = {"table_name": "notes", "planned": planned, "deleted": deleted, "remaining": remaining, "unplanned": unplanned}
    other = {"table_name": "other", "planned": 0, "deleted": 0, "remaining": 0, "unplanned": 0}
    return cleanup.executed(pd.DataFrame([other, row])).verdict


def test_executed() -> None:
    """Every disagreement between plan and effect fails; nothing left to delete passes."""
    assert executed(2, 2) is Verdict.PASS
    assert executed(0, 0) is Verdict.PASS
    assert executed(2, 1) is Verdict.FAIL
    assert executed(2, 2, remaining=1) is Verdict.FAIL
    assert executed(2, 2, unplanned=1) is Verdict.FAIL


def test_a_listed_backup_is_no_proof() -> None:
    """A completed backup in a list was not restored."""
    assert backup.available(pd.DataFrame({"status": ["COMPLETED"]})).verdict is Verdict.INCONCLUSIVE
