"""The door to the platform's logs: named ClickHouse statements in, Facts out."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pandas as pd

from opsnb.errors import SourceNonsense, UsageError
from opsnb.facts import Facts, asked
from opsnb.sources.statements import Column, Statement, statement

SOURCE = "logs"
MOST_ROWS = 1000
"""The endpoint answers no more, and does not say so."""
MOST_PIECES = 200
"""Pieces one question may be split into; the endpoint may be asked about thirty times a minute."""
LONGEST = timedelta(hours=24)
SHORTEST = timedelta(minutes=1)
"""The endpoint rounds times to the minute."""
CLOCK_TOLERANCE = timedelta(minutes=5)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Backend(Protocol):
    """Whatever answers a statement over ``logs``: the management API, a ClickHouse server, an archive."""

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of *sql* between two moments (ISO 8601, UTC); SourceError."""


class Logs:
    """The logs of one project, wherever they are kept; *longest*: what may be asked at once. *sleep* and *clock*: for tests."""

    def __init__(
        self, platform: Backend, *, longest: timedelta | None = LONGEST, sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._platform = platform
        self._longest = longest
        self._sleep = sleep
        self._clock = clock

    @asked(SOURCE)
    def query(self, name: str, start: datetime, end: datetime, **params: Any) -> tuple[str, pd.DataFrame]:
        """The rows of opsnb/sql/logs/<name>.sql between *start* and *end*, with the columns its header names; times in UTC.

        A statement whose header says so is asked in pieces where the window is longer than a day or the answer is cut off, and its
        rows come newest first. Of any other that is an error, because its rows cannot be put together: UsageError for the window,
        SourceNonsense for the answer.
        """
        said = statement("logs", name)
        said.require(params)
        if start.tzinfo is None or end.tzinfo is None or start >= end:
            raise UsageError(f"{name}: a window of the logs has two ends with a time zone, the earlier first")
        sql = substitute(said, params)
        pieces = list(self._pieces(said, sql, list(_windows(said, start, end, self._longest))))
        table = frame(said, [row for piece in pieces for row in piece])
        _not_later(said, table, end)
        if len(pieces) > 1:
            table = _joined(said, table)
        return f"{sql}\n-- from {_iso(start)} to {_iso(end)}", table

    def seen(self, mark: str, start: datetime, *, deadline_s: float) -> Facts:
        """The rows of `probe_seen`, asked again until the probe marked *mark* arrived or *deadline_s* are over."""
        ends = self._clock() + deadline_s
        while True:
            facts = self.query("probe_seen", start, datetime.now(UTC) + SHORTEST, mark=mark)
            left = ends - self._clock()
            if not facts.ok or len(facts) or left <= 0:
                return facts
            self._sleep(min(left, 5.0, max(0.2, deadline_s / 20)))

    def _pieces(self, said: Statement, sql: str, windows: list[tuple[datetime, datetime]]) -> Iterator[list[dict[str, Any]]]:
        """The answers to every window, each halved on a whole minute as long as it is cut off."""
        asked_so_far = 0
        while windows:
            start, end = windows.pop()
            asked_so_far += 1
            if asked_so_far > MOST_PIECES:
                raise SourceNonsense(f"{said.name}: too many rows to fetch; ask for a shorter time", source=SOURCE, question=sql)
            rows = self._platform.analytics(sql, _iso(start), _iso(end))
            if len(rows) < MOST_ROWS:
                yield rows
                continue
            middle = (start + (end - start) / 2).replace(second=0, microsecond=0)
            if not said.splits or not start < middle < end:
                cut_off = f"{said.name}: the answer was cut off at {MOST_ROWS} rows"
                raise SourceNonsense(f"{cut_off}; ask for a shorter time", source=SOURCE, question=sql)
            windows += [(start, middle), (middle, end)]


def substitute(said: Statement, params: dict[str, Any]) -> str:
    """The statement, without its header, with its parameters as ClickHouse literals."""
    # in one pass: a value that looks like a parameter stays what it is
    return re.sub(r"\{(\w+)\}", lambda found: literal(params[found[1]]), said.body)


def literal(value: Any) -> str:
    """A ClickHouse literal of a number, text or list of these; UsageError for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    raise UsageError(f"a log statement takes finite numbers, texts and lists of them, not this {type(value).__name__}")


def frame(said: Statement, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows with the columns and types of the header, in its order; SourceNonsense where they differ."""
    for row in rows:
        missing = next((column.name for column in said.columns if column.name not in row), None)
        if missing is not None:
            raise SourceNonsense(f"{said.name}: the answer has no {missing}", source=SOURCE)
    return pd.DataFrame({column.name: _series([row[column.name] for row in rows], column, said) for column in said.columns})


def _series(values: list[Any], column: Column, said: Statement) -> pd.Series[Any]:
    try:
        if column.type == "timestamptz":  # they come without a zone, and are UTC
            if not all(value is None or (isinstance(value, str) and value[:1].isdigit()) for value in values):
                raise ValueError  # pandas reads "now", and a number as a year
            moments = pd.to_datetime(pd.Series(values, dtype="string"), utc=True, format="ISO8601")
            return moments.astype("datetime64[us, UTC]")
        if column.type in ("bigint", "integer", "smallint"):  # 64-bit integers may come as text
            if any(isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()) for value in values):
                raise ValueError
            return pd.Series([None if value is None else int(value) for value in values], dtype="Int64")
        if column.type == "float8":
            return pd.Series([None if value is None else float(value) for value in values], dtype="Float64")
        if column.type == "text":
            if not all(value is None or isinstance(value, str) for value in values):
                raise TypeError
            return pd.Series(values, dtype="string")
    except (TypeError, ValueError, OverflowError):
        raise SourceNonsense(f"{said.name}: {column.name} is not the {column.type} its header says", source=SOURCE) from None
    return pd.Series(values, dtype="object")


def _not_later(said: Statement, table: pd.DataFrame, end: datetime) -> None:
    """SourceNonsense where a row is later than *end* allows: the clocks disagree, and what was counted is of another time."""
    latest = pd.Timestamp(end.astimezone(UTC) + SHORTEST + CLOCK_TOLERANCE)
    for column in said.columns:
        if column.type == "timestamptz" and bool((table[column.name] > latest).any()):
            raise SourceNonsense(f"{said.name}: {column.name} is later than what was asked for; two clocks disagree", source=SOURCE)


def _joined(said: Statement, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of several pieces, newest first; a row on the minute that two pieces share comes once."""
    moments = [column.name for column in said.columns if column.type == "timestamptz"][:1]
    if not moments:
        return table
    on_the_minute = table[moments[0]].dt.floor("min") == table[moments[0]]
    table = table[~(table.duplicated() & on_the_minute)]
    return table.sort_values(moments[0], ascending=False, kind="stable", ignore_index=True)


def _windows(said: Statement, start: datetime, end: datetime, longest: timedelta | None) -> Iterator[tuple[datetime, datetime]]:
    if longest and end - start > longest and not said.splits:
        raise UsageError(f"{said.name}: the logs answer for 24 hours at most, asked for {end - start}")
    while longest and end - start > longest:
        # a later piece begins on a whole minute: the endpoint rounds
        cut = (start + longest).replace(second=0, microsecond=0)
        yield start, cut
        start = cut
    yield start, end


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
