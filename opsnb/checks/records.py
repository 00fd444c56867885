"""Are the cumulative records current, whole and well formed (POST-2, H4-2). Only counts come in, never a record.

Tables in: `record_recent`, `record_shape`, `required_nulls` and `record_updates` of opsnb/sql/postgres.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

COUNTED_UP_TO = 10_000
"""`required_nulls` counts no further."""


def shape_params(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """What `record_shape` asks of a record's JSON Schema: required_keys, array_keys, item_arrays, item_keys.

    Read are `required`, properties of type array, and the `required` of their items; the rest of a schema is not judged in SQL.
    """
    properties = schema.get("properties", {})
    arrays = {key: rule for key, rule in properties.items() if rule.get("type") == "array"}
    pairs = [(key, item) for key, rule in arrays.items() for item in rule.get("items", {}).get("required", [])]
    return {
        "required_keys": list(schema.get("required", [])),
        "array_keys": list(arrays),
        "item_arrays": [key for key, _ in pairs],
        "item_keys": [item for _, item in pairs],
    }


@check(
    "records.recent_merge",
    title="The recent-merge query answers in time",
    items=("POST-2.1",),
    fix="Slow: look for an index on the column of the last update. Nothing recent: sign a note for the test patient, then ask again.",
    empty="INCONCLUSIVE: no record was updated in the period, so no recent merge can be shown.",
)
def recent_merge(recent: pd.DataFrame, *, seconds: float, limit_s: float, array: str = "") -> Outcome:
    """The guide's query took no more than *limit_s* (it took *seconds*) and shows recent records that are objects.

    Tables: `record_recent`. *array* is the key whose entries the guide counts. FAIL: too slow, or a recent record is no object.
    """
    if seconds > limit_s:
        return failed(f"The query took {seconds:.3f} s, limit {limit_s:g} s.", table=recent, measured=round(seconds, 4), limit=limit_s)
    details: dict[str, Any] = {"table": recent, "measured": round(seconds, 4), "limit": limit_s}
    if recent.empty:
        return inconclusive(f"The query took {seconds:.3f} s (limit {limit_s:g} s), but no record was updated in the period.", **details)
    known(recent, "number", "updated_s_ago")
    odd = sum(kind != "object" for kind in recent["kind"])  # a missing record counts too
    newest = float(recent["updated_s_ago"].min())
    if newest < 0:
        return failed(f"A record claims to be updated {-newest:,.0f} s in the future.", **details)
    if odd:
        return failed(f"{odd} of {counted(len(recent), 'recent record')} is no JSON object.", **details)
    sentence = f"{counted(len(recent), 'recent record')} in {seconds:.3f} s (limit {limit_s:g} s), the newest updated {newest:,.0f} s ago"
    if array:
        without = sum(not isinstance(counts, Mapping) or counts.get(array) is None for counts in recent["counts"])
        if without:
            return failed(f"{without} of {counted(len(recent), 'recent record')} without an array {array}.", **details)
    return passed(f"{sentence}.", **details)


@check(
    "records.shape",
    title="The record's structure is valid",
    items=("POST-2.2",),
    fix="Find the rows with the rule's condition as the database's owner; mend the merge function first, then the rows.",
    empty="ERROR: no rule was evaluated.",
)
def shape(rules: pd.DataFrame) -> Outcome:
    """None of the newest records breaks a rule of the declared shape.

    Tables: `record_shape` (one row per rule, also where nothing breaks it). INCONCLUSIVE where there is no record to look at.
    """
    if rules.empty:
        return unmeasured("No rule was evaluated.")
    known(rules, "rule", "key", "looked_at", "broken")
    of_records = rules[rules["key"] == ""]  # the other rules look at keys and entries
    looked_at = int((rules if of_records.empty else of_records)["looked_at"].max())
    broken = rules[rules["broken"] > 0].sort_values("broken", ascending=False, kind="stable")
    table = rules.sort_values(["broken", "rule", "key"], ascending=[False, True, True]).reset_index(drop=True)
    table["finding"] = [
        f"{broke:,} of {among:,} break it" if broke else "holds" if among else "nothing to look at"
        for broke, among in zip(table["broken"].astype(int), table["looked_at"].astype(int), strict=True)
    ]
    details: dict[str, Any] = {"table": table, "measured": int(rules["broken"].sum()), "limit": 0}
    if len(broken):
        worst = broken.iloc[0]
        key = f" ({worst['key']})" if worst["key"] else ""
        most = f"{worst['rule']}{key}, not so in {worst['broken']:,} of {worst['looked_at']:,}"
        return failed(f"{len(broken)} of {counted(len(rules), 'rule')} broken; most often: {most}.", **details)
    if not looked_at:
        return inconclusive("There is no updated record to look at.", **details)
    return passed(f"The newest {counted(looked_at, 'record')} break none of {counted(len(rules), 'rule')}.", **details)


@check(
    "records.no_nulls",
    title="No NULL in required fields",
    items=("POST-2.3",),
    fix="Fill the rows, then declare the column not null so that it stays so.",
    empty="INCONCLUSIVE: the release names no required column, so none was looked at.",
)
def no_nulls(columns: pd.DataFrame) -> Outcome:
    """No required column holds a NULL. Tables: `required_nulls`. A column that does not exist is FAIL."""
    if columns.empty:
        return inconclusive("The release names no required column, so none was looked at.")
    known(columns, "table_name", "column_name", "not_null")
    absent = columns[columns["nulls"].isna()]
    holed = columns[columns["nulls"].notna() & (columns["nulls"] > 0)]
    table = columns.copy()
    table["finding"] = [_nulls(nulls, declared) for nulls, declared in zip(columns["nulls"], columns["not_null"], strict=True)]
    total = int(holed["nulls"].sum())
    details: dict[str, Any] = {"table": table, "measured": total, "limit": 0}
    if len(absent):
        names = [f"{row.table_name}.{row.column_name}" for row in absent.itertuples()]
        return failed(f"{counted(len(absent), 'required column')} missing: {some(names)}.", **details)
    if len(holed):
        names = [f"{row.table_name}.{row.column_name}" for row in holed.itertuples()]
        return failed(f"{total:,} NULLs in {counted(len(holed), 'required column')}: {some(names)}.", **details)
    return passed(f"No NULL in {counted(len(columns), 'required column')}.", **details)


@check(
    "records.updated",
    title="Records are being updated",
    items=("H4-2",),
    fix="Read the log of the merging function for these minutes; run the merge again for the notes that are missing.",
    empty="ERROR: the query gave no row.",
)
def updated(updates: pd.DataFrame) -> Outcome:
    """Every note signed in the period, but for the newest moments, is in its patient's record. Tables: `record_updates`.

    INCONCLUSIVE: nothing was signed, or all of it only just now.
    """
    if updates.empty:
        return unmeasured("The query gave no row.")
    known(updates, "notes", "merged", "waiting", "not_merged", "without_record")
    row = updates.iloc[0]
    notes, merged, waiting, late = (int(row[name]) for name in ("notes", "merged", "waiting", "not_merged"))
    details: dict[str, Any] = {"table": updates, "measured": late, "limit": 0}
    if late:
        oldest = row["oldest_not_merged_s"]
        since = f", the oldest signed {float(oldest) / 60:,.0f} min ago" if pd.notna(oldest) else ""
        absent = f"; {int(row['without_record'])} have no record at all" if row["without_record"] else ""
        return failed(f"{late} of {counted(notes, 'signed note')} not in the patient's record{since}{absent}.", **details)
    if not notes:
        return inconclusive("No note was signed in the period, so no update can be shown; one signed note decides.", **details)
    if not merged:
        return inconclusive(f"{counted(waiting, 'note')} signed only just now and not merged yet; ask again in a minute.", **details)
    if merged + waiting < notes:
        return warned(f"{merged} of {counted(notes, 'signed note')} merged; the rest is not accounted for.", **details)
    fresh = f", {waiting} just signed" if waiting else ""
    return passed(f"{merged} of {counted(notes, 'signed note')} are in the patient's record{fresh}.", **details)


def _nulls(nulls: float, declared_not_null: bool) -> str:
    if pd.isna(nulls):
        return "the column does not exist"
    if nulls >= COUNTED_UP_TO:
        return f"{COUNTED_UP_TO:,} NULLs or more"
    if nulls:
        return f"{int(nulls):,} NULLs"
    return "declared not null" if declared_not_null else "no NULL"
