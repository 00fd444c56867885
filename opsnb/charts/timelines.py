"""Charts of what was done when, and how long each step took."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from opsnb.charts.base import (
    BLUE,
    PINK,
    RED,
    VERDICT_COLOURS,
    as_list,
    bar_height,
    empty_figure,
    limit_line,
    needs_columns,
    new_figure,
)
from opsnb.verdicts import Verdict


def phase_timeline(phases: pd.DataFrame) -> go.Figure:
    """What ran when, and how did it end? Columns: phase, started, ended (times), verdict (a Verdict or a gate's word)."""
    title = "When did each phase run, and how did it end?"
    if phases.empty:
        return empty_figure(title, "no phase has been run")
    needs_columns(phases, "phase", "started", "ended", "verdict")
    order = list(dict.fromkeys(phases.sort_values("started")["phase"]))[::-1]
    figure = new_figure(title, height=bar_height(len(order)))
    for verdict, part in phases.groupby(phases["verdict"].astype(str), sort=True):
        x: list[Any] = []
        y: list[Any] = []
        for phase, started, ended in zip(part["phase"], part["started"], part["ended"], strict=True):
            x += [started, ended, None]  # the gap between two phases is no line
            y += [phase, phase, None]
        figure.add_scatter(
            x=x, y=y, mode="lines+markers", name=str(verdict), line={"color": _verdict_colour(str(verdict)), "width": 10},
            marker={"size": 8}, connectgaps=False, hovertemplate="%{y}: %{x}",
        )  # fmt: skip
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(categoryorder="array", categoryarray=order).update_layout(showlegend=True)


_GATES = {"passed": Verdict.PASS, "held": Verdict.INCONCLUSIVE, "unmeasured": Verdict.ERROR, "failed": Verdict.FAIL}


def _verdict_colour(word: str) -> str:
    verdict = _GATES.get(word) or (Verdict(word) if word in set(Verdict) else Verdict.NOT_APPLICABLE)
    return VERDICT_COLOURS[verdict]


def measured_over_time(readings: pd.DataFrame, *, title: str, unit: str, limit: float | None) -> go.Figure:
    """How did one figure go, run by run? A line with its limit; a run that measured nothing breaks it and is marked at the bottom.

    Columns: at (UTC), value (in *unit*; missing where nothing was measured).
    """
    needs_columns(readings, "at", "value")
    values = readings["value"].astype("float64")
    known = values.dropna()
    if known.empty:
        return empty_figure(title, "no run measured it")
    figure = new_figure(title, height=220)
    figure.add_scatter(
        x=as_list(readings["at"]), y=[None if pd.isna(value) else float(value) for value in values], mode="lines+markers", name="measured",
        line={"color": BLUE}, connectgaps=False, showlegend=False, hovertemplate="%{x}: %{y:.3g} " + unit + "<extra></extra>",
    )  # fmt: skip
    missing = readings[values.isna()]
    if len(missing):
        figure.add_scatter(
            x=as_list(missing["at"]), y=[0.0] * len(missing), mode="markers", name="not measured", showlegend=False,
            marker={"color": PINK, "symbol": "x", "size": 8}, hovertemplate="%{x}: not measured<extra></extra>",
        )  # fmt: skip
    top = max(float(known.max()), limit or 0.0)
    if limit is not None:
        limit_line(figure, limit, f"limit {limit:g} {unit}")
    return figure.update_yaxes(title_text=unit, range=[0, top * 1.15 or 1.0])


def steps_taken(steps: pd.DataFrame, *, limit_s: float | None = None) -> go.Figure:
    """How long did each step take? Columns: step, seconds; in the order of the rows, with their sum and what is allowed in the title."""
    title = "How long did each step take?"
    if steps.empty:
        return empty_figure(title, "no step was taken")
    needs_columns(steps, "step", "seconds")
    order = list(steps["step"])[::-1]
    total = float(steps["seconds"].sum())
    allowed = f", {limit_s:g} s are allowed" if limit_s else ""
    figure = new_figure(title, height=bar_height(len(order)))
    figure.add_bar(
        x=as_list(steps["seconds"]), y=as_list(steps["step"]), orientation="h", marker={"color": BLUE}, hovertemplate="%{y}: %{x:.2f} s",
    )  # fmt: skip
    figure.update_xaxes(title_text=f"seconds ({total:.1f} s in all{allowed})", rangemode="tozero")
    return figure.update_yaxes(categoryorder="array", categoryarray=order)


def ways_back(ways: pd.DataFrame, *, limit_s: float) -> go.Figure:
    """How long would each way back take now? Columns: way, rehearsed_s, now_s; a way that was never walked has no bar."""
    title = "How long would each way back take now?"
    if ways.empty:
        return empty_figure(title, "no snapshot was taken")
    needs_columns(ways, "way", "rehearsed_s", "now_s")
    figure = new_figure(title, height=bar_height(len(ways)))
    for column, name, opacity in (("rehearsed_s", "in rehearsal", 0.45), ("now_s", "now", 1.0)):
        seconds = pd.to_numeric(ways[column], errors="coerce")
        words = ["not measured" if pd.isna(each) else f"{each:.1f} s" for each in seconds]
        figure.add_bar(
            x=as_list(seconds.fillna(0)), y=as_list(ways["way"]), orientation="h", name=name, text=words, textposition="outside",
            marker={"color": BLUE, "opacity": opacity}, hovertemplate="%{y}: %{text}",
        )  # fmt: skip
    figure.add_vline(x=limit_s, line={"color": RED, "dash": "dash"})
    figure.add_annotation(x=limit_s, y=1.05, yref="paper", text=f"promised: {limit_s / 60:g} min", showarrow=False, font={"color": RED})
    figure.update_xaxes(title_text="seconds", range=[0, limit_s * 1.15])
    return figure.update_yaxes(categoryorder="array", categoryarray=list(ways["way"])[::-1]).update_layout(showlegend=True, barmode="group")
