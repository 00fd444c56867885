"""Pools and disks: read from metrics and sessions, forecast from enough, refused in words where it would be a guess."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.checks import capacity
from opsnb.errors import SourceAbsent, SourceTimeout
from opsnb.facts import Facts
from opsnb.sources.metrics import parse
from opsnb.verdicts import CheckResult

AT = datetime(2026, 1, 17, 22, tzinfo=UTC)
START = pd.Timestamp(AT)
SESSIONS = pd.DataFrame(
    {"role": ["a", "b"], "state": "idle", "sessions": [7, 4], "max_connections": [60, 60], "reserved_connections": [3, 3]}
)
METRICS = """pgrst_db_pool_max 15
pgrst_db_pool_available 12
node_filesystem_size_bytes{fstype="ext4",mountpoint="/data"} 8e9
node_filesystem_avail_bytes{fstype="ext4",mountpoint="/data"} 6e9
node_filesystem_size_bytes{fstype="tmpfs",mountpoint="/run"} 1e9
node_filesystem_avail_bytes{fstype="tmpfs",mountpoint="/run"} 1e9
"""


def history(used: list[float], *, resource: str = "pool", subject: str = "server", size: float = 57, every_h: float = 0.5) -> pd.DataFrame:
    at = [START + pd.Timedelta(hours=every_h * number) for number in range(len(used))]
    return pd.DataFrame(
        {"taken_at": at, "resource": resource, "subject": subject, "used": used, "size": size, "unit": "connections"},
        columns=list(capacity.COLUMNS),
    )


def of_pools(table: pd.DataFrame, **more: Any) -> CheckResult:
    return capacity.pool(table, **{"limit_share": 0.8, "within_days": 2, "points": 6, "hours": 2, **more})


def of_disks(gigabytes: list[float], **more: Any) -> CheckResult:
    table = history([each * 1e9 for each in gigabytes], resource="disk", subject="/data", size=8e9)
    return capacity.disk(table, **{"within_days": 7, "points": 6, "hours": 2, **more})


def test_what_is_in_use() -> None:
    found = capacity.in_use(parse(METRICS), SESSIONS, at=AT)
    assert tuple(found.columns) == capacity.COLUMNS and set(found["taken_at"]) == {START}
    assert found.drop(columns="taken_at").to_numpy().tolist() == [
        ["pool", "data API", 3.0, 15.0, "connections"],
        ["pool", "server", 11.0, 57.0, "connections"],
        ["disk", "/data", 2e9, 8e9, "bytes"],
    ]


def test_either_source_alone() -> None:
    assert capacity.in_use(pd.DataFrame(), SESSIONS, at=AT)["subject"].tolist() == ["server"]
    assert capacity.in_use(parse(METRICS), pd.DataFrame(), at=AT)["subject"].tolist() == ["data API", "/data"]
    assert capacity.in_use(pd.DataFrame(), pd.DataFrame(), at=AT).empty


@pytest.mark.parametrize(
    "told",
    ["node_filesystem_size_bytes 8e9\n", "node_filesystem_size_bytes 0\nnode_filesystem_avail_bytes 0\n",
     "node_filesystem_size_bytes NaN\nnode_filesystem_avail_bytes 1\n", "node_filesystem_size_bytes 1\nnode_filesystem_avail_bytes 2\n"],
)  # fmt: skip
def test_a_disk_that_does_not_add_up_is_not_recorded(told: str) -> None:
    assert capacity.disks(parse(told)).empty


@pytest.mark.parametrize(
    ("used", "verdict", "says"),
    [
        ([10.0 + n for n in range(8)], "WARN", "server: +2.00 connections/h (95 % interval +2.00 to +2.00) over 8 readings"),
        ([10.0, 11, 9, 10, 12, 10, 11, 9], "PASS", "no growth that can be told from none"),
        ([30.0 - n for n in range(8)], "PASS", "it gets less"),
        ([10.0 + 0.02 * n for n in range(8)], "PASS", "at 80% in 36.9 days"),
        ([10.0] * 7 + [57.0], "PASS", "no growth"),  # one burst, at the newest reading: health.pool judges it, no forecast is made of it
        ([50.0] * 8, "WARN", "at 80% already; limit 2 days"),
        ([10.0 + 5 * n for n in range(5)], "INCONCLUSIVE", "server: 5 readings over 2.0 h: a forecast needs 6 over 2 h"),
    ],
)  # fmt: skip
def test_when_a_pool_is_full(used: list[float], verdict: str, says: str) -> None:
    found = of_pools(history(used))
    assert (str(found.verdict), says in found.summary) == (verdict, True), found.summary


def test_the_pool_that_is_full_first_is_told_and_one_too_new_is_not_passed_over() -> None:
    quiet, climbing = history([10.0] * 8), history([2.0 + n / 4 for n in range(8)], subject="data API", size=15)
    found = of_pools(pd.concat([quiet, climbing]).sample(frac=1, random_state=1))
    assert str(found.verdict) == "WARN" and found.summary.startswith("data API: +0.50")
    assert found.table is not None and found.table["subject"].tolist() == ["data API", "server"]
    new = history([1.0], subject="PgBouncer", size=20).assign(taken_at=quiet["taken_at"].iloc[-1])
    found = of_pools(pd.concat([quiet, new]))
    assert str(found.verdict) == "INCONCLUSIVE" and "PgBouncer: 1 reading over 0.0 h" in found.summary
    assert of_pools(pd.concat([quiet, climbing, new])).verdict == "WARN", "what is known to be wrong is not held back"
    assert "; the other neither" in of_pools(pd.concat([quiet, history([1.0] * 8, subject="data API")])).summary


@pytest.mark.parametrize(
    ("gigabytes", "verdict", "says"),
    [
        ([2.0 + 0.05 * n for n in range(8)], "WARN", "+100.00 MB/h (95 % interval +100.00 to +100.00) over 8 readings in 3.5 h: full in"),
        ([2.0 + 0.001 * n for n in range(8)], "PASS", "full in 124.9 days"),
        ([2.0 + (3 if n == 4 else 0) for n in range(9)], "PASS", "no growth"),  # a dump that came and went
        ([8.0] * 8, "WARN", "full already"),
        ([2.0, 2.1], "INCONCLUSIVE", "2 readings over 0.5 h"),
    ],
)  # fmt: skip
def test_when_the_disk_is_full(gigabytes: list[float], verdict: str, says: str) -> None:
    found = of_disks(gigabytes)
    assert (str(found.verdict), says in found.summary) == (verdict, True), found.summary


def test_what_fell_silent_is_not_forecast_from_what_it_once_said() -> None:
    """The metrics endpoint is gone, the sessions are still counted: neither its pool nor the disk passes."""
    server, api = history([10.0] * 9), history([1.0] * 8, subject="data API", size=15)
    found = of_pools(pd.concat([server, api]))
    assert str(found.verdict) == "INCONCLUSIVE" and found.summary == "data API: not measured since 2026-01-18 01:30 UTC."
    data = history([2e9] * 8, resource="disk", subject="/data", size=8e9)
    wanted = {"within_days": 7, "points": 6, "hours": 2}
    assert "/data: not measured since" in capacity.disk(pd.concat([server, data]), **wanted).summary
    assert str(capacity.disk(pd.concat([server.iloc[:8], data]), **wanted).verdict) == "PASS"


def test_a_disk_that_was_enlarged_is_judged_by_its_size_now() -> None:
    small = history([2e9 + 5e7 * n for n in range(8)], resource="disk", subject="/data", size=8e9)
    enlarged = small.assign(size=[8e9] * 7 + [800e9])
    wanted = {"within_days": 7, "points": 6, "hours": 2}
    assert [str(capacity.disk(each, **wanted).verdict) for each in (small, enlarged)] == ["WARN", "PASS"]


def test_nothing_recorded_and_nothing_to_record() -> None:
    wanted = {"within_days": 7, "points": 6, "hours": 2}
    for nothing in (pd.DataFrame(), history([]), history([1.0] * 9)):
        found = capacity.disk(nothing, **wanted)
        assert str(found.verdict) == "INCONCLUSIVE" and "No use of a disk was recorded yet" in found.summary
    absent = Facts("metrics", "samples", 0.0, error=SourceAbsent("no metrics", source="metrics"))
    assert str(capacity.disk(absent, **wanted).verdict) == "NOT_APPLICABLE"
    late = Facts("archive", "capacity", 0.0, error=SourceTimeout("too late", source="archive"))
    assert str(capacity.disk(late, **wanted).verdict) == "ERROR"


@settings(max_examples=60)
@given(st.lists(st.integers(0, 57), min_size=0, max_size=20), st.integers(6, 12), st.floats(0.5, 6))
def test_no_forecast_from_too_little(used: list[int], points: int, hours: float) -> None:
    """A forecast rests on enough readings over enough hours, or it is none; its table is kept either way."""
    found = of_pools(history([float(each) for each in used]), points=points, hours=hours)
    enough = len(used) >= points and (len(used) - 1) * 0.5 >= hours
    assert (str(found.verdict) == "INCONCLUSIVE") == (not enough), found.summary
    if found.table is not None:
        assert len(pd.read_parquet(BytesIO(found.table.to_parquet()))) == 1
    assert found.measured is None or (isinstance(found.measured, float) and math.isfinite(found.measured))
