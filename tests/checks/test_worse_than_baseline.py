"""Worse or slower than before the deployment, from small made tables of the log statements."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from made_logs import FUNCTIONS, NAMES, calls

from opsnb.checks import baseline
from opsnb.verdicts import Verdict


def rates(before: list[dict[str, Any]], since: list[dict[str, Any]], margin: float = 0.01, minimum: float = 20) -> Any:
    expected = {"names": NAMES, "margin": margin, "minimum": minimum}
    return baseline.worse_than_baseline(calls(*before), calls(*since), FUNCTIONS, **expected)


def one(n: int, bad: int = 0, **more: Any) -> dict[str, Any]:
    return {"function_id": "f1", "n": n, "n_5xx": bad, **more}


@pytest.mark.parametrize(
    ("before", "since", "verdict"),
    [
        ([one(1000)], [one(1000)], Verdict.PASS),
        ([one(1000, 5)], [one(1000, 60)], Verdict.FAIL),
        ([one(1000, 500)], [one(1000, 400)], Verdict.PASS),  # bad, and no worse: the limits say that it is bad
        ([one(10_000, 100)], [one(10_000, 180)], Verdict.INCONCLUSIVE),  # worse beyond chance, by less than the margin, just
        ([one(1000)], [one(200)], Verdict.INCONCLUSIVE),
        ([one(1000)], [one(5, 5)], Verdict.INCONCLUSIVE),  # five calls are no sample
        ([one(0)], [one(1000)], Verdict.INCONCLUSIVE),
        ([one(19)], [one(1000)], Verdict.INCONCLUSIVE),
        ([one(1000)], [one(1000, 0, n_no_status=60)], Verdict.FAIL),  # never answered is no better
    ],
)
def test_rates(before: list[dict[str, Any]], since: list[dict[str, Any]], verdict: Verdict) -> None:
    assert rates(before, since).verdict is verdict


def test_a_sentence_says_counts_bounds_and_margin() -> None:
    result = rates([one(1000, 5)], [one(1000, 60)])
    assert "5 of 1,000 calls before, 60 of 1,000 since: 5.5 points more (95 % bounds" in result.summary
    assert "the margin is 1 point;" in result.summary
    few = rates([one(1000)], [one(200)])
    assert "168 more calls without any error would decide" in few.summary
    assert rates([one(1000)], [one(368)]).verdict is Verdict.PASS
    assert rates([one(1000)], [one(367)]).verdict is Verdict.INCONCLUSIVE
    assert "16 more calls" in rates([one(1000)], [one(4)], margin=0.5).summary


def test_one_function_alone() -> None:
    """A quiet function that breaks is not hidden by a busy one."""
    quiet = {"function_id": "f2"}
    result = rates([one(100_000), {**quiet, "n": 50}], [one(100_000), {**quiet, "n": 50, "n_5xx": 30}])
    assert result.verdict is Verdict.FAIL
    assert result.summary.startswith("write (30 of 50, 0 of 50 before) alone")
    assert result.table is not None
    assert list(result.table["verdict"]) == ["FAIL", "PASS"]


def test_probes_and_foreign_functions_are_not_judged() -> None:
    broken = [one(500, 500, caller="probe"), {"function_id": "f3", "n": 500, "n_5xx": 500}]
    result = rates([one(1000)], [one(1000), *broken])
    assert result.verdict is Verdict.PASS
    assert "Our own 500 probes are not counted." in result.summary


def latency(**functions: dict[int, int]) -> pd.DataFrame:
    rows = [
        {"function_id": identifier, "over_ms": 2 ** ((bucket - 1) / 8), "upto_ms": 2 ** (bucket / 8), "n": n}
        for identifier, buckets in functions.items()
        for bucket, n in buckets.items()
    ]
    return pd.DataFrame(rows, columns=["function_id", "over_ms", "upto_ms", "n"])


def times(before: pd.DataFrame, since: pd.DataFrame, names: list[str] | None = None) -> Any:
    expected = {"names": names or ["read"], "margin": 0.5, "minimum": 20}
    return baseline.slower_than_baseline(before, since, FUNCTIONS, **expected)


def test_times() -> None:
    """Eight buckets double the time: a tail of one in ten that takes four times as long is slower; a few calls decide nothing."""
    quick = latency(f1={56: 300})
    assert times(quick, quick).verdict is Verdict.PASS
    slow = times(quick, latency(f1={56: 270, 72: 60}))
    assert slow.verdict is Verdict.FAIL
    assert "The 95th percentile has grown by more than 50 % beyond chance: read (128 ms before, 512 ms since)." in slow.summary
    assert times(quick, latency(f1={48: 300})).verdict is Verdict.PASS
    assert times(quick, latency(f1={56: 15})).verdict is Verdict.INCONCLUSIVE
    assert times(latency(), quick).verdict is Verdict.INCONCLUSIVE
    assert times(quick, latency()).verdict is Verdict.INCONCLUSIVE


def test_each_function_by_itself() -> None:
    """A shift of traffic to the function that is slow by nature is no slowdown."""
    before, since = latency(f1={40: 900}, f2={80: 100}), latency(f1={40: 100}, f2={80: 900})
    assert times(before, since, NAMES).verdict is Verdict.PASS


def test_buckets_that_overlap_are_an_error() -> None:
    overlapping = pd.DataFrame({"function_id": "f1", "over_ms": [1.0, 1.5], "upto_ms": [2.0, 3.0], "n": [10, 10]})
    assert times(overlapping, latency(f1={8: 300})).verdict is Verdict.ERROR


@pytest.mark.parametrize("judge", [rates, times])
def test_no_function_is_no_pass(judge: Any) -> None:
    nothing = FUNCTIONS.iloc[:0]
    check = baseline.worse_than_baseline if judge is rates else baseline.slower_than_baseline
    table = calls(one(1000)) if judge is rates else latency(f1={8: 300})
    assert check(table, table, nothing, names=NAMES, margin=0.01, minimum=1).verdict is Verdict.INCONCLUSIVE
    assert check(table, table, FUNCTIONS, names=[], margin=0.01, minimum=1).verdict is Verdict.INCONCLUSIVE
