"""Records of a table against a JSON Schema: each way to break one is found, mended and gone; what cannot be asked says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clusters import bare
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceTimeout
from opsnb.sources import shape_sql
from opsnb.sources.postgres import Postgres

NOTES = {"note_column": "note_id", "note_table": "notes", "patient_column": "user_id", "note_patient_column": "patient_id",
         "note_signed_at_column": "signed_at"}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["list"],
    "properties": {"list": {"type": "array", "items": {"type": "object", "required": ["name"]}}},
}
TABLES = """
create table notes (id integer primary key, patient_id integer, signed_at timestamptz);
create table "Odd ""records" (user_id integer primary key, record jsonb, updated_at timestamptz, note_id integer);
insert into notes select n, n, now() - interval '1 hour' from generate_series(1, 20) n;
insert into "Odd ""records"
select n, '{"list": [{"name": "Jane Doe"}]}', now() - n * interval '1 minute' - interval '1 second', n from generate_series(1, 20) n;
"""


@pytest.fixture
def clinic() -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLES)
        connection.execute("update notes set signed_at = now() - interval '1 hour'")
        yield dsn, connection


def ask(dsn: str, *, schema: Any = SCHEMA, **changes: Any) -> Any:
    patience_ms = changes.pop("patience_ms", 5000)
    asked = {"table": '"Odd ""records"', "column": "record", "updated_at_column": "updated_at", "max_records": 1000, **NOTES, **changes}
    with Postgres(SecretStr(dsn), phase="test", statement_timeout_ms=patience_ms) as database:
        return shape_sql.violations(database, schema=schema, **asked)


def found(dsn: str, **changes: Any) -> dict[str, tuple[int, int]]:
    """Rule or sentence → records that break it and violations, where there are any."""
    table = ask(dsn, **changes).table
    return {row.rule or row.where: (row.records, row.violations) for row in table.itertuples() if row.violations}


def test_each_way_to_break_a_record_is_found_and_mended(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    """Broken, seen, mended, gone; and no value of a record is in the answer."""
    dsn, connection = clinic
    sound = ask(dsn).table
    assert list(sound.columns) == list(shape_sql.COLUMNS)
    assert set(sound["looked_at"]) == {20} and set(sound["violations"]) == {0} and set(sound["not_judged"]) == {""}
    late = "a record was updated no earlier than its note was signed"
    ways = {
        "record = null": {"an updated record is not null"},
        "record = 'null'": {"#/type"},
        "record = '[]'": {"#/type"},
        "record = '{}'": {"#/required/0"},
        """record = '{"list": "see paper file"}'""": {"#/properties/list/type"},
        """record = '{"list": [4, {}, {"name": "x"}]}'""": {"#/properties/list/items/type", "#/properties/list/items/required/0"},
        "note_id = null": {"an updated record names its note"},
        "note_id = 99": {"the note a record names exists"},
        "note_id = 5": {"the note a record names is its patient's"},
        "updated_at = now() + interval '1 day'": {"a record was not updated in the future"},
        "updated_at = now() - interval '1 day'": {late},
    }
    for change, rules in ways.items():
        connection.execute("begin")
        connection.execute(f"""update "Odd ""records" set {change} where user_id = 3""")
        connection.execute("commit")
        assert found(dsn) == dict.fromkeys(rules, (1, 1)), change
        connection.execute("""update "Odd ""records" r set (record, updated_at, note_id) =
            (select record, now() - interval '3 minutes', 3 from "Odd ""records" where user_id = 4) where user_id = 3""")
        assert found(dsn) == {}
    connection.execute("update notes set signed_at = null where id = 3")
    assert found(dsn) == {"the note a record names is signed": (1, 1)}
    assert "Jane" not in ask(dsn).table.to_csv() + ask(dsn).question


def test_only_the_newest_are_looked_at(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    dsn, connection = clinic
    connection.execute("""update "Odd ""records" set record = '[]' where user_id = 20""")
    connection.execute("""update "Odd ""records" set updated_at = null where user_id = 19""")
    assert set(ask(dsn, max_records=18).table["looked_at"]) == {18}
    assert found(dsn, max_records=18) == {}
    assert found(dsn, max_records=19) == {"#/type": (1, 1)}
    connection.execute("""delete from "Odd ""records" """)
    assert set(ask(dsn).table["looked_at"]) == {0}


@pytest.mark.parametrize("order", ["", " desc nulls last", " nulls first", " desc"])
def test_an_index_of_any_order_is_used(clinic: tuple[str, psycopg.Connection[Any]], order: str) -> None:
    """Asked in the order the index has, Postgres reads the newest and stops; else it sorts the table."""
    dsn, connection = clinic
    connection.execute(
        """insert into "Odd ""records" select n, '{}', now() - n * interval '1 hour', 1 from generate_series(100, 30000) n"""
    )
    connection.execute(f"""create index on "Odd ""records" (updated_at{order})""")
    connection.execute("analyze")
    facts = ask(dsn, max_records=50, schema=True)
    plan = "\n".join(row[0] for row in connection.execute(f"explain {facts.question}"))
    assert re.search(r'Index Scan (Backward )?using .*\n? *on "?Odd', plan), plan
    assert "Seq Scan" not in plan.partition('"Odd')[0]


def test_a_column_that_is_no_jsonb_is_read_without_risk(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    """Text that is no JSON, and JSON that jsonb cannot hold, are counted; they end nothing."""
    dsn, connection = clinic
    for type_, bad in (("text", "{broken"), ("json", '{"a": "\\u0000"}')):
        connection.execute(f"""alter table "Odd ""records" alter record type {type_} using record::text::{type_}""")
        connection.execute("""update "Odd ""records" set record = %s where user_id = 3""", [bad])
        assert found(dsn) == {"a record is JSON": (1, 1)}
        connection.execute("""update "Odd ""records" set record = '{"list": []}' where user_id = 3""")
        assert found(dsn) == {}


def test_what_cannot_be_asked_says_why(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    """A missing table or column, a right, rows that hide, a malformed schema, a time-out: an error in words, never a good answer."""
    dsn, connection = clinic
    for changes, said in (
        ({"table": "nowhere"}, "a table"),
        ({"column": "nothing"}, "has no column nothing"),
        ({"note_column": "x"}, "column"),
        ({"schema": {"required": 5}}, "#/required: expected a list; mend record.json_schema"),
    ):
        facts = ask(dsn, **changes)
        assert isinstance(facts.error, SourceError) and said in str(facts.error)
    connection.execute("drop role if exists shape_reader")
    connection.execute("create role shape_reader login")
    as_reader = dsn.replace("postgres@", "shape_reader@")
    assert isinstance(ask(as_reader).error, SourceDenied)
    connection.execute("grant pg_read_all_data to shape_reader")
    assert ask(as_reader).ok
    connection.execute("""alter table "Odd ""records" enable row level security""")
    hidden = ask(as_reader)
    assert hidden.error is not None and "row security" in str(hidden.error)
    connection.execute("alter role shape_reader bypassrls")
    assert ask(as_reader).ok
    connection.execute("alter table notes enable row level security; alter role shape_reader nobypassrls")
    assert ask(as_reader).error is not None
    connection.execute("drop owned by shape_reader; drop role shape_reader")


def test_records_too_large_for_the_time_are_fewer_records(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    """A tenth of them is asked where all of them take too long, and the answer says how many were looked at."""
    dsn, connection = clinic
    connection.execute("""insert into "Odd ""records" select n, (select jsonb_build_object('list', jsonb_agg(jsonb_build_object('name', g)))
        from generate_series(1, 2000) g), now() - n * interval '1 hour', 1 from generate_series(100, 500) n""")
    deep = {"properties": {"list": {"items": {"properties": {"name": {"pattern": "^.*x.*y.*z.*$", "not": {"multipleOf": 7}}}}}}}
    facts = ask(dsn, schema=deep, max_records=400, patience_ms=400)
    assert isinstance(facts.error, SourceTimeout) or set(facts.table["looked_at"]) == {40}


def test_only_a_share_lock_is_taken(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    """Nothing stronger than AccessShareLock, told from pg_locks inside the same transaction."""
    dsn, connection = clinic
    question = ask(dsn).question
    with connection.transaction():
        connection.execute(question)
        modes = {row[0] for row in connection.execute("select mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'")}
    assert modes == {"AccessShareLock"}


def test_notes_without_a_key_are_named_as_not_judged(clinic: tuple[str, psycopg.Connection[Any]]) -> None:
    dsn, connection = clinic
    connection.execute("alter table notes drop constraint notes_pkey")
    table = ask(dsn).table
    assert list(table[table["not_judged"] != ""]["where"]) == ["the note a record names exists"]
    assert "an updated record names its note" in set(table["where"])
