"""How the server keeps itself: deadlocks, cache, autovacuum, bloat. Tables in: `counters`, `vacuum_state`, `bloat` of opsnb/sql/postgres.

Counters are compared with a first reading, archived by the snapshot: since when a server counts says nothing about a deployment.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from opsnb.checks.storage import MB
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

MINIMUM_BLOCKS = 1_000
"""Fewer blocks asked for since the first reading say nothing about the cache."""
STALE_SHARE = 0.1
"""Changed rows beyond this share of a table make its statistics too old for an estimate."""
MATTERS_MB = 10.0
"""A smaller table costs nothing, however empty its pages are."""
_COUNTERS = ("deadlocks", "blocks_hit", "blocks_read")
_COUNTED = ("counter", "then", "now", "since")
_BLOATED = ("severity", "object", "heap_mb", "wasted_share", "trust")
_VACUUMED = ("severity", "object", "dead_rows", "threshold", "last_vacuum", "finding")


@check(
    "health.deadlocks",
    title="No deadlock since the deployment began",
    items=(),
    harm="Somebody's note was rolled back to let another's through; unless it is retried, it is lost.",
    fix="The server's log has both statements of each deadlock: let both take their locks in the same order.",
    empty="ERROR: the server gave no counters.",
)
def deadlocks(counters: pd.DataFrame, first: pd.DataFrame, *, limit: float) -> Outcome:
    """No more than *limit* deadlocks since the first reading. Tables: `counters` now, and as archived by the snapshot (may be empty).

    INCONCLUSIVE: no first reading, or the server was restarted or its counters reset since, so that some may be missing.
    """
    told, why = _since(counters, first)
    if told is None:
        return why
    count = int(told["deadlocks"])
    details: dict[str, Any] = {"table": told["table"], "measured": count, "limit": limit}
    since = f"since {told['since']}"
    if count > limit:
        return failed(f"{counted(count, 'deadlock')} {since}, limit {limit:g}.", **details)
    if told["lost"]:
        sentence = f"{counted(count, 'deadlock')} {since}; the server was restarted, or its counters reset, and may have lost some."
        return inconclusive(sentence, **details)
    return passed(f"{counted(count, 'deadlock')} {since}, limit {limit:g}.", **details)


@check(
    "health.cache",
    title="The database is read from its cache",
    items=(),
    harm="Reads wait for the disk: response times grow with every patient who is added.",
    fix="Look for a statement that scans what it used to find by an index; then at shared_buffers against the size of what is read.",
    empty="ERROR: the server gave no counters.",
)
def cache(counters: pd.DataFrame, first: pd.DataFrame, *, limit_share: float, minimum: int = MINIMUM_BLOCKS) -> Outcome:
    """At least *limit_share* of the blocks asked for since the first reading were in the cache. Tables: as `health.deadlocks`.

    INCONCLUSIVE: no first reading, or fewer than *minimum* blocks.
    """
    told, why = _since(counters, first)
    if told is None:
        return why
    hit, read = int(told["blocks_hit"]), int(told["blocks_read"])
    details: dict[str, Any] = {"table": told["table"], "limit": limit_share}
    if hit + read < minimum:
        return inconclusive(f"{hit + read:,} blocks since {told['since']}; {minimum:,} are needed to judge the cache.", **details)
    share = hit / (hit + read)
    sentence = f"{share:.1%} of {hit + read:,} blocks since {told['since']} were in the cache, at least {limit_share:.0%} expected."
    verdict = passed if share >= limit_share else failed
    return verdict(sentence, measured=round(share, 4), **details)


@check(
    "health.autovacuum",
    title="Autovacuum keeps up",
    items=(),
    harm="Dead rows fill pages and mislead the planner: queries slow down day by day, then all at once.",
    fix="After a large change wait a minute and run this again. Then vacuum (analyze) the table, and mend what keeps autovacuum from it: "
    "its settings, a lock held for long, more tables than its workers can serve.",
    empty="INCONCLUSIVE: the schemas have no table.",
)
def autovacuum(state: pd.DataFrame, *, grace_s: float = 300) -> Outcome:
    """No table has more dead rows than its threshold without ever having been vacuumed. Tables: `vacuum_state`.

    FAIL: such a table, one for which autovacuum is switched off, or a server on which it is, or does not count. WARN: vacuumed before,
    and twice over its threshold again. INCONCLUSIVE: the server has counted for less than *grace_s*, so that none could have come yet.
    """
    if state.empty:
        return inconclusive("The schemas have no table.")
    known(state, "schema", "name", "dead_rows", "threshold", "enabled", "autovacuum", "counted", "counting_since", "read_at")
    rows = [_vacuumed(row, grace_s) for row in state.to_dict("records")]
    table = findings(rows, _VACUUMED, worst_first=("error", "unmeasured", "warning", "note"))
    found = {severity: [row["object"] for row in rows if row["severity"] == severity] for severity in ("error", "unmeasured", "warning")}
    details: dict[str, Any] = {"table": table, "measured": len(found["error"]), "limit": 0}
    of = counted(len(rows), "table")
    server = state.iloc[0]
    if not server["counted"] or not server["autovacuum"]:
        setting = "autovacuum" if server["counted"] else "track_counts"
        return failed(f"The server does not vacuum by itself ({setting} is off).", **details)
    if found["error"]:
        first = table.iloc[0]
        return failed(f"{len(found['error'])} of {of} left to themselves: {first['object']}: {first['finding']}.", **details)
    if found["unmeasured"]:
        return inconclusive(f"The server counts since less than {grace_s:g} s; ask again for {some(found['unmeasured'])}.", **details)
    if found["warning"]:
        return warned(f"{len(found['warning'])} of {of} fall behind: {some(found['warning'])}.", **details)
    dead = int(sum(row["dead_rows"] for row in rows))
    return passed(f"None of {of} waits for a vacuum that never came; {counted(dead, 'dead row')} in all.", **details)


def _vacuumed(row: dict[Any, Any], grace_s: float) -> dict[str, Any]:
    dead, threshold, last = int(row["dead_rows"]), float(row["threshold"]), row["last_vacuum"]
    counting = (pd.to_datetime(row["read_at"], utc=True) - pd.to_datetime(row["counting_since"], utc=True)).total_seconds()
    severity, finding = "note", "below its threshold"
    if dead > threshold and not row["enabled"]:
        severity, finding = "error", "over its threshold, and autovacuum is switched off for it"
    elif dead > threshold and pd.isna(last):
        severity = "error" if counting >= grace_s else "unmeasured"
        finding = "over its threshold, and never vacuumed since the server counts"
    elif dead > 2 * threshold:
        severity, finding = "warning", "vacuumed before, and twice over its threshold again"
    elif dead > threshold:
        finding = "over its threshold: autovacuum is due"
    told = {"dead_rows": dead, "threshold": round(threshold), "last_vacuum": last, "finding": finding}
    return {"severity": severity, "object": f"{row['schema']}.{row['name']}", **told}


@check(
    "health.bloat",
    title="Tables are not much larger than their rows",
    items=(),
    harm="Reads touch more pages than they need, disk is paid for air, and a later repair locks longer.",
    fix="Unknown: analyze the table, or let the reading role see its statistics. Large: find what kept vacuum away, then pg_repack; "
    "vacuum (full) locks the table for as long as it takes.",
    empty="INCONCLUSIVE: the schemas have no table.",
)
def bloat(tables: pd.DataFrame, *, limit_share: float, matters_mb: float = MATTERS_MB) -> Outcome:
    """No table of *matters_mb* or more wastes over *limit_share* of its pages, as far as that can be estimated. Tables: `bloat`.

    INCONCLUSIVE: a table's estimate cannot be trusted, since its statistics are missing, not visible to this role, or older than a tenth
    of its rows. WARN: over the limit; an estimate alone stops no deployment. Indexes, and what is stored out of line, are not looked at.
    """
    if tables.empty:
        return inconclusive("The schemas have no table.")
    known(tables, "schema", "name", "heap_bytes", "expected_bytes", "estimated_rows", "columns", "columns_seen", "changed_rows")
    rows = [_wasted(row, limit_share) for row in tables.to_dict("records") if row["heap_bytes"] >= matters_mb * MB]
    table = findings(rows, _BLOATED, worst_first=("unmeasured", "warning", "note"))
    unknown = [f"{row['object']} ({row['trust']})" for row in rows if row["severity"] == "unmeasured"]
    over = [f"{row['object']} ({row['wasted_share']:.0%})" for row in rows if row["severity"] == "warning"]
    details: dict[str, Any] = {"table": table, "measured": len(over), "limit": limit_share}
    of = f"{counted(len(rows), 'table')} of {matters_mb:g} MB or more"
    large = f" Over the limit of {limit_share:.0%}: {some(over)}." if over else ""
    if unknown:
        return inconclusive(f"How much {len(unknown)} of {of} waste is unknown: {some(unknown)}.{large}", **details)
    if over:
        return warned(f"{len(over)} of {of} by their statistics waste over {limit_share:.0%}: {some(over)}.", **details)
    if not rows:
        return passed(f"None of {counted(len(tables), 'table')} is as large as {matters_mb:g} MB, where bloat begins to matter.", **details)
    return passed(f"None of {of} wastes over {limit_share:.0%}, by statistics that can be trusted.", **details)


def _wasted(row: dict[Any, Any], limit_share: float) -> dict[str, Any]:
    trust = _trust(row)
    told = {"object": f"{row['schema']}.{row['name']}", "heap_mb": round(row["heap_bytes"] / MB, 1), "trust": trust}
    if trust.startswith("unknown"):
        return {**told, "severity": "unmeasured", "wasted_share": None}
    share = max(0.0, 1 - row["expected_bytes"] / row["heap_bytes"])
    return {**told, "severity": "warning" if share > limit_share else "note", "wasted_share": round(share, 3)}


def _trust(row: dict[Any, Any]) -> str:
    """How far the estimate can be trusted, and why not."""
    rows, changed, unseen = int(row["estimated_rows"]), int(row["changed_rows"]), int(row["columns"]) - int(row["columns_seen"])
    if rows < 0:
        return "unknown: never analysed"
    if pd.isna(row["last_analyze"]):
        return "unknown: nobody knows how old its statistics are"
    # a table that was empty when it was analysed has statistics of no column
    if unseen and rows > 0:
        return f"unknown: the statistics of {counted(unseen, 'column')} are missing, or not visible to this role"
    if changed > STALE_SHARE * max(rows, 1):
        return f"unknown: {changed:,} rows changed since its statistics of {rows:,}"
    return f"good: {changed:,} rows changed since its statistics of {rows:,}"


def _since(counters: pd.DataFrame, first: pd.DataFrame) -> tuple[dict[str, Any], Outcome] | tuple[None, Outcome]:
    """What was counted since the first reading; None, with the outcome, where that cannot be said."""
    if counters.empty:
        return None, unmeasured("The server gave no counters.")
    now = known(counters, "database", "counted", "counting_since", "read_at", *_COUNTERS).iloc[0]
    if not now["counted"]:
        return None, inconclusive("The server does not count (track_counts is off).")
    if first.empty:
        why = "No first reading of this deployment to compare with: run the snapshot phase before the deployment."
        return None, inconclusive(why)
    then = known(first, "database", "counting_since", "read_at", *_COUNTERS).iloc[0]
    if then["database"] != now["database"]:
        return None, inconclusive("The first reading is another database's: it says nothing about this one.")
    if any(reading[name] < 0 for name in _COUNTERS for reading in (now, then)):
        raise SourceNonsense("a counter of the server is below zero")
    begun, read = pd.to_datetime(now["counting_since"], utc=True), pd.to_datetime(then["read_at"], utc=True)
    reset = any(now[name] < then[name] for name in _COUNTERS)
    since = begun if reset else read
    rows = [{"counter": name, "then": 0 if reset else int(then[name]), "now": int(now[name]), "since": since} for name in _COUNTERS]
    grown = {row["counter"]: row["now"] - row["then"] for row in rows}
    # without a drop a restart may still have lost some: what is counted is then the least there were
    told = {**grown, "lost": bool(reset or begun > read), "since": f"{since:%Y-%m-%d %H:%M} UTC", "table": findings(rows, _COUNTED)}
    return told, passed("")
