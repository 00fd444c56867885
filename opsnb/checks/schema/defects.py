"""Does the catalogue hold objects that do not do their work (S5-10).

Tables in: `relations` and `schema_errors` of opsnb/sql/postgres.
"""

from __future__ import annotations

import pandas as pd

from opsnb.checks.schema.expected import BASE_TABLES
from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, check, failed, passed, warned


@check(
    "schema.no_errors",
    title="No schema errors",
    items=("S5-10",),
    harm="Something looks deployed and does nothing: an invalid index, a constraint that was never checked, a disabled trigger.",
    fix="Each row says what to run; then run this phase again.",
    empty="FAIL: no table was looked at, so no defect could be seen.",
)
def no_errors(relations: pd.DataFrame, defects: pd.DataFrame) -> Outcome:
    """Nothing in the catalogue exists without doing its work.

    Tables: `relations` (what was looked at), `schema_errors` (none is healthy). FAIL for invalid, unvalidated or unenforced constraints,
    invalid indexes, disabled triggers, rules and event triggers, half detached partitions, tables whose changes a publication refuses,
    foreign tables out of reach. WARN for tables without primary key, unlogged or without partitions, foreign keys between types, indexes
    being built. Bodies, room and drift are checks of their own.
    """
    known(relations, "schema", "name", "kind")
    known(defects, "severity", "kind", "object", "detail")
    looked_at = int(relations["kind"].isin(BASE_TABLES).sum()) if not relations.empty else 0
    if not looked_at:
        return failed("No table was found in the schemas, so no defect could be seen.")
    errors = defects[defects["severity"] != "warning"] if not defects.empty else defects
    details = {"table": defects, "measured": len(errors), "limit": 0}
    of_what = f"in {counted(looked_at, 'table')}"
    if len(errors):
        return failed(f"{counted(len(errors), 'defect')} {of_what}: {_kinds(errors)}; the first is {_first(errors)}.", **details)
    if len(defects):
        return warned(f"No defect {of_what}, but {counted(len(defects), 'warning')}: {_kinds(defects)}.", **details)
    return passed(f"No invalid constraint or index and no disabled trigger or rule {of_what}.", **details)


def _kinds(defects: pd.DataFrame) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in defects["kind"].value_counts().items())


def _first(defects: pd.DataFrame) -> str:
    row = defects.iloc[0]
    table = str(row["table_name"]) if "table_name" in defects else ""
    return f"{row['object']} of {table}" if table and table != row["object"] else str(row["object"])
