"""Where the size of the database is heading: a robust line through what was measured, and how sure it is (monitoring, hours 0 to 24)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from opsnb.checks.storage import MB
from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, Verdict, check, inconclusive, passed

LEVEL = 0.95
HOUR_S = 3600.0


@dataclass(frozen=True)
class Slope:
    """Change per unit of x: the median of all pairs' slopes, and the interval that holds it in 95 of 100 cases."""

    middle: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it can be told from standing still."""
        return self.low > 0 or self.high < 0


def theil_sen(x: np.ndarray, y: np.ndarray) -> Slope:
    """The Theil-Sen slope of *y* over *x* with Sen's interval. At least two different x. Source: Sen 1968, JASA 63, 1379-1389."""
    first, second = np.triu_indices(len(x), k=1)
    apart = x[second] - x[first]
    slopes = np.sort((y[second] - y[first])[apart != 0] / apart[apart != 0])
    n = len(x)
    ties = sum(k * (k - 1) * (2 * k + 5) for values in (x, y) for k in np.unique(values, return_counts=True)[1])
    sigma = math.sqrt(max(0.0, (n * (n - 1) * (2 * n + 5) - float(ties)) / 18))
    reach = float(ndtri((1 + LEVEL) / 2)) * sigma
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


@check(
    "storage.trend",
    title="The database is not heading for its limit",
    items=(),
    fix="Look at what grows in phase 08 (storage.growth): a log table that nobody empties, or a retry that writes again and again.",
    empty="INCONCLUSIVE: no size was recorded in this deployment yet.",
)
def heading(history: pd.DataFrame, *, limit_mb: float, within_days: float, points: int, hours: float, deployment: str = "") -> Outcome:
    """At its present pace the database reaches *limit_mb* of growth later than in *within_days*, by the fast end of the interval.

    Table: `database_size` over time (taken_at, database_bytes, deployment). WARN at most: it is a forecast. With fewer than *points*
    sizes over *hours*, or a pace that cannot be told from none, nothing is forecast and that is said.
    """
    if history.empty:  # nothing was ever saved: then it has no columns either
        return inconclusive(f"No size was recorded yet: a forecast needs {points:g} over {hours:g} h.", limit=within_days)
    known(history, "taken_at", "database_bytes")
    own = history[history["deployment"] == deployment] if deployment and "deployment" in history else history
    sizes = own.sort_values("taken_at").drop_duplicates("taken_at")
    span_h = 0.0 if len(sizes) < 2 else float((sizes["taken_at"].iloc[-1] - sizes["taken_at"].iloc[0]).total_seconds()) / HOUR_S
    if len(sizes) < points or span_h < hours:
        return inconclusive(
            f"{counted(len(sizes), 'size')} over {span_h:.1f} h: a forecast needs {points:g} over {hours:g} h.", limit=within_days,
        )  # fmt: skip
    at_h = (sizes["taken_at"] - sizes["taken_at"].iloc[0]).dt.total_seconds().to_numpy(dtype=float) / HOUR_S
    megabytes = sizes["database_bytes"].to_numpy(dtype=float) / MB
    pace = theil_sen(at_h, megabytes)
    table = pd.DataFrame([{"mb_per_h": pace.middle, "low": pace.low, "high": pace.high, "sizes": len(sizes), "hours": span_h}])
    grown = float(megabytes[-1] - megabytes[0])
    told = f"{pace.middle:+,.2f} MB/h (95 % interval {pace.low:+,.2f} to {pace.high:+,.2f}) over {len(sizes)} sizes in {span_h:.1f} h"
    if not pace.known or pace.middle <= 0:
        standing = "no growth that can be told from none" if not pace.known else "it gets smaller"
        return passed(f"{told}: {standing}.", table=table, measured=None, limit=within_days)
    left = max(0.0, limit_mb - grown)
    days, soonest = left / pace.middle / 24, left / pace.high / 24
    sentence = f"{told}: {limit_mb:g} MB of growth in {days:,.1f} days, at the soonest in {soonest:,.1f}; limit {within_days:g} days."
    return Outcome(
        Verdict.PASS if soonest > within_days else Verdict.WARN, sentence, table=table, measured=round(soonest, 2), limit=within_days
    )
