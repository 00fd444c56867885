"""How much the database has grown (POST-5.1). Tables in: `table_sizes` of opsnb/sql/postgres, now and as archived by the snapshot."""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured

MB = 1_000_000
"""Bytes in the megabyte of the limits."""


def growth_table(sizes: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """One row per table in either: object, bytes_then, bytes_now, growth_bytes, growth_mb, finding; largest growth first.

    A table that is new counts with all its bytes, one that is gone as negative growth.
    """
    key = ["schema", "name"]
    now = known(sizes, *key, "total_bytes")[[*key, "total_bytes"]].rename(columns={"total_bytes": "bytes_now"})
    then = known(baseline, *key, "total_bytes")[[*key, "total_bytes"]].rename(columns={"total_bytes": "bytes_then"})
    both = now.merge(then, on=key, how="outer", indicator=True)
    told = {"left_only": "new since the snapshot", "right_only": "gone since the snapshot", "both": ""}
    both["finding"] = both["_merge"].astype(str).map(told)
    for column in ("bytes_now", "bytes_then"):
        both[column] = both[column].fillna(0).astype("int64")
    both["growth_bytes"] = both["bytes_now"] - both["bytes_then"]
    both["growth_mb"] = (both["growth_bytes"] / MB).round(3)
    both["object"] = both["schema"] + "." + both["name"]
    columns = ["object", "bytes_then", "bytes_now", "growth_bytes", "growth_mb", "finding"]
    return both.sort_values(["growth_bytes", "object"], ascending=[False, True])[columns].reset_index(drop=True)


@check(
    "storage.growth",
    title="Database growth since the snapshot",
    items=("POST-5.1",),
    harm="Something writes far more than the release was meant to: a loop, a retry, a log nobody empties.",
    fix="Look at the table that grew most; deleting rows does not shrink it, vacuum makes the room usable again.",
    empty="ERROR: no table has a size now, so the sizes were not read.",
)
def growth(sizes: pd.DataFrame, baseline: pd.DataFrame, *, limit_mb: float) -> Outcome:
    """The tables of the schemas, with indexes and out-of-line storage, grew by no more than *limit_mb* (1 MB = 1,000,000 bytes).

    Tables: `table_sizes` now; the same as archived by the snapshot, empty where there is none (INCONCLUSIVE).
    """
    if sizes.empty:
        return unmeasured("No table of the schemas has a size.")
    known(sizes, "schema", "name", "total_bytes")
    if baseline.empty:
        total = int(sizes["total_bytes"].sum()) / MB
        return inconclusive(f"{total:,.1f} MB now; no snapshot of this deployment to compare with: run that phase first.", limit=limit_mb)
    table = growth_table(sizes, baseline)
    grown = float(table["growth_bytes"].sum()) / MB
    most = table.iloc[0]
    largest = f"{most['object']} ({most['growth_mb']:,.1f} MB)"
    sentence = f"Grown by {grown:,.1f} MB over {counted(len(table), 'table')}, limit {limit_mb:g} MB; most in {largest}."
    verdict = passed if grown <= limit_mb else failed
    return verdict(sentence, table=table, measured=round(grown, 3), limit=limit_mb)
