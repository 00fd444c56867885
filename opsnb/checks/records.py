"""Are the cumulative records current, whole and well formed (POST-2, H4-2). Only counts come in, never a record.

Tables in: `record_recent`, `required_nulls` and `record_updates` of opsnb/sql/postgres, and what opsnb.sources.shape_sql counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

COUNTED_UP_TO = 10_000
"""`required_nulls` counts no further."""
FUTURE_S = 5
"""A record updated while the question was on its way is newer than the question."""
_UNREAD = {
    "row security": "row security hides rows from the role that reads",
    "no right": "the role that reads has no right to it",
    "too large": "too large to read whole, and no index begins with it",
}


def array_keys(schema: Any) -> list[str]:
    """The keys of a record that its JSON Schema says hold arrays, followed through references within the schema."""

    def meant(rule: Any, left: int = 16) -> Mapping[str, Any]:
        if not isinstance(rule, Mapping):
            return {}
        reference = str(rule.get("$ref", ""))
        target = schema
        for token in reference.split("/")[1:] if reference.startswith("#/") and left else ():
            target = target.get(token.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, Mapping) else {}
        return {**(meant(target, left - 1) if target is not schema else {}), **rule}

    properties = meant(schema).get("properties")
    named = properties if isinstance(properties, Mapping) else {}
    return [str(key) for key, rule in named.items() if meant(rule).get("type") == "array"]


@check(
    "records.recent_merge",
    title="The recent-merge query answers in time",
    items=("POST-2.1",),
    harm="New notes reach the record late or not at all: the next clinician decides on an old history.",
    fix="Slow: look for an index on the column of the last update. Nothing recent: sign a note for the test patient, then ask again.",
    empty="INCONCLUSIVE: no record was updated in the period, so no recent merge can be shown.",
)
def recent_merge(recent: pd.DataFrame, *, seconds: float, limit_s: float, array: str = "", hint: str = "") -> Outcome:
    """The guide's query took no more than *limit_s* (it took *seconds*, measured here) and shows recent records that are objects.

    Tables: `record_recent`. *array* is the key whose entries the guide counts, *hint* why it is slow. FAIL: too slow, no object, no array.
    """
    details: dict[str, Any] = {"table": recent, "measured": round(seconds, 4), "limit": limit_s}
    if not seconds <= limit_s:  # not a number is no good time either
        return failed(f"The query took {seconds:.3f} s, limit {limit_s:g} s. {hint}".rstrip(), **details)
    if recent.empty:
        return inconclusive(f"The query took {seconds:.3f} s (limit {limit_s:g} s), but no record was updated in the period.", **details)
    known(recent, "number", "updated_s_ago")
    odd = sum(kind != "object" for kind in recent["kind"])  # a missing record counts too
    newest = float(recent["updated_s_ago"].min())
    if newest < -FUTURE_S:
        return failed(f"A record claims to be updated {-newest:,.0f} s in the future.", **details)
    if odd:
        return failed(f"{odd} of {counted(len(recent), 'recent record')} is no JSON object.", **details)
    took = f"{counted(len(recent), 'recent record')} in {seconds:.3f} s (limit {limit_s:g} s)"
    if array:
        without = sum(not isinstance(counts, Mapping) or counts.get(array) is None for counts in recent["counts"])
        if without:
            return failed(f"{without} of {counted(len(recent), 'recent record')} without an array {array}.", **details)
    return passed(f"{took}, the newest updated {max(newest, 0):,.0f} s ago.", **details)


@check(
    "records.shape",
    title="The record's structure is valid",
    items=("POST-2.2",),
    harm="The record is there and cannot be read: sections of the history are missing on the screen.",
    fix="Find the rows with the rule's condition as the database's owner; mend the merge function first, then the rows. "
    "A rule that is not judged: say it in other words of JSON Schema, or have somebody look at the records.",
    empty="ERROR: no rule was evaluated.",
)
def shape(rules: pd.DataFrame) -> Outcome:
    """None of the newest records breaks a rule of the release's JSON Schema, or one of the record itself and the note it names.

    Tables: one row per rule, also where nothing breaks it: rule (JSON pointer), keyword, where, looked_at, seen, records, violations,
    not_judged. INCONCLUSIVE where there is no record to look at, or where a rule could not be judged.
    """
    if rules.empty:
        return unmeasured("No rule was evaluated.")
    known(rules, "rule", "keyword", "where", "looked_at", "not_judged")
    judged = rules[rules["not_judged"] == ""]
    known(judged, "seen", "records", "violations")
    left_out = rules[rules["not_judged"] != ""]
    broken = judged[judged["violations"] > 0].sort_values("records", ascending=False, kind="stable")
    looked_at = int(rules["looked_at"].max())
    rest = judged[judged["violations"] <= 0]
    table = pd.concat([broken, left_out, rest[rest["seen"] > 0], rest[rest["seen"] <= 0]]).reset_index(drop=True)
    told = [_told(row) for row in table.to_dict("records")]
    table = table[["where", "keyword", "records", "violations", "rule"]].rename(columns={"rule": "rule of the schema"})
    table.insert(0, "severity", [severity for severity, _ in told])
    table.insert(1, "finding", [finding for _, finding in told])
    details: dict[str, Any] = {"table": table, "measured": int(judged["violations"].sum()), "limit": 0}
    unknown = f"{counted(len(left_out), 'rule')} not judged: {some([_not_judged(row) for row in left_out.to_dict('records')])}"
    if len(broken):
        worst = broken.iloc[0]
        most = f"{_named(worst.to_dict())}, in {counted(int(worst['records']), 'record')} of {looked_at:,}"
        also = f" {unknown[:1].upper()}{unknown[1:]}." if len(left_out) else ""
        return failed(f"{len(broken)} of {counted(len(judged), 'rule')} broken; most often: {most}.{also}", **details)
    if not looked_at:
        return inconclusive("There is no updated record to look at.", **details)
    sound = f"The newest {counted(looked_at, 'record')} break none of {counted(len(judged), 'rule')}"
    if len(left_out):
        return inconclusive(
            f"The newest {counted(looked_at, 'record')} break none of {counted(len(judged), 'rule')}, but {unknown}.", **details
        )
    idle = int((judged["seen"] <= 0).sum())
    met = f"; {idle} of them met no value" if idle else ""
    return passed(f"{sound}{met}.", **details)


def _named(rule: Mapping[Any, Any]) -> str:
    """A rule in a sentence: its place and keyword, or the sentence it is."""
    return str(rule["where"]) if not rule["rule"] and rule["keyword"] in ("record", "note") else f"{rule['where']}: {rule['keyword']}"


def _not_judged(rule: Mapping[Any, Any]) -> str:
    return f"{rule['rule'] or rule['where']} ({rule['not_judged']})"


def _told(rule: Mapping[Any, Any]) -> tuple[str, str]:
    """How bad a rule's row is, and a sentence."""
    if rule["not_judged"] != "":
        return "undecided", f"not judged: {rule['not_judged']}"
    seen, records, violations = int(rule["seen"]), int(rule["records"]), int(rule["violations"])
    if violations:
        return "error", f"{violations:,} of {counted(seen, 'value')} break it, in {counted(records, 'record')}"
    return "note", f"holds for {counted(seen, 'value')}" if seen else "nothing to look at"


@check(
    "records.no_nulls",
    title="No NULL in required fields",
    items=("POST-2.3",),
    harm="The app breaks on the first such row, or shows a patient without a name or a date.",
    fix="Fill the rows, then declare the column not null so that it stays so.",
    empty="INCONCLUSIVE: the release names no required column, so none was looked at.",
)
def no_nulls(columns: pd.DataFrame) -> Outcome:
    """No required column holds a NULL. Tables: `required_nulls`. A column that does not exist is FAIL."""
    if columns.empty:
        return inconclusive("The release names no required column, so none was looked at.")
    known(columns, "table_name", "column_name", "not_null")
    problems = columns["problem"].fillna("") if "problem" in columns.columns else pd.Series("", index=columns.index)
    unread = columns["nulls"].isna() & problems.isin(list(_UNREAD))
    absent = columns["nulls"].isna() & ~unread
    holed = columns["nulls"].notna() & (columns["nulls"] > 0)
    told = [_nulls(*each) for each in zip(columns["nulls"], columns["not_null"], problems, strict=True)]
    table = columns.drop(columns="problem", errors="ignore")
    table.insert(0, "severity", [severity for severity, _ in told])
    table["finding"] = [finding for _, finding in told]
    table = table.iloc[table["severity"].map({"error": 0, "unmeasured": 1, "note": 2}).argsort(kind="stable")].reset_index(drop=True)
    total = int(columns.loc[holed, "nulls"].sum())
    details: dict[str, Any] = {"table": table, "measured": total, "limit": 0}
    where = [f"{row.table_name}.{row.column_name}" for row in columns.itertuples()]

    def names(which: pd.Series[bool]) -> str:
        return some([name for name, chosen in zip(where, which, strict=True) if chosen])

    wrong = [f"{counted(int(absent.sum()), 'required column')} missing: {names(absent)}"] if absent.any() else []
    if holed.any():
        wrong.append(f"{total:,} NULL{'' if total == 1 else 's'} in {counted(int(holed.sum()), 'required column')}: {names(holed)}")
    if wrong:
        return failed(f"{'; '.join(wrong)}.", **details)
    if unread.any():
        why = _UNREAD[str(problems[unread].iloc[0])]
        return unmeasured(f"{counted(int(unread.sum()), 'required column')} could not be read ({why}): {names(unread)}.", **details)
    return passed(f"No NULL in {counted(len(columns), 'required column')}.", **details)


@check(
    "records.updated",
    title="Records are being updated",
    items=("H4-2",),
    harm="A signed note is not in the patient's record: an allergy told today is unknown tomorrow.",
    fix="Read the log of the merging function for these minutes; run the merge again for the notes that are missing.",
    empty="ERROR: the query gave no row.",
)
def updated(updates: pd.DataFrame) -> Outcome:
    """Every note signed in the period, but for the newest moments, is in its patient's record. Tables: `record_updates`.

    FAIL also where a note was signed, or a record updated, in the future: such times prove nothing. ERROR where row security hides rows.
    INCONCLUSIVE: nothing was signed, or all of it only just now.
    """
    if updates.empty:
        return unmeasured("The query gave no row.")
    known(updates, "notes", "merged", "waiting", "not_merged", "without_record")
    row = updates.iloc[0]
    if bool(row.get("hidden", False)):
        return unmeasured("Row security hides notes or records from the role that reads, so they cannot be counted; it needs BYPASSRLS.")
    notes, merged, waiting, late = (int(row[name]) for name in ("notes", "merged", "waiting", "not_merged"))
    details: dict[str, Any] = {"table": updates, "measured": late, "limit": 0}
    wrong = []
    if late:
        oldest = row["oldest_not_merged_s"]
        since = f", the oldest signed {float(oldest) / 60:,.0f} min ago" if pd.notna(oldest) else ""
        absent = f"; {int(row['without_record'])} have no record at all" if row["without_record"] else ""
        untimed = f"; {int(row['never_updated'])} have a record without a time of its update" if row.get("never_updated", 0) else ""
        wrong.append(f"{late} of {counted(notes, 'signed note')} not in the patient's record{since}{absent}{untimed}")
    for column, one, many in (
        ("notes_in_future", "note is signed", "notes are signed"),
        ("records_in_future", "note has a record updated", "notes have a record updated"),
    ):
        if number := int(row.get(column, 0)):
            wrong.append(counted(number, f"{one} in the future", f"{many} in the future"))
    if wrong:
        return failed(f"{'; '.join(wrong)}.", **details)
    if not notes:
        return inconclusive("No note was signed in the period, so no update can be shown; one signed note decides.", **details)
    if not merged:
        return inconclusive(f"{counted(waiting, 'note')} signed only just now and not merged yet; ask again in a minute.", **details)
    if merged + waiting < notes:
        return warned(f"{merged} of {counted(notes, 'signed note')} merged; the rest is not accounted for.", **details)
    fresh = f", {waiting} just signed" if waiting else ""
    return passed(f"{merged} of {counted(notes, 'signed note')} are in the patient's record{fresh}.", **details)


def _nulls(nulls: float, declared_not_null: bool, problem: str) -> tuple[str, str]:
    """How bad a column is, and a sentence."""
    if pd.isna(nulls) and problem in _UNREAD:
        return "unmeasured", _UNREAD[problem]
    if pd.isna(nulls):
        return "error", "the table does not exist" if problem == "no table" else "the column does not exist"
    if nulls >= COUNTED_UP_TO:
        return "error", f"{COUNTED_UP_TO:,} NULLs or more"
    if nulls:
        return "error", f"{int(nulls):,} NULL{'' if nulls == 1 else 's'}"
    return "note", "declared not null" if declared_not_null else "no NULL"
