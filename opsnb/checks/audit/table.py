"""The table of what sources use and what was found in them: its columns, and how a row is made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from opsnb.checks.audit.syntax import Place
from opsnb.checks.tables import findings

COLUMNS = (
    "kind", "function", "file", "line", "query", "record", "schema", "object", "name", "operation", "value", "places",
    "severity", "finding", "fix",
)  # fmt: skip
SHOWN = ("severity", "rule", "file", "line", "object", "finding", "fix")
SEVERITIES = ("error", "warning", "note")


def function_of(path: str) -> str:
    """The function that a file belongs to: its folder under ``functions``; ``_shared`` for what several share."""
    folders = path.split("/")[:-1]
    if "functions" in folders:
        folders = folders[len(folders) - folders[::-1].index("functions") :]
    return folders[0] if folders else path.rpartition("/")[2].partition(".")[0]


def row(kind: str, place: Place, **said: Any) -> dict[str, Any]:
    """One row; what is not said is '' (0 for `query` and `record`)."""
    blank: dict[str, Any] = {**dict.fromkeys(COLUMNS, ""), "query": 0, "record": 0}
    return {**blank, "kind": kind, "function": function_of(place.file), "file": place.file, "line": place.line, **said}


def finding(kind: str, place: Place, severity: str, rule: str, subject: str, sentence: str, fix: str, function: str = "") -> dict[str, Any]:
    """A row that is a finding whatever the schema and the release say."""
    said = {"operation": rule, "object": subject, "severity": severity, "finding": sentence, "fix": fix}
    return row(kind, place, **said, **({"function": function} if function else {}))


def as_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table, each once, in the order of the files."""
    seen: dict[str, dict[str, Any]] = {}
    for each in rows:
        seen.setdefault(json.dumps({**each, "query": 0, "record": 0} if each["severity"] else each, sort_keys=True), each)
    return findings(sorted(seen.values(), key=lambda each: (each["file"], each["line"])), COLUMNS)
