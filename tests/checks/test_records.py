"""The cumulative records: recent, whole, well formed, updated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opsnb.checks import records
from opsnb.verdicts import Verdict


def recent(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{"number": 1, "updated_s_ago": 60.0, "kind": "object", "keys": 3, "counts": {"conditions": 2}, **changes}])


def test_recent_merge() -> None:
    """Slow, no object, no array and the future fail; nothing recent decides nothing."""
    asked: dict[str, Any] = {"seconds": 0.1, "limit_s": 1, "array": "conditions"}
    assert records.recent_merge(recent(), **asked).verdict is Verdict.PASS
    assert records.recent_merge(recent(), **{**asked, "seconds": 1.1}).verdict is Verdict.FAIL
    assert records.recent_merge(recent(kind="array"), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(kind=None), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(counts={"conditions": None}), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(counts=None), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(updated_s_ago=-5.0), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent().iloc[:0], **asked).verdict is Verdict.INCONCLUSIVE
    assert records.recent_merge(recent().iloc[:0], **{**asked, "seconds": 2}).verdict is Verdict.FAIL


def test_shape_params() -> None:
    """A JSON Schema becomes the statement's parameters."""
    schema = {
        "type": "object",
        "required": ["conditions"],
        "properties": {
            "conditions": {"type": "array", "items": {"type": "object", "required": ["name", "code"]}},
            "vital_signs": {"type": "array"},
            "version": {"type": "integer"},
        },
    }
    assert records.shape_params(schema) == {
        "required_keys": ["conditions"],
        "array_keys": ["conditions", "vital_signs"],
        "item_arrays": ["conditions", "conditions"],
        "item_keys": ["name", "code"],
    }


def rules(*counts: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"rule": f"rule {n}", "key": "", "looked_at": looked, "broken": broken} for n, (looked, broken) in enumerate(counts)]
    )


def test_shape() -> None:
    """One violation fails and is first; no record to look at decides nothing."""
    assert records.shape(rules((10, 0), (10, 0))).verdict is Verdict.PASS
    assert records.shape(rules((0, 0), (0, 0))).verdict is Verdict.INCONCLUSIVE
    broken = records.shape(rules((10, 0), (10, 1)))
    assert broken.verdict is Verdict.FAIL
    assert broken.table is not None
    assert broken.table.iloc[0]["finding"] == "1 of 10 break it"


def test_no_nulls() -> None:
    """A NULL and a missing column fail."""

    def judge(nulls: float | None, declared: bool = False) -> Verdict:
        row = {"table_name": "records", "column_name": "user_id", "not_null": declared, "nulls": nulls}
        return records.no_nulls(pd.DataFrame([row, {**row, "nulls": 0}])).verdict

    assert judge(0) is Verdict.PASS
    assert judge(0, declared=True) is Verdict.PASS
    assert judge(3) is Verdict.FAIL
    assert judge(None) is Verdict.FAIL


def test_updated() -> None:
    """A note that is not merged fails; nothing signed, or only just, decides nothing."""

    def judge(notes: int, merged: int, waiting: int, not_merged: int) -> Verdict:
        row = {"notes": notes, "merged": merged, "waiting": waiting, "not_merged": not_merged, "without_record": 0}
        return records.updated(pd.DataFrame([{**row, "oldest_not_merged_s": 500.0 if not_merged else None}])).verdict

    assert judge(4, 4, 0, 0) is Verdict.PASS
    assert judge(4, 3, 1, 0) is Verdict.PASS
    assert judge(4, 3, 0, 1) is Verdict.FAIL
    assert judge(0, 0, 0, 0) is Verdict.INCONCLUSIVE
    assert judge(1, 0, 1, 0) is Verdict.INCONCLUSIVE
    assert judge(4, 3, 0, 0) is Verdict.WARN
