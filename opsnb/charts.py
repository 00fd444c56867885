"""DataFrame → plotly figure, one function per question.

All share one template: a colour-blind-safe palette (Okabe and Ito), no ornament, the question as title, units on the axes. Only bars,
lines, markers and heat maps are used, because a static picture is derived from each. An empty table gives a figure that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

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
_ROW = 24  # height of one horizontal bar

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
        # under the plot, so that a phone keeps its width
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
        "hovermode": "closest",
        "bargap": 0.25,
    }
)


def schema_checks(results: pd.DataFrame | Sequence[pd.DataFrame]) -> go.Figure:
    """Which objects are there? One row per object, coloured by whether it is as expected.

    Columns: object, expected, found, ok (as the checks of `schema` return; several tables are put together).
    """
    tables = [results] if isinstance(results, pd.DataFrame) else [table for table in results if table is not None]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    title = "Is every object of the release there, as expected?"
    if whole.empty:
        return _empty(title, "no object was asked for")
    _needs(whole, "object", "expected", "found", "ok")
    whole = whole.drop_duplicates("object", keep="last").iloc[::-1]
    figure = _figure(title, height=_height(len(whole)), barmode="stack", bargap=0.15)
    for ok, name, colour in ((True, "as expected", GREEN), (False, "not as expected", RED)):
        part = whole[whole["ok"].astype(bool) == ok]
        if part.empty:
            continue
        hover = [f"{name}: expected {expected}, found {found}" for expected, found in zip(part["expected"], part["found"], strict=True)]
        figure.add_bar(
            x=[1] * len(part), y=_list(part["object"]), name=name, orientation="h", marker_color=colour,
            text=_list(part["found"].astype(str)), textposition="inside", insidetextanchor="start", hovertext=hover, hoverinfo="text+y",
        )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(categoryorder="array", categoryarray=_list(whole["object"]))
    return figure.update_layout(showlegend=True)


def table_sizes(sizes: pd.DataFrame, *, top: int = 15) -> go.Figure:
    """Where is the space? The *top* largest tables, data and indexes in MB. Columns: those of `table_sizes`."""
    title = "Which tables take the space?"
    if sizes.empty:
        return _empty(title, "no table has a size")
    _needs(sizes, "schema", "name", "total_bytes", "table_bytes", "index_bytes")
    largest = sizes.sort_values("total_bytes", ascending=False).head(top).iloc[::-1]
    names = _list(largest["name"] if largest["schema"].nunique() == 1 else largest["schema"] + "." + largest["name"])
    figure = _figure(title, height=_height(len(largest)), barmode="stack")
    for column, name, colour in (("table_bytes", "data", BLUE), ("index_bytes", "indexes", SKY)):
        figure.add_bar(
            x=_list(largest[column] / MB), y=names, name=name, orientation="h", marker_color=colour, hovertemplate="%{y}: %{x:,.2f} MB"
        )
    return figure.update_xaxes(title_text="size (MB)", rangemode="tozero")


def error_rates(rates: pd.DataFrame, *, limit: float) -> go.Figure:
    """Do calls fail? Share of failed calls per bucket and function, with the 95 % binomial interval and the *limit* (a share).

    Columns: bucket, function (or function_id), n, n_5xx (or errors); a bucket without calls has no point.
    """
    title = "What share of calls failed?"
    if rates.empty:
        return _empty(title, "no call in the period")
    who, errors = _function(rates), "n_5xx" if "n_5xx" in rates else "errors"
    _needs(rates, "bucket", "n", errors)
    called = rates[rates["n"] > 0].sort_values("bucket")
    if called.empty:
        return _empty(title, "no call in the period")
    figure = _figure(title)
    for colour, (name, part) in zip(_colours(), called.groupby(who, sort=True), strict=False):
        share = part[errors] / part["n"]
        hover = [f"{name}: {bad} of {n} calls failed" for bad, n in zip(part[errors], part["n"], strict=True)]
        figure.add_scatter(
            x=_list(part["bucket"]), y=_list(share * 100), name=str(name), mode="lines+markers", line={"color": colour}, hovertext=hover,
            hoverinfo="text+x", error_y=_bars(part[errors], part["n"], colour),
        )  # fmt: skip
    _limit(figure, limit * 100, f"limit {limit:.0%}" if limit >= 0.01 else f"limit {limit:.1%}")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="failed calls (%)", rangemode="tozero")


def rates_compared(rates: pd.DataFrame) -> go.Figure:
    """Do calls fail more often than before? Shares of both windows with bounds. Columns: function, and n, bad by _before and _since."""
    if rates.empty:
        return _empty("Do more calls fail than before the deployment?", "no calls to compare")
    _needs(rates, "function", "n_before", "bad_before", "n_since", "bad_since")
    figure = _figure("Do more calls fail than before the deployment?", scattermode="group")
    for when, colour in (("before", SKY), ("since", BLUE)):
        n, bad = rates[f"n_{when}"].where(rates[f"n_{when}"] > 0), rates[f"bad_{when}"]
        hover = _list(when + ": " + bad.astype(str) + " of " + rates[f"n_{when}"].astype(str) + " calls failed")
        said = {"name": when, "mode": "markers", "hovertext": hover, "hoverinfo": "text+x", "marker": {"color": colour, "size": 9}}
        figure.add_scatter(x=_list(rates["function"]), y=_list(bad / n * 100), error_y=_bars(bad, n, colour), **said)
    return figure.update_yaxes(title_text="failed calls (%), 95 % bounds", rangemode="tozero").update_layout(showlegend=True)


def response_times(times: pd.DataFrame, *, limit_s: float) -> go.Figure:
    """How long do callers wait? Median, 95th percentile and slowest call per function, in seconds, with the limit.

    Columns: function (or function_id), p50_ms, p95_ms, max_ms; n where known. Several rows of a function: the slowest is shown.
    """
    title = "How long do callers wait?"
    if times.empty:
        return _empty(title, "no timed call in the period")
    who = _function(times)
    _needs(times, "p50_ms", "p95_ms", "max_ms")
    worst = times.groupby(who, sort=True)[["p50_ms", "p95_ms", "max_ms"]].max()
    figure = _figure(title, barmode="group")
    for column, name, colour in (("p50_ms", "median", SKY), ("p95_ms", "95th percentile", BLUE), ("max_ms", "slowest", GREY)):
        figure.add_bar(
            x=[str(name) for name in worst.index], y=_list(worst[column] / 1000), name=name, marker_color=colour,
            hovertemplate="%{x}: %{y:.3f} s",
        )  # fmt: skip
    _limit(figure, limit_s, f"limit {limit_s:g} s")
    return figure.update_yaxes(title_text="response time (s)", rangemode="tozero")


def storage_growth(history: pd.DataFrame, *, limit_mb: float | None = None) -> go.Figure:
    """How fast does the database grow? Size over time, and the size at which growth since the first point reaches the limit.

    Columns: taken_at, and total_bytes (or database_bytes); rows of the same time are added up.
    """
    title = "How much has the database grown?"
    size = "total_bytes" if "total_bytes" in history else "database_bytes"
    if history.empty:
        return _empty(title, "no size was recorded yet")
    _needs(history, "taken_at", size)
    totals = (history.groupby("taken_at", sort=True)[size].sum() / MB).sort_index()
    grown = totals - totals.iloc[0]
    figure = _figure(title)
    figure.add_scatter(
        x=list(totals.index), y=_list(totals), mode="lines+markers", name="size", line={"color": BLUE},
        hovertext=[f"{now:,.2f} MB, {change:+,.2f} MB since the first" for now, change in zip(totals, grown, strict=True)],
        hoverinfo="text+x",
    )  # fmt: skip
    if limit_mb is not None:
        _limit(figure, float(totals.iloc[0]) + limit_mb, f"limit: {limit_mb:g} MB more")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="size (MB)", rangemode="tozero")


def pool_use(pools: pd.DataFrame, *, limit_share: float) -> go.Figure:
    """Is there room for more connections? Use of each pool in % of its size, with the limit. Columns: pool, used, size."""
    title = "How full are the connection pools?"
    if pools.empty:
        return _empty(title, "no pool with a known size")
    _needs(pools, "pool", "used", "size")
    share = pools["used"] / pools["size"]
    figure = _figure(title, height=max(180, _height(len(pools))))
    figure.add_bar(
        x=_list(share * 100), y=_list(pools["pool"]), orientation="h", showlegend=False,
        marker_color=[RED if part > limit_share else GREEN for part in share],
        text=[f"{used:.0f} of {size:.0f}" for used, size in zip(pools["used"], pools["size"], strict=True)], textposition="auto",
        hovertemplate="%{y}: %{text} in use (%{x:.0f} %)",
    )  # fmt: skip
    _limit(figure, limit_share * 100, f"limit {limit_share:.0%}", upright=True)
    return figure.update_xaxes(title_text="in use (%)", range=[0, max(100.0, float(share.max()) * 100)])


_ACCESS = (
    # code, colour, name
    (0, GREEN, "saw exactly its rows"),
    (1, GREY, "could not be asked"),
    (2, ORANGE, "missed rows of its own"),
    (3, RED, "saw rows of others"),
)


MANY = 8
"""More columns than this have no room for sentences in their cells."""


def access_matrix(access: pd.DataFrame) -> go.Figure:
    """Who sees what? Table by identity: rows seen of rows expected, coloured by leak or miss. Columns: those of the access matrix.

    With many identities (one for each verb) the cells are short: a dot for nothing, as declared; else the rows, and +leaked or −missing.
    """
    title = "Does everyone reach their own rows and no others?"
    if access.empty:
        return _empty(title, "nobody was impersonated")
    _needs(access, "identity", "table", "expected", "seen", "leaked", "missing", "sqlstate")
    identities, tables = list(dict.fromkeys(access["identity"])), list(dict.fromkeys(access["table"]))[::-1]
    cells = {(row["table"], row["identity"]): _access_cell(row, short=len(identities) > MANY) for row in access.to_dict("records")}
    none = (None, "", "not asked")
    grid = [[cells.get((table, identity), none) for identity in identities] for table in tables]
    steps = len(_ACCESS)
    # a step per finding: the same colour from one quarter of the scale to the next
    scale = [[edge / steps, colour] for code, colour, _ in _ACCESS for edge in (code, code + 1)]
    figure = _figure(title, height=_height(len(tables), row=28 if len(identities) > MANY else 48))
    figure.add_heatmap(
        x=identities, y=tables, z=[[cell[0] for cell in row] for row in grid], text=[[cell[1] for cell in row] for row in grid],
        hovertext=[[cell[2] for cell in row] for row in grid], texttemplate="%{text}",
        hovertemplate="%{y} as %{x}: %{hovertext}<extra></extra>",
        colorscale=scale, zmin=-0.5, zmax=steps - 0.5, showscale=False, xgap=2, ygap=2,
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, title_text="identity")
    return figure.update_yaxes(showgrid=False)


def _access_cell(row: Mapping[Any, Any], *, short: bool = False) -> tuple[int, str, str]:
    expected, seen, leaked, missing = (row[name] for name in ("expected", "seen", "leaked", "missing"))
    state = row["sqlstate"] if isinstance(row["sqlstate"], str) else ""
    if state == "42501" and (pd.isna(expected) or expected == 0):
        return 0, "·" if short else "no access", "has no privilege at all"
    if state == "OPSNB":  # what opsnb.checks.access calls NOT_ASKED
        return 1, "?" if short else "not asked", "was not asked"
    if state or any(pd.isna(number) for number in (expected, seen, leaked, missing)):
        return 1, state or "?", f"could not be asked (SQLSTATE {state})" if state else "no number of rows"
    told = f"{int(seen):,} of {int(expected):,}"
    code = 3 if leaked > 0 else 2 if missing > 0 else 0
    extra = f", {int(leaked):,} not its own" if leaked > 0 else f", {int(missing):,} missed" if missing > 0 else ""
    if short:
        odd = f"+{int(leaked):,}" if leaked > 0 else f"−{int(missing):,}" if missing > 0 else ""
        return code, odd or (f"{int(seen):,}" if seen > 0 or expected > 0 else "·"), f"reached {told} expected rows{extra}"
    return code, told, f"saw {told} expected rows{extra}"


def function_calls(calls: pd.DataFrame) -> go.Figure:
    """Is the system used? Calls per bucket, stacked by function. Columns: bucket, function (or function_id), n."""
    title = "How many calls were made?"
    if calls.empty:
        return _empty(title, "no call in the period")
    who = _function(calls)
    _needs(calls, "bucket", "n")
    figure = _figure(title, barmode="stack")
    for colour, (name, part) in zip(_colours(), calls.sort_values("bucket").groupby(who, sort=True), strict=False):
        figure.add_bar(x=_list(part["bucket"]), y=_list(part["n"]), name=str(name), marker_color=colour, hovertemplate="%{x}: %{y} calls")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="calls", rangemode="tozero")


def window_timeline(probes: pd.DataFrame, *, limit_s: float | None = None) -> go.Figure:
    """Was there a downtime? Each probe of the window at its time and response time. Columns: at, function (or function_id), ok, seconds."""
    title = "Did every probe of the window succeed?"
    if probes.empty:
        return _empty(title, "no probe was sent")
    who = _function(probes)
    _needs(probes, "at", "ok", "seconds")
    figure = _figure(title)
    shown = probes.assign(seconds=probes["seconds"].fillna(0))  # a probe without an answer stands on the axis
    for colour, (name, part) in zip(_colours(), shown[shown["ok"].astype(bool)].groupby(who, sort=True), strict=False):
        figure.add_scatter(
            x=_list(part["at"]), y=_list(part["seconds"]), mode="markers", name=str(name), marker={"color": colour, "size": 7},
            hovertemplate="%{x}: %{y:.3f} s",
        )  # fmt: skip
    lost = shown[~shown["ok"].astype(bool)]
    if len(lost):
        figure.add_scatter(
            x=_list(lost["at"]), y=_list(lost["seconds"]), mode="markers", name="failed", hovertext=_list(lost[who].astype(str)),
            marker={"color": RED, "size": 11, "symbol": "x"}, hovertemplate="%{x}: %{hovertext} failed",
        )  # fmt: skip
    if limit_s is not None:
        _limit(figure, limit_s, f"limit {limit_s:g} s")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="response time (s)", rangemode="tozero").update_layout(showlegend=True)


def connections_by_state(connections: pd.DataFrame) -> go.Figure:
    """Who holds the connections? Sessions per role, stacked by state. Columns: those of `connections`."""
    title = "Who holds the database's connections?"
    if connections.empty:
        return _empty(title, "no session was seen")
    _needs(connections, "role", "state", "sessions")
    roles = connections.groupby("role")["sessions"].sum().sort_values().index.tolist()
    figure = _figure(title, height=_height(len(roles)), barmode="stack")
    for colour, (state, part) in zip(_colours(), connections.groupby("state", sort=True), strict=False):
        figure.add_bar(
            x=_list(part["sessions"]), y=_list(part["role"]), name=str(state), orientation="h", marker_color=colour,
            hovertemplate="%{y}: %{x} sessions",
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=roles)
    return figure.update_xaxes(title_text="sessions", rangemode="tozero").update_layout(showlegend=True)


def phase_timeline(phases: pd.DataFrame) -> go.Figure:
    """What ran when, and how did it end? Columns: phase, started, ended (times), verdict (a Verdict or a gate's word)."""
    title = "When did each phase run, and how did it end?"
    if phases.empty:
        return _empty(title, "no phase has been run")
    _needs(phases, "phase", "started", "ended", "verdict")
    order = list(dict.fromkeys(phases.sort_values("started")["phase"]))[::-1]
    figure = _figure(title, height=_height(len(order)))
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


def _figure(title: str, *, height: int = HEIGHT, **layout: Any) -> go.Figure:
    return go.Figure(layout={"template": TEMPLATE, "title": {"text": title}, "height": height, **layout})


def _empty(title: str, why: str) -> go.Figure:
    figure = _figure(title, height=160)
    figure.add_annotation(text=f"Nothing to draw: {why}.", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def _limit(figure: go.Figure, value: float, text: str, *, upright: bool = False) -> None:
    """A dashed line at *value* with its name; the axis is widened so that it is in the picture."""
    line = {"color": RED, "width": 1.5, "dash": "dash"}
    if upright:
        figure.add_vline(x=value, line=line, annotation={"text": text, "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": "center"})
        return
    figure.add_hline(y=value, line=line, annotation={"text": text, "xanchor": "right", "yanchor": "bottom", "font": {"color": RED}})
    highest = max((float(y) for trace in figure.data for y in (trace.y or ()) if y is not None and pd.notna(y)), default=0.0)
    if highest < value:
        figure.update_yaxes(range=[0, value * 1.15])


def _height(rows: int, *, row: int = _ROW) -> int:
    return max(HEIGHT if rows > 8 else 200, 120 + rows * row)


def _bars(errors: pd.Series[Any], n: pd.Series[Any], colour: str) -> dict[str, Any]:
    """Error bars in %: the exact two-sided 95 % binomial interval (Clopper and Pearson) of each share."""
    from scipy.stats import beta  # half a second to import: only where a rate is drawn

    share = errors / n
    under = (share - pd.Series(beta.ppf(0.025, errors, n - errors + 1), index=errors.index).fillna(0.0)) * 100
    over = (pd.Series(beta.ppf(0.975, errors + 1, n - errors), index=errors.index).fillna(1.0) - share) * 100
    return {"symmetric": False, "array": _list(over), "arrayminus": _list(under), "thickness": 1, "width": 0, "color": colour}


def _colours() -> list[str]:
    """Colours for as many series as are asked for: beyond the palette it starts again."""
    return list(PALETTE) * 20


def _function(table: pd.DataFrame) -> str:
    column = next((name for name in ("function", "slug", "function_id") if name in table.columns), None)
    if column is None:
        raise SourceNonsense("the table to draw has neither a column function nor function_id")
    return column


def _needs(table: pd.DataFrame, *columns: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise SourceNonsense(f"the table to draw has no column {', '.join(missing)}; expected {', '.join(columns)}")


def _list(values: pd.Series[Any] | pd.Index[Any]) -> list[Any]:
    """Plain values: an array would be packed as base64, which a person cannot read in the archive."""
    return [None if pd.isna(value) else value for value in values.tolist()]
