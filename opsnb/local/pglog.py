"""Follows the server's JSON log and writes its rows into the platform's ``postgres_logs``.

Reads what was appended since the last look; the place is kept in a file, so a restart repeats and loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.local.logbook import LogBook
from opsnb.local.store import write_private

# jsonlog's name → the platform's. Statement and detail stay away: both may quote a row.
ATTRIBUTES = {
    "error_severity": "parsed.error_severity",
    "state_code": "parsed.sql_state_code",
    "user": "parsed.user_name",
    "dbname": "parsed.database_name",
    "application_name": "parsed.application_name",
    "backend_type": "parsed.backend_type",
    "session_id": "parsed.session_id",
    "remote_host": "parsed.connection_from",
    "pid": "parsed.process_id",
}
SECONDS_BETWEEN_LOOKS = 5.0
ROWS_WAITING = 1000  # so that the book's memory does not grow while nobody asks
MAX_BYTES_A_LOOK = 8 * 1024 * 1024


class PostgresLog:
    """Tails ``*.json`` in *folder* into *logbook*; *place* is the file that remembers how far it came."""

    def __init__(self, folder: Path, logbook: LogBook, place: Path) -> None:
        self._folder = folder
        self._logbook = logbook
        self._place = place
        self._lock = threading.Lock()
        self._offsets: dict[str, int] = {}
        if place.exists():
            try:
                self._offsets = {str(name): int(offset) for name, offset in json.loads(place.read_bytes()).items()}
            except (ValueError, AttributeError):
                self._offsets = {}

    def look(self) -> int:
        """Writes what is new and returns how many rows that was."""
        with self._lock:
            written = 0
            present = {}
            for path in sorted(self._folder.glob("*.json")):
                offset, rows = self._read(path, self._offsets.get(path.name, 0))
                present[path.name] = offset
                written += rows
            if present != self._offsets:
                self._offsets = present
                write_private(self._place, json.dumps(present).encode())
            return written

    def skip(self) -> None:
        """Forgets what was not read yet."""
        with self._lock:
            self._offsets = {path.name: path.stat().st_size for path in self._folder.glob("*.json")}
            write_private(self._place, json.dumps(self._offsets).encode())

    async def follow(self) -> None:
        """Looks every few seconds until cancelled. A question to the log looks by itself, so rows are never late."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await asyncio.to_thread(self.look)
            await asyncio.to_thread(self._logbook.flush, ROWS_WAITING)

    def _read(self, path: Path, offset: int) -> tuple[int, int]:
        size = path.stat().st_size
        if size < offset:  # truncated or replaced under the same name
            offset = 0
        rows = 0
        with path.open("rb") as file:
            file.seek(offset)
            while offset < size:
                content = file.read(MAX_BYTES_A_LOOK)
                whole = content[: content.rfind(b"\n") + 1]  # a line still being written waits for the next look
                if not whole:
                    break
                rows += sum(self._write(line) for line in whole.splitlines())
                offset += len(whole)
                file.seek(offset)
        return offset, rows

    def _write(self, line: bytes) -> bool:
        try:
            entry = json.loads(line)
        except ValueError:
            return False
        if not isinstance(entry, dict):
            return False
        self._logbook.write(
            "postgres_logs",
            str(entry.get("message", "")),
            severity=str(entry.get("error_severity", "LOG")),
            attributes={ours: str(entry[theirs]) for theirs, ours in ATTRIBUTES.items() if entry.get(theirs) not in (None, "")},
            timestamp=_moment(entry),
        )
        return True


def _moment(entry: dict[str, Any]) -> datetime:
    """The row's own time where it is in UTC (the cluster's log_timezone), else now."""
    stamp, _, zone = str(entry.get("timestamp", "")).rpartition(" ")
    if zone in ("UTC", "GMT", "Etc/UTC"):
        try:
            return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
        except ValueError:
            pass
    return datetime.now(UTC)
