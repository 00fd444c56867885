"""Is it worse than before the deployment: error rates and response times of two windows beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from opsnb.checks import calls as logs
from opsnb.checks.comparison import Bucketed, Increase, Slowdown, increase, slowdown
from opsnb.checks.numbers import CONFIDENCE, percent, percentile_name
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, Verdict, check, inconclusive

__all__ = ["slower_than_baseline", "worse_than_baseline"]

_RATES = (
    "function", "verdict", "n_before", "bad_before", "n_since", "bad_since", "increase", "least_increase", "most_increase", "chance",
)  # fmt: skip
_TIMES = ("function", "verdict", "n_before", "n_since", "before_ms", "since_ms", "least_ratio", "most_ratio")
_WORST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


@check(
    "errors.worse_than_baseline",
    title="Errors no more frequent than before",
    items=(),
    harm="The release brought errors that were not there before, hidden below an absolute limit.",
    fix="It began with this deployment: compare the recurring errors since with those before; roll back where callers are harmed.",
    empty="INCONCLUSIVE: without calls before the deployment there is nothing to compare with.",
)
def worse_than_baseline(
    before: pd.DataFrame, since: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], margin: float, minimum: float
) -> Outcome:
    """The share of callers' calls that fail has not risen by more than *margin* (a difference of shares) since the deployment.

    Tables: `function_calls` of the baseline window and of the window since, `functions`. Judged are all calls together and each
    function alone (the confidence shared among them); both windows need *minimum* calls. Our own probes are no callers.
    """
    names = sorted(set(names))
    counts = [logs.tally(table, functions, names) for table in (before, since)]
    if not names or not functions.shape[0]:
        return inconclusive("The release names no function that is deployed, so there is nothing to compare.", limit=margin)
    confidence = 1 - (1 - CONFIDENCE) / len(names)
    pairs = [[(_bad(row), int(row["n"])) for _, row in table.iterrows()] for table in counts]
    alone = {
        name: increase(was[0], was[1], now[0], now[1], margin, minimum=minimum, confidence=confidence)
        for name, was, now in zip(names, *pairs, strict=True)
    }
    was, now = [(sum(k for k, _ in pair), sum(n for _, n in pair)) for pair in pairs]
    pooled = increase(*was, *now, margin, minimum=minimum)
    table = _sorted([{"function": name, "verdict": str(each.verdict), **_numbers(each)} for name, each in alone.items()], _RATES)
    probes = f"Our own {counted(logs.total(counts[1], 'n') - pooled.n_after, 'probe')} are not counted."
    verdict, summary = _say_increase(pooled, minimum)
    over = [f"{name} ({each.k_after} of {each.n_after}, {each.k_before} of {each.n_before} before)"
            for name, each in alone.items() if each.verdict is Verdict.FAIL]  # fmt: skip
    if over and verdict is not Verdict.FAIL:
        verdict, summary = Verdict.FAIL, f"{some(over)} alone: worse than before, whatever the others answer. All together: {summary}"
    return Outcome(verdict, f"{summary} {probes}", table, pooled.observed, margin)


@check(
    "errors.slower_than_baseline",
    title="Answers no slower than before",
    items=("H12-2",),
    harm="The release made the same calls slower; the next rise in traffic meets less room.",
    fix="Compare the database's response time and the pool with those before: with a fast database it waits for something else.",
    empty="INCONCLUSIVE: without calls before the deployment there is nothing to compare with.",
)
def slower_than_baseline(
    before: pd.DataFrame,
    since: pd.DataFrame,
    functions: pd.DataFrame,
    *,
    names: Iterable[str],
    margin: float,
    minimum: float,
    q: float = 0.95,
) -> Outcome:
    """The *q* quantile of the callers' response times has not grown by more than *margin* (a share: 0.5 is half as long again).

    Tables: `function_latency` of the baseline window and of the window since, `functions`. Each function alone, because they differ
    by nature; bounds are order statistics, the confidence shared among the functions. Both windows need *minimum* timed calls.
    """
    names = sorted(set(names))
    tables = [logs.of_functions(table, functions, names) for table in (before, since)]
    if not names or not functions.shape[0]:
        return inconclusive("The release names no function that is deployed, so there is nothing to compare.", limit=margin)
    confidence = 1 - (1 - CONFIDENCE) / len(names)
    rows, found = [], {}
    for name in names:
        was, now = (_bucketed(table, name) for table in tables)
        each = found[name] = slowdown(was, now, q, margin, minimum=minimum, confidence=confidence)
        rows.append(
            {"function": name, "verdict": str(each.verdict), "n_before": was.n, "n_since": now.n, "before_ms": each.before,
             "since_ms": each.after, "least_ratio": each.low, "most_ratio": each.high}
        )  # fmt: skip
    table = _sorted(rows, _TIMES)
    verdict = next(worst for worst in _WORST if any(each.verdict is worst for each in found.values()))
    ratios = [each.low for each in found.values() if each.verdict is Verdict.FAIL]
    summary = _say_slowdown(verdict, found, rows, percentile_name(q), margin, minimum)
    return Outcome(verdict, summary, table, max(ratios) if ratios else None, 1 + margin)


def _bad(row: pd.Series) -> int:
    return int(row["n_5xx"]) + int(row["n_no_status"])


def _numbers(each: Increase) -> dict[str, float | int]:
    return {
        "n_before": each.n_before, "bad_before": each.k_before, "n_since": each.n_after, "bad_since": each.k_after,
        "increase": each.observed, "least_increase": each.low, "most_increase": each.high, "chance": each.chance,
    }  # fmt: skip


def _sorted(rows: list[dict[str, object]], columns: tuple[str, ...]) -> pd.DataFrame:
    order = [str(verdict) for verdict in _WORST]
    return findings(sorted(rows, key=lambda row: order.index(str(row["verdict"]))), columns)


def _say_increase(pooled: Increase, minimum: float) -> tuple[Verdict, str]:
    was = f"{pooled.k_before:,} of {counted(pooled.n_before, 'call')} before"
    now = f"{pooled.k_after:,} of {pooled.n_after:,} since"
    seen = f"Server errors: {was}, {now}"
    if pooled.verdict is Verdict.FAIL:
        return pooled.verdict, (
            f"{seen}: {_points(pooled.observed)} more (95 % bounds {_points(pooled.low)} to {_points(pooled.high)}), the margin is "
            f"{_points(pooled.margin)}; by chance this happens with a probability of {percent(pooled.chance)}."
        )
    if pooled.verdict is Verdict.PASS:
        return pooled.verdict, (
            f"{seen}: at most {_points(max(0.0, pooled.high))} more (95 % bound), the margin is {_points(pooled.margin)}."
        )
    if not pooled.n_before:
        return pooled.verdict, f"{seen}: no call is in the baseline window, so there is nothing to compare with. Name a longer one."
    least = max(1, math.ceil(minimum))
    if pooled.n_before < least:
        return pooled.verdict, f"{seen}: the baseline window has fewer than the {least} calls asked for. Name a longer one."
    more = max(pooled.more, least - pooled.n_after, 1)
    return pooled.verdict, (
        f"{seen}: as much as {_points(pooled.high)} more is possible (95 % bound), the margin is {_points(pooled.margin)}. "
        f"{counted(more, 'more call')} without {'another' if pooled.k_after else 'any'} error would decide."
    )


def _say_slowdown(
    verdict: Verdict, found: dict[str, Slowdown], rows: list[dict[str, object]], quantile: str, margin: float, minimum: float
) -> str:
    named = [name for name, each in found.items() if each.verdict is verdict]
    if verdict is Verdict.FAIL:
        worst = [f"{name} ({found[name].before:.3g} ms before, {found[name].after:.3g} ms since)" for name in named]
        return f"The {quantile} has grown by more than {percent(margin)} beyond chance: {some(worst)}."
    if verdict is Verdict.PASS:
        return f"The {quantile} of {counted(len(named), 'function')} has grown by less than {percent(margin)} (95 % bounds)."
    fewest = min(rows, key=lambda row: min(int(str(row["n_before"])), int(str(row["n_since"]))))
    return (
        f"{some(named)}: growth of the {quantile} by more than {percent(margin)} is neither shown nor excluded. The fewest timed calls "
        f"has {fewest['function']}: {fewest['n_before']} before, {fewest['n_since']} since; at least {max(1, math.ceil(minimum))} "
        "on both sides are asked for, and some hundreds bound a 95th percentile well."
    )


def _points(share: float) -> str:
    """A difference of shares, in words that are no rate: 0.012 as `1.2 points`."""
    shown = f"{100 * share:.3g}"
    return f"{shown} point" + ("" if shown == "1" else "s")


def _bucketed(table: pd.DataFrame, name: str) -> Bucketed:
    """The counts of one function; the statement's buckets lie next to each other, those without a call have no row."""
    if table.empty:
        return Bucketed([0.0], [])
    known(table, "function", "over_ms", "upto_ms", "n")
    rows = table[table["function"] == name].sort_values("upto_ms")
    edges, counts = [0.0], list[int]()
    for over, upto, n in zip(rows["over_ms"], rows["upto_ms"], rows["n"], strict=True):
        if not edges[-1] <= over < upto or n < 0:
            raise SourceNonsense(f"the buckets of {name} overlap or are out of order")
        if over > edges[-1]:
            edges, counts = [*edges, float(over)], [*counts, 0]
        edges, counts = [*edges, float(upto)], [*counts, int(n)]
    return Bucketed(edges, counts)
