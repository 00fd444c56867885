"""Checks of the schema: each defect is seen, and gone when it is mended."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opsnb.checks import schema
from opsnb.verdicts import Verdict


def relations(**kinds: str) -> pd.DataFrame:
    return pd.DataFrame([{"schema": "public", "name": name, "kind": kind.replace("_", " ")} for name, kind in kinds.items()])


def columns(**types: str) -> pd.DataFrame:
    return pd.DataFrame([{"schema": "public", "table_name": "records", "name": name, "type": type_} for name, type_ in types.items()])


def routine(arguments: str = "p_note uuid", types: str = "uuid", returns: str | None = "jsonb", name: str = "merge") -> dict[str, Any]:
    return {"schema": "public", "name": name, "arguments": arguments, "argument_types": types, "returns": returns}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("timestamptz", "timestamp with time zone", True),
        ("INT8", "bigint", True),
        ("varchar(10)", "character varying(10)", True),
        ("varchar(10)", "character varying", False),
        ("numeric(10, 2)", "numeric(10,2)", True),
        ("text[]", "text", False),
        ("int[]", "integer[]", True),
        ("json", "jsonb", False),
    ],
)
def test_same_type(one: str, other: str, same: bool) -> None:
    """Short and long spellings of a type are one; size and array matter."""
    assert schema.same_type(one, other) is same


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("soap_%", "soap_plan_x", True),
        ("soap_%", "xsoap_plan", False),
        ("a_c", "abc", True),
        (r"a\_c", "abc", False),
        (r"a\_c", "a_c", True),
    ],
)
def test_like(pattern: str, name: str, matches: bool) -> None:
    """LIKE means here what it means in SQL."""
    assert schema.like(pattern, name) is matches


def test_record_columns() -> None:
    """A missing column or another type fails and is named; with both right it passes."""
    expected = {"record": "jsonb", "updated_at": "timestamptz"}
    missing = schema.record_columns(columns(record="jsonb"), table="records", expected=expected, subject="records")
    assert missing.verdict is Verdict.FAIL
    assert missing.id == "schema.record_columns:records"
    assert "records.updated_at" in missing.summary
    assert missing.table is not None
    assert missing.table["finding"].tolist() == ["the column is missing", "as expected"]
    other = schema.record_columns(columns(record="json", updated_at="timestamp with time zone"), table="public.records", expected=expected)
    assert other.verdict is Verdict.FAIL
    right = columns(record="jsonb", updated_at="timestamp with time zone")
    assert schema.record_columns(right, table="records", expected=expected).verdict is Verdict.PASS
    assert schema.record_columns(right, table="records", expected={}).verdict is Verdict.FAIL


def test_columns_of_another_schema_do_not_count() -> None:
    """A qualified name is looked up in its own schema."""
    elsewhere = columns(record="jsonb").assign(schema="archive")
    assert schema.record_columns(elsewhere, table="public.records", expected={"record": "jsonb"}).verdict is Verdict.FAIL


def test_table_present() -> None:
    """A table counts, a view of its name does not."""
    assert schema.table_present(relations(notes="table"), table="notes").verdict is Verdict.PASS
    assert schema.table_present(relations(notes="partitioned_table"), table="public.notes").verdict is Verdict.PASS
    assert schema.table_present(relations(notes="view"), table="notes").verdict is Verdict.FAIL
    assert schema.table_present(relations(other="table"), table="notes").verdict is Verdict.FAIL


def test_pattern_tables() -> None:
    """Named tables and views do not count; too many is a warning."""
    there = relations(soap_notes="table", soap_a="table", soap_b="table", soap_view="view")
    asked = {"pattern": "soap_%", "named": ["public.soap_notes"]}
    assert schema.pattern_tables(there, count=2, **asked).verdict is Verdict.PASS
    assert schema.pattern_tables(there, count=3, **asked).verdict is Verdict.FAIL
    assert schema.pattern_tables(there, count=1, **asked).verdict is Verdict.WARN
    assert schema.pattern_tables(there, count=0, **asked).verdict is Verdict.FAIL


def test_all_present() -> None:
    """Every name and every pattern is needed."""
    there = relations(users="table", soap_a="table")
    assert schema.all_present(there, tables=["users"], patterns={"soap_%": 1}).verdict is Verdict.PASS
    short = schema.all_present(there, tables=["users", "notes"], patterns={"soap_%": 2})
    assert short.verdict is Verdict.FAIL
    assert "notes, soap_%" in short.summary
    assert schema.all_present(there, tables=[]).verdict is Verdict.FAIL


def test_routine_present() -> None:
    """One with the signature passes; none, two, and another signature fail."""

    def judge(*rows: dict[str, Any], arguments: tuple[str, ...] = ("uuid",), returns: str = "jsonb") -> Verdict:
        table = pd.DataFrame([*rows, routine(name="other")])
        return schema.routine_present(table, routine="public.merge", arguments=arguments, returns=returns).verdict

    assert judge(routine()) is Verdict.PASS
    assert judge(routine(), arguments=("p_note uuid",)) is Verdict.PASS
    assert judge() is Verdict.FAIL
    assert judge(routine(), routine("p_note text", "text")) is Verdict.FAIL
    assert judge(routine("p_note text", "text")) is Verdict.FAIL
    assert judge(routine(returns="void")) is Verdict.FAIL
    assert judge(routine(returns=None)) is Verdict.FAIL
    assert judge(routine("", ""), arguments=()) is Verdict.PASS
    assert judge(routine("at timestamp with time zone", "timestamp with time zone"), arguments=("at timestamptz",)) is Verdict.PASS


def test_no_errors() -> None:
    """A defect fails, a table without primary key warns, neither is passed without a table looked at."""
    there = relations(notes="table")
    none = pd.DataFrame(columns=["severity", "kind", "object", "detail"])
    warning = pd.DataFrame([{"severity": "warning", "kind": "no primary key", "object": "notes", "detail": "d"}])
    error = pd.DataFrame([{"severity": "error", "kind": "index invalid", "object": "i", "detail": "d"}])
    assert schema.no_errors(there, none).verdict is Verdict.PASS
    assert "drift" in schema.no_errors(there, none).summary
    assert schema.no_errors(there, warning).verdict is Verdict.WARN
    assert schema.no_errors(there, pd.concat([error, warning])).verdict is Verdict.FAIL
    assert schema.no_errors(relations(notes="view"), none).verdict is Verdict.FAIL
