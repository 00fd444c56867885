"""Limits a runbook names: the same quantity with different numbers, and times that do not add up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsnb.guide.document import Guide, Line
from opsnb.guide.findings import Finding

_QUANTITIES = (
    ("error rate", re.compile(r"error rate|success rate|failure rate", re.IGNORECASE)),
    ("response time", re.compile(r"response times?|latency|results? within", re.IGNORECASE)),
    ("use of the connection pool", re.compile(r"connections?\b.*pool|pool usage", re.IGNORECASE)),
    ("growth of the database", re.compile(r"database size|storage growth", re.IGNORECASE)),
    ("time of a rollback", re.compile(r"rollback", re.IGNORECASE)),
    ("downtime", re.compile(r"downtime|\bduration:", re.IGNORECASE)),
)
_NUMBER = re.compile(
    r"(?P<sign>[<>≤≥]=?|~|within|under|over|at most|at least|up to)\s*(?P<value>\d+(?:\.\d+)?)\s*"
    r"(?P<unit>%|ms\b|milliseconds?\b|s\b|sec(?:onds?)?\b|min(?:utes?)?\b|hours?\b|[MG]B\b)", re.IGNORECASE,
)  # fmt: skip
_UNITS = {"%": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "mb": 1.0, "gb": 1024.0}
_WITHIN = re.compile(r"(?:within|<|under)\s*(\d+)\s*min", re.IGNORECASE)
_TIME = re.compile(r"\**\s*time:?\**:?\s*(\d+)\s*min", re.IGNORECASE)


@dataclass(frozen=True)
class _Limit:
    line: int
    text: str
    section: str
    sign: str
    value: float


def judge(guide: Guide) -> Iterator[Finding]:
    """One finding per quantity that has several limits, at its first line, and one per part whose steps take longer than it may."""
    for quantity, mentioned in _QUANTITIES:
        limits = [limit for line in _lines(guide) if mentioned.search(line.text) for limit in _limits(line)]
        if len({round(limit.value, 6) for limit in limits}) > 1:
            all_of_them = "; ".join(f"line {limit.line}: {limit.text}" for limit in limits)
            yield Finding(limits[0].line, "warning", "limits-differ", quantity, f"{len(limits)} limits of one quantity: {all_of_them}.",
                          "Say of each in which phase it holds, and what happens between them.")  # fmt: skip
    yield from _times(guide)
    yield from _promises(guide)


def _lines(guide: Guide) -> Iterator[Line]:
    yield from sorted((*guide.headings, *guide.boxes, *guide.prose), key=lambda line: line.line)


def _limits(line: Line) -> Iterator[_Limit]:
    for match in _NUMBER.finditer(line.text):
        unit = match["unit"].lower()
        short = "%" if unit == "%" else "ms" if unit.startswith(("ms", "milli")) else "min" if unit.startswith("min") else unit
        short = "h" if short.startswith("hour") else "s" if short.startswith("s") else short
        value = float(match["value"]) * _UNITS[short]
        if short == "%" and re.search(r"success rate", line.text, re.IGNORECASE):
            value = 100 - value  # a share of successes is one of errors
        yield _Limit(line.line, match[0].strip(), line.section, match["sign"], value)


def _promises(guide: Guide) -> Iterator[Finding]:
    """How long a way back takes, said and not measured: it grows with the data."""
    for line in _lines(guide):
        limit = next(_limits(line), None)
        if limit is not None and re.search(r"roll(ed)?[ -]?back|restor(e|ation)", line.text, re.IGNORECASE):
            yield Finding(line.line, "warning", "promise-not-measured", " ".join(line.text.split())[:100],
                          "A way back takes as long as the data and the functions need: a number that nobody measured is a hope.",
                          "Rehearse it and keep the seconds of every step (opsnb rehearse ENV).")  # fmt: skip


def _times(guide: Guide) -> Iterator[Finding]:
    """Parts that must end within some minutes against the minutes of their steps."""
    headings = list(guide.headings)
    lines = sorted(guide.prose, key=lambda line: line.line)
    for place, heading in enumerate(headings):
        allowed = _WITHIN.search(heading.text)
        if allowed is None:
            continue
        end = next((other.line for other in headings[place + 1 :] if _WITHIN.search(other.text)), 10**9)
        steps = [int(found[1]) for line in lines if heading.line < line.line < end and (found := _TIME.match(line.text))]
        if sum(steps) > int(allowed[1]):
            yield Finding(heading.line, "warning", "times-do-not-add-up", heading.text,
                          f"Its steps take {sum(steps)} minutes, it may take {allowed[1]}.")  # fmt: skip
