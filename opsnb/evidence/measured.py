"""What the runs of one deployment measured, as one table and one Parquet file: for pandas, DuckDB, ClickHouse and whatever comes.

Made anew from the archived runs, never added to: what is in it is in them, and it can be thrown away. It holds numbers, verdicts and the
names of checks and of what they are about, and no text of a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import Run, parquet, read_runs, read_table
from opsnb.evidence.safe import write_atomic

FILE_NAME = "history.parquet"
COLUMNS = {
    "taken_at": "datetime64[us, UTC]", "phase": "str", "run": "str", "measure": "str", "subject": "str", "value": "float64", "unit": "str",
    "limit_value": "float64", "verdict": "str",
}  # fmt: skip
"""Column → type; no name is a word of SQL. A check is a measure by its id, in the unit of its limit, which is not told.

A value is null where nothing was measured.
"""

Row = tuple[Any, str, str, str, str, float | None, str | None, float | None, str | None]


def measured(deployment: Deployment) -> pd.DataFrame:
    """One row per figure of every run of *deployment* that left results, oldest first: COLUMNS."""
    rows = [row for run in read_runs(deployment) if not run.damaged for row in _rows(run)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.assign(taken_at=pd.to_datetime(table["taken_at"], utc=True, format="ISO8601")).astype(COLUMNS).sort_values(
        ["taken_at", "phase", "run", "measure", "subject"], ignore_index=True
    )  # fmt: skip


def write(deployment: Deployment, path: Path | None = None) -> Path:
    """Writes the table to *path*, else to history.parquet at the deployment's root, whole or not at all; answers where it is."""
    place = path or deployment.folder / FILE_NAME
    write_atomic(place, parquet(measured(deployment)))
    return place


def _rows(run: Run) -> Iterator[Row]:
    own = str(run.data["started_at"]), run.phase, run.name
    for result in run.results:
        check, _, subject = result.id.partition(":")
        yield *own, check, subject, _number(result.measured), None, _number(result.limit), str(result.verdict)
    for at, database, size in _saved(run, "database_size", "taken_at", "database", "database_bytes"):
        yield str(at), *own[1:], "database_size", str(database), _number(size), "bytes", None, None
    for at, resource, subject, used, size, unit in _saved(run, "capacity", "taken_at", "resource", "subject", "used", "size", "unit"):
        for what, value in (("used", used), ("size", size)):
            yield str(at), *own[1:], f"{resource}_{what}", str(subject), _number(value), str(unit), None, None


def _saved(run: Run, name: str, *columns: str) -> list[Sequence[Any]]:
    """The rows of a table the run kept; none where there is none, or a notebook of somebody's own kept another one by that name."""
    relative = run.data["saved"].get(name)
    table = read_table(run, relative) if relative else None
    return [] if table is None or not {*columns} <= {*table.columns} else table[list(columns)].to_dict("split")["data"]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
