"""Do sequences and transaction ids have room left (S5-10).

Tables in: `transaction_ids` and `schema_sequences` of opsnb/sql/postgres.
"""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, passed, unmeasured, warned

SEQUENCE_WARN, SEQUENCE_FAIL = 0.80, 0.95
"""Shares of a sequence, or of what its column can hold."""
IDS = 2**31
"""After so many ids without freezing the server takes no more writes (a little before)."""
IDS_FAIL = 0.5
"""Share of them at which somebody must act: what is left may be used within days while a vacuum takes as long."""
BEHIND = 1.2
"""Autovacuum forces freezing at its limit; this far beyond it does not keep up."""
_COLUMNS = ("severity", "kind", "object", "used", "capacity", "share", "finding")


@check(
    "schema.room_left",
    title="Sequences and transaction ids have room left",
    items=("S5-10",),
    harm="At its end a sequence refuses every insert; at wraparound the server refuses every write.",
    fix="Sequence: change column and sequence to bigint in a migration. Transaction ids: find what holds vacuum back (old transactions, "
    "replication slots, prepared transactions), then vacuum (freeze) the oldest tables.",
    empty="ERROR: the server told no age of its transaction ids.",
)
def room_left(ages: pd.DataFrame, sequences: pd.DataFrame) -> Outcome:
    """No sequence is near its end (or its column's), and no database near the wraparound of its transaction or multixact ids.

    Tables: `transaction_ids`, `schema_sequences` (none is healthy). Sequences: WARN above 80 %, FAIL above 95 %. Ids: WARN where
    autovacuum is 20 % behind its limit, FAIL above half of 2^31. A sequence whose value the role may not read is ERROR.
    """
    known(ages, "kind", "database", "age", "freeze_at")
    known(sequences, "schema", "name", "capacity", "feeds")
    if ages.empty:
        return unmeasured("The server told no age of its transaction ids.")
    rows: list[dict[str, object]] = []
    hidden: list[str] = []
    for row in sequences.to_dict("records"):
        name = f"{row['schema']}.{row['name']}"
        if pd.isna(row["used"]):
            hidden.append(name)
            continue
        share = float(row["used"]) / float(row["capacity"])
        severity = "error" if share > SEQUENCE_FAIL else "warning" if share > SEQUENCE_WARN else "ok"
        left = f"{share:.0%} used, it feeds {row['feeds']}"
        rows.append(_row(severity, "sequence", name, float(row["used"]), float(row["capacity"]), left))
    for row in ages.to_dict("records"):
        age, limit = float(row["age"]), float(row["freeze_at"])
        severity = "error" if age > IDS_FAIL * IDS else "warning" if age > BEHIND * limit else "ok"
        said = f"{age:,.0f} old; autovacuum forces freezing at {limit:,.0f}"
        rows.append(_row(severity, str(row["kind"]), str(row["database"]), age, float(IDS), said))
    rows.sort(key=lambda each: -float(str(each["share"])))
    table = findings(rows, _COLUMNS, worst_first=("error", "warning", "ok"))
    fullest = rows[0]
    details = {"table": table, "measured": round(float(str(fullest["share"])), 4), "limit": SEQUENCE_FAIL}
    worst = [row for row in rows if row["severity"] == "error"]
    near = [row for row in rows if row["severity"] == "warning"]
    if worst:
        return failed(f"{_named(worst)} near the end: {worst[0]['finding']}.", **details)
    if hidden:
        return unmeasured(f"{counted(len(hidden), 'sequence')} may not be read ({some(hidden)}): grant select on them.", **details)
    if near:
        return warned(f"{_named(near)} to be looked at: {near[0]['finding']}.", **details)
    return passed(
        f"{counted(len(sequences), 'sequence')} and the ids of {counted(ages['database'].nunique(), 'database')} have room; "
        f"the fullest is {fullest['object']} ({fullest['kind']}) at {float(str(fullest['share'])):.1%}.",
        **details,
    )


def _row(severity: str, kind: str, name: str, used: float, capacity: float, finding: str) -> dict[str, object]:
    share = used / capacity
    return {"severity": severity, "kind": kind, "object": name, "used": used, "capacity": capacity, "share": share, "finding": finding}


def _named(rows: list[dict[str, object]]) -> str:
    names = [f"{row['object']} ({row['kind']})" for row in rows]
    return f"{some(names)} {'is' if len(names) == 1 else 'are'}"
