"""A forecast is made from enough, holds against outliers, and is refused in words where it would be a guess."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.checks.trend import heading, theil_sen
from opsnb.verdicts import CheckResult

START = pd.Timestamp("2026-01-17T22:00:00Z")


def series(megabytes: list[float], *, every_h: float = 0.5, deployment: str = "a") -> pd.DataFrame:
    at = [START + pd.Timedelta(hours=every_h * number) for number in range(len(megabytes))]
    return pd.DataFrame({"taken_at": at, "database_bytes": [int(each * 1e6) for each in megabytes], "deployment": deployment})


def judged(history: pd.DataFrame, **more: Any) -> CheckResult:
    return heading(history, **{"limit_mb": 100, "within_days": 2, "points": 6, "hours": 2, "deployment": "a", **more})


@pytest.mark.parametrize("noise", [0.0, 1.0, 20.0])
def test_the_slope_is_the_librarys(noise: float) -> None:
    from scipy.stats import theilslopes

    dice = np.random.default_rng(1)
    x = np.sort(dice.uniform(0, 24, 19))
    y = 3 * x + dice.normal(0, noise, 19)
    theirs = theilslopes(y, x, alpha=0.95)
    ours = theil_sen(x, y)
    assert (ours.middle, ours.low, ours.high) == pytest.approx((theirs.slope, theirs.low_slope, theirs.high_slope))


@settings(max_examples=60)
@given(st.lists(st.integers(-50, 50), min_size=3, max_size=25))
def test_ties_too(values: list[int]) -> None:
    from scipy.stats import theilslopes

    x, y = np.arange(len(values), dtype=float), np.array(values, dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = theilslopes(y, x, alpha=0.95)
    ours = theil_sen(x, y)
    assert ours.low <= ours.middle <= ours.high
    assert ours.middle == pytest.approx(theirs.slope)
    assert (ours.low, ours.high) == pytest.approx((theirs.low_slope, theirs.high_slope))


@pytest.mark.parametrize(
    ("megabytes", "verdict", "says"),
    [
        ([50 + 2.0 * n for n in range(8)], "WARN", "+4.00 MB/h"),  # 86 MB left at 4 MB an hour: less than a day
        ([50 + 0.1 * n for n in range(8)], "PASS", "days"),
        ([50.0] * 8, "PASS", "no growth that can be told from none"),
        ([50 - 1.0 * n for n in range(8)], "PASS", "it gets smaller"),
        ([50 + 2.0 * n for n in range(5)], "INCONCLUSIVE", "5 sizes over 2.0 h: a forecast needs 6 over 2 h"),
        ([50 + (90 if n == 4 else 0.0) for n in range(9)], "PASS", "no growth"),  # one size that was wrong
        ([50 + 2.0 * n + (300 if n == 5 else 0) for n in range(9)], "WARN", "+4.00 MB/h"),
    ],
)
def test_what_is_forecast(megabytes: list[float], verdict: str, says: str) -> None:
    found = judged(series(megabytes))
    assert (str(found.verdict), says in found.summary) == (verdict, True), found.summary


def test_many_points_in_a_moment_are_not_enough() -> None:
    found = judged(series([50 + n for n in range(12)], every_h=0.01))
    assert str(found.verdict) == "INCONCLUSIVE" and "over 0.1 h" in found.summary


def test_order_doubles_and_other_deployments_change_nothing() -> None:
    own = series([50 + 2.0 * n for n in range(8)])
    other = series([900.0] * 8, deployment="b")
    mixed = pd.concat([own, other, own]).sample(frac=1, random_state=3)
    assert judged(mixed).summary == judged(own).summary


def test_nothing_recorded() -> None:
    for nothing in (series([]), pd.DataFrame()):
        found = judged(nothing)
        assert str(found.verdict) == "INCONCLUSIVE" and "No size was recorded yet" in found.summary
