"""The deployment window (WIN-1 to WIN-6) and the time the verification took (POST-6)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd

from opsnb.checks import calls as logs
from opsnb.checks.numbers import judge_zero
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, Verdict, check, failed, inconclusive, passed, unmeasured, warned

API_ROLES = ("anon", "authenticated", "authenticator", "service_role")
"""Login roles behind which callers stand; what opsnb's own role is denied is no caller's violation."""
CONNECTION_STATES = ("53300", "57P03")
"""Too many connections; cannot connect now. Class 08 (connection exceptions) counts as well."""
DENIED = "42501"
_INTERVALS = ("function", "failed_at", "good_again_at", "seconds", "probes", "what")
_NO_CALLS = "INCONCLUSIVE: no call is in the log, so its silence proves nothing."


def _of_the_window(judge: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Adds *cut_short* (words; '' where it was not): what passed in a part of the window has not passed in the window."""

    @functools.wraps(judge)
    def whole(*tables: pd.DataFrame, cut_short: str = "", **expected: Any) -> Outcome:
        outcome = judge(*tables, **expected)
        if not cut_short:
            return outcome
        verdict = Verdict.INCONCLUSIVE if outcome.verdict is Verdict.PASS else outcome.verdict
        return replace(outcome, verdict=verdict, summary=f"{outcome.summary} {cut_short}")

    return whole


@check(
    "window.announced",
    title="The window was announced",
    items=("WIN-0",),
    harm="Clinicians meet the outage in front of a patient, without having been told.",
    fix="opsnb announce ENVIRONMENT --apply, before the window begins.",
    empty="INCONCLUSIVE: nothing was announced in this deployment.",
)
def announced(sent: pd.DataFrame, *, message: str = "window_begins") -> Outcome:
    """The newest announcement in this deployment was *message* or came after it, and every address took it.

    Table: the record of the newest announcement (message, place, kind, delivered).
    """
    if sent.empty:
        return inconclusive("Nothing was announced in this deployment: opsnb announce ENVIRONMENT --apply.")
    known(sent, "message", "place", "delivered")
    missed = sent.loc[~sent["delivered"].astype(bool), "place"].tolist()
    details = {"table": sent, "measured": len(sent) - len(missed), "limit": len(sent)}
    if missed:
        return failed(f"The announcement did not reach {some([str(place) for place in missed])}.", **details)
    if message not in set(sent["message"]):
        return passed(
            f"{sent['message'].iloc[0]} was the newest announcement; it reached {counted(len(sent), 'address', 'addresses')}.", **details
        )
    return passed(f"The announcement reached {counted(len(sent), 'address', 'addresses')}.", **details)


@check(
    "window.no_500",
    title="No function returned 500",
    items=("WIN-1",),
    harm="A caller's work was lost in the middle, and the new version may do it to everybody.",
    fix="Stop the window, look at the function's logs, roll back if the new version is the cause.",
    empty=_NO_CALLS,
)
@_of_the_window
def no_500(calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], minimum: float) -> Outcome:
    """No call of any function, our probes included, was answered with 5xx or never answered.

    Tables: `function_calls` of the window, `probe_seen` for this run's mark, `functions`. Needs *minimum* calls.
    """
    counts = logs.tally(calls, functions, names)
    return _none(counts, ("n_5xx", "n_no_status"), seen, minimum, "server error")


@check(
    "window.no_connection_timeouts",
    title="No database connection time-out",
    items=("WIN-2",),
    harm="Callers were turned away before any code ran; under more traffic all of them are.",
    fix="Look at the connections by role and state; raise the pool or stop what holds it, before callers are turned away.",
    empty="PASS: no refusal by Postgres is the healthy case; it counts only while a marked probe proves the logs alive.",
)
@_of_the_window
def no_connection_timeouts(
    refused: pd.DataFrame, waited: pd.DataFrame, calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame,
    *, names: Iterable[str], minimum: float,
) -> Outcome:  # fmt: skip
    """Nobody was refused a connection or waited in vain for one.

    Tables: `postgres_errors`, `connection_timeouts`, `function_calls`, `probe_seen`, `functions`. Judged are SQLSTATE 53300, 57P03
    and class 08, and lines of functions, REST door and poolers that say so. A statement's time-out is no connection's.
    """
    counts = logs.tally(calls, functions, names)
    rows: list[dict[str, object]] = []
    if not refused.empty:
        known(refused, "severity", "sqlstate", "role", "n")
        for row in refused.itertuples():
            state, role = str(row.sqlstate), str(row.role) or "unknown"
            if state in CONNECTION_STATES or state.startswith("08"):
                rows.append({"log": "postgres_logs", "what": f"SQLSTATE {state}, role {role}", "n": int(str(row.n))})
    if not waited.empty:
        known(waited, "log", "function_id", "n")
        names_of = logs.slugs(functions, functions["slug"]) if not functions.empty else {}
        rows.extend(
            {"log": row.log, "what": names_of.get(str(row.function_id), "no function named"), "n": int(str(row.n))}
            for row in waited.itertuples()
        )
    table = findings(rows, ("log", "what", "n"))
    k = int(table["n"].sum()) if rows else 0
    return judge_zero(k, logs.total(counts, "n"), minimum, logs.is_alive(seen), "connection time-out", table=table)


@check(
    "window.no_403",
    title="No RLS violation (403)",
    items=("WIN-3",),
    harm="Somebody is refused what is theirs, or tries what is not; a hidden refusal looks like an empty history.",
    fix="Run the rls phase: it says which policy and which caller. A 42501 without a 403 is a violation the function hid.",
    empty=_NO_CALLS,
)
@_of_the_window
def no_403(
    calls: pd.DataFrame, refused: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame,
    *, names: Iterable[str], minimum: float, api_roles: Iterable[str] = API_ROLES,
) -> Outcome:  # fmt: skip
    """No call was answered 403, and Postgres denied nothing (42501) to the roles callers use.

    Tables: `function_calls`, `postgres_errors`, `probe_seen`, `functions`. Rows hidden by a policy raise no error: the rls phase
    compares those.
    """
    counts = logs.tally(calls, functions, names)
    denied = 0
    if not refused.empty:
        known(refused, "sqlstate", "role", "n")
        denied = int(refused.loc[(refused["sqlstate"] == DENIED) & refused["role"].isin(list(api_roles)), "n"].sum())
    answered = logs.total(counts, "n_403")
    what = "denied call"
    outcome = judge_zero(answered + denied, logs.total(counts, "n"), minimum, logs.is_alive(seen), what, table=counts)
    if answered or denied:
        both = f"{counted(answered, 'answer')} 403 and {counted(denied, 'denial')} by Postgres (42501)"
        summary = f"{both} in {counted(logs.total(counts, 'n'), 'call')}; none is allowed."
        return failed(summary, table=counts, measured=answered + denied, limit=0)
    return outcome


@check(
    "window.no_401",
    title="No token failure (401)",
    items=("WIN-4",),
    harm="People who are signed in are treated as strangers, and the app may send them to sign in again and again.",
    fix="n_401_platform: the gateway refused the token before the function ran (verify_jwt, third-party keys). Else the function did.",
    empty=_NO_CALLS,
)
@_of_the_window
def no_401(calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], minimum: float) -> Outcome:
    """No call was answered 401, by the platform or by the function. Tables: `function_calls`, `probe_seen`, `functions`."""
    counts = logs.tally(calls, functions, names)
    outcome = _none(counts, ("n_401",), seen, minimum, "answer 401", "answers 401")
    if outcome.verdict is Verdict.FAIL:
        platform = logs.total(counts, "n_401_platform")
        return failed(f"{outcome.summary} The platform raised {platform} of them.", table=counts, measured=outcome.measured, limit=0)
    return outcome


@check(
    "window.response_times",
    title="Response times within the limit",
    items=("WIN-5",),
    harm="Callers waited so long that many gave up or pressed again.",
    fix="Investigate after the deployment: which function, since when; compare with the database's response time.",
    empty=_NO_CALLS,
)
@_of_the_window
def response_times(
    calls: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str], limit_s: float, minimum: float
) -> Outcome:
    """No call took longer than *limit_s*; one that did is a warning.

    Tables: `function_calls` (asked with ``slow_ms = 1000 * limit_s``), `probe_seen`, `functions`.
    A call whose time is not in the log is not known to be fast: it leaves PASS as well.
    """
    counts = logs.tally(calls, functions, names)
    slow, untimed, n = logs.total(counts, "n_slow"), logs.total(counts, "n_untimed"), logs.total(counts, "n")
    if slow:
        worst = counts[(counts["n_slow"] > 0) | (counts["probes_n_slow"] > 0)]["function"].tolist()
        return warned(f"{counted(slow, 'call')} of {n:,} over {limit_s:g} s ({some(worst)}).", table=counts, measured=slow, limit=0)
    if untimed:
        return inconclusive(
            f"No call over {limit_s:g} s, but {untimed:,} of {n:,} have no time in the log.", table=counts, measured=slow, limit=0
        )
    return _none(counts, ("n_slow",), seen, minimum, f"call over {limit_s:g} s", f"calls over {limit_s:g} s")


@check(
    "window.downtime",
    title="Downtime within the window",
    items=("WIN-6",),
    harm="Callers were without answers for longer than was announced.",
    fix="Each row is a time in which a function did not answer. Longer than announced: tell the stakeholders, consider the rollback.",
    empty="INCONCLUSIVE: no probe was sent, so no second of the window was watched.",
)
@_of_the_window
def downtime(
    probes: pd.DataFrame, *, names: Iterable[str], window_s: float, interval_s: float, limit_minutes: float, status: int = 200
) -> Outcome:
    """The seconds in which a probe of any function failed are fewer than *limit_minutes*.

    Table: `Gateway.probe` rows of the whole window. A failure lasts from the last good probe of the function to the next good one
    (from the first probe on, to the end of the last one): the most it can have been. Every function must have been probed at
    least every three *interval_s* over *window_s*, else nothing is known about the rest: INCONCLUSIVE. So it is where a function
    still failed when the watch ended: nobody knows for how long.
    """
    wanted = sorted(set(names))
    if probes.empty or not wanted:
        return inconclusive(
            f"No probe was sent; {counted(len(wanted), 'function')} must be probed every {interval_s:g} s for {window_s:g} s."
        )
    rows = _judged(probes, wanted, status)
    down_s, intervals = _down(rows, wanted)
    table = findings(intervals, _INTERVALS) if intervals else _watched(rows)
    limit_s = 60 * limit_minutes
    seen = f"{down_s:.1f} s of downtime, {limit_s:g} s are allowed; {counted(len(rows), 'probe')} of {counted(len(wanted), 'function')}"
    details = {"table": table, "measured": round(down_s, 1), "limit": limit_s}
    if down_s >= limit_s:
        return failed(f"{seen}.", **details)
    still_down = [name for name in wanted if (own := rows[rows["function"] == name]["good"]).size and not own.iloc[-1]]
    if still_down:
        sentence = f"{seen}; {some(still_down)} still did not answer {status} when the watch ended: watch on until it does."
        return inconclusive(sentence, **details)
    gaps = {name: _longest_gap_s(rows[rows["function"] == name]) for name in wanted}
    unwatched = [
        f"{name} ({'never probed' if gap is None else f'{gap:.0f} s unwatched'})"
        for name, gap in gaps.items()
        if gap is None or gap > 3 * interval_s
    ]
    if unwatched:
        return inconclusive(f"{seen}; not watched throughout: {some(unwatched)}.", **details)
    watched_s = min(float((part["ended"].max() - part["begun"].min()).total_seconds()) for _, part in rows.groupby("function"))
    if watched_s < window_s - 3 * interval_s:
        return inconclusive(f"{seen}; {watched_s:.0f} s of the window's {window_s:g} s were watched.", **details)
    slowest = float(rows["seconds"].max())
    return passed(f"{seen} over {watched_s:.0f} s; the slowest answer took {slowest:.2f} s.", **details)


@check(
    "window.verification_in_time",
    title="Verification within its time after the window",
    items=("POST-6",),
    harm="The release served patients unverified for longer than the guide allows.",
    fix="Note why it took longer; the checks themselves stay valid.",
    empty="No table is read: two times are compared. A missing one is INCONCLUSIVE.",
)
def verification_in_time(*, window_ended: datetime | str | None, verified_at: datetime | str | None, limit_minutes: float) -> Outcome:
    """The verification ended within *limit_minutes* of the window's end. Times carry their zone."""
    if window_ended is None or verified_at is None:
        missing = "no window was run in this deployment" if window_ended is None else "the verification has not ended"
        return inconclusive(f"Not to be said yet: {missing}.", limit=limit_minutes)
    began, ended = _moment(window_ended), _moment(verified_at)
    minutes = (ended - began).total_seconds() / 60
    table = pd.DataFrame({"what": ["end of the window", "end of the verification"], "at": [began, ended]})
    if minutes < 0:
        return unmeasured("The verification ended before the window did: run it again after the window.", table=table, limit=limit_minutes)
    seen = f"The verification ended {minutes:.1f} minutes after the window; {limit_minutes:g} are allowed."
    return (passed if minutes <= limit_minutes else failed)(seen, table=table, measured=round(minutes, 1), limit=limit_minutes)


def _none(counts: pd.DataFrame, columns: tuple[str, ...], seen: pd.DataFrame, minimum: float, what: str, many: str = "") -> Outcome:
    return judge_zero(logs.total(counts, *columns), logs.total(counts, "n"), minimum, logs.is_alive(seen), what, table=counts, many=many)


def down_so_far(probes: pd.DataFrame, *, names: Iterable[str], status: int = 200) -> float:
    """The seconds of downtime, as `downtime` counts them, in what has been watched so far."""
    wanted = sorted(set(names))
    return 0.0 if probes.empty else _down(_judged(probes, wanted, status), wanted)[0]


def _judged(probes: pd.DataFrame, wanted: list[str], status: int) -> pd.DataFrame:
    """The probes of *wanted* in order of time, with when each begun and ended, and whether it was good."""
    known(probes, "at", "function", "seconds")
    rows = probes[probes["function"].isin(wanted)]
    begun = pd.to_datetime(rows["at"], utc=True)
    ended = begun + pd.to_timedelta(rows["seconds"].astype("float64"), unit="s")
    good = (pd.to_numeric(rows["status"], errors="coerce") == status).fillna(False).astype(bool)
    return rows.assign(begun=begun, ended=ended, good=good).sort_values("begun", kind="stable")


def _down(rows: pd.DataFrame, wanted: list[str]) -> tuple[float, list[dict[str, object]]]:
    intervals = [interval for name in wanted for interval in _failures(name, rows[rows["function"] == name])]
    return _union_s([(each["failed_at"], each["good_again_at"]) for each in intervals]), intervals


def _failures(name: str, rows: pd.DataFrame) -> list[dict[str, object]]:
    """The intervals in which *name* may have been down, from its probes in order of time."""
    found: list[dict[str, object]] = []
    since, probes, what = None, 0, set[str]()
    last_good = None
    for row in rows.itertuples():
        if row.good:
            if probes:
                found.append(_interval(name, since, row.begun, probes, what))
            last_good, probes, what = row.begun, 0, set()
        else:
            since = since if probes else (last_good if last_good is not None else row.begun)
            probes, what = probes + 1, what | {_what(row)}
    if probes:
        found.append(_interval(name, since, rows["ended"].max(), probes, what))
    return found


def _what(row: object) -> str:
    status = getattr(row, "status", None)
    return "no answer" if status is None or pd.isna(status) or not status else f"{status:.0f}"


def _interval(name: str, since: object, until: object, probes: int, what: set[str]) -> dict[str, object]:
    seconds = (pd.Timestamp(until) - pd.Timestamp(since)).total_seconds()  # type: ignore[arg-type]
    return {
        "function": name,
        "failed_at": since,
        "good_again_at": until,
        "seconds": seconds,
        "probes": probes,
        "what": ", ".join(sorted(what)),
    }


def _union_s(intervals: list[tuple[object, object]]) -> float:
    """The seconds covered by at least one interval."""
    covered, end = 0.0, None
    for start, stop in sorted((pd.Timestamp(a), pd.Timestamp(b)) for a, b in intervals):  # type: ignore[arg-type]
        begin = start if end is None else max(start, end)
        covered += max(0.0, (stop - begin).total_seconds())
        end = stop if end is None else max(end, stop)
    return covered


def _longest_gap_s(rows: pd.DataFrame) -> float | None:
    """The longest time between the end of one probe and the beginning of the next; None without probes."""
    if rows.empty:
        return None
    gaps = (rows["begun"] - rows["ended"].shift()).dt.total_seconds().dropna()
    return max(0.0, float(gaps.max())) if len(gaps) else 0.0


def _watched(rows: pd.DataFrame) -> pd.DataFrame:
    """How each function was watched, where nothing failed."""
    grouped = rows.groupby("function")
    return pd.DataFrame({
        "function": list(grouped.groups),
        "probes": grouped.size().to_list(),
        "median_s": grouped["seconds"].median().to_list(),
        "slowest_s": grouped["seconds"].max().to_list(),
        "from": grouped["begun"].min().to_list(),
        "to": grouped["ended"].max().to_list(),
    })  # fmt: skip


def _moment(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        raise SourceNonsense("a time carries no zone; expected one like 2026-01-31T12:00:00+00:00")
    return moment
