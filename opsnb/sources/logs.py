"""The door to the platform's logs: named ClickHouse statements in, Facts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from opsnb.errors import SourceNonsense, UsageError
from opsnb.facts import Facts, asked
from opsnb.sources.statements import Statement, statement
from opsnb.sources.supabase import Supabase

SOURCE = "logs"
MOST_ROWS = 1000
"""The endpoint answers no more and does not say so."""
LONGEST = timedelta(hours=24)
SHORTEST = timedelta(minutes=1)
"""The endpoint rounds times to the minute."""


class Logs:
    """The logs of one project, through its management API."""

    def __init__(self, platform: Supabase, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._platform = platform
        self._sleep = sleep

    @asked(SOURCE)
    def query(self, name: str, start: datetime, end: datetime, **params: Any) -> tuple[str, pd.DataFrame]:
        """The rows of opsnb/sql/logs/<name>.sql between *start* and *end*.

        A statement whose header says so is asked in pieces where the window is longer than a day or the answer is cut off; of any
        other that is SourceNonsense, because its rows cannot be put together.
        """
        asked_for = statement("logs", name)
        asked_for.require(set(params))
        sql = substitute(asked_for, params)
        rows: list[dict[str, Any]] = []
        for since, until in _windows(asked_for, start, end):
            rows += self._rows(asked_for, sql, since, until)
        return f"{sql}\n-- from {_iso(start)} to {_iso(end)}", _frame(asked_for, rows)

    def seen(self, mark: str, start: datetime, *, deadline_s: float) -> Facts:
        """The rows of `probe_seen`, asked again until the probe marked *mark* arrived or *deadline_s* are over."""
        ends = time.monotonic() + deadline_s
        while True:
            facts = self.query("probe_seen", start, datetime.now(UTC) + SHORTEST, mark=mark)
            if not facts.ok or len(facts) or time.monotonic() >= ends:
                return facts
            self._sleep(min(5.0, max(0.2, deadline_s / 20)))

    def _rows(self, asked_for: Statement, sql: str, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        rows = self._platform.analytics(sql, _iso(start), _iso(end))
        if len(rows) < MOST_ROWS:
            yield from rows
        elif asked_for.splits and end - start > SHORTEST:
            middle = start + (end - start) / 2
            yield from self._rows(asked_for, sql, start, middle)
            yield from self._rows(asked_for, sql, middle, end)
        else:
            raise SourceNonsense(
                f"{asked_for.name}: the answer was cut off at {MOST_ROWS} rows; ask for a shorter time", source=SOURCE, question=sql
            )


def substitute(asked_for: Statement, params: dict[str, Any]) -> str:
    """The statement's text with its parameters as ClickHouse literals."""
    text = asked_for.text
    for name, value in params.items():
        text = text.replace("{" + name + "}", literal(value))
    return text


def literal(value: Any) -> str:
    """A ClickHouse literal of a number, text or list of these; UsageError for anything else."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    raise UsageError(f"a log statement takes numbers, texts and lists, not {type(value).__name__}")


def _windows(asked_for: Statement, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    if end - start <= LONGEST:
        yield start, end
        return
    if not asked_for.splits:
        raise UsageError(f"{asked_for.name}: the logs answer for 24 hours at most, asked for {end - start}")
    while start < end:
        yield start, min(end, start + LONGEST)
        start += LONGEST


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _frame(asked_for: Statement, rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = [column.name for column in asked_for.columns]
    for row in rows:
        missing = set(columns) - set(row)
        if missing:
            raise SourceNonsense(f"{asked_for.name}: the answer has no {sorted(missing)[0]}", source=SOURCE)
    table = pd.DataFrame([[row[name] for name in columns] for row in rows], columns=columns)
    for column in asked_for.columns:
        if column.type == "timestamptz":
            table[column.name] = pd.to_datetime(table[column.name], utc=True, format="ISO8601")
        elif column.type in ("bigint", "integer"):  # 64-bit integers may come as text
            table[column.name] = pd.to_numeric(table[column.name]).astype("Int64")
        elif column.type == "float8":
            table[column.name] = pd.to_numeric(table[column.name]).astype("Float64")
    return table
