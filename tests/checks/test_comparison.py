"""Two samples: against scipy, brute force, and what a rule must never do."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opsnb.checks.comparison import Bucketed, calls_to_clear, increase, ranks, slowdown, worse_by_chance
from opsnb.checks.numbers import percentile_bounds
from opsnb.errors import SourceNonsense, UsageError
from opsnb.verdicts import Verdict

SAMPLES = st.tuples(st.integers(0, 400), st.integers(0, 400)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@given(SAMPLES)
def test_fishers_test_is_scipys(sample: tuple[int, int, int, int]) -> None:
    k0, n0, k1, n1 = sample
    expected = stats.fisher_exact([[k1, n1 - k1], [k0, n0 - k0]], alternative="greater").pvalue
    assert worse_by_chance(k0, n0, k1, n1) == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_fishers_test_by_brute_force() -> None:
    """Every way to put three bad ones among seven calls, three of them after: how often two or more fall there."""
    ways = list(itertools.combinations(range(7), 3))
    hits = sum(len({0, 1, 2} & set(way)) >= 2 for way in ways)
    assert worse_by_chance(1, 4, 2, 3) == pytest.approx(hits / len(ways))


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.2, 0.5])
@pytest.mark.parametrize(("n0", "n1"), [(40, 40), (60, 25)])
def test_no_more_false_alarms_than_said(rate: float, n0: int, n1: int) -> None:
    """Every pair of counts, weighted by its probability under one and the same rate: at most 5 % fail."""
    before, after = (stats.binom.pmf(np.arange(n + 1), n, rate) for n in (n0, n1))
    alarms = sum(
        before[k0] * after[k1]
        for k0, k1 in itertools.product(range(n0 + 1), range(n1 + 1))
        if increase(k0, n0, k1, n1, 0.01).verdict is Verdict.FAIL
    )
    assert alarms <= 0.05


@pytest.mark.parametrize(("rate", "added"), [(0.01, 0.2), (0.3, 0.2), (0.6, 0.2)])
def test_an_increase_as_large_as_the_margin_rarely_passes(rate: float, added: float) -> None:
    n0 = n1 = 60
    before = stats.binom.pmf(np.arange(n0 + 1), n0, rate)
    after = stats.binom.pmf(np.arange(n1 + 1), n1, rate + added)
    missed = sum(
        before[k0] * after[k1]
        for k0, k1 in itertools.product(range(n0 + 1), range(n1 + 1))
        if increase(k0, n0, k1, n1, added).verdict is Verdict.PASS
    )
    assert missed <= 0.05


@given(SAMPLES, st.floats(0.001, 0.9))
def test_the_rule_for_rates(sample: tuple[int, int, int, int], margin: float) -> None:
    """FAIL is significant and beyond the margin, PASS under it at its worst; the bounds enclose what was counted."""
    found = increase(*sample, margin)
    if found.n_before and found.n_after:
        assert found.low <= found.observed <= found.high
    if found.verdict is Verdict.FAIL:
        assert found.chance < 0.05
        assert found.observed > margin
    if found.verdict is Verdict.PASS:
        assert found.high < margin
    if not (found.n_before and found.n_after):
        assert found.verdict is Verdict.INCONCLUSIVE


@given(SAMPLES, st.floats(0.005, 0.9))
@settings(max_examples=50)
def test_how_many_more_calls_decide(sample: tuple[int, int, int, int], margin: float) -> None:
    """So many more good calls pass, and one fewer does not."""
    k0, n0, k1, n1 = sample
    found = increase(k0, n0, k1, n1, margin)
    if found.verdict is not Verdict.INCONCLUSIVE or not (n0 and n1 and found.more):
        return
    assert increase(k0, n0, k1, n1 + found.more, margin).high < margin
    assert increase(k0, n0, k1, n1 + found.more - 1, margin).high >= margin
    assert calls_to_clear(k0, n0, k1, margin) == n1 + found.more


def test_too_few_calls_decide_nothing() -> None:
    """Four of four after none of a thousand is striking, and no sample."""
    assert increase(0, 1000, 4, 4, 0.01, minimum=20).verdict is Verdict.INCONCLUSIVE
    assert increase(0, 1000, 4, 20, 0.01, minimum=20).verdict is Verdict.FAIL


def test_significant_and_small_is_no_failure() -> None:
    found = increase(1000, 1_000_000, 1500, 1_000_000, 0.01)
    assert found.chance < 1e-6
    assert found.verdict is Verdict.PASS


def test_nonsense_is_said() -> None:
    with pytest.raises(SourceNonsense):
        worse_by_chance(2, 1, 0, 1)
    for margin in (0, 1, math.nan):
        with pytest.raises(UsageError):
            increase(0, 1, 0, 1, margin)
    with pytest.raises(UsageError):
        slowdown(Bucketed([0, 1], [1]), Bucketed([0, 1], [1]), 0.95, 0)


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_ranks_are_the_order_statistics_of_percentile_bounds(values: list[float], q: float) -> None:
    low, high = ranks(len(values), q, 0.95)
    ordered = [-math.inf, *sorted(values), math.inf]
    assert (ordered[low], ordered[high]) == percentile_bounds(values, q)


def bucketed(values: npt.NDArray[np.float64], edges: list[float]) -> Bucketed:
    return Bucketed(edges, [int(count) for count in np.histogram(values, edges)[0]])


@given(st.lists(st.floats(1.5, 500), min_size=1, max_size=300), st.sampled_from([0.5, 0.95]))
def test_buckets_never_say_more_than_the_values(values: list[float], q: float) -> None:
    """Their bounds lie outside those of the values themselves."""
    edges = [1.2**power for power in range(40)]
    low, high = bucketed(np.array(values), edges).bounds(q, 0.95)
    exact_low, exact_high = percentile_bounds(values, q)
    assert low <= exact_low
    assert high >= exact_high


@pytest.mark.parametrize("shape", ["lognormal", "two humps"])
def test_times_have_no_more_false_alarms_than_said(shape: str) -> None:
    """Two samples of one distribution, whatever it is: an alarm in at most 5 % (measured: far fewer)."""
    chance = np.random.default_rng(4)
    edges = [0.0, *(2 ** (power / 8) for power in range(-80, 120))]

    def sample() -> Bucketed:
        values = chance.lognormal(0, 1, 80) if shape == "lognormal" else chance.choice([0.1, 5.0], 80, p=[0.9, 0.1])
        return bucketed(values, edges)

    verdicts = [slowdown(sample(), sample(), 0.95, 0.01).verdict for _ in range(400)]
    assert verdicts.count(Verdict.FAIL) / len(verdicts) <= 0.05


def test_a_slow_tail_is_found_and_speed_passes() -> None:
    edges = [0.0, *(2 ** (power / 8) for power in range(120))]
    quick = np.full(300, 100.0)
    tail = np.concatenate([np.full(240, 100.0), np.full(60, 900.0)])
    assert slowdown(bucketed(quick, edges), bucketed(tail, edges), 0.95, 0.5).verdict is Verdict.FAIL
    assert slowdown(bucketed(quick, edges), bucketed(quick, edges), 0.95, 0.5).verdict is Verdict.PASS
    assert slowdown(bucketed(quick, edges), bucketed(quick[:10], edges), 0.95, 0.5).verdict is Verdict.INCONCLUSIVE
    assert slowdown(bucketed(quick, edges), bucketed(tail, edges), 0.95, 0.5, minimum=301).verdict is Verdict.INCONCLUSIVE
