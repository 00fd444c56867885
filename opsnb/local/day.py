"""A day of logs behind the present: what the clinic's callers met in the last half hour, as it would have stood all day long.

Rows are copied whole, half hour by half hour, with new ids, executions of their own, and times spread a little; fewer at night. Everything
else about the target is of the present: its database, its metrics, its functions.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsnb.local.logbook import LogBook

SOURCES = ("function_edge_logs", "function_logs", "edge_logs")
WINDOW = timedelta(minutes=30)
HOURS = 26.0
"""A day, and two hours before it: a deployment's baseline."""
NIGHT = 0.35
"""How much of the traffic is left at three in the morning."""


def write(logbook: LogBook, *, now: datetime, hours: float = HOURS) -> int:
    """Fills the *hours* before the last half hour; answers how many rows were written. Twice writes twice."""
    rows = [row for source in SOURCES for row in _rows(logbook.folder / f"{source}.jsonl", now - WINDOW, now)]
    written = 0
    for number in range(1, math.ceil(timedelta(hours=hours) / WINDOW)):
        for row, at in rows:
            moment = at - number * WINDOW
            attributes = dict(row["log_attributes"])
            execution = attributes.get("execution_id", "")
            whose = execution or str(row["id"])
            if _chance(f"{number}/{whose}") > _busy(moment):
                continue
            if execution:
                attributes["execution_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}/{execution}"))
            spread = timedelta(seconds=60 * (_chance(f"at/{number}/{whose}") - 0.5))
            logbook.write(
                row["source"], row["event_message"], severity=row["severity_text"], attributes=attributes, timestamp=moment + spread
            )
            written += 1
    return written


def _rows(path: Path, since: datetime, until: datetime) -> Iterator[tuple[dict[str, Any], datetime]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        row = json.loads(line)
        at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
        if since <= at < until:
            yield row, at


def _busy(moment: datetime) -> float:
    """The share of the traffic there is at that hour: all of it in the afternoon."""
    hours = moment.hour + moment.minute / 60
    return NIGHT + (1 - NIGHT) * (1 + math.cos(2 * math.pi * (hours - 15) / 24)) / 2


def _chance(of: str) -> float:
    """From 0 to 1, the same for the same words."""
    return int.from_bytes(hashlib.sha256(of.encode()).digest()[:6], "big") / 2**48
