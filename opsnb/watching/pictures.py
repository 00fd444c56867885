"""What the runs of a day measured, as pictures and words: rates, times, pool, growth, and what the alerts told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from opsnb.charts.measured import storage_growth
from opsnb.charts.timelines import measured_over_time
from opsnb.config import effective_limits
from opsnb.config.alerts import Alerts
from opsnb.evidence import archive
from opsnb.evidence.results import Run, read_runs, with_tables
from opsnb.evidence.svg import figure_svg
from opsnb.watching import telling
from opsnb.watching.service import PHASE, Watch

SHOWN = (
    ("errors.alert_rate", "Which share of the calls failed?", "%", 100.0),
    ("errors.alert_response", "How long did the slowest call take?", "s", 1.0),
    ("health.pool", "How full was the connection pool?", "%", 100.0),
    ("health.response_time", "How long did the database take (median)?", "ms", 1.0),
)
"""Check, question, unit, and what its figures are multiplied by."""


def drawings(watch: Watch) -> list[str]:
    """An <svg> for each figure that was measured in two runs or more, and one of the database's size."""
    runs = sorted((run for run in read_runs(watch.deployment) if run.phase == PHASE and not run.damaged), key=lambda run: run.name)
    figures = [figure for check, title, unit, times in SHOWN if (figure := _figure(runs, check, title, unit, times)) is not None]
    sizes = archive.saved_over_time(watch.deployment, "database_size")
    if sizes.answer is not None and "taken_at" in sizes.answer and sizes.answer["taken_at"].nunique() > 1:
        limits = effective_limits(watch.release, watch.environment)
        figures.append(storage_growth(sizes.answer, limit_mb=limits.growth_mb, trend=_table(runs, "storage.trend")))
    return [figure_svg(figure.to_plotly_json()) for figure in figures]


def told(watch: Watch) -> list[dict[str, Any]]:
    """What the alerts' rules say over the archived runs, oldest first: at, what, rule, severity, value, lasted."""
    said = Alerts(rules=telling.rules(watch), quiet=watch.release.alerts.quiet)
    notices, _slots = telling.replay(watch.deployment, said)
    return [
        {
            "at": notice.at, "what": telling.WORDS[notice.kind], "rule": notice.rule, "severity": str(notice.severity),
            "value": "" if notice.value is None else f"{notice.value:.3g}", "lasted": round(notice.lasted_s / 60),
        }
        for notice in notices
    ]  # fmt: skip


def _figure(runs: Sequence[Run], check: str, title: str, unit: str, times: float) -> go.Figure | None:
    found = list(_readings(runs, check))
    table = pd.DataFrame(found, columns=["at", "value", "limit"])
    if table["value"].notna().sum() < 2:
        return None
    limit = table["limit"].dropna()
    return measured_over_time(
        table.assign(value=table["value"] * times), title=title, unit=unit, limit=float(limit.iloc[-1]) * times if len(limit) else None
    )


def _table(runs: Sequence[Run], check: str) -> pd.DataFrame | None:
    """The table of *check* in the newest run; None where it has none."""
    return next((result.table for result in with_tables(runs[-1]) if result.id == check), None) if runs else None


def _readings(runs: Sequence[Run], check: str) -> Iterator[tuple[pd.Timestamp, float | None, float | None]]:
    for run in runs:
        for result in run.results:
            if result.id == check:
                measured = None if result.measured is None else float(result.measured)
                yield pd.Timestamp(str(run.data["started_at"])), measured, None if result.limit is None else float(result.limit)
