"""Collects the functions' log lines into the archive: every line once, complete across the row cap, masked on the way in.

A line's text is kept as its template (`opsnb.checks.templates`): what differs from line to line, names and values are gone; which key
events the whole text held is noted beside it. Lines arrive late, so the time before the watermark is read again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from opsnb.checks.templates import template
from opsnb.collecting.archive import Archive
from opsnb.config import Environment, Release
from opsnb.errors import ActionRefused, SourceNonsense, UsageError
from opsnb.evidence.safe import unwritable
from opsnb.sources import Absent, Doors
from opsnb.sources.kept_logs import COLUMNS, folder_of
from opsnb.sources.logs import Logs

PIECE = timedelta(hours=1)
OVERLAP = timedelta(minutes=10)
"""How late a line may be and still be kept."""
MOST_PARTS = 64
SAID = {
    "id": "id", "log": "log", "function_id": "function_id", "execution_id": "execution_id", "level": "level", "event_type": "event_type",
    "method": "method", "search": "search", "error_code": "error_code", "status": "status", "ms": "execution_ms",
}  # fmt: skip
"""Columns of the archive that are taken as `function_lines` says them."""
FURTHEST = timedelta(days=31)
"""How far back it is gone on with: platforms keep less."""


def collect(
    logs: Logs, archive: Archive, *, names: dict[str, str], events: Sequence[str], since: datetime, until: datetime,
    progress: Callable[[str], None] = lambda _: None, wait_s: float = 0,
) -> int:  # fmt: skip
    """Keeps every line from the watermark (or *since*) up to *until*; how many were new. *names*: function id → slug. SourceError.

    *wait_s*: how long another collector is waited for; then ActionRefused.

    Each hour is whole in the archive before the watermark moves over it: a run that is killed is gone on with by the next.
    """
    with _alone(archive.folder, wait_s):
        mark = archive.watermark()
        start = max(mark - OVERLAP, until - FURTHEST) if mark else since
        kept = 0
        while start < until:
            end = min(start + PIECE, until)
            progress(f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC")
            lines = _lines(logs, start, end)
            kept += archive.add(_masked(lines, names, events), since=start, until=end)
            start = end
    return kept


def bring_up(
    doors: Doors, until: datetime, *, environment: Environment, release: Release, root: Path, hours: float = 24, wait_s: float = 60,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[int, datetime]:  # fmt: skip
    """Collects what the platform logged up to *until*; how many lines were new, and the watermark. *hours*: how far back at first.

    Raises SourceError, and UsageError where the environment names no platform.
    """
    logs, platform = doors.platform_logs, doors.platform
    if isinstance(logs, Absent) or isinstance(platform, Absent):
        raise UsageError(f"environment {environment.name}: it names no platform, so there are no logs to collect")
    functions = platform.functions().table
    names = {str(row.id): str(row.slug) for row in functions.itertuples(index=False)}
    archive = Archive(folder_of(root, environment.name))
    since = until - timedelta(hours=hours)
    kept = collect(
        logs, archive, names=names, events=release.key_events, since=since, until=until, wait_s=wait_s, progress=progress
    )  # fmt: skip
    return kept, archive.watermark() or until


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
    table["status"] = pd.to_numeric(table["status"], errors="coerce").astype("Int64")
    table["ms"] = pd.to_numeric(table["ms"], errors="coerce").astype("Float64")
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
            **{name: lines[said].astype("string").fillna("") for name, said in SAID.items()},
            "timestamp": pd.to_datetime(lines["at"], utc=True),
            "function": [names.get(str(each), str(each)) for each in lines["function_id"]],
            "text": [template(text) for text in texts],
            "events": held,
        },
        columns=list(COLUMNS),
    )


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
def _alone(folder: Path, wait_s: float = 0) -> Iterator[None]:
    """One collector at a time."""
    ends = time.monotonic() + wait_s
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= ends:
                os.close(descriptor)
                raise ActionRefused("Another process is collecting these logs right now.") from None
            time.sleep(0.2)
    try:
        yield
    finally:
        os.close(descriptor)
