"""Growth since the snapshot."""

from __future__ import annotations

import pandas as pd

from opsnb.checks import storage
from opsnb.verdicts import Verdict


def sizes(**megabytes: float) -> pd.DataFrame:
    return pd.DataFrame([{"schema": "public", "name": name, "total_bytes": int(size * 1_000_000)} for name, size in megabytes.items()])


def test_growth_is_judged_against_the_limit() -> None:
    """At the limit passes, over it fails; the table that grew most is first."""
    result = storage.growth(sizes(notes=150, users=10), sizes(notes=50, users=10), limit_mb=100)
    assert result.verdict is Verdict.PASS
    assert result.measured == 100
    over = storage.growth(sizes(notes=150.1, users=10), sizes(notes=50, users=10), limit_mb=100)
    assert over.verdict is Verdict.FAIL
    assert over.table is not None
    assert over.table.iloc[0]["object"] == "public.notes"


def test_new_and_gone_tables_count() -> None:
    """A new table counts with all its bytes, a dropped one against it."""
    table = storage.growth_table(sizes(new=3), sizes(old=1))
    assert table[["object", "growth_mb", "finding"]].values.tolist() == [
        ["public.new", 3.0, "new since the snapshot"],
        ["public.old", -1.0, "gone since the snapshot"],
    ]
    assert storage.growth(sizes(new=3), sizes(old=1), limit_mb=1).verdict is Verdict.FAIL


def test_no_baseline_decides_nothing() -> None:
    """Without a snapshot there is no growth."""
    assert storage.growth(sizes(notes=1), pd.DataFrame(), limit_mb=100).verdict is Verdict.INCONCLUSIVE
    assert storage.growth(pd.DataFrame(), sizes(notes=1), limit_mb=100).verdict is Verdict.ERROR
