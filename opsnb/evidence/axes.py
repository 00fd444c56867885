"""Axes of static charts: numbers, logarithms, times and categories to pixels, with ticks a person would choose."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from opsnb.evidence.marks import text_lines, text_of

_MINUTE, _HOUR, _DAY = 60_000.0, 3_600_000.0, 86_400_000.0
_TIME_STEPS = (
    1_000.0, 5_000.0, 10_000.0, 30_000.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE,
    _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY,
)  # fmt: skip


_TINY = 1e-12
"""Nothing smaller is drawn apart from zero."""
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")
"""datetime knows microseconds, pandas writes nanoseconds."""


@dataclass
class Axis:
    """One axis. `kind` is linear, log, date (milliseconds) or category (places); `low`, `high` its range in those numbers."""

    name: str
    kind: str
    title: str = ""
    right: bool = False
    turned: bool = False
    hidden: bool = False
    categories: list[str] = field(default_factory=list)
    spec: Mapping[str, Any] = field(default_factory=dict)
    low: float = 0.0
    high: float = 1.0
    start: float = 0.0
    length: float = 1.0
    flip: bool = False
    _pixels: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, name: str, spec: Mapping[str, Any], values: Sequence[Any]) -> Axis:
        """The axis plotly would make of *spec* and the *values* on it."""
        kind = str(spec.get("type") or _kind(values))
        axis = cls(
            name,
            "category" if kind in ("category", "multicategory") else kind if kind in ("linear", "log", "date") else _kind(values),
            title=" ".join(text_lines(text_of(spec.get("title")))),
            right=spec.get("side") == "right",
            turned=spec.get("autorange") == "reversed",
            hidden=spec.get("visible") is False or spec.get("showticklabels") is False,
            spec=spec,
        )
        if axis.kind == "category":
            given = [str(value) for value in spec.get("categoryarray") or []]
            axis.categories = list(dict.fromkeys([*given, *(str(value) for value in values if value is not None)]))
        return axis

    def number(self, value: Any) -> float:
        """*value* as a number on this axis; not-a-number where it has no place."""
        if value is None:
            return math.nan
        if self.kind == "category":
            if isinstance(value, int | float) and str(value) not in self.categories:
                return float(value)  # plotly counts places, too
            return float(self.categories.index(str(value))) if str(value) in self.categories else math.nan
        if self.kind == "date":
            return float(value) if isinstance(value, int | float) else _milliseconds(value)
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan

    def fit(self, extents: Sequence[float], totals: Mapping[str, float]) -> None:
        """Chooses the range: as *spec* says, else around *extents*; orders categories, by *totals* where asked."""
        order = str(self.spec.get("categoryorder", ""))
        if self.kind == "category" and order.split(" ")[0] in ("total", "sum", "category"):
            if order.startswith("category"):
                self.categories.sort()
            else:
                self.categories.sort(key=lambda name: totals.get(name, 0.0))
            if order.endswith("descending"):
                self.categories.reverse()
        given = self.spec.get("range")
        if isinstance(given, list | tuple) and len(given) == 2 and None not in given:
            self.low, self.high = (
                (10.0 ** float(given[0]), 10.0 ** float(given[1])) if self.kind == "log" else (self.number(given[0]), self.number(given[1]))
            )
            if self.low > self.high:
                self.low, self.high, self.turned = self.high, self.low, True
            if math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high:
                return
        if self.kind == "category":
            self.low, self.high = -0.5, max(len(self.categories), 1) - 0.5
            return
        usable = [value for value in extents if value > _TINY] if self.kind == "log" else list(extents)
        low, high = min(usable, default=1.0), max(usable, default=2.0)
        if self.kind == "log":
            self.low, self.high = max(low / 1.4, _TINY), high * 1.4
            return
        if high - low < max(_TINY, abs(high) * (0 if self.kind == "date" else 1e-9)):  # one value, as far as a picture goes
            low, high = (low - _HOUR, high + _HOUR) if self.kind == "date" else (min(low, 0.0), max(high, 1.0) if high >= 0 else 0.0)
        margin = (high - low) * (0.02 if self.kind == "date" else 0.07)
        # zero is a floor, not a value to keep away from
        self.low = low if low == 0 else low - margin if low < 0 or low - margin > 0 or self.kind == "date" else 0.0
        self.high = high if high == 0 else high + margin
        if self.spec.get("rangemode") in ("tozero", "nonnegative"):
            self.low = min(self.low, 0.0) if self.spec["rangemode"] == "tozero" else max(self.low, 0.0)

    def place(self, start: float, length: float, *, flip: bool) -> None:
        """Gives the axis its pixels, *start* to *start* + *length*, within its domain; *flip* for one that grows upwards."""
        first, last = (float(share) for share in self.spec.get("domain") or (0.0, 1.0))
        self.flip = flip
        self.start = start + length * (1 - last if flip else first)
        self.length = length * (last - first)

    @property
    def middle(self) -> float:
        """Pixel of the axis' middle."""
        return self.start + self.length / 2

    def pixel(self, value: float) -> float:
        """The pixel of a number."""
        low, high, at = self.low, self.high, value
        if self.kind == "log":
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, _TINY))
        share = (at - low) / (high - low)
        return self.start + (1 - share if self.flip != self.turned else share) * self.length

    def label(self, value: float) -> str:
        """A value of this axis in words."""
        if self.kind == "category":
            return self.categories[round(value)] if 0 <= round(value) < len(self.categories) else ""
        if self.kind == "date":
            return _time(value).strftime("%Y-%m-%d %H:%M")
        return _short(value)

    def ticks(self) -> list[tuple[float, str]]:
        """Places to mark, with their labels."""
        if self.hidden:
            return []
        if self.spec.get("tickvals"):
            texts = self.spec.get("ticktext") or self.spec["tickvals"]
            pairs = zip(self.spec["tickvals"], texts, strict=False)
            placed = [(self.number(value), " ".join(text_lines(str(text)))) for value, text in pairs]
            return [(number, text) for number, text in placed if self.low <= number <= self.high]
        if self.kind == "category":
            return [(float(position), name) for position, name in enumerate(self.categories)]
        if self.kind == "date":
            return self._time_ticks()
        if self.kind == "log":
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [(10.0**power, self._affixed(10.0**power, 0.0)) for power in powers]
        step = _nice((self.high - self.low) / 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(count * step, self._affixed(count * step, step)) for count in range(first, last + 1)]

    def label_width(self, glyph: float) -> float:
        """Pixels the longest tick label needs."""
        return max((len(text) for _, text in self.ticks()), default=0) * glyph

    def crowded(self, length: float, glyph: float) -> bool:
        """Whether the tick labels would touch side by side within *length* pixels."""
        ticks = self.ticks()
        return bool(ticks) and (self.label_width(glyph) + 8) * len(ticks) > length

    def _affixed(self, value: float, step: float) -> str:
        pattern = str(self.spec.get("tickformat", ""))
        if pattern.endswith("%"):
            text = f"{value * 100:.{_decimals(step * 100)}f}%"
        else:
            text = f"{value:,.{_decimals(step)}f}" if value and 1e-6 < step < 1e6 else _short(value)
        return " ".join(text_lines(f"{self.spec.get('tickprefix', '')}{text}{self.spec.get('ticksuffix', '')}"))

    def _time_ticks(self) -> list[tuple[float, str]]:
        step = next((each for each in _TIME_STEPS if (self.high - self.low) / each <= 6), _TIME_STEPS[-1])
        pattern = "%H:%M:%S" if step < _MINUTE else "%H:%M" if step < _DAY else "%d %b" if step < 300 * _DAY else "%Y"
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        ticks = []
        for count in range(first, last + 1):
            moment = _time(count * step)
            midnight = step < _DAY and moment.hour == 0 and moment.minute == 0
            ticks.append((count * step, moment.strftime("%d %b" if midnight else pattern)))
        return ticks


def _kind(values: Sequence[Any]) -> str:
    seen = [value for value in values if value is not None]
    if seen and all(isinstance(value, int | float) for value in seen):
        return "linear"
    if seen and all(isinstance(value, str | datetime) and math.isfinite(_milliseconds(value)) for value in seen[:50]):
        return "date"
    return "category" if seen else "linear"


def _milliseconds(value: Any) -> float:
    if not isinstance(value, datetime):
        text = str(value)
        if len(text) < 8 or not text[:4].isdigit() or text[4] != "-":
            return math.nan
        try:
            value = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", text))
        except ValueError:
            return math.nan
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return float(aware.timestamp() * 1000)


def _time(milliseconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)


def _decimals(step: float) -> int:
    if step <= 0:
        return 0
    return next((places for places in range(7) if abs(step * 10**places - round(step * 10**places)) < 1e-6), 6)


def _short(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
