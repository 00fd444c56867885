"""Where the size of the database is heading: a robust line through what was measured, and how sure it is (monitoring, hours 0 to 24).

What `opsnb.checks.capacity` says of pools and disks is said by the same line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from opsnb.checks.storage import MB
from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, check, inconclusive, passed, warned

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


def too_few(at: pd.Series[Any], *, points: float, hours: float, what: str = "reading") -> str:
    """Why nothing is forecast from readings taken *at* these times (in order); '' where they are enough."""
    span_h = 0.0 if len(at) < 2 else float((at.iloc[-1] - at.iloc[0]).total_seconds()) / HOUR_S
    if len(at) >= points and span_h >= hours:
        return ""
    return f"{counted(len(at), what)} over {span_h:.1f} h: a forecast needs {points:g} over {hours:g} h"


def outlook(at: pd.Series[Any], values: pd.Series[Any], *, end: float, steady: bool = True) -> dict[str, Any]:
    """When *values*, taken *at* these times (in order, enough of them), reach *end*: per_h, low, high, readings, hours, now, end, days.

    It begins at the newest value; where that is a moment's (not *steady*: a pool is never as full as a second ago), at the line's end.
    `days`, `soonest_days` and `latest_days` are missing where it is not heading there; `finding` says so.
    """
    at_h = (at - at.iloc[0]).dt.total_seconds().to_numpy(dtype=float) / HOUR_S
    measured = values.to_numpy(dtype=float)
    pace = theil_sen(at_h, measured)
    now = float(measured[-1] if steady else np.median(measured - pace.middle * at_h) + pace.middle * at_h[-1])
    row = {"per_h": pace.middle, "low": pace.low, "high": pace.high, "readings": len(at), "hours": float(at_h[-1]), "now": now, "end": end}
    if now >= end:
        return {**row, "days": 0.0, "soonest_days": 0.0, "latest_days": 0.0, "finding": "at its end already"}
    if not pace.known or pace.middle <= 0:
        finding = "it gets less" if pace.known else "no growth that can be told from none"
        return {**row, "days": math.nan, "soonest_days": math.nan, "latest_days": math.nan, "finding": finding}
    days, soonest, latest = ((end - now) / slope / 24 for slope in (pace.middle, pace.high, pace.low))
    return {**row, "days": days, "soonest_days": soonest, "latest_days": latest, "finding": ""}


def told(row: Mapping[str, Any], unit: str) -> str:
    """A row of `outlook` in words: the pace, its interval, and what it rests on."""
    pace = f"{row['per_h']:+,.2f} {unit}/h (95 % interval {row['low']:+,.2f} to {row['high']:+,.2f})"
    return f"{pace} over {counted(row['readings'], 'reading')} in {row['hours']:.1f} h"


def in_days(row: Mapping[str, Any]) -> str:
    """When a row of `outlook` is at its end, with the interval."""
    if row["days"] == 0:
        return "already"
    unit, scale = ("h", 24) if row["soonest_days"] < 1 else ("days", 1)  # 0.0 days helps nobody
    days, soonest, latest = (row[each] * scale for each in ("days", "soonest_days", "latest_days"))
    return row["finding"] or f"in {days:,.1f} {unit} (95 % interval {soonest:,.1f} to {latest:,.1f})"


@check(
    "storage.trend",
    title="The database is not heading for its limit",
    items=(),
    harm="At this pace the limit is reached before anybody looks again.",
    fix="Look at what grows in phase 08 (storage.growth): a log table that nobody empties, or a retry that writes again and again.",
    empty="INCONCLUSIVE: no size was recorded in this deployment yet.",
)
def heading(history: pd.DataFrame, *, limit_mb: float, within_days: float, points: float, hours: float) -> Outcome:
    """At its present pace the database reaches *limit_mb* of growth later than in *within_days*, by the fast end of the interval.

    Table: `database_size` over the deployment's time (taken_at, database_bytes). WARN at most: it is a forecast. With fewer than
    *points* sizes over *hours*, or a pace that cannot be told from none, nothing is forecast and that is said.
    """
    if history.empty:  # nothing was ever saved: then it has no columns either
        return inconclusive(f"No size was recorded yet: a forecast needs {points:g} over {hours:g} h.", limit=within_days)
    known(history, "taken_at", "database_bytes")
    sizes = history.sort_values("taken_at").drop_duplicates("taken_at")
    if why := too_few(sizes["taken_at"], points=points, hours=hours, what="size"):
        return inconclusive(f"{why}.", limit=within_days)
    megabytes = sizes["database_bytes"] / MB
    row = outlook(sizes["taken_at"], megabytes, end=float(megabytes.iloc[0]) + limit_mb)
    table = pd.DataFrame([row])
    if math.isnan(row["soonest_days"]):
        return passed(f"{told(row, 'MB')}: {row['finding']}.", table=table, measured=None, limit=within_days)
    verdict = passed if row["soonest_days"] > within_days else warned
    sentence = f"{told(row, 'MB')}: {limit_mb:g} MB of growth {in_days(row)}; limit {within_days:g} days."
    return verdict(sentence, table=table, measured=round(row["soonest_days"], 2), limit=within_days)
