"""Do the functions' calls end well: rates, recurring errors, executions without an end (POST-3, MON-1, MON-2, H0-1, H4-1, H12-1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from opsnb.checks import calls as logs
from opsnb.checks.numbers import calls_needed, judge_rate, judge_zero, percent, percentile_name
from opsnb.checks.tables import counted, findings, known, some
from opsnb.checks.templates import template
from opsnb.errors import UsageError
from opsnb.verdicts import Outcome, check, failed, inconclusive

__all__ = ["alert_rate", "alert_response", "complete", "rate", "rate_of_period", "recurring", "success_of_period", "template"]

_LOOK = "Look at the function's logs (templates in this phase's table of recurring errors); roll back if it began with this deployment."
_NO_CALLS = "INCONCLUSIVE: no call is in the log, so there is nothing to take a rate of."
_COUNTED = ("function", "template", "kind", "executions", "execution_id", "first_at", "last_at")
_RECURRING = ("function", "template", "executions", "kind", "first_at", "last_at")


@check(
    "errors.rate",
    title="Function error rate",
    items=("POST-3.1",),
    harm="So many of a hundred callers do not get the history they asked for.",
    fix=_LOOK,
    empty=_NO_CALLS,
)
def rate(
    calls: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], limit: float, period: str = "the last 30 minutes"
) -> Outcome:
    """The share of callers' calls answered with 5xx, or never, is under *limit* (a share); one function alone may not be over it.

    Tables: `function_calls` of the period, `functions` of the platform. Our own probes are shown and not judged.
    """
    return _error_rate(calls, functions, names, limit, period)


@check(
    "errors.rate_of_period",
    title="Function error rate of the monitoring period",
    items=("H0-1",),
    harm="The period cannot be signed: over all its hours too many callers failed, though its last one may look calm.",
    fix=_LOOK,
    empty=_NO_CALLS,
)
def rate_of_period(calls: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], limit: float, period: str) -> Outcome:
    """As `errors.rate`, over the monitoring *period* so far (its name, for the sentence)."""
    return _error_rate(calls, functions, names, limit, period)


@check(
    "errors.success_of_period",
    title="Function success rate of the monitoring period",
    items=("H4-1", "H12-1"),
    harm="The period cannot be signed: fewer callers succeeded than the guide asks for.",
    fix=_LOOK,
    empty=_NO_CALLS,
)
def success_of_period(calls: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], success: float, period: str) -> Outcome:
    """The share of callers' calls that succeed is over *success* (0.98 is 98 %): the rate of failures is under what is left."""
    if not 0 < success < 1:
        raise UsageError(f"{success:g} is no share: expected more than 0 and less than 1 (0.98 is 98 %)")
    # the rounding keeps 1 - 0.98 from being a hair over 2 %
    return _error_rate(calls, functions, names, round(1 - success, 12), f"{period}; a success rate over {percent(success)} is asked for")


@check(
    "errors.alert_rate",
    title="Alert: function error rate",
    items=("MON-1",),
    harm="Callers are failing now, at a rate at which the guide wants a person woken.",
    fix=_LOOK,
    empty=_NO_CALLS,
)
def alert_rate(
    calls: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], limit: float, period: str = "the last 30 minutes"
) -> Outcome:
    """The alert rule on the error rate: as `errors.rate`, with the alert's *limit*."""
    return _error_rate(calls, functions, names, limit, period)


@check(
    "errors.alert_response",
    title="Alert: function response time",
    items=("MON-2",),
    harm="Callers wait, retry and pile up: slow answers of today are the exhausted pool of the next hour.",
    fix="Compare with the database's response time and the pool: a slow function with a fast database waits for something else.",
    empty="INCONCLUSIVE: no call is in the log, so there is no time to judge.",
)
def alert_response(calls: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], limit_s: float, q: float = 0.95) -> Outcome:
    """The *q* quantile of the callers' response times is at most *limit_s*; one function alone may not be over it.

    Tables: `function_calls` asked with ``slow_ms = 1000 * limit_s``, `functions`. The order-statistic bound of a quantile is the
    binomial bound of the share of slower calls: that is what is judged. A call whose time is unknown counts as slow.
    """
    counts = logs.tally(calls, functions, names)
    share = round(1 - q, 12)
    slow = "slow call"
    shown, _ = logs.judged_apart(counts, lambda each: each["n_slow"] + each["n_untimed"], share)
    pooled = judge_rate(int(shown["bad"].sum()), int(shown["n"].sum()), share, slow, table=shown)
    outcome = logs.with_single_failures(pooled, shown, share, slow)
    longest = pd.to_numeric(shown["max_ms"], errors="coerce").max() if len(shown) else float("nan")
    if pd.isna(longest):
        return outcome
    summary = (
        f"{outcome.summary} Slow: over {limit_s:g} s; so judged is the {percentile_name(q)}. The slowest call took {longest / 1000:.3g} s."
    )
    return Outcome(outcome.verdict, summary, shown, float(longest) / 1000, limit_s)


@check(
    "errors.recurring",
    title="No recurring error",
    items=("POST-3.2",),
    harm="The same fault meets every caller who comes that way; it does not go away by itself.",
    fix="The template names the error and the function; find its cause before going on. Its full text is in the platform's log explorer.",
    empty="PASS: no line at level error and no 5xx answer is the healthy case; it counts only while a marked probe proves the log alive.",
)
def recurring(
    messages: pd.DataFrame, answers: pd.DataFrame, calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame,
    *, names: Iterable[str], minimum: float,
) -> Outcome:  # fmt: skip
    """No error is met in two executions: the same template at level error or fatal, or the same 5xx code of one function.

    Tables: `function_error_templates`, `function_error_codes`, `function_calls`, `probe_seen`, `functions`. *minimum* calls are
    needed to say so. Lines without an execution count one each; several lines of one execution count once.
    """
    names = list(names)
    counts = logs.tally(calls, functions, names)
    rows = pd.concat([_logged(logs.of_functions(messages, functions, names)), _answered(logs.of_functions(answers, functions, names))])
    table = _recurrences(rows)
    twice = table[table["executions"] >= 2] if len(table) else table
    outcome = judge_zero(len(twice), logs.total(counts, "n"), minimum, logs.is_alive(seen), "recurring error", table=table)
    if len(twice):
        worst = [f"{row.function}: {row.template} ({row.executions} times)" for row in twice.itertuples()]
        return failed(f"{counted(len(twice), 'error')} met more than once: {some(worst, 2)}.", table=table, measured=len(twice), limit=0)
    single = f" {counted(len(table), 'error')} met once." if len(table) else ""
    return Outcome(outcome.verdict, outcome.summary + single, table, outcome.measured, outcome.limit)


@check(
    "errors.complete",
    title="Every invocation completes",
    items=("POST-3.3",),
    harm="Callers got nothing, or half: work may have been done whose answer nobody saw, and is done again.",
    fix="504: the function waited too long; 546: it used too much memory or CPU; no end: its worker died. See its log lines.",
    empty="PASS: no execution without an end is the healthy case; it counts only while a marked probe proves the log alive.",
)
def complete(
    unfinished: pd.DataFrame, calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame,
    *, names: Iterable[str], since: datetime, until: datetime, minimum: float,
) -> Outcome:  # fmt: skip
    """No execution that began within [*since*, *until*) is without an end, and none was cut off (504, 546).

    Tables: `executions_without_end` (asked with a margin on both sides), `function_calls`, `probe_seen`, `functions`. An execution
    that began after *until* may still be running: it is not judged.
    """
    names = list(names)
    counts = logs.tally(calls, functions, names)
    rows = logs.of_functions(unfinished, functions, names)
    if not rows.empty:
        known(rows, "first_at", "status")
        first = pd.to_datetime(rows["first_at"], utc=True)
        rows = rows[(first >= pd.Timestamp(since)) & (first < pd.Timestamp(until))]
        how = rows["status"].map({504: "timed out (504)", 546: "resource limit (546)", 0: "no end"}).fillna("cut off")
        rows = rows.assign(how=how).reset_index(drop=True)
    return judge_zero(
        len(rows), logs.total(counts, "n"), minimum, logs.is_alive(seen), "execution without an end",
        many="executions without an end", table=rows if len(rows) else counts,
    )  # fmt: skip


def _error_rate(calls: pd.DataFrame, functions: pd.DataFrame, names: Iterable[str], limit: float, period: str) -> Outcome:
    counts = logs.tally(calls, functions, names)
    if counts.empty:
        return inconclusive(f"The release names no function; {calls_needed(limit):,} calls without an error would decide.", limit=limit)
    shown, _ = logs.judged_apart(counts, lambda each: each["n_5xx"] + each["n_no_status"], limit)
    pooled = judge_rate(int(shown["bad"].sum()), int(shown["n"].sum()), limit, "server error", table=shown)
    outcome = logs.with_single_failures(pooled, shown, limit, "server error")
    summary = f"{outcome.summary} Over {period}. {logs.without_probes(counts, 'n_5xx', 'n_no_status')}"
    return Outcome(outcome.verdict, summary, shown, outcome.measured, outcome.limit)


def _logged(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return findings([], _COUNTED)
    known(rows, *_COUNTED[3:], "template")
    return rows.assign(template=[template(str(text)) for text in rows["template"]], kind="log line")[list(_COUNTED)]


def _answered(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return findings([], _COUNTED)
    known(rows, *_COUNTED[3:], "status", "error_code")
    codes = [f"{row.status} {row.error_code}".strip() for row in rows.itertuples()]
    return rows.assign(template=codes, kind="answer")[list(_COUNTED)]


def _recurrences(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per function and template, and in how many executions it was met.

    Several rows can be of one template, and an execution in several of them: each row says how many it has, and names one. So whether
    there were two is exact; how many more there were is not, where rows share executions.
    """
    found = []
    for (function, text, kind), group in rows.groupby(["function", "template", "kind"], sort=True) if len(rows) else ():
        named = group["execution_id"].astype("string")
        without = int(group.loc[named == "", "executions"].sum())
        executions = max(int(group["executions"].max()), without + named[named != ""].nunique())
        found.append((function, text, executions, kind, group["first_at"].min(), group["last_at"].max()))
    found.sort(key=lambda row: (-row[2], row[0], row[1]))
    return pd.DataFrame(found, columns=list(_RECURRING))
