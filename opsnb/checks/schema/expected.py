"""Is the schema what the release says it is (runbook step 5).

Tables in: `relations`, `columns` and `routines` of opsnb/sql/postgres.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.schema.types import same_arguments, same_type, split_arguments
from opsnb.checks.tables import bare, counted, findings, known, named, some
from opsnb.verdicts import Outcome, check, failed, passed, warned

BASE_TABLES = ("table", "partitioned table")
_OBJECTS = ("object", "expected", "found", "ok", "finding")


def like(pattern: str, name: str) -> bool:
    """SQL's LIKE: ``%`` any text, ``_`` any one character, a backslash takes the next one literally."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(part) or re.escape(part[-1]) for part in parts), name, re.DOTALL) is not None


@check(
    "schema.record_columns",
    title="The table has its columns and types",
    items=("S5-1",),
    harm="Functions read or write a column that is missing or of another type, and fail or cut what they store.",
    fix="Apply the release's migrations, then run this phase again; a wrong type needs a migration of its own.",
    empty="FAIL: no column is there, so the table is not there.",
)
def record_columns(columns: pd.DataFrame, *, table: str, expected: Mapping[str, str]) -> Outcome:
    """*table* has every column of *expected* (name: type) with that type.

    Tables: `columns`. FAIL for a missing column or another type. An empty *expected* cannot pass. Where a name without a schema is in
    several, one of them must have all.
    """
    if not expected:
        return failed(f"The release names no column of {table}, so nothing can be shown.")
    known(columns, "schema", "table_name", "name", "type")
    found = _columns(columns, table, expected)
    rows = []
    for name, type_ in expected.items():
        actual = found.get(name)
        ok = actual is not None and same_type(actual, type_)
        finding = "as expected" if ok else "the column is missing" if actual is None else "the column has another type"
        rows.append({"object": f"{table}.{name}", "expected": type_, "found": actual or "absent", "ok": ok, "finding": finding})
    details = _details(rows)
    wrong = [str(row["object"]) for row in rows if not row["ok"]]
    if wrong:
        return failed(f"{len(wrong)} of {counted(len(expected), 'expected column')} of {table} not as expected: {some(wrong)}.", **details)
    return passed(f"{table} has all {counted(len(expected), 'expected column')} with their types.", **details)


@check(
    "schema.table_present",
    title="The table exists",
    items=(),
    harm="Whatever reads or writes it fails with 42P01 for every caller.",
    fix="Apply the migration that creates the table.",
    empty="FAIL: the schemas hold no table at all.",
)
def table_present(relations: pd.DataFrame, *, table: str) -> Outcome:
    """*table* exists as a table, not as a view of that name.

    Tables: `relations`. Ask once per table with `subject` and `items`.
    """
    kind = _kind(relations, table)
    row = {"object": table, "expected": "table", "found": kind or "absent", "ok": kind in BASE_TABLES}
    if kind is None:
        return failed(f"{table} does not exist.", **_details([{**row, "finding": "the table is missing"}]))
    if kind not in BASE_TABLES:
        return failed(f"{table} is a {kind}, not a table.", **_details([{**row, "finding": f"it is a {kind}"}]))
    return passed(f"{table} exists ({kind}).", **_details([{**row, "finding": "as expected"}]))


@check(
    "schema.pattern_tables",
    title="The further tables exist",
    items=("S5-7",),
    harm="Parts of the SOAP note have nowhere to be saved, or a table stands there that nobody declared.",
    fix="Apply the missing migrations; where there are more tables than declared, correct the count in the release.",
    empty="FAIL: the schemas hold no table at all.",
)
def pattern_tables(relations: pd.DataFrame, *, pattern: str, count: int, named: Sequence[str]) -> Outcome:
    """*count* tables beyond those in *named* have a name LIKE *pattern*.

    Tables: `relations`. Fewer: FAIL. More: WARN, the release does not know them.
    """
    if count < 1:
        return failed(f"The release expects {count} tables like {pattern}: nothing can be shown by that.")
    known(relations, "schema", "name", "kind")
    beyond = {bare(name) for name in named}
    tables = relations[relations["kind"].isin(BASE_TABLES)]["name"].tolist() if not relations.empty else []
    found = sorted({name for name in tables if like(pattern, name) and name not in beyond})
    rows = [{"object": name, "expected": "table", "found": "table", "ok": True, "finding": "as expected"} for name in found]
    details = {**_details(rows), "measured": len(found), "limit": count}
    sentence = f"{counted(len(found), 'further table')} like {pattern}, {count} expected"
    if len(found) < count:
        return failed(f"{sentence}.", **details)
    if len(found) > count:
        return warned(f"{sentence}: the release does not know {len(found) - count} of them.", **details)
    return passed(f"{sentence}.", **details)


@check(
    "schema.all_present",
    title="All required tables are present",
    items=("S5-8",),
    harm="Whatever reads the table fails with 42P01 for every caller.",
    fix="Apply the migrations that create the tables named here.",
    empty="FAIL: the schemas hold no table at all.",
)
def all_present(relations: pd.DataFrame, *, tables: Sequence[str], patterns: Mapping[str, int] | None = None) -> Outcome:
    """Every table of *tables* exists, and of every pattern (LIKE: count) at least that many beyond them.

    Tables: `relations`. FAIL for any missing one.
    """
    patterns = patterns or {}
    if not tables and not patterns:
        return failed("The release names no table, so nothing can be shown.")
    rows = []
    for name in tables:
        kind = _kind(relations, name)
        ok = kind in BASE_TABLES
        finding = "as expected" if ok else "the table is missing" if kind is None else f"it is a {kind}"
        rows.append({"object": name, "expected": "table", "found": kind or "absent", "ok": ok, "finding": finding})
    beyond = {bare(name) for name in tables}
    present = relations[relations["kind"].isin(BASE_TABLES)]["name"].tolist() if not relations.empty else []
    for pattern, count in patterns.items():
        found = len({name for name in present if like(pattern, name) and name not in beyond})
        ok = found >= count
        finding = "as expected" if ok else f"{count - found} are missing"
        rows.append({"object": pattern, "expected": f"{count} tables", "found": f"{found} tables", "ok": ok, "finding": finding})
    wanted = len(tables) + sum(patterns.values())
    missing = [str(row["object"]) for row in rows if not row["ok"]]
    details = {**_details(rows), "measured": wanted, "limit": wanted}
    if missing:
        details["measured"] = sum(bool(row["ok"]) for row in rows)
        details["limit"] = len(rows)
        return failed(f"Not all of the {wanted} required tables are present: {some(missing)}.", **details)
    return passed(f"All {wanted} required tables are present.", **details)


@check(
    "schema.routine_present",
    title="The function is present with its signature",
    items=("S5-9",),
    harm="Callers of the function get 404 or, with two overloads, an answer of the wrong one.",
    fix="Apply the migration that creates the function; drop the overload nobody calls.",
    empty="FAIL: the schemas hold no function at all.",
)
def routine_present(routines: pd.DataFrame, *, routine: str, arguments: Sequence[str], returns: str) -> Outcome:
    """Exactly one *routine* exists, with these *arguments* (types, or names and types; modes and defaults may stand there) and return type.

    Tables: `routines`. Of a procedure *returns* is ``void``. FAIL for none, for an overload (a caller cannot know which one answers),
    for another signature.
    """
    known(routines, "schema", "name", "arguments", "argument_types")
    rows = named(routines, routine) if not routines.empty else routines
    wanted = f"({', '.join(arguments)}) returns {returns}"
    shown = []
    for row in rows.to_dict("records"):
        signature = f"({row['arguments']}) returns {row['returns'] if isinstance(row['returns'], str) else 'nothing'}"
        ok = _same_signature(row, arguments, returns)
        finding = "as expected" if ok else "another signature"
        shown.append({"object": routine, "expected": wanted, "found": signature, "ok": ok, "finding": finding})
    details = {"table": findings(shown, _OBJECTS), "measured": len(shown), "limit": 1}
    if not shown:
        shown.append({"object": routine, "expected": wanted, "found": "absent", "ok": False, "finding": "the function is missing"})
        return failed(f"{routine} does not exist.", **{**details, "table": findings(shown, _OBJECTS)})
    if len(shown) > 1:
        return failed(f"{routine} exists {len(shown)} times with different arguments; exactly one is expected.", **details)
    if not shown[0]["ok"]:
        return failed(f"{routine}{shown[0]['found']} was found, {wanted} is expected.", **details)
    return passed(f"{routine}{wanted} is there, once.", **details)


def _kind(relations: pd.DataFrame, table: str) -> str | None:
    known(relations, "schema", "name", "kind")
    rows = named(relations, table) if not relations.empty else relations
    kinds = rows["kind"].tolist() if len(rows) else []
    # the same name in two schemas: a table counts before a view
    return min(kinds, key=lambda kind: kind not in BASE_TABLES) if kinds else None


def _columns(columns: pd.DataFrame, table: str, expected: Mapping[str, str]) -> dict[str, str]:
    """Column → type of *table*; of the schema that comes nearest to *expected* where several have it."""
    if columns.empty:
        return {}
    here = named(columns, table, name_column="table_name")
    held = [dict(zip(rows["name"], rows["type"], strict=True)) for _, rows in here.groupby("schema", sort=True)]

    def right(found: dict[str, str]) -> int:
        return sum(name in found and same_type(found[name], type_) for name, type_ in expected.items())

    return max(held, key=right, default={})


def _same_signature(row: Mapping[Any, Any], arguments: Sequence[str], returns: str) -> bool:
    """Whether the routine takes *arguments*, given as types or as names with types, and returns *returns*."""
    taken = any(same_arguments(split_arguments(str(row[column])), arguments) for column in ("argument_types", "arguments"))
    if row.get("kind") == "procedure":
        return taken and returns.lower() in ("", "void", "procedure")
    return taken and isinstance(row["returns"], str) and same_type(row["returns"], returns)


def _details(rows: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """Table (what is wrong first), number that is right and number expected."""
    table = findings(sorted(rows, key=lambda row: bool(row["ok"])), _OBJECTS)
    return {"table": table, "measured": sum(bool(row["ok"]) for row in rows), "limit": len(rows)}
