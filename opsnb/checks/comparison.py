"""Is it worse than before: exact tests of two samples, and the rules built on them.

Rates: Fisher's exact test, one-sided. FAIL when the increase is significant *and* larger than the margin; PASS when the largest
increase that the calls leave possible is under the margin; else INCONCLUSIVE with the number of calls that would decide.
Times: order-statistic bounds of a quantile in both samples, which need no distribution; the same rule with a ratio as margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaln, logsumexp

from opsnb.checks.numbers import CONFIDENCE, lower_bound, upper_bound
from opsnb.errors import SourceNonsense, UsageError
from opsnb.verdicts import Verdict


def worse_by_chance(k_before: int, n_before: int, k_after: int, n_after: int) -> float:
    """How probable so many bad ones after, or more, are if nothing had changed: Fisher's exact test, one-sided; 1 for no calls."""
    for k, n in ((k_before, n_before), (k_after, n_after)):
        if not 0 <= k <= n:
            raise SourceNonsense(f"{k} of {n} is no count of bad ones among all")
    bad, everything = k_before + k_after, n_before + n_after
    if not k_after or not n_before:
        return 1.0
    x = np.arange(k_after, min(bad, n_after) + 1)
    log = _choose(n_after, x) + _choose(n_before, bad - x) - _choose(everything, np.array([bad]))
    return min(1.0, float(np.exp(logsumexp(log))))


@dataclass(frozen=True)
class Increase:
    """Two rates beside each other. `low` and `high` enclose the increase (a difference of shares) that the calls leave possible."""

    k_before: int
    n_before: int
    k_after: int
    n_after: int
    margin: float
    chance: float
    low: float
    high: float
    verdict: Verdict

    @property
    def observed(self) -> float:
        """The increase as counted; 0 where one of the two has no calls."""
        return self.k_after / self.n_after - self.k_before / self.n_before if self.n_before and self.n_after else 0.0

    @property
    def more(self) -> int:
        """How many more calls after, none of them bad, would show that the increase is under the margin."""
        return max(0, calls_to_clear(self.k_before, self.n_before, self.k_after, self.margin) - self.n_after)


def increase(
    k_before: int, n_before: int, k_after: int, n_after: int, margin: float, *, minimum: float = 1, confidence: float = CONFIDENCE
) -> Increase:
    """The rule for rates. *margin* is a difference of shares (0.01: one call more in a hundred); both need *minimum* calls.

    The bounds of the difference join the exact bounds of both rates, each with half of the error allowed: never too narrow.
    """
    _margin(margin)
    chance = worse_by_chance(k_before, n_before, k_after, n_after)
    each = 1 - (1 - confidence) / 2
    low = lower_bound(k_after, n_after, each) - upper_bound(k_before, n_before, each)
    high = upper_bound(k_after, n_after, each) - lower_bound(k_before, n_before, each)
    verdict = Verdict.INCONCLUSIVE
    if min(n_before, n_after) >= max(minimum, 1):
        observed = k_after / n_after - k_before / n_before
        if chance < 1 - confidence and observed > margin:
            verdict = Verdict.FAIL
        elif high < margin:
            verdict = Verdict.PASS
    return Increase(k_before, n_before, k_after, n_after, margin, chance, low, high, verdict)


def calls_to_clear(k_before: int, n_before: int, k_after: int, margin: float, confidence: float = CONFIDENCE) -> int:
    """The smallest number of calls after, *k_after* of them bad, that shows an increase under *margin*."""
    _margin(margin)
    each = 1 - (1 - confidence) / 2
    floor = lower_bound(k_before, n_before, each)
    low, high = k_after, max(2 * k_after, 1)
    while upper_bound(k_after, high, each) - floor >= margin:
        low, high = high, 2 * high
    while high - low > 1:  # low is too few, high is enough
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(k_after, middle, each) - floor >= margin else (low, middle)
    return high


def ranks(n: int, q: float, confidence: float) -> tuple[int, int]:
    """The ranks (from 1) of the values that bound the *q* quantile of *n* from below and above; 0 and n + 1 where none does."""
    if not n:
        return 0, 1
    at_most = np.asarray(bdtr(np.arange(n), n, q))  # index i: P(at most i of n below the quantile)
    under = np.flatnonzero(1 - at_most >= confidence)
    over = np.flatnonzero(at_most >= confidence)
    return (int(under[-1]) + 1 if len(under) else 0), (int(over[0]) + 1 if len(over) else n + 1)


@dataclass(frozen=True)
class Bucketed:
    """Times counted in buckets: `edges` has one more entry than `counts`; bucket i holds what is over edges[i], up to edges[i + 1]."""

    edges: Sequence[float]
    counts: Sequence[int]

    @property
    def n(self) -> int:
        """All of them."""
        return sum(self.counts)

    def bounds(self, q: float, confidence: float) -> tuple[float, float]:
        """Bounds of the *q* quantile: the lower edge of the lower rank's bucket, the upper edge of the upper rank's."""
        lower, upper = ranks(self.n, q, confidence)
        ends = np.cumsum(self.counts)
        low = -math.inf if lower < 1 else self.edges[int(np.searchsorted(ends, lower))]
        high = math.inf if upper > self.n else self.edges[int(np.searchsorted(ends, upper)) + 1]
        return low, high

    def quantile(self, q: float) -> float:
        """The upper edge of the bucket with the *q* quantile; nan where nothing was counted."""
        if not self.n:
            return math.nan
        rank = max(1, math.ceil(q * self.n))
        return self.edges[int(np.searchsorted(np.cumsum(self.counts), rank)) + 1]


@dataclass(frozen=True)
class Slowdown:
    """Two quantiles beside each other, in the unit of the edges; `low` and `high` enclose their ratio, after by before."""

    before: float
    after: float
    low: float
    high: float
    verdict: Verdict


def slowdown(before: Bucketed, after: Bucketed, q: float, margin: float, *, minimum: float = 1, confidence: float = CONFIDENCE) -> Slowdown:
    """The rule for times. *margin* is what may be added, as a share of what it was (0.5: half as long again).

    FAIL when the ratio is over 1 + *margin* beyond chance, PASS when it is under it beyond chance.
    """
    _positive(margin)
    each = 1 - (1 - confidence) / 2
    low_before, high_before = before.bounds(q, each)
    low_after, high_after = after.bounds(q, each)
    low = low_after / high_before if math.isfinite(high_before) and high_before > 0 and low_after > 0 else 0.0
    high = high_after / low_before if math.isfinite(high_after) and low_before > 0 else math.inf
    verdict = Verdict.INCONCLUSIVE
    if min(before.n, after.n) >= max(minimum, 1):
        verdict = Verdict.FAIL if low > 1 + margin else Verdict.PASS if high < 1 + margin else Verdict.INCONCLUSIVE
    return Slowdown(before.quantile(q), after.quantile(q), low, high, verdict)


def _choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The logarithm of the binomial coefficient."""
    return np.asarray(-np.log1p(n) - betaln(n - k + 1, k + 1))


def _margin(margin: float) -> None:
    if not 0 < margin < 1:
        raise UsageError(f"{margin:g} is no difference of shares: expected more than 0 and less than 1 (0.01 is one in a hundred)")


def _positive(margin: float) -> None:
    if not (0 < margin < math.inf):
        raise UsageError(f"{margin:g} is no share to add: expected more than 0 (0.5 is half as long again)")
