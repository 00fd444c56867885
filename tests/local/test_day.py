"""A day of logs behind the present: rows of their own, executions of their own, fewer at night."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsnb.local import day
from opsnb.local.logbook import LogBook

NOW = datetime(2026, 1, 17, 12, 0, tzinfo=UTC)


def test_a_day(tmp_path: Path) -> None:
    """Every row of the last half hour stands in the half hours before it, about as often as callers are awake."""
    book = LogBook(tmp_path / "logs")
    try:
        for number in range(60):
            at, attributes = NOW - timedelta(seconds=30 * number + 1), {"execution_id": f"e{number}", "function_id": "f"}
            book.write("function_edge_logs", "POST | 200 | x", attributes=attributes, timestamp=at)
            book.write("function_logs", "merged", attributes=attributes, timestamp=at)
        book.write("function_logs", "older", timestamp=NOW - timedelta(hours=1))
        written = day.write(book, now=NOW, hours=24)
        rows = {
            source: [json.loads(line) for line in (book.folder / f"{source}.jsonl").read_text().splitlines()]
            for source in ("function_edge_logs", "function_logs")
        }
        edge, lines = rows["function_edge_logs"], [row for row in rows["function_logs"] if row["event_message"] != "older"]
        assert len(edge) == len(lines) == 60 + written // 2 and 47 * 60 * day.NIGHT < written // 2 < 47 * 60
        assert len({row["id"] for row in edge}) == len(edge)
        executions = [row["log_attributes"]["execution_id"] for row in edge]
        assert len(set(executions)) == len(edge), "no execution happens twice"
        assert sorted(executions) == sorted(row["log_attributes"]["execution_id"] for row in lines), "an execution keeps its lines"
        hours = Counter(row["timestamp"][11:13] for row in edge)
        assert hours["03"] < 0.6 * hours["15"]
        assert all(NOW - timedelta(hours=24, minutes=1) < datetime.fromisoformat(row["timestamp"] + "+00:00") < NOW for row in edge)
        asked = "select count() as n from logs where source = 'function_edge_logs'"
        assert int(book.query(asked, NOW - timedelta(hours=24), NOW)[0]["n"]) == len(edge)
    finally:
        book.close()


def test_a_quiet_clinic_has_a_quiet_day(tmp_path: Path) -> None:
    book = LogBook(tmp_path / "logs")
    assert day.write(book, now=NOW) == 0
    book.close()
