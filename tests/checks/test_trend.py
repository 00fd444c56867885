"""A forecast is made from enough, holds against outliers, and is refused in words where it would be a guess."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.checks.trend import heading, outlook, theil_sen
from opsnb.verdicts import CheckResult

START = pd.Timestamp("2026-01-17T22:00:00Z")


def series(megabytes: list[float], *, every_h: float = 0.5) -> pd.DataFrame:
    at = [START + pd.Timedelta(hours=every_h * number) for number in range(len(megabytes))]
    return pd.DataFrame({"taken_at": at, "database_bytes": [int(each * 1e6) for each in megabytes]})


def judged(history: pd.DataFrame, **more: Any) -> CheckResult:
    return heading(history, **{"limit_mb": 100, "within_days": 2, "points": 6, "hours": 2, **more})


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
        ([50 - 1.0 * n for n in range(8)], "PASS", "it gets less"),
        ([50 + 2.0 * n for n in range(5)], "INCONCLUSIVE", "5 sizes over 2.0 h: a forecast needs 6 over 2 h"),
        ([50 + (90 if n == 4 else 0.0) for n in range(9)], "PASS", "no growth"),  # one size that was wrong
        ([50 + 2.0 * n + (300 if n == 5 else 0) for n in range(9)], "WARN", "+4.00 MB/h"),
        ([50 + 20.0 * n for n in range(9)], "WARN", "100 MB of growth already"),
        ([50.0] * 8 + [151.0], "WARN", "100 MB of growth already"),  # at once: no pace, and there nevertheless
    ],
)
def test_what_is_forecast(megabytes: list[float], verdict: str, says: str) -> None:
    found = judged(series(megabytes))
    assert (str(found.verdict), says in found.summary) == (verdict, True), found.summary


def test_many_points_in_a_moment_are_not_enough() -> None:
    found = judged(series([50 + n for n in range(12)], every_h=0.01))
    assert str(found.verdict) == "INCONCLUSIVE" and "over 0.1 h" in found.summary


def test_order_and_doubles_change_nothing() -> None:
    own = series([50 + 2.0 * n for n in range(8)])
    mixed = pd.concat([own, own]).sample(frac=1, random_state=3)
    assert judged(mixed).summary == judged(own).summary


@settings(max_examples=100)
@given(
    st.lists(st.floats(0, 1000), min_size=6, max_size=30),
    st.floats(0.05, 6),
    st.floats(0, 5000),
    st.booleans(),
    st.integers(-10_000, 10_000),
)
def test_an_outlook_is_in_order_and_knows_no_date(values: list[float], every_h: float, end: float, steady: bool, shift_h: int) -> None:
    """Soonest before middle before latest, none or all of them; another day, or a finer unit, changes nothing."""
    at, told = pd.Series([START + pd.Timedelta(hours=every_h * number) for number in range(len(values))]), pd.Series(values)
    row = outlook(at, told, end=end, steady=steady)
    days = [row[each] for each in ("soonest_days", "days", "latest_days")]
    assert np.isnan(days).all() or 0 <= days[0] <= days[1] <= days[2]
    assert np.isnan(days).all() == (row["finding"] not in ("", "at its end already"))
    later = outlook(at + pd.Timedelta(hours=shift_h), told, end=end, steady=steady)
    assert later == pytest.approx(row, nan_ok=True)
    finer = outlook(at, told * 1024, end=end * 1024, steady=steady)
    assert finer["days"] == pytest.approx(row["days"], nan_ok=True)


@settings(max_examples=50)
@given(st.floats(0.01, 50), st.floats(1, 1000), st.integers(6, 30), st.integers(0, 2**32 - 1))
def test_a_third_of_the_readings_may_be_nonsense(pace: float, begin: float, n: int, seed: int) -> None:
    """The breakdown point of the slope is 29 %: what is over a steady climb by accident does not move it by much."""
    dice = np.random.default_rng(seed)
    values = begin + pace * np.arange(n, dtype=float)
    values[dice.choice(n - 1, n // 6, replace=False)] += dice.uniform(-1e6, 1e6)  # the newest is where it begins, and stays
    at = pd.Series([START + pd.Timedelta(hours=number) for number in range(n)])
    row = outlook(at, pd.Series(values), end=begin + 1000 * pace)
    assert row["per_h"] == pytest.approx(pace, rel=0.05)


def test_nothing_recorded() -> None:
    for nothing in (series([]), pd.DataFrame()):
        found = judged(nothing)
        assert str(found.verdict) == "INCONCLUSIVE" and "No size was recorded yet" in found.summary
