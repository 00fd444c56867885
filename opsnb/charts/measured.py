"""Charts of what was measured: schema, sizes, rates, times, access, connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from opsnb.charts.base import (
    BLUE,
    GREEN,
    GREY,
    MB,
    ORANGE,
    RED,
    SKY,
    as_list,
    bar_height,
    colours_again,
    empty_figure,
    error_bars,
    function_column,
    limit_line,
    needs_columns,
    new_figure,
)


def schema_checks(results: pd.DataFrame | Sequence[pd.DataFrame]) -> go.Figure:
    """Which objects are there? One row per object, coloured by whether it is as expected.

    Columns: object, expected, found, ok (as the checks of `schema` return; several tables are put together).
    """
    tables = [results] if isinstance(results, pd.DataFrame) else [table for table in results if table is not None]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    title = "Is every object of the release there, as expected?"
    if whole.empty:
        return empty_figure(title, "no object was asked for")
    needs_columns(whole, "object", "expected", "found", "ok")
    whole = whole.drop_duplicates("object", keep="last").iloc[::-1]
    figure = new_figure(title, height=bar_height(len(whole)), barmode="stack", bargap=0.15)
    for ok, name, colour in ((True, "as expected", GREEN), (False, "not as expected", RED)):
        part = whole[whole["ok"].astype(bool) == ok]
        if part.empty:
            continue
        hover = [f"{name}: expected {expected}, found {found}" for expected, found in zip(part["expected"], part["found"], strict=True)]
        figure.add_bar(
            x=[1] * len(part), y=as_list(part["object"]), name=name, orientation="h", marker_color=colour,
            text=as_list(part["found"].astype(str)), textposition="inside", insidetextanchor="start", hovertext=hover, hoverinfo="text+y",
        )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(categoryorder="array", categoryarray=as_list(whole["object"]))
    return figure.update_layout(showlegend=True)


def table_sizes(sizes: pd.DataFrame, *, top: int = 15) -> go.Figure:
    """Where is the space? The *top* largest tables, data and indexes in MB. Columns: those of `table_sizes`."""
    title = "Which tables take the space?"
    if sizes.empty:
        return empty_figure(title, "no table has a size")
    needs_columns(sizes, "schema", "name", "total_bytes", "table_bytes", "index_bytes")
    largest = sizes.sort_values("total_bytes", ascending=False).head(top).iloc[::-1]
    names = as_list(largest["name"] if largest["schema"].nunique() == 1 else largest["schema"] + "." + largest["name"])
    figure = new_figure(title, height=bar_height(len(largest)), barmode="stack")
    for column, name, colour in (("table_bytes", "data", BLUE), ("index_bytes", "indexes", SKY)):
        figure.add_bar(
            x=as_list(largest[column] / MB), y=names, name=name, orientation="h", marker_color=colour, hovertemplate="%{y}: %{x:,.2f} MB"
        )
    return figure.update_xaxes(title_text="size (MB)", rangemode="tozero")


def error_rates(rates: pd.DataFrame, *, limit: float) -> go.Figure:
    """Do calls fail? Share of failed calls per bucket and function, with the 95 % binomial interval and the *limit* (a share).

    Columns: bucket, function (or function_id), n, n_5xx (or errors); a bucket without calls has no point.
    """
    title = "What share of calls failed?"
    if rates.empty:
        return empty_figure(title, "no call in the period")
    who, errors = function_column(rates), "n_5xx" if "n_5xx" in rates else "errors"
    needs_columns(rates, "bucket", "n", errors)
    called = rates[rates["n"] > 0].sort_values("bucket")
    if called.empty:
        return empty_figure(title, "no call in the period")
    figure = new_figure(title)
    for colour, (name, part) in zip(colours_again(), called.groupby(who, sort=True), strict=False):
        share = part[errors] / part["n"]
        hover = [f"{name}: {bad} of {n} calls failed" for bad, n in zip(part[errors], part["n"], strict=True)]
        figure.add_scatter(
            x=as_list(part["bucket"]), y=as_list(share * 100), name=str(name), mode="lines+markers", line={"color": colour},
            hovertext=hover, hoverinfo="text+x", error_y=error_bars(part[errors], part["n"], colour),
        )  # fmt: skip
    limit_line(figure, limit * 100, f"limit {limit:.0%}" if limit >= 0.01 else f"limit {limit:.1%}")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="failed calls (%)", rangemode="tozero")


def rates_compared(rates: pd.DataFrame) -> go.Figure:
    """Do calls fail more often than before? Shares of both windows with bounds. Columns: function, and n, bad by _before and _since."""
    if rates.empty:
        return empty_figure("Do more calls fail than before the deployment?", "no calls to compare")
    needs_columns(rates, "function", "n_before", "bad_before", "n_since", "bad_since")
    figure = new_figure("Do more calls fail than before the deployment?", scattermode="group")
    for when, colour in (("before", SKY), ("since", BLUE)):
        n, bad = rates[f"n_{when}"].where(rates[f"n_{when}"] > 0), rates[f"bad_{when}"]
        hover = as_list(when + ": " + bad.astype(str) + " of " + rates[f"n_{when}"].astype(str) + " calls failed")
        said = {"name": when, "mode": "markers", "hovertext": hover, "hoverinfo": "text+x", "marker": {"color": colour, "size": 9}}
        figure.add_scatter(x=as_list(rates["function"]), y=as_list(bad / n * 100), error_y=error_bars(bad, n, colour), **said)
    return figure.update_yaxes(title_text="failed calls (%), 95 % bounds", rangemode="tozero").update_layout(showlegend=True)


def response_times(times: pd.DataFrame, *, limit_s: float) -> go.Figure:
    """How long do callers wait? Median, 95th percentile and slowest call per function, in seconds, with the limit.

    Columns: function (or function_id), p50_ms, p95_ms, max_ms; n where known. Several rows of a function: the slowest is shown.
    """
    title = "How long do callers wait?"
    if times.empty:
        return empty_figure(title, "no timed call in the period")
    who = function_column(times)
    needs_columns(times, "p50_ms", "p95_ms", "max_ms")
    worst = times.groupby(who, sort=True)[["p50_ms", "p95_ms", "max_ms"]].max()
    figure = new_figure(title, barmode="group")
    for column, name, colour in (("p50_ms", "median", SKY), ("p95_ms", "95th percentile", BLUE), ("max_ms", "slowest", GREY)):
        figure.add_bar(
            x=[str(name) for name in worst.index], y=as_list(worst[column] / 1000), name=name, marker_color=colour,
            hovertemplate="%{x}: %{y:.3f} s",
        )  # fmt: skip
    limit_line(figure, limit_s, f"limit {limit_s:g} s")
    return figure.update_yaxes(title_text="response time (s)", rangemode="tozero")


def storage_growth(history: pd.DataFrame, *, limit_mb: float | None = None, trend: pd.DataFrame | None = None) -> go.Figure:
    """How fast does the database grow? Size over time, and the size at which growth since the first point reaches the limit.

    Columns: taken_at, and total_bytes (or database_bytes); rows of the same time are added up. *trend*: the table of the check
    `storage.trend`, where it forecast something: its line and interval are drawn as far ahead as there are sizes behind it.
    """
    title = "How much has the database grown?"
    size = "total_bytes" if "total_bytes" in history else "database_bytes"
    if history.empty:
        return empty_figure(title, "no size was recorded yet")
    needs_columns(history, "taken_at", size)
    totals = (history.groupby("taken_at", sort=True)[size].sum() / MB).sort_index()
    grown = totals - totals.iloc[0]
    figure = new_figure(title)
    figure.add_scatter(
        x=list(totals.index), y=as_list(totals), mode="lines+markers", name="size", line={"color": BLUE},
        hovertext=[f"{now:,.2f} MB, {change:+,.2f} MB since the first" for now, change in zip(totals, grown, strict=True)],
        hoverinfo="text+x",
    )  # fmt: skip
    if trend is not None and len(trend):
        _ahead(figure, totals, trend.iloc[0])
    if limit_mb is not None:
        limit_line(figure, float(totals.iloc[0]) + limit_mb, f"limit: {limit_mb:g} MB more")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="size (MB)", rangemode="tozero")


def _ahead(figure: go.Figure, values: pd.Series[Any], pace: pd.Series[Any]) -> None:
    """The present pace from the newest of *values* on (per hour: per_h, low, high), as far as it reaches back: a line in its interval."""
    needs_columns(pace.to_frame().T, "per_h", "low", "high")
    newest, now = values.index[-1], float(values.iloc[-1])
    hours = (newest - values.index[0]).total_seconds() / 3600
    then, (line, low, high) = newest + (newest - values.index[0]), (now + float(pace[each]) * hours for each in ("per_h", "low", "high"))
    figure.add_scatter(
        x=[newest, then, then, newest], y=[now, high, low, now], mode="lines", fill="toself", showlegend=False, hoverinfo="skip",
        line={"color": SKY, "width": 0}, fillcolor=f"rgba{(*bytes.fromhex(SKY[1:]), 0.25)}",
    )  # fmt: skip
    figure.add_scatter(
        x=[newest, then], y=[now, line], mode="lines", name="present pace, 95 % interval", line={"color": BLUE, "dash": "dot"},
        hovertext=[f"{now:,.2f} MB", f"{line:,.2f} MB ({low:,.2f} to {high:,.2f})"], hoverinfo="text+x",
    )  # fmt: skip


def capacity_used(history: pd.DataFrame, *, limit_share: float) -> go.Figure:
    """How full are pools and disks, run by run? Use in % of the size, with the pools' limit; a disk's is 100 %.

    Columns: taken_at, resource, subject, used, size.
    """
    title = "How full are pools and disks?"
    if history.empty:
        return empty_figure(title, "no use was recorded yet")
    needs_columns(history, "taken_at", "resource", "subject", "used", "size")
    figure = new_figure(title)
    for colour, ((resource, subject), part) in zip(colours_again(), history.groupby(["resource", "subject"], sort=True), strict=False):
        readings = part.sort_values("taken_at")
        figure.add_scatter(
            x=as_list(readings["taken_at"]), y=as_list(readings["used"] / readings["size"] * 100), name=f"{resource}: {subject}",
            mode="lines+markers", line={"color": colour}, hovertemplate="%{x}: %{y:.1f} %",
        )  # fmt: skip
    limit_line(figure, limit_share * 100, f"limit of the pools: {limit_share:.0%}")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="in use (%)", range=[0, 105]).update_layout(showlegend=True)


def pool_use(pools: pd.DataFrame, *, limit_share: float) -> go.Figure:
    """Is there room for more connections? Use of each pool in % of its size, with the limit. Columns: pool, used, size."""
    title = "How full are the connection pools?"
    if pools.empty:
        return empty_figure(title, "no pool with a known size")
    needs_columns(pools, "pool", "used", "size")
    share = pools["used"] / pools["size"]
    figure = new_figure(title, height=max(180, bar_height(len(pools))))
    figure.add_bar(
        x=as_list(share * 100), y=as_list(pools["pool"]), orientation="h", showlegend=False,
        marker_color=[RED if part > limit_share else GREEN for part in share],
        text=[f"{used:.0f} of {size:.0f}" for used, size in zip(pools["used"], pools["size"], strict=True)], textposition="auto",
        hovertemplate="%{y}: %{text} in use (%{x:.0f} %)",
    )  # fmt: skip
    limit_line(figure, limit_share * 100, f"limit {limit_share:.0%}", upright=True)
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
        return empty_figure(title, "nobody was impersonated")
    needs_columns(access, "identity", "table", "expected", "seen", "leaked", "missing", "sqlstate")
    identities, tables = list(dict.fromkeys(access["identity"])), list(dict.fromkeys(access["table"]))[::-1]
    cells = {(row["table"], row["identity"]): _access_cell(row, short=len(identities) > MANY) for row in access.to_dict("records")}
    none = (None, "", "not asked")
    grid = [[cells.get((table, identity), none) for identity in identities] for table in tables]
    steps = len(_ACCESS)
    # a step per finding: the same colour from one quarter of the scale to the next
    scale = [[edge / steps, colour] for code, colour, _ in _ACCESS for edge in (code, code + 1)]
    figure = new_figure(title, height=bar_height(len(tables), row=28 if len(identities) > MANY else 48))
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
        return empty_figure(title, "no call in the period")
    who = function_column(calls)
    needs_columns(calls, "bucket", "n")
    figure = new_figure(title, barmode="stack")
    for colour, (name, part) in zip(colours_again(), calls.sort_values("bucket").groupby(who, sort=True), strict=False):
        figure.add_bar(
            x=as_list(part["bucket"]), y=as_list(part["n"]), name=str(name), marker_color=colour, hovertemplate="%{x}: %{y} calls"
        )
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="calls", rangemode="tozero")


def window_timeline(probes: pd.DataFrame, *, limit_s: float | None = None) -> go.Figure:
    """Was there a downtime? Each probe of the window at its time and response time. Columns: at, function (or function_id), ok, seconds."""
    title = "Did every probe of the window succeed?"
    if probes.empty:
        return empty_figure(title, "no probe was sent")
    who = function_column(probes)
    needs_columns(probes, "at", "ok", "seconds")
    figure = new_figure(title)
    shown = probes.assign(seconds=probes["seconds"].fillna(0))  # a probe without an answer stands on the axis
    for colour, (name, part) in zip(colours_again(), shown[shown["ok"].astype(bool)].groupby(who, sort=True), strict=False):
        figure.add_scatter(
            x=as_list(part["at"]), y=as_list(part["seconds"]), mode="markers", name=str(name), marker={"color": colour, "size": 7},
            hovertemplate="%{x}: %{y:.3f} s",
        )  # fmt: skip
    lost = shown[~shown["ok"].astype(bool)]
    if len(lost):
        figure.add_scatter(
            x=as_list(lost["at"]), y=as_list(lost["seconds"]), mode="markers", name="failed", hovertext=as_list(lost[who].astype(str)),
            marker={"color": RED, "size": 11, "symbol": "x"}, hovertemplate="%{x}: %{hovertext} failed",
        )  # fmt: skip
    if limit_s is not None:
        limit_line(figure, limit_s, f"limit {limit_s:g} s")
    figure.update_xaxes(title_text="time (UTC)")
    return figure.update_yaxes(title_text="response time (s)", rangemode="tozero").update_layout(showlegend=True)


def connections_by_state(connections: pd.DataFrame) -> go.Figure:
    """Who holds the connections? Sessions per role, stacked by state. Columns: those of `connections`."""
    title = "Who holds the database's connections?"
    if connections.empty:
        return empty_figure(title, "no session was seen")
    needs_columns(connections, "role", "state", "sessions")
    roles = connections.groupby("role")["sessions"].sum().sort_values().index.tolist()
    figure = new_figure(title, height=bar_height(len(roles)), barmode="stack")
    for colour, (state, part) in zip(colours_again(), connections.groupby("state", sort=True), strict=False):
        figure.add_bar(
            x=as_list(part["sessions"]), y=as_list(part["role"]), name=str(state), orientation="h", marker_color=colour,
            hovertemplate="%{y}: %{x} sessions",
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=roles)
    return figure.update_xaxes(title_text="sessions", rangemode="tozero").update_layout(showlegend=True)
