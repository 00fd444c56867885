"""Answers in JSON, as tables with fixed columns and types. What is not as the contract says becomes SourceNonsense, never a number."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pandas as pd

from opsnb.errors import SourceNonsense

Kind = Literal["text", "integer", "number", "boolean", "time", "epoch_ms", "epoch_s"]
_DTYPES: Mapping[str, str] = {"text": "string", "integer": "Int64", "number": "Float64", "boolean": "boolean"}
TIME_DTYPE = "datetime64[us, UTC]"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = sys.float_info.max
LATEST_S = 253_402_300_799
"""The end of the year 9999, which is as far as times go."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}\S*", re.ASCII)


class Shape:
    """Reads answers to *question* of *source*; its errors name the operation and the key, never a value."""

    def __init__(self, source: str, question: str) -> None:
        self.source = source
        self.question = question

    def wrong(self, what: str) -> SourceNonsense:
        """The error to raise."""
        asked = self.question.partition("\n")[0]  # a statement is many lines, and no sentence
        return SourceNonsense(f"{asked}: {what}", source=self.source, question=self.question)

    def mapping(self, value: Any, name: str = "the answer") -> dict[str, Any]:
        """An object; a missing one (None) is empty."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(f"{name} is no object")
        return value

    def entries(self, value: Any, name: str = "the answer") -> list[dict[str, Any]]:
        """A list of objects; a missing one (None) is empty."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(f"{name} is no list")
        return [self.mapping(entry, f"an entry of {name}") for entry in value]

    def value(self, entry: Mapping[str, Any], key: str, kind: Kind) -> Any:
        """The value of *key*, None where it is absent or null; times as UTC timestamps."""
        value = entry.get(key)
        if value is None:
            return None
        # compared, not converted: an integer may be too long for a float
        numeric = isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
        good: Any = None
        if (kind == "text" and isinstance(value, str)) or (kind == "boolean" and isinstance(value, bool)):
            good = value
        elif kind == "integer" and numeric and value == int(value) and abs(value) < 2**63:
            good = int(value)
        elif kind == "number" and numeric:
            good = float(value)
        elif kind in ("epoch_ms", "epoch_s") and numeric and 0 <= value <= LATEST_S * 1000:
            after = timedelta(milliseconds=value) if kind == "epoch_ms" else timedelta(seconds=value)
            good = pd.Timestamp(_EPOCH + after) if after <= timedelta(seconds=LATEST_S) else None
        elif kind == "time" and isinstance(value, str):
            good = utc(value)
        if good is None:
            raise self.wrong(f"{key} is no {kind.replace('_', ' in ')}")
        return good

    def table(
        self, entries: Iterable[Mapping[str, Any]], columns: Mapping[str, Kind], *, required: Iterable[str] = (), unique: str = ""
    ) -> pd.DataFrame:
        """One row per entry with *columns* (key → kind), null where a key is absent and not *required*; *unique*: a key no two share."""
        rows = []
        met: set[Any] = set()
        for entry in entries:
            if unique and (name := self.value(entry, unique, columns[unique])) is not None:
                if name in met:
                    raise self.wrong(f"two entries have the same {unique}")
                met.add(name)
            for key in required:
                if entry.get(key) is None:
                    raise self.wrong(f"an entry has no {key}")
            rows.append([self.value(entry, key, kind) for key, kind in columns.items()])
        return pd.DataFrame({
            key: pd.Series([row[place] for row in rows], dtype=_DTYPES.get(kind, TIME_DTYPE))
            for place, (key, kind) in enumerate(columns.items())
        })  # fmt: skip


def utc(text: str) -> pd.Timestamp | None:
    """The moment in *text*, UTC where it names no zone; None where it is no moment."""
    if not _DATE.fullmatch(text):  # pandas reads "now" too
        return None
    try:
        moment = datetime.fromisoformat(text)
        return pd.Timestamp(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).as_unit("us")
    except (ValueError, OverflowError):
        return None
