"""Is the schema what the release says it is (runbook step 5).

Tables in: `relations`, `columns`, `routines` and `schema_errors` of opsnb/sql/postgres.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.tables import bare, counted, findings, known, named, some
from opsnb.verdicts import Outcome, check, failed, passed, warned

BASE_TABLES = ("table", "partitioned table")
_OBJECTS = ("object", "expected", "found", "ok", "finding")

# the spellings people use for what format_type() calls otherwise
_TYPE_NAMES = {
    "bool": "boolean", "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint",
    "float8": "double precision", "float4": "real", "decimal": "numeric", "varchar": "character varying",
    "char": "character", "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
    "timetz": "time with time zone", "time": "time without time zone",
}  # fmt: skip


def same_type(one: str, other: str) -> bool:
    """Whether two type names mean the same type (``timestamptz``, ``timestamp with time zone``)."""
    return _type(one) == _type(other)


def _type(name: str) -> str:
    words = " ".join(name.lower().split())
    matched = re.fullmatch(r"([a-z0-9_]+)(\s*\([^)]*\))?((?:\[\])*)", words)
    if matched is None:
        return words
    base, size, brackets = matched[1], (matched[2] or "").replace(" ", ""), matched[3]
    return f"{_TYPE_NAMES.get(base, base)}{size}{brackets}"


def like(pattern: str, name: str) -> bool:
    """SQL's LIKE: ``%`` any text, ``_`` any one character, a backslash takes the next one literally."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(part) or re.escape(part[-1]) for part in parts), name, re.DOTALL) is not None


@check(
    "schema.record_columns",
    title="The table has its columns and types",
    items=("S5-1",),
    fix="Apply the release's migrations, then run this phase again; a wrong type needs a migration of its own.",
    empty="FAIL: no column is there, so the table is not there.",
)
def record_columns(columns: pd.DataFrame, *, table: str, expected: Mapping[str, str]) -> Outcome:
    """*table* has every column of *expected* (name: type) with that type.

    Tables: `columns`. FAIL for a missing column or another type. An empty *expected* cannot pass.
    """
    if not expected:
        return failed(f"The release names no column of {table}, so nothing can be shown.")
    known(columns, "schema", "table_name", "name", "type")
    here = named(columns, table, name_column="table_name") if not columns.empty else columns
    found = dict(zip(here["name"], here["type"], strict=True)) if len(here) else {}
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
    fix="Apply the migration that creates the function; drop the overload nobody calls.",
    empty="FAIL: the schemas hold no function at all.",
)
def routine_present(routines: pd.DataFrame, *, routine: str, arguments: Sequence[str], returns: str) -> Outcome:
    """Exactly one *routine* exists, with these *arguments* (types, or names and types) and return type.

    Tables: `routines`. FAIL for none, for an overload (a caller cannot know which one answers), for another signature.
    """
    known(routines, "schema", "name", "arguments", "argument_types")
    rows = named(routines, routine) if not routines.empty else routines
    wanted = f"({', '.join(arguments)}) returns {returns}"
    shown = []
    for row in rows.to_dict("records"):
        signature = f"({row['arguments']}) returns {row['returns']}"
        ok = _same_arguments(row, arguments) and isinstance(row["returns"], str) and same_type(row["returns"], returns)
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


@check(
    "schema.no_errors",
    title="No schema errors",
    items=("S5-10",),
    fix="Each row says what to run; then run this phase again.",
    empty="FAIL: no table was looked at, so no defect could be seen.",
)
def no_errors(relations: pd.DataFrame, defects: pd.DataFrame) -> Outcome:
    """No invalid constraint or index and no disabled trigger or rule; a table without primary key is a warning.

    Tables: `relations` (what was looked at), `schema_errors` (none is healthy). Drift from the snapshot and function
    bodies that do not resolve are not looked at here, and the summary says so.
    """
    known(relations, "schema", "name", "kind")
    known(defects, "severity", "kind", "object", "detail")
    limits = "drift from the snapshot and function bodies are not compared yet"
    looked_at = int(relations["kind"].isin(BASE_TABLES).sum()) if not relations.empty else 0
    if not looked_at:
        return failed(f"No table was found in the schemas, so no defect could be seen ({limits}).")
    errors = defects[defects["severity"] != "warning"] if not defects.empty else defects
    details = {"table": defects, "measured": len(errors), "limit": 0}
    of_what = f"in {counted(looked_at, 'table')}; {limits}"
    if len(errors):
        kinds = ", ".join(f"{number} {kind}" for kind, number in errors["kind"].value_counts().items())
        return failed(f"{counted(len(errors), 'defect')} ({kinds}) {of_what}.", **details)
    if len(defects):
        return warned(f"No defect, {counted(len(defects), 'table')} without a primary key, {of_what}.", **details)
    return passed(f"No invalid constraint or index and no disabled trigger {of_what}.", **details)


def _kind(relations: pd.DataFrame, table: str) -> str | None:
    known(relations, "schema", "name", "kind")
    rows = named(relations, table) if not relations.empty else relations
    kinds = rows["kind"].tolist() if len(rows) else []
    # the same name in two schemas: a table counts before a view
    return min(kinds, key=lambda kind: kind not in BASE_TABLES) if kinds else None


def _same_arguments(row: Mapping[Any, Any], expected: Sequence[str]) -> bool:
    """Whether the routine's arguments are *expected*, given as types or as names with types."""
    for column in ("argument_types", "arguments"):
        text = str(row[column])
        actual = [part.strip() for part in text.split(",")] if text.strip() else []
        if len(actual) == len(expected) and all(map(_same_argument, actual, expected)):
            return True
    return False


def _same_argument(actual: str, expected: str) -> bool:
    if same_type(actual, expected):
        return True
    (name, _, type_), (wanted, _, wanted_type) = actual.partition(" "), expected.strip().partition(" ")
    return bool(type_) and name == wanted and same_type(type_, wanted_type)


def _details(rows: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """Table (what is wrong first), number that is right and number expected."""
    table = findings(sorted(rows, key=lambda row: bool(row["ok"])), _OBJECTS)
    return {"table": table, "measured": sum(bool(row["ok"]) for row in rows), "limit": len(rows)}
