"""How many calls it takes to say something: exact one-sided 95 % binomial bounds and the three rules built on them.

Rates: PASS when the upper bound is under the limit, FAIL when the lower bound is over it, else INCONCLUSIVE with the number of
calls that would decide. Percentiles: order-statistic bounds, the same rule. Limits of zero: a zero counts only where the stream
is proved alive and enough was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtr, betaincinv  # scipy.stats says the same and takes a second longer to import

from opsnb.checks.tables import counted
from opsnb.errors import SourceNonsense, UsageError
from opsnb.verdicts import Outcome, Verdict, failed, inconclusive, passed

CONFIDENCE = 0.95


def upper_bound(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The largest rate that *k* of *n* still leaves possible at *confidence* (Clopper-Pearson, one-sided); 1 for no calls."""
    _counts(k, n)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, confidence))


def lower_bound(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The smallest rate that *k* of *n* still leaves possible at *confidence* (Clopper-Pearson, one-sided); 0 for no calls."""
    _counts(k, n)
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 1 - confidence))


def calls_needed(limit: float, errors: int = 0) -> int:
    """The smallest number of calls, *errors* of them bad, whose upper bound is under *limit*: 299, 149, 59 for 1, 2, 5 % and none bad."""
    _share(limit)
    low, high = errors, max(2 * errors, 1)
    while upper_bound(errors, high) >= limit:
        low, high = high, 2 * high
    while high - low > 1:  # low is too few, high is enough
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(errors, middle) >= limit else (low, middle)
    return high


@dataclass(frozen=True)
class Rate:
    """What *k* of *n* says about a limit: the verdict and the bound that decided it."""

    k: int
    n: int
    limit: float
    verdict: Verdict
    bound: float

    @property
    def more(self) -> int:
        """How many more calls, none of them bad, would show that the rate is under the limit."""
        return max(0, calls_needed(self.limit, self.k) - self.n)


def rate(k: int, n: int, limit: float, *, confidence: float = CONFIDENCE) -> Rate:
    """The rule for rates. *limit* is a share (0.01 is 1 %)."""
    _counts(k, n)
    _share(limit)
    low, high = lower_bound(k, n, confidence), upper_bound(k, n, confidence)
    if high < limit:
        return Rate(k, n, limit, Verdict.PASS, high)
    if low > limit:
        return Rate(k, n, limit, Verdict.FAIL, low)
    return Rate(k, n, limit, Verdict.INCONCLUSIVE, high)


def judge_rate(k: int, n: int, limit: float, what: str, per: str = "call", *, table: pd.DataFrame | None = None) -> Outcome:
    """*k* bad ones of *n* against *limit* (a share). *what* and *per* are singular nouns: ``"server error"`` in ``"call"``."""
    judged = rate(k, n, limit)
    seen = f"{counted(k, what)} in {counted(n, per)}"
    observed = k / n if n else None
    if judged.verdict is Verdict.PASS:
        return passed(f"{seen}: the rate is under {percent(judged.bound)} (95 % bound), the limit is {percent(limit)}.",
                      table=table, measured=observed, limit=limit)  # fmt: skip
    if judged.verdict is Verdict.FAIL:
        return failed(f"{seen}, {percent(k / n)}: the rate is over {percent(judged.bound)} (95 % bound), the limit is {percent(limit)}.",
                      table=table, measured=observed, limit=limit)  # fmt: skip
    if not n:
        need = calls_needed(limit)
        return inconclusive(
            f"No {per} was seen: {need:,} without any {what} would show a rate under {percent(limit)}.", table=table, limit=limit
        )
    summary = (
        f"{seen}: the rate may be as high as {percent(judged.bound)} (95 % bound), the limit is {percent(limit)}. "
        f"{counted(judged.more, 'more ' + per)} without {'another' if k else 'any'} {what} would decide."
    )
    return inconclusive(summary, table=table, measured=observed, limit=limit)


def percentile_bounds(values: Iterable[float] | pd.Series, q: float) -> tuple[float, float]:
    """The one-sided 95 % bounds of the *q* quantile (0 < q < 1) by order statistics; -inf or inf where the values are too few."""
    ordered = _ordered(values)
    n = len(ordered)
    if not n:
        return -math.inf, math.inf
    _share(q)
    # the value of rank r is at or above the quantile with probability P(fewer than r of n lie below it)
    at_most = np.asarray(bdtr(np.arange(n), n, q))  # index i: P(at most i of n below)
    over = np.flatnonzero(at_most >= CONFIDENCE)
    under = np.flatnonzero(1 - at_most >= CONFIDENCE)  # P(more than i of n below): the value of rank i + 1 is at or below
    return (float(ordered[under[-1]]) if len(under) else -math.inf), (float(ordered[over[0]]) if len(over) else math.inf)


def judge_percentile(
    values: Iterable[float] | pd.Series, q: float, limit: float, unit: str, what: str, *, table: pd.DataFrame | None = None
) -> Outcome:
    """The *q* quantile of *values* against *limit*, both in *unit*. *what* names one value: ``"call"``, ``"probe"``."""
    ordered = _ordered(values)
    n, name = len(ordered), percentile_name(q)
    if not n:
        need = calls_needed(1 - q)
        return inconclusive(f"No {what} was seen: {need:,} under {limit:g} {unit} would decide its {name}.", table=table, limit=limit)
    low, high = percentile_bounds(ordered, q)
    observed = float(ordered[max(0, math.ceil(q * n) - 1)])
    seen = f"The {name} of {counted(n, what)} is {observed:.3g} {unit}"
    if high < limit:
        return passed(
            f"{seen}: under {high:.3g} {unit} (95 % bound), the limit is {limit:g} {unit}.", table=table, measured=observed, limit=limit
        )
    if low > limit:
        return failed(
            f"{seen}: over {low:.3g} {unit} (95 % bound), the limit is {limit:g} {unit}.", table=table, measured=observed, limit=limit
        )
    more = max(1, calls_needed(1 - q, int((ordered >= limit).sum())) - n)
    summary = f"{seen}, the limit is {limit:g} {unit}; {counted(more, 'more ' + what)} under the limit would decide."
    return inconclusive(summary, table=table, measured=observed, limit=limit)


def judge_zero(
    k: int, n: int, minimum: float, alive: bool, what: str, per: str = "call", *, many: str = "", table: pd.DataFrame | None = None
) -> Outcome:
    """The rule for limits of zero: FAIL where *k* > 0; PASS where *k* = 0, the stream is *alive* and *n* reaches *minimum*.

    *alive* says whether a marked probe was seen in the stream. A missing proof or too few calls is INCONCLUSIVE.
    *many* is the plural of *what* where it is not formed with an s.
    """
    details = {"table": table, "measured": k, "limit": 0}
    if k < 0 or n < 0:
        raise SourceNonsense(f"{k} of {n} is no count")
    seen = f"{counted(k, what, many)} in {counted(n, per)}"
    if k:
        return failed(f"{seen}; none is allowed.", **details)
    if not alive:
        return inconclusive(
            f"{seen}, but no marked probe of this run arrived in the log, so its silence proves nothing. Ask again later.", **details
        )
    if n < max(minimum, 1):
        more = math.ceil(max(minimum, 1)) - n
        return inconclusive(f"{seen}, too few to decide; {counted(more, 'more ' + per)} would ({minimum:g} are asked for).", **details)
    return passed(f"{seen}; the log is alive (a marked probe arrived).", **details)


def percent(share: float) -> str:
    """0.01 as `1 %`: three digits, enough to tell a bound from its limit."""
    return f"{100 * share:.3g} %"


def percentile_name(q: float) -> str:
    """0.95 as `95th percentile`, 0.5 as `median`."""
    return "median" if q == 0.5 else f"{100 * q:g}th percentile"


def _ordered(values: Iterable[float] | pd.Series) -> npt.NDArray[np.float64]:
    series = pd.Series(list(values), dtype="float64")
    if series.isna().any():
        raise SourceNonsense(f"{int(series.isna().sum())} of {len(series)} values are missing")
    return np.sort(series.to_numpy(dtype=np.float64))


def _counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise SourceNonsense(f"{k} of {n} is no count of bad ones among all")


def _share(share: float) -> None:
    if not 0 < share < 1:
        raise UsageError(f"{share:g} is no share: expected more than 0 and less than 1 (0.01 is 1 %)")
