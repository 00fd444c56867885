"""Does the server answer, in time, with room to spare (PRE-2.3, POST-5.2, POST-5.3, MON-3, H0-2, H0-4, H4-3).

Tables in: `server`, `activity` and `connections` of opsnb/sql/postgres; timed answers; samples of the metrics endpoint (`name`, `value`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

_TOO_LONG = "has been running for longer than the limit"
_SESSIONS = ("pid", "role", "application", "state", "statement", "seconds", "finding")


@check(
    "health.runaway",
    title="No runaway query",
    items=("POST-5.2",),
    harm="It takes the processor and the disk from everybody, and holds back vacuum as long as it runs.",
    fix="Ask the owner of the application, then select pg_cancel_backend(<pid>); look at its plan before it runs again.",
    empty="ERROR: not even the asking session is in the answer, so sessions were not read.",
)
def runaway(activity: pd.DataFrame, *, limit_s: float) -> Outcome:
    """No statement has been running for longer than *limit_s*. Tables: `activity` (a moment, not a period)."""
    others = _others(activity)
    running = others[others["query_s"].notna()] if len(others) else others
    over = running[running["query_s"] > limit_s].to_dict("records") if len(running) else []
    rows = [_session(row, row["query_s"], _TOO_LONG) for row in over]
    longest = float(running["query_s"].max()) if len(running) else 0.0
    details: dict[str, Any] = {"table": findings(rows, _SESSIONS), "measured": round(longest, 3), "limit": limit_s}
    if rows:
        return failed(
            f"{counted(len(rows), 'statement')} running for longer than {limit_s:g} s, the longest for {longest:,.0f} s.", **details
        )
    of = counted(len(others), "other session")
    return passed(f"{len(running)} of {of} running a statement, longest {longest:.1f} s; limit {limit_s:g} s.", **details)


@check(
    "health.stuck",
    title="No stuck or hanging query",
    items=("H4-3",),
    harm="Whoever needs the same rows waits behind it, and each of them holds a connection.",
    fix="End the session that holds the lock or the transaction, select pg_terminate_backend(<pid>); then mend the code that left it open.",
    empty="ERROR: not even the asking session is in the answer, so sessions were not read.",
)
def stuck(activity: pd.DataFrame, *, limit_s: float) -> Outcome:
    """No statement runs, no transaction idles and no session waits for a lock for longer than *limit_s*.

    Tables: `activity`. FAIL for any over the limit. WARN: sessions wait for a lock, none for that long yet.
    """
    others = _others(activity)
    rows, waiting = [], []
    for row in others.to_dict("records"):
        blockers = [str(pid) for pid in row["blocked_by"]]
        if blockers:
            # pg_stat_activity has no age of a wait: the statement cannot have waited for longer than it runs
            if _over(row["query_s"], limit_s):
                rows.append(_session(row, row["query_s"], f"waits for a lock held by {some(blockers)}"))
            else:
                waiting.append(_session(row, row["query_s"], f"waits for a lock held by {some(blockers)}"))
        elif row["state"] == "active" and _over(row["query_s"], limit_s):
            rows.append(_session(row, row["query_s"], _TOO_LONG))
        elif str(row["state"]).startswith("idle in transaction") and _over(row["state_s"], limit_s):
            rows.append(_session(row, row["state_s"], "holds a transaction open and does nothing"))
    table = findings([*sorted(rows, key=lambda row: -row["seconds"]), *waiting], _SESSIONS)
    details: dict[str, Any] = {"table": table, "measured": len(rows), "limit": 0}
    if rows:
        kinds = list(dict.fromkeys(str(row["finding"]) for row in rows))
        return failed(f"{counted(len(rows), 'session')} stuck for longer than {limit_s:g} s: {some(kinds, 1)}.", **details)
    if waiting:
        return warned(f"{counted(len(waiting), 'session')} waiting for a lock, none for {limit_s:g} s yet.", **details)
    return passed(f"None of {counted(len(others), 'other session')} is stuck; limit {limit_s:g} s.", **details)


@check(
    "health.connections",
    title="Database connections are below their limit",
    items=("POST-5.3", "MON-3", "H0-4"),
    harm="The next callers are refused: “too many clients” stops every function at once.",
    fix="Find the role with the most idle sessions in the table; lower its pool or mend the code that does not give connections back.",
    empty="ERROR: not even the asking session was counted, so sessions were not read.",
)
def connections(sessions: pd.DataFrame, *, limit_share: float) -> Outcome:
    """Client sessions use no more than *limit_share* of the connections the server leaves to ordinary roles. Tables: `connections`."""
    if sessions.empty:
        return unmeasured("No session was counted, not even the asking one.")
    known(sessions, "role", "state", "sessions", "max_connections", "reserved_connections")
    used = int(sessions["sessions"].sum())
    usable = int(sessions["max_connections"].max() - sessions["reserved_connections"].max())
    if usable <= 0:
        raise SourceNonsense("the server leaves no connection to ordinary roles; max_connections was not read right")
    share = used / usable
    verdict = passed if share <= limit_share else failed
    sentence = f"{used} of {usable} usable connections in use ({share:.0%}), limit {limit_share:.0%}."
    return verdict(sentence, table=sessions, measured=round(share, 4), limit=limit_share)


_POOLS = (
    # pool, in use, available, size, waiting: sample names of the metrics endpoint
    ("data API", None, "pgrst_db_pool_available", "pgrst_db_pool_max", "pgrst_db_pool_waiting"),
    (
        "PgBouncer",
        "pgbouncer_databases_current_connections",
        None,
        "pgbouncer_databases_pool_size",
        "pgbouncer_pools_client_waiting_connections",
    ),
)


def pools(metrics: pd.DataFrame) -> pd.DataFrame:
    """The connection pools the metrics endpoint tells about: pool, used, size, waiting (samples of one name are added up)."""
    totals = _samples(metrics)
    rows = []
    for pool, used, available, size, waiting in _POOLS:
        capacity = totals.get(size)
        taken = totals.get(used) if used else None
        if available and capacity is not None and available in totals:
            taken = capacity - totals[available]
        if capacity and taken is not None:
            rows.append({"pool": pool, "used": taken, "size": capacity, "waiting": totals.get(waiting, math.nan)})
    return findings(rows, ("pool", "used", "size", "waiting"))


@check(
    "health.pool",
    title="The connection pools are not exhausted",
    items=("POST-5.3", "MON-3", "H0-4"),
    harm="Callers queue for a connection and time out while the database itself is idle.",
    fix="Look for functions that hold a connection across a wait; raise the pool's size only with room in max_connections.",
    empty="ERROR: the metrics endpoint gave no sample.",
)
def pool(metrics: pd.DataFrame, *, limit_share: float) -> Outcome:
    """Every pool known to the metrics endpoint is used to no more than *limit_share* and nobody waits for a connection.

    Tables: metrics samples (`name`, `value`). FAIL: over the limit, or clients waiting. INCONCLUSIVE: no pool is told about, or more is
    free than there is.
    """
    if metrics.empty:
        return unmeasured("The metrics endpoint gave no sample.")
    known_pools = pools(metrics)
    if known_pools.empty:
        return inconclusive("The metrics endpoint tells of no pool with a size; judge by the server's connections.", limit=limit_share)
    strange = known_pools[(known_pools["used"] < 0) | (known_pools["size"] < 0) | (known_pools["waiting"] < 0)]
    if len(strange):
        sentence = f"The metrics of the {some(strange['pool'].tolist())} pool do not add up: less than nothing is in use or waiting."
        return inconclusive(sentence, table=known_pools, limit=limit_share)
    table = known_pools.assign(share=known_pools["used"] / known_pools["size"])
    over = table["share"] > limit_share
    waits = table["waiting"] > 0
    table["finding"] = [_room(high, wait, waiting) for high, wait, waiting in zip(over, waits, table["waiting"], strict=True)]
    table = table.iloc[(-(table["share"] + waits)).argsort(kind="stable")].reset_index(drop=True)
    worst = table.iloc[0]
    waiting_now = "" if math.isnan(worst["waiting"]) else f", {worst['waiting']:.0f} waiting"
    of = f"{worst['used']:.0f} of {worst['size']:.0f}"
    sentence = f"{worst['pool']} pool: {of} in use ({worst['share']:.0%}){waiting_now}; limit {limit_share:.0%}."
    verdict = failed if bool((over | waits).any()) else passed
    return verdict(sentence, table=table, measured=round(float(worst["share"]), 4), limit=limit_share)


@check(
    "health.memory",
    title="The host has memory left",
    items=("H0-4",),
    harm="The server kills a process for memory, and every connection with it.",
    fix="Look at the largest sessions and at work_mem; a larger compute size needs a restart.",
    empty="ERROR: the metrics endpoint gave no sample.",
)
def memory(metrics: pd.DataFrame, *, limit_share: float) -> Outcome:
    """At least *limit_share* of the host's memory is available. Tables: metrics samples. INCONCLUSIVE where the host is not told about."""
    if metrics.empty:
        return unmeasured("The metrics endpoint gave no sample.")
    totals = _samples(metrics)
    free, whole = totals.get("node_memory_MemAvailable_bytes"), totals.get("node_memory_MemTotal_bytes")
    if free is None or not whole:
        return inconclusive("The metrics endpoint does not tell the host's memory here.", limit=limit_share)
    share = free / whole
    verdict = passed if share >= limit_share else failed
    sentence = f"{free / 2**30:.1f} of {whole / 2**30:.1f} GiB available ({share:.0%}), at least {limit_share:.0%} expected."
    return verdict(sentence, measured=round(share, 4), limit=limit_share)


@check(
    "health.response_time",
    title="The database answers in time",
    items=("H0-2",),
    harm="Every function is at least as slow as the database under it.",
    fix="Compare with the activity and lock tables; a slow first answer alone is the connection, not the server.",
    empty="ERROR: no answer was timed.",
)
def response_time(samples: pd.DataFrame, *, limit_ms: float, minimum: int = 5) -> Outcome:
    """The slowest of several timed answers is within *limit_ms*; median and 95th percentile are told with n.

    Tables: one row per answer, `milliseconds` (or `seconds`), null where it did not come. FAIL: the median is over the limit, or an
    answer did not come. WARN: only a slow one among quick ones. INCONCLUSIVE: fewer than *minimum* answers.
    """
    if samples.empty:
        return unmeasured("No answer was timed.")
    times = samples["milliseconds"] if "milliseconds" in samples.columns else samples["seconds"] * 1000.0
    taken = pd.to_numeric(times).dropna()
    lost = len(times) - len(taken)
    if taken.empty:
        return unmeasured(f"None of {counted(len(times), 'timed answer')} came.")
    median, high, worst = float(taken.quantile(0.5)), float(taken.quantile(0.95, interpolation="higher")), float(taken.max())
    details: dict[str, Any] = {"table": samples, "measured": round(median, 3), "limit": limit_ms}
    told = f"median {median:.1f} ms, 95th percentile {high:.1f} ms, slowest {worst:.1f} ms of n = {len(taken)}; limit {limit_ms:g} ms"
    if lost:
        return failed(f"{lost} of {len(times)} answers did not come; {told}.", **details)
    if median > limit_ms:
        return failed(f"Too slow: {told}.", **details)
    if len(taken) < minimum:
        return inconclusive(f"Only {counted(len(taken), 'timed answer')}, {minimum} are needed: {told}.", **details)
    if worst > limit_ms:
        return warned(f"Mostly quick: {told}.", **details)
    return passed(f"Quick: {told}.", **details)


def _others(activity: pd.DataFrame) -> pd.DataFrame:
    """The sessions that are not ours; raises where the view was not really read."""
    if activity.empty:
        raise SourceNonsense("not even the asking session is in the answer")
    known(activity, "pid", "own")
    own = activity["own"].astype(bool)
    if not own.any():
        raise SourceNonsense("the asking session is not in the answer")
    others = activity[~own]
    known(others, "state")  # null: the role may not see the session
    return others


def _session(row: Mapping[Any, Any], seconds: Any, finding: str) -> dict[str, Any]:
    told = {name: row[name] for name in ("pid", "role", "application", "state", "statement")}
    return {**told, "seconds": 0.0 if pd.isna(seconds) else float(seconds), "finding": finding}


def _room(over: bool, waits: bool, waiting: float) -> str:
    if over:
        return "over the limit"
    if waits:
        return "clients are waiting"
    return "has room; waiting clients are not told" if math.isnan(waiting) else "has room"


def _over(seconds: Any, limit: float) -> bool:
    return bool(pd.notna(seconds) and seconds > limit)


def _samples(metrics: pd.DataFrame) -> dict[str, float]:
    """Sum of the samples per name; a name of which one is no number is left out: a sum without it would be too small."""
    if metrics.empty:
        return {}
    known(metrics, "name")
    values = pd.to_numeric(metrics["value"], errors="coerce")
    finite = values.notna() & ~values.isin([math.inf, -math.inf])
    totals = metrics.assign(value=values)[~metrics["name"].isin(metrics.loc[~finite, "name"])].groupby("name")["value"].sum()
    return {str(name): float(total) for name, total in totals.items()}
