"""Logs from the archive of `opsnb logs collect`: the same statements, over Parquet, by an embedded ClickHouse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, UsageError
from opsnb.sources.clickhouse import bounded, rows

SOURCE = "logs"
FOLDER = Path(".opsnb") / "logs"
FORMAT = 2
"""Of the columns below; an archive of another is collected anew."""
STREAMS = frozenset({"function_logs", "function_edge_logs"})
COLUMNS = {
    "id": "String", "timestamp": "DateTime64(6, 'UTC')", "log": "LowCardinality(String)", "function_id": "LowCardinality(String)",
    "function": "LowCardinality(String)", "execution_id": "String", "level": "LowCardinality(String)",
    "event_type": "LowCardinality(String)", "method": "LowCardinality(String)", "search": "LowCardinality(String)",
    "error_code": "LowCardinality(String)", "status": "LowCardinality(String)", "ms": "String", "text": "LowCardinality(String)",
    "events": "LowCardinality(String)",
}  # fmt: skip
"""What is kept of a line, as ClickHouse types; all but `timestamp` are text."""
MEMORY_BYTES = 1536 * 1024 * 1024
_ATTRIBUTES = {
    "function_id": "function_id", "execution_id": "execution_id", "level": "level", "event_type": "event_type",
    "response.status_code": "status", "execution_time_ms": "ms", "request.method": "method", "request.search": "search",
    "response.headers.sb_error_code": "error_code", "request.url": "", "parsed.error_severity": "",
}  # fmt: skip


class Platform(Protocol):
    """Whatever else can be asked."""

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of *sql* between two moments."""


@dataclass(frozen=True)
class Complete:
    """The stretch of time of which an archive holds every line."""

    since: datetime
    until: datetime


def folder_of(root: Path, environment: str) -> Path:
    """Where the lines of *environment* are kept."""
    return root / FOLDER / environment / "functions"


def complete(folder: Path) -> Complete | None:
    """What the archive in *folder* holds whole; None where nothing was collected; UsageError for a file that is none of ours."""
    path = folder / "watermark.json"
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        since, until = (datetime.fromisoformat(said[key]).astimezone(UTC) for key in ("since", "until"))
        if said["format"] != FORMAT:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: expected since, until and format {FORMAT}; remove the folder to collect anew") from None
    return Complete(since, until)


class KeptLogs:
    """The lines in *folder*. What the archive has no log of is asked of *rest*, where there is one.

    *refresh*: brings the archive up to a moment. *only_kept*: a statement over several logs is answered from those that are kept.
    """

    def __init__(
        self, folder: Path, *, rest: Platform | None = None, refresh: Callable[[datetime], object] | None = None, only_kept: bool = False
    ) -> None:
        self._folder = folder
        self._rest = rest
        self._refresh = refresh
        self._only_kept = only_kept
        self._engine: Any = None

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of *sql* over the kept lines between two moments (ISO 8601, UTC); SourceError."""
        named = set(re.findall(r"'([a-z]+(?:_[a-z]+)*_logs)'", sql))
        if not named & STREAMS or (named - STREAMS and not self._only_kept):
            if self._rest is None:
                other = sorted(named - STREAMS)[0] if named - STREAMS else "this"
                raise SourceDenied(f"the archive keeps the logs of functions, not {other}; ask the platform", source=SOURCE, question=sql)
            return self._rest.analytics(sql, start, end)
        self._whole(start, end, sql)
        return self._ask(rewritten(sql), start, end, sql)

    def _whole(self, start: str, end: str, sql: str) -> None:
        first, last = (datetime.fromisoformat(moment) for moment in (start, end))
        held = complete(self._folder)
        if self._refresh is not None and (held is None or held.until < last):
            self._refresh(min(last, datetime.now(UTC)))
            held = complete(self._folder)
            if held is not None:
                last = min(last, held.until)
        if held is None:
            raise SourceError("nothing was collected yet; opsnb logs collect", source=SOURCE, question=sql)
        if first < held.since or last > held.until:
            told = f"complete from {held.since:%Y-%m-%d %H:%M:%S} to {held.until:%Y-%m-%d %H:%M:%S} UTC only"
            raise SourceError(f"the archive is {told}; opsnb logs collect brings it up to now", source=SOURCE, question=sql)

    def _ask(self, asked: str, start: str, end: str, sql: str) -> list[dict[str, Any]]:
        kept = ", ".join(f"{name} as kept_{name}" for name in COLUMNS if name not in ("id", "timestamp", "log"))
        schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        table = f"file({_literal(f'{self._folder.resolve()}/date=*/hour=*/*.parquet')}, Parquet, {_literal(schema)})"
        columns = f"id, timestamp, log as source, {kept}"
        try:
            answer = self._opened().query(bounded(columns, table, start, end) + asked, "JSONEachRow")
        except Exception as error:  # chdb raises RuntimeError and its subclasses, with ClickHouse's text, which may quote what it read
            found = re.search(r"Code: (\d{1,4})\b", str(error))
            code = f"ClickHouse error {found[1]}" if found else type(error).__name__
            raise SourceNonsense(f"the archive could not be read ({code})", source=SOURCE, question=sql) from None
        return rows(str(answer), sql)

    def _opened(self) -> Any:
        if self._engine is None:
            try:
                from chdb import session  # 0.3 s and 300 MB: only where the archive is asked
            except ImportError:
                raise UsageError("asking the archive needs chdb: pip install 'opsnb[archive]'") from None
            engine: Any = session  # the library has no annotations
            self._engine = engine.Session()
            self._engine.query(f"set max_memory_usage = {MEMORY_BYTES}")
        return self._engine

    def close(self) -> None:
        """Ends the embedded ClickHouse."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def rewritten(sql: str) -> str:
    """The statement, attributes of the platform's rows replaced by the archive's columns; UsageError for one that is not kept."""

    def column(found: re.Match[str]) -> str:
        if found[1] not in _ATTRIBUTES:
            raise UsageError(f"the archive does not keep {found[1]}")
        name = _ATTRIBUTES[found[1]]
        return f"kept_{name}" if name else "''"

    said = re.sub(r"log_attributes\['([^']+)'\]", column, sql)
    # a key event that the template no longer holds is noted beside it
    said = re.sub(r"(\b(?:position|multiSearch)\w+\()event_message\b", r"\1concat(kept_text, ' ', kept_events)", said)
    said = re.sub(r"\bevent_message\b", "kept_text", said)
    return re.sub(r"\bseverity_text\b", "kept_level", said)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
