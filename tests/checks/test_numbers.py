"""The numbers behind the verdicts: exact bounds, their coverage, and the three rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from opsnb.checks.numbers import (
    calls_needed,
    judge_percentile,
    judge_rate,
    judge_zero,
    lower_bound,
    percentile_bounds,
    rate,
    upper_bound,
)
from opsnb.errors import SourceNonsense, UsageError
from opsnb.verdicts import Verdict

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_bounds_are_those_of_scipy(pair: tuple[int, int]) -> None:
    k, n = pair
    assert upper_bound(k, n) == pytest.approx(
        binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high, rel=1e-9, abs=1e-12
    )
    assert lower_bound(k, n) == pytest.approx(
        binomtest(k, n, alternative="greater").proportion_ci(0.95, method="exact").low, rel=1e-9, abs=1e-12
    )


@given(counts)
def test_bounds_enclose_the_observed_rate(pair: tuple[int, int]) -> None:
    k, n = pair
    assert lower_bound(k, n) <= k / n <= upper_bound(k, n)


@given(counts)
def test_bounds_are_monotonic(pair: tuple[int, int]) -> None:
    """An error more raises both, a good call more lowers both."""
    k, n = pair
    assert upper_bound(k, n + 1) < upper_bound(k, n) or k == n
    assert lower_bound(k, n + 1) <= lower_bound(k, n)
    assert upper_bound(k + 1, n + 1) > upper_bound(k, n) or k == n
    assert lower_bound(k + 1, n + 1) >= lower_bound(k, n)


@pytest.mark.parametrize("true_rate", [0.005, 0.02, 0.3])
def test_bounds_cover_the_true_rate(true_rate: float) -> None:
    """In 4000 simulated half hours the true rate is beyond either bound in at most 5 %, with room for chance."""
    seen = np.random.default_rng(20260117).binomial(400, true_rate, size=4000)
    assert np.mean([upper_bound(int(k), 400) < true_rate for k in seen]) <= 0.06
    assert np.mean([lower_bound(int(k), 400) > true_rate for k in seen]) <= 0.06


def test_no_call_says_nothing() -> None:
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)
    assert judge_rate(0, 0, 0.01, "error").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("limit", "n"), [(0.01, 299), (0.02, 149), (0.05, 59)])
def test_calls_needed_without_an_error(limit: float, n: int) -> None:
    assert calls_needed(limit) == n


@given(st.floats(0.002, 0.6), st.integers(0, 40))
def test_calls_needed_is_the_smallest_number(limit: float, errors: int) -> None:
    n = calls_needed(limit, errors)
    assert upper_bound(errors, n) < limit
    assert n == errors or upper_bound(errors, n - 1) >= limit


@given(counts, st.floats(0.005, 0.5))
def test_the_rule_for_rates(pair: tuple[int, int], limit: float) -> None:
    """PASS only under the limit, FAIL only over it, and an INCONCLUSIVE says what would decide."""
    k, n = pair
    judged = rate(k, n, limit)
    if judged.verdict is Verdict.PASS:
        assert upper_bound(k, n) < limit
    elif judged.verdict is Verdict.FAIL:
        assert lower_bound(k, n) > limit
    else:
        assert lower_bound(k, n) <= limit <= upper_bound(k, n)
        assert rate(k, n + judged.more, limit).verdict is Verdict.PASS
        assert rate(k, n + judged.more - 1, limit).verdict is not Verdict.PASS


def test_a_rate_s_sentence_names_everything() -> None:
    assert judge_rate(0, 400, 0.01, "error").summary == "0 errors in 400 calls: the rate is under 0.746 % (95 % bound), the limit is 1 %."
    assert (
        judge_rate(9, 300, 0.01, "error").summary == "9 errors in 300 calls, 3 %: the rate is over 1.57 % (95 % bound), the limit is 1 %."
    )
    assert "199 more calls without any error would decide" in judge_rate(0, 100, 0.01, "error").summary


@pytest.mark.parametrize("limit", [0, 1, 5, -0.1])
def test_a_limit_is_a_share(limit: float) -> None:
    with pytest.raises(UsageError, match="is no share"):
        rate(1, 10, limit)


@pytest.mark.parametrize(("k", "n"), [(2, 1), (-1, 5)])
def test_nonsense_is_refused(k: int, n: int) -> None:
    with pytest.raises(SourceNonsense):
        upper_bound(k, n)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95]), st.floats(1, 99))
def test_percentiles_follow_the_rule_for_rates(values: list[float], q: float, limit: float) -> None:
    """A quantile is under a limit exactly where the share of values at or over it is under 1 - q."""
    low, high = percentile_bounds(values, q)
    slow = sum(value >= limit for value in values)
    if upper_bound(slow, len(values)) < 1 - q - 1e-9:
        assert high < limit
    elif upper_bound(slow, len(values)) > 1 - q + 1e-9:
        assert high >= limit
    over = sum(value > limit for value in values)
    if lower_bound(over, len(values)) > 1 - q + 1e-9:
        assert low > limit
    assert low <= high


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_percentile_bounds_cover_the_true_quantile(q: float) -> None:
    random = np.random.default_rng(7)
    bounds = [percentile_bounds(random.random(120), q) for _ in range(1500)]
    assert np.mean([high < q for _, high in bounds]) <= 0.065
    assert np.mean([low > q for low, _ in bounds]) <= 0.065


def test_too_few_values_leave_a_percentile_open() -> None:
    assert percentile_bounds([1.0] * 58, 0.95)[1] == math.inf
    assert percentile_bounds([1.0] * 59, 0.95)[1] == 1.0
    open_ = judge_percentile([1.0] * 40, 0.95, 2, "s", "call")
    assert open_.verdict is Verdict.INCONCLUSIVE
    assert "19 more calls under the limit would decide" in open_.summary
    assert judge_percentile([], 0.95, 2, "s", "call").verdict is Verdict.INCONCLUSIVE
    assert judge_percentile([1.0] * 59, 0.95, 2, "s", "call").verdict is Verdict.PASS
    assert judge_percentile([3.0] * 10, 0.95, 2, "s", "call").verdict is Verdict.FAIL


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(SourceNonsense, match="1 of 2 values are missing"):
        judge_percentile([1.0, math.nan], 0.95, 2, "s", "call")


@given(st.integers(0, 5), st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_the_rule_for_limits_of_zero(k: int, n: int, minimum: int, alive: bool) -> None:
    verdict = judge_zero(k, n, minimum, alive, "error").verdict
    if k:
        assert verdict is Verdict.FAIL
    elif alive and n >= max(minimum, 1):
        assert verdict is Verdict.PASS
    else:
        assert verdict is Verdict.INCONCLUSIVE
