"""Collects the functions' log lines into the archive: every line once, complete across the row cap, masked on the way in.

A line's text is kept as its template (`opsnb.checks.templates`): what differs from line to line, names and values are gone; which key
events the whole text held is noted beside it. Lines arrive late, so the time before the watermark is read again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from opsnb.checks.templates import template
from opsnb.collecting.archive import Archive
from opsnb.errors import ActionRefused, SourceNonsense, UsageError
from opsnb.evidence.safe import unwritable
from opsnb.sources.logs import Logs

FOLDER = Path(".opsnb") / "logs"
PIECE = timedelta(hours=1)
OVERLAP = timedelta(minutes=10)
"""How late a line may be and still be kept."""
MOST_PARTS = 64
COLUMNS = ("id", "timestamp", "log", "function", "execution_id", "level", "event_type", "status", "ms", "text", "events")


def folder_of(root: Path, environment: str) -> Path:
    """Where the lines of *environment* are kept."""
    return root / FOLDER / environment / "functions"


def collect(
    logs: Logs, archive: Archive, *, names: dict[str, str], events: Sequence[str], since: datetime, until: datetime,
    progress: Callable[[str], None] = lambda _: None,
) -> int:  # fmt: skip
    """Keeps every line from the watermark (or *since*) up to *until*; how many were new. *names*: function id → slug. SourceError.

    Each hour is whole in the archive before the watermark moves over it: a run that is killed is gone on with by the next.
    """
    with _alone(archive.folder):
        mark = archive.watermark()
        start = max(since, mark - OVERLAP) if mark else since
        kept = 0
        while start < until:
            end = min(start + PIECE, until)
            progress(f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC")
            lines = _lines(logs, start, end)
            kept += archive.add(_masked(lines, names, events), until=end)
            start = end
    return kept


def read(folder: Path, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """The archived lines between two moments, oldest first: COLUMNS."""
    paths = sorted(path for path in folder.glob("date=*/hour=*/*.parquet") if _within(path, since, until))
    tables = [pd.read_parquet(path) for path in paths]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True)
    if since is not None:
        table = table[table["timestamp"] >= since]
    if until is not None:
        table = table[table["timestamp"] < until]
    return table.sort_values(["timestamp", "id"], ignore_index=True)


def prunable(folder: Path, *, before: datetime) -> list[Path]:
    """The hours of the archive that ended before *before*, oldest first."""
    return [path for path in sorted(folder.glob("date=*/hour=*")) if path.is_dir() and _hour(path) + timedelta(hours=1) <= before]


def _lines(logs: Logs, start: datetime, end: datetime) -> pd.DataFrame:
    """All lines of one piece; in more and more shares where a minute holds more than an answer may."""
    parts = 1
    while True:
        try:
            tables = [logs.query("function_lines", start, end, parts=parts, part=part).table for part in range(parts)]
        except SourceNonsense as error:
            if ("cut off" not in str(error) and "too many rows" not in str(error)) or parts >= MOST_PARTS:
                raise
            parts *= 4
            continue
        return pd.concat(tables, ignore_index=True).drop_duplicates("id")


def _masked(lines: pd.DataFrame, names: dict[str, str], events: Sequence[str]) -> pd.DataFrame:
    """What is kept of the lines: COLUMNS. `events` are the key words that the text or the level held."""
    texts = [str(text or "") for text in lines["message"]]
    words = [word for word in events if word.isprintable()]
    held = [
        " ".join(word for word in words if word.lower() in text.lower() or word.lower() == str(level or "").lower())
        for text, level in zip(texts, lines["level"], strict=True)
    ]
    return pd.DataFrame(
        {
            "id": lines["id"].astype("string"), "timestamp": pd.to_datetime(lines["at"], utc=True), "log": lines["log"].astype("string"),
            "function": [names.get(str(each), str(each)) for each in lines["function_id"]],
            "execution_id": lines["execution_id"].astype("string"), "level": lines["level"].astype("string"),
            "event_type": lines["event_type"].astype("string"), "status": pd.to_numeric(lines["status"], errors="coerce").astype("Int64"),
            "ms": pd.to_numeric(lines["execution_ms"], errors="coerce").astype("Float64"), "text": [template(text) for text in texts],
            "events": held,
        }
    )  # fmt: skip


def _hour(path: Path) -> datetime:
    date, hour = path.parent.name.removeprefix("date="), path.name.removeprefix("hour=")
    return datetime.strptime(f"{date} {hour}", "%Y-%m-%d %H").replace(tzinfo=UTC)


def _within(path: Path, since: datetime | None, until: datetime | None) -> bool:
    try:
        begins = _hour(path.parent)
    except ValueError:
        raise UsageError(f"{path.parent}: expected date=YYYY-MM-DD/hour=HH below the archive of logs") from None
    return (since is None or begins + timedelta(hours=1) > since) and (until is None or begins < until)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One collector at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ActionRefused("Another process is collecting these logs right now.") from None
    try:
        yield
    finally:
        os.close(descriptor)
