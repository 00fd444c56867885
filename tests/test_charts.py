"""Every chart: small, readable, drawn from plain tables, and honest when there is nothing to draw."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from opsnb import charts
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Verdict

T = pd.Timestamp("2026-01-01 12:00", tz="UTC")
BUCKETS = pd.DataFrame(
    {"bucket": [T, T + pd.Timedelta("5min"), T], "function": ["a", "a", "b"], "n": [100, 50, 0], "n_5xx": [1, 0, 0]}
)  # fmt: skip
ACCESS = pd.DataFrame(
    {
        "identity": ["patient", "stranger", "anon", "patient"], "table": ["records", "records", "records", "notes"],
        "expected": [1, 0, 0, 4], "seen": [1, 3, None, 2], "leaked": [0, 3, None, 0], "missing": [0, 0, None, 2],
        "capped": False, "sqlstate": [None, None, "42501", None],
    }
)  # fmt: skip

EXAMPLES: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "schema_checks": (
        pd.DataFrame({"object": ["users", "notes"], "expected": "table", "found": ["table", "absent"], "ok": [True, False]}), {},
    ),
    "table_sizes": (
        pd.DataFrame(
            {"schema": "public", "name": ["a", "b"], "total_bytes": [3_000_000, 9], "table_bytes": [2_000_000, 9],
             "index_bytes": [1_000_000, 0]}
        ), {},
    ),
    "error_rates": (BUCKETS, {"limit": 0.01}),
    "steps_taken": (pd.DataFrame({"step": ["decrypt", "restore"], "seconds": [0.5, 12.0]}), {"limit_s": 600}),
    "rates_compared": (
        pd.DataFrame({"function": ["a", "b"], "n_before": [300, 20], "bad_before": [1, 0], "n_since": [100, 0], "bad_since": [9, 0]}), {},
    ),
    "response_times": (
        pd.DataFrame({"function_id": ["a", "b"], "p50_ms": [20.0, 30.0], "p95_ms": [40.0, None], "max_ms": [4000.0, 50.0]}), {"limit_s": 2},
    ),
    "storage_growth": (pd.DataFrame({"taken_at": [T, T + pd.Timedelta("1h")], "total_bytes": [1_000_000, 2_000_000]}), {"limit_mb": 100}),
    "capacity_used": (
        pd.DataFrame(
            {"taken_at": [T, T + pd.Timedelta("1h")] * 2, "resource": ["pool", "pool", "disk", "disk"], "used": [3.0, 12.0, 2e9, 2.1e9],
             "subject": ["data API", "data API", "/data", "/data"], "size": [15.0, 15.0, 8e9, 8e9]}
        ), {"limit_share": 0.8},
    ),
    "pool_use": (pd.DataFrame({"pool": ["data API"], "used": [14.0], "size": [15.0]}), {"limit_share": 0.8}),
    "access_matrix": (ACCESS, {}),
    "function_calls": (BUCKETS, {}),
    "window_timeline": (
        pd.DataFrame({"at": [T, T], "function": ["a", "b"], "ok": [True, False], "seconds": [0.2, None]}), {"limit_s": 5},
    ),
    "ways_back": (
        pd.DataFrame({"way": ["the feature's switch", "restore of the dump"], "rehearsed_s": [0.4, None], "now_s": [0.5, 61.0]}),
        {"limit_s": 600},
    ),
    "connections_by_state": (pd.DataFrame({"role": ["a", "a"], "state": ["idle", "active"], "sessions": [3, 1]}), {}),
    "phase_timeline": (
        pd.DataFrame(
            {"phase": ["schema", "rls"], "started": [T, T], "ended": [T + pd.Timedelta("9s")] * 2, "verdict": ["PASS", "failed"]}
        ), {},
    ),
}  # fmt: skip

NAMES = sorted(EXAMPLES)


def drawn(name: str) -> go.Figure:
    table, keywords = EXAMPLES[name]
    return getattr(charts, name)(table, **keywords)


def test_every_chart_is_tested() -> None:
    """A new chart cannot be forgotten."""
    public = {
        name
        for name, value in vars(charts).items()
        if inspect.isfunction(value) and value.__module__.startswith(charts.__name__) and name[0] != "_"
    }
    assert public == set(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_chart_is_small_and_plain(name: str) -> None:
    """Few bytes, a question as title, only trace types that have a static form, the input untouched."""
    before = EXAMPLES[name][0].copy(deep=True)
    figure = drawn(name)
    pd.testing.assert_frame_equal(EXAMPLES[name][0], before)
    assert len(figure.to_json()) < 5_000
    assert figure.layout.title.text.endswith("?")
    assert figure.data
    assert {trace.type for trace in figure.data} <= {"bar", "scatter", "heatmap"}
    assert "bdata" not in figure.to_json()
    assert figure.layout.height <= 400


@pytest.mark.parametrize("name", NAMES)
def test_chart_of_nothing_says_so(name: str) -> None:
    """An empty table gives an annotated figure without a trace, with or without its columns."""
    table, keywords = EXAMPLES[name]
    chart: Callable[..., go.Figure] = getattr(charts, name)
    for empty in (table.iloc[:0], pd.DataFrame()):
        figure = chart(empty, **keywords)
        assert not figure.data
        assert figure.layout.annotations[0].text.startswith("Nothing to draw")


@pytest.mark.parametrize("name", NAMES)
def test_chart_of_another_table_says_what_is_missing(name: str) -> None:
    """A table with other columns is refused with their names."""
    with pytest.raises(SourceNonsense, match="column"):
        getattr(charts, name)(pd.DataFrame({"x": [1]}), **EXAMPLES[name][1])


def test_limits_are_in_the_picture() -> None:
    """The limit is drawn, named, and inside the axis even when all is far below."""
    figure = drawn("error_rates")
    assert figure.layout.shapes[0].y0 == pytest.approx(1.0)
    assert "1%" in figure.layout.annotations[0].text
    low = charts.response_times(pd.DataFrame({"function": ["a"], "p50_ms": [1.0], "p95_ms": [2.0], "max_ms": [3.0]}), limit_s=5)
    assert low.layout.yaxis.range[1] > 5


def test_growth_is_drawn_ahead_as_far_as_it_was_measured_in_its_interval() -> None:
    table, keywords = EXAMPLES["storage_growth"]
    pace = pd.DataFrame([{"per_h": 1.0, "low": 0.5, "high": 2.0}])
    band, line = charts.storage_growth(table, **keywords, trend=pace).data[1:]
    assert band.fill == "toself" and list(band.x) == [T + pd.Timedelta(f"{hour}h") for hour in (1, 2, 2, 1)]
    assert list(band.y) == [2.0, 4.0, 2.5, 2.0] and list(line.y) == [2.0, 3.0]
    for nothing in (None, pace.head(0)):
        assert len(charts.storage_growth(table, **keywords, trend=nothing).data) == 1, "nothing was forecast: nothing is drawn"


def test_error_rates_show_their_uncertainty() -> None:
    """One error in a hundred calls is 1 %, and may be anything from 0.03 % to 5.4 %; a bucket without calls has no point."""
    (trace,) = drawn("error_rates").data
    assert trace.y[0] == pytest.approx(1.0)
    assert trace.y[0] + trace.error_y.array[0] == pytest.approx(5.446, abs=0.01)
    assert trace.y[0] - trace.error_y.arrayminus[0] == pytest.approx(0.025, abs=0.001)
    assert trace.error_y.arrayminus[1] == 0


def test_access_matrix_tells_leak_miss_and_refusal_apart() -> None:
    """Each cell's number says what happened there; an identity that was not asked has none."""
    (heat,) = drawn("access_matrix").data
    cells = {(table, identity): heat.z[row][column] for row, table in enumerate(heat.y) for column, identity in enumerate(heat.x)}
    assert cells["records", "patient"] == 0
    assert cells["records", "stranger"] == 3
    assert cells["records", "anon"] == 0
    assert cells["notes", "patient"] == 2
    assert cells["notes", "anon"] is None


def test_failed_probes_are_seen() -> None:
    """A probe without an answer is drawn, on the axis."""
    failed = next(trace for trace in drawn("window_timeline").data if trace.name == "failed")
    assert list(failed.y) == [0]


def test_every_verdict_has_its_own_colour() -> None:
    """No two verdicts share a colour, none is forgotten."""
    assert set(charts.VERDICT_COLOURS) == set(Verdict)
    assert len(set(charts.VERDICT_COLOURS.values())) == len(Verdict)
    assert charts.phase_timeline(EXAMPLES["phase_timeline"][0]).data[1].line.color == charts.VERDICT_COLOURS[Verdict.FAIL]
