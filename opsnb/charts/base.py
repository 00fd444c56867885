"""DataFrame → plotly figure, one function per question.

All share one template: a colour-blind-safe palette (Okabe and Ito), no ornament, the question as title, units on the axes. Only bars,
lines, markers and heat maps are used, because a static picture is derived from each. An empty table gives a figure that says so.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from scipy.special import betaincinv

from opsnb.errors import SourceNonsense
from opsnb.verdicts import Verdict

BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A8A"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY)

VERDICT_COLOURS: dict[Verdict, str] = {
    Verdict.PASS: GREEN,
    Verdict.WARN: ORANGE,
    Verdict.FAIL: RED,
    Verdict.INCONCLUSIVE: SKY,
    Verdict.ERROR: PINK,
    Verdict.NOT_APPLICABLE: GREY,
}
"""One colour per verdict, the same in every chart and page."""

HEIGHT = 320
MB = 1_000_000
BAR_PX = 24  # height of one horizontal bar

TEMPLATE = go.layout.Template(
    layout={
        "colorway": list(PALETTE),
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#1c1f23"},
        "title": {"font": {"size": 15}, "x": 0, "xref": "paper", "xanchor": "left", "automargin": True},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 44, "b": 8},
        "xaxis": {"automargin": True, "gridcolor": "#e3e6ea", "zeroline": False, "linecolor": "#8a8a8a"},
        "yaxis": {"automargin": True, "gridcolor": "#e3e6ea", "zeroline": False, "linecolor": "#8a8a8a"},
        # under the plot, so that a phone keeps its width, and under the axis' title: dates take two lines
        "legend": {"orientation": "h", "x": 0, "y": -0.34, "yanchor": "top"},
        "hovermode": "closest",
        "bargap": 0.25,
    }
)


def new_figure(title: str, *, height: int = HEIGHT, **layout: Any) -> go.Figure:
    """A figure in the house's template, its title a question."""
    return go.Figure(layout={"template": TEMPLATE, "title": {"text": title}, "height": height, **layout})


def empty_figure(title: str, why: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    figure = new_figure(title, height=160)
    figure.add_annotation(text=f"Nothing to draw: {why}.", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def limit_line(figure: go.Figure, value: float, text: str, *, upright: bool = False) -> None:
    """A dashed line at *value* with its name; the axis is widened so that it is in the picture."""
    line = {"color": RED, "width": 1.5, "dash": "dash"}
    if upright:
        figure.add_vline(x=value, line=line, annotation={"text": text, "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": "center"})
        return
    figure.add_hline(y=value, line=line, annotation={"text": text, "xanchor": "right", "yanchor": "bottom", "font": {"color": RED}})
    highest = max((float(y) for trace in figure.data for y in (trace.y or ()) if y is not None and pd.notna(y)), default=0.0)
    if highest < value:
        figure.update_yaxes(range=[0, value * 1.15])


def bar_height(rows: int, *, row: int = BAR_PX) -> int:
    """Pixels for so many horizontal bars."""
    return max(HEIGHT if rows > 8 else 200, 120 + rows * row)


def error_bars(errors: pd.Series[Any], n: pd.Series[Any], colour: str) -> dict[str, Any]:
    """Error bars in %: the exact two-sided 95 % binomial interval (Clopper and Pearson) of each share."""
    share = errors / n
    under = (share - pd.Series(betaincinv(errors, n - errors + 1, 0.025), index=errors.index).fillna(0.0)) * 100
    over = (pd.Series(betaincinv(errors + 1, n - errors, 0.975), index=errors.index).fillna(1.0) - share) * 100
    return {"symmetric": False, "array": as_list(over), "arrayminus": as_list(under), "thickness": 1, "width": 0, "color": colour}


def colours_again() -> list[str]:
    """Colours for as many series as are asked for: beyond the palette it starts again."""
    return list(PALETTE) * 20


def function_column(table: pd.DataFrame) -> str:
    """The column that names functions: `function`, else `function_id`."""
    column = next((name for name in ("function", "slug", "function_id") if name in table.columns), None)
    if column is None:
        raise SourceNonsense("the table to draw has neither a column function nor function_id")
    return column


def needs_columns(table: pd.DataFrame, *columns: str) -> None:
    """SourceNonsense naming the columns a table lacks."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise SourceNonsense(f"the table to draw has no column {', '.join(missing)}; expected {', '.join(columns)}")


def as_list(values: pd.Series[Any] | pd.Index[Any]) -> list[Any]:
    """Plain values: an array would be packed as base64, which a person cannot read in the archive."""
    return [None if pd.isna(value) else value for value in values.tolist()]
