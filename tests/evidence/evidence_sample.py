"""A realistic archived run, made without a kernel: six checks, four charts, one FAIL, one ERROR, hostile text."""

# ruff: noqa: E501  (the sample reads better as lists of what a run showed)
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from opsnb.errors import SourceDenied
from opsnb.evidence import archive, deployments, display, report
from opsnb.evidence.deployments import Deployment
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, PhaseReport, Verdict

NOW = datetime(2026, 1, 17, 22, 4, 5, tzinfo=UTC)
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><style>*{display:none}</style>\x1b[31m\u202e"


def results() -> list[CheckResult]:
    """One of every verdict."""
    missing = pd.DataFrame(
        {"table": ["public.soap_plan_medication", "public.soap_objective_vital_signs"], "expected": [True, True], "found": [False, True]}
    )
    errors = pd.DataFrame(
        {
            "function": ["get-patient-history", "update-patient-medical-record"],
            "calls": [1204, 318],
            "errors": [2, 9],
            "rate": [0.00166, 0.0283],
            "newest": pd.to_datetime(["2026-01-17T22:01:00Z", None], utc=True),
            "text": [HOSTILE, "TypeError: Cannot read properties of undefined"],
        }
    )
    return [
        CheckResult("schema.tables_present", "Every table of the release exists", ("S5-1", "S5-2"), Verdict.FAIL,
                    "1 of 17 tables is missing: public.soap_plan_medication.", "Apply the migrations of the release, then run this phase again.",
                    missing, "-- Postgres\nselect n.nspname, c.relname\nfrom pg_catalog.pg_class c", 0.042, 1, 0),
        CheckResult("schema.columns_present", "Every column of the release exists", ("S5-1",), Verdict.PASS,
                    f"All 143 columns are there. {HOSTILE}", "Apply the migrations.", None, "-- Postgres\nselect 1", 0.03, 0, 0),
        CheckResult("errors.rate", "Fewer than 1 % of calls fail", ("POST-3.1",), Verdict.INCONCLUSIVE,
                    "9 errors in 318 calls: between 1.5 % and 4.9 %; 212 more calls would decide.", "Wait for traffic, then run this phase again.",
                    errors, "-- logs\nselect count(*) from logs where id = '<b>'", 1.3, 0.0283, 0.01),
        CheckResult("storage.growth", "The database grew by less than 100 MB", ("POST-5.1",), Verdict.WARN,
                    "It grew by 96 MB since the snapshot, the limit is 100 MB.", "Look at the largest tables below.", None, "-- Postgres\nselect 2", 0.2, 96.0, 100.0),
        CheckResult("pool.used", "At most 80 % of the pool is used", ("POST-5.3",), Verdict.ERROR,
                    "Could not be measured. metrics: the endpoint refused the key.", "Check the key the environment refers to.", None, "-- metrics\nGET /customer/v1/privileged/metrics", 5.0),
        CheckResult("openehr.reachable", "openEHR answers", ("S4-2",), Verdict.NOT_APPLICABLE,
                    "The release declares no openEHR server.", "", None, "", 0.0),
    ]  # fmt: skip


def figures() -> list[go.Figure]:
    """The kinds of chart the phases draw."""
    sizes = go.Figure(
        go.Bar(y=["appointments", "soap_notes", "patient_profiles", "video_call_sessions"], x=np.array([12.4, 88.1, 40.2, 3.9]), orientation="h",
               text=["12.4 MB", "88.1 MB", "40.2 MB", "3.9 MB"], marker_color="#0072B2")
    )  # fmt: skip
    sizes.update_layout(title="Size of the largest tables", xaxis_title="Size (MB)", yaxis={"categoryorder": "total ascending"})
    start = pd.Timestamp("2026-01-17T21:30:00Z")
    times = [start + pd.Timedelta(minutes=minute) for minute in range(31)]
    rates = go.Figure()
    for name, phase in (("get-patient-history", 0.0), ("update-patient-medical-record", 1.1)):
        values = [None if minute in (12, 13) else 0.6 + 0.5 * np.sin(minute / 4 + phase) + 0.02 * minute for minute in range(31)]
        rates.add_scatter(x=times, y=values, name=name, mode="lines")
    rates.add_hline(y=1.0, line_dash="dash", line_color="#D55E00", annotation_text="limit 1 %", annotation_position="top right")
    rates.update_layout(title="Error rate per function", yaxis_title="Errors (% of calls)", xaxis_title="UTC")
    matrix = go.Figure(
        go.Heatmap(z=[[1, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], x=["anon", "stranger", "patient", "provider"],
                   y=["users", "soap_notes", "patient_profiles"], text=[["r", "", "", "r"], ["", "", "r", "r"], ["r"] * 4], texttemplate="%{text}",
                   colorscale=[[0, "#f0f0f0"], [1, "#0072B2"]], showscale=False)
    )  # fmt: skip
    matrix.update_layout(title="Who may read what")
    calls = go.Figure()
    for name, values in (("2xx", [400, 380, 420]), ("4xx", [12, 9, 30]), ("5xx", [1, 0, 9])):
        calls.add_bar(x=["21:30", "21:40", "21:50"], y=values, name=name)
    calls.update_layout(title=f"Calls by status {HOSTILE}", barmode="stack", yaxis_title="Calls")
    return [sizes, rates, matrix, calls]


def _shown(thing: Any) -> Any:
    return new_output("execute_result", data=thing._repr_mimebundle_(), execution_count=1)


def _chart(figure: go.Figure) -> Any:
    data = {"application/vnd.plotly.v1+json": json.loads(figure.to_json()), "text/plain": "[chart]"}
    return new_output("display_data", data=data)


def _code(source: str, outputs: list[Any], *, status: str = "completed", tags: list[str] | None = None, seconds: float = 0.4) -> Any:
    cell = new_code_cell(source, outputs=outputs, execution_count=None if status == "not run" else 1)
    cell.metadata.update({"papermill": {"status": status, "duration": None if status == "not run" else seconds}, "tags": tags or []})
    return cell


def notebook() -> Any:
    """An executed notebook with everything a report must cope with."""
    judged, drawn = results(), figures()
    denied = Facts("metrics", "GET /customer/v1/privileged/metrics", 0.2, error=SourceDenied("The endpoint refused the key (401)."))
    tables = Facts("Postgres", "select relname, bytes from sizes", 0.02, answer=pd.DataFrame(
        {"relation": [f"public.table_{n}" for n in range(42)], "size_bytes": [n * 1_234_567 for n in range(42)], "rows": [n * 1000 for n in range(42)],
         "analysed": [NOW - timedelta(hours=n) if n % 3 else None for n in range(42)]}))  # fmt: skip
    cells = [
        _code("", [], tags=["papermill-error-cell-tag"]),
        new_markdown_cell('<span style="color:red">An Exception was encountered</span>', metadata={"tags": ["papermill-error-cell-tag"]}),
        new_markdown_cell("# The schema is what the release says\n\nREADS. The guide allows 5 minutes. On FAIL: apply the migrations.\n\n"
                          "<script>document.title='owned'</script>\n\nA *list*:\n\n- [bad](javascript:alert(1)) [guide](https://example.org/guide) ![pic](http://example.org/x.png)"),
        _code('environment = "local"  # where\ndeployment = ""\napply = False\nconfirm = ""\ngrowth_mb: float | None = None  # MB', [], tags=["parameters"]),
        _code('# Parameters\nenvironment = "local"\ndeployment = "20260117T220405Z-patient-history"', [], tags=["injected-parameters"]),
        _code("ops = opsnb.open_phase('schema', environment=environment)\nops", [_shown(display.header_html("Phase schema", {
            "Environment": "local", "Release": "Patient Medical History System", "Server": "PostgreSQL 18.1", "UTC time": "2026-01-17 22:04:05Z"}))]),
        new_markdown_cell("## Every table of the release exists\n\nA missing table breaks the functions that write to it."),
        _code("relations = ops.database.query('relations', schemas=['public'])\nops.judge(checks.schema.tables_present, relations)", [_shown(display.result_card(judged[0]))]),
        _code("ops.judge(checks.schema.columns_present, columns)", [_shown(display.result_card(judged[1]))]),
        _code("sizes", [_shown(display.facts_html(tables))]),
        _code("ops.chart(charts.table_sizes, sizes)", [_chart(drawn[0])]),
        new_markdown_cell("## Fewer than 1 % of calls fail"),
        _code("ops.judge(checks.errors.rate, calls)", [_shown(display.results_html(judged[2:4]))]),
        _code("ops.chart(charts.error_rate, calls)", [_chart(drawn[1])]),
        _code("ops.chart(charts.access, access)", [_chart(drawn[2])]),
        _code("ops.chart(charts.calls, calls)", [_chart(drawn[3])]),
        _code("print(log)", [new_output("stream", name="stdout", text=f"{HOSTILE}\n\x1b[31mred\x1b[0m"),
                             new_output("display_data", data={"text/html": f'<div class="opsnb opsnb-card" onclick="x()" style="color:red">{HOSTILE}<a href="javascript:x()">a</a></div>'}),
                             new_output("display_data", data={"text/html": f"<b>{HOSTILE}</b>", "text/plain": "only this text"})]),
        _code("pool", [_shown(display.facts_html(denied))]),
        _code("ops.judge(checks.pool.used, pool)", [_shown(display.result_card(judged[4]))]),
        _code("broken()", [new_output("error", ename="TypeError", evalue="unsupported <operand>", traceback=["\x1b[31mTraceback\x1b[0m", "  File <b>x</b>"])], status="failed"),
        _code("ops.finish()", [], status="not run"),
    ]  # fmt: skip
    return new_notebook(cells=cells, metadata={"papermill": {"parameters": {"environment": "local"}}})


def make_run(
    reports: Path, *, phase: str = "schema", judged: list[CheckResult] | None = None, attestations: tuple[str, ...] = (),
    journalled: bool = True, with_notebook: bool = True, later: timedelta = timedelta(),
) -> tuple[Deployment, Path]:  # fmt: skip
    """Archives one run under *reports* as a runner would; answers the deployment and the run's folder."""
    deployment = deployments.open_deployment(reports, "local", "patient-history", NOW)
    folder = archive.new_run_folder(deployment, phase, now=NOW + later)
    if journalled:
        (folder / "journal.jsonl").write_text('{"event": "notebook_start"}\n')
    made = PhaseReport(phase, tuple(results() if judged is None else judged), attestations)
    archive.file_run(
        deployment, made, started_at=NOW + later, ended_at=NOW + later + timedelta(seconds=41.5), guide_minutes=5.0, run_folder=folder,
        extras={"server_version": "PostgreSQL 18.1"}, saved={"sizes": pd.DataFrame({"relation": ["a"], "size_bytes": [1]})},
    )  # fmt: skip
    if with_notebook:
        nbformat.write(notebook(), folder / "notebook.ipynb")
        report.render_report(report.read_notebook(folder), folder)
    return deployment, folder
