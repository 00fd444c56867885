"""Checks of the schema: each defect is seen, and gone when it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import schema
from opsnb.facts import Facts
from opsnb.sources.postgres import Postgres
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
        ("varchar", "character varying", True),
        ("char", "character(1)", True),
        ("char(3)", "character(3)", True),
        ("bpchar", "bpchar", True),
        ("bpchar", "character(1)", False),
        ("bit", "bit(1)", True),
        ("varbit(8)", "bit varying(8)", True),
        ("character varying(10)", "varchar ( 10 )", True),
        ("varchar(10)[]", "character varying(10)[]", True),
        ("text array", "text[]", True),
        ("text[3]", "text[]", True),
        ("text[][]", "text[]", True),
        ("numeric(10)", "numeric(10,0)", True),
        ("numeric(10,2)", "numeric(10,3)", False),
        ("decimal", "numeric", True),
        ("float(20)", "real", True),
        ("float(40)", "double precision", True),
        ("float8[]", "double precision[]", True),
        ("serial", "integer", True),
        ("timestamptz(3)", "timestamp(3) with time zone", True),
        ("timestamp(3)", "timestamp(3) without time zone", True),
        ("timestamptz", "timestamp without time zone", False),
        ("timestamptz[]", "timestamp with time zone[]", True),
        ("time", "time without time zone", True),
        ("interval(3)", "interval", False),
        ("mood", "ward.mood", True),
        ("ward.mood", "mood", True),
        ("ward.mood[]", "ward.mood[]", True),
        ("ward.mood", "other.mood", False),
        ("pg_catalog.int4", "integer", True),
        ('"Odd Type"', '"odd type"', False),
        ('public."Odd Type"', '"Odd Type"', True),
        ('"char"', "character(1)", False),
        ("geometry(Point, 4326)", "geometry(Point,4326)", True),
        ("setof int", "SETOF integer", True),
        ("table (a int, b varchar(3))", "TABLE(a integer, b character varying(3))", True),
        ("table(a int)", "TABLE(b integer)", False),
        ("", "text", False),
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
    assert judge(routine("VARIADIC p integer[]", "integer[]"), arguments=("variadic p int[]",)) is Verdict.PASS
    assert judge(routine("INOUT a integer", "integer"), arguments=("a int default 3", "out b text")) is Verdict.PASS
    assert judge(routine('"a,b" integer, c "x,y"', 'integer, "x,y"'), arguments=("int", '"x,y"')) is Verdict.PASS
    assert judge(routine("a integer, b text", "integer, text"), arguments=("b text", "a integer")) is Verdict.FAIL
    assert judge(routine(returns="TABLE(id uuid, n bigint)"), returns="table(id uuid, n int8)") is Verdict.PASS
    assert judge({**routine(returns=None), "kind": "procedure"}, returns="void") is Verdict.PASS
    assert judge(routine("at timestamp with time zone", "timestamp with time zone"), arguments=("at timestamptz",)) is Verdict.PASS


def test_no_errors() -> None:
    """A defect fails, a table without primary key warns, neither is passed without a table looked at."""
    there = relations(notes="table")
    none = pd.DataFrame(columns=["severity", "kind", "object", "detail"])
    warning = pd.DataFrame([{"severity": "warning", "kind": "no primary key", "object": "notes", "detail": "d"}])
    error = pd.DataFrame([{"severity": "error", "kind": "index invalid", "object": "i", "detail": "d"}])
    assert schema.no_errors(there, none).verdict is Verdict.PASS
    assert schema.no_errors(there, warning).verdict is Verdict.WARN
    assert schema.no_errors(there, pd.concat([error, warning])).verdict is Verdict.FAIL
    assert schema.no_errors(relations(notes="view"), none).verdict is Verdict.FAIL


def test_a_name_in_two_schemas() -> None:
    """One of them has all the columns, or it fails; columns of both are not put together."""
    here, there = columns(a="text"), columns(b="text").assign(schema="archive")
    both = pd.concat([here, there])
    assert schema.record_columns(both, table="records", expected={"a": "text", "b": "text"}).verdict is Verdict.FAIL
    assert schema.record_columns(both, table="records", expected={"b": "text"}).verdict is Verdict.PASS
    assert schema.record_columns(both, table="public.records", expected={"b": "text"}).verdict is Verdict.FAIL


def ages(age: int = 1000, **more: int) -> pd.DataFrame:
    kind = {"kind": "transaction ids", "freeze_at": 200_000_000}
    return pd.DataFrame([{**kind, "database": name, "age": value} for name, value in {"a": age, **more}.items()])


def sequences(used: float | None, capacity: float = 2147483647) -> pd.DataFrame:
    return pd.DataFrame([{"schema": "public", "name": "ids", "used": used, "capacity": capacity, "feeds": "notes.id (integer)"}])


def test_room_left() -> None:
    """80 and 95 % of a sequence; autovacuum behind, and half of the ids; what could not be read is ERROR."""
    none = sequences(1).head(0)
    assert schema.room_left(ages(), none).verdict is Verdict.PASS
    assert schema.room_left(ages(), sequences(2147483647 * 0.8)).verdict is Verdict.PASS
    assert schema.room_left(ages(), sequences(2147483647 * 0.81)).verdict is Verdict.WARN
    full = schema.room_left(ages(), sequences(2147483647 * 0.96))
    assert full.verdict is Verdict.FAIL
    assert "public.ids" in full.summary
    assert schema.room_left(ages(), sequences(None)).verdict is Verdict.ERROR
    assert schema.room_left(ages(250_000_000), none).verdict is Verdict.WARN
    assert schema.room_left(ages(220_000_000), none).verdict is Verdict.PASS
    assert schema.room_left(ages(1, b=1_100_000_000), none).verdict is Verdict.FAIL
    assert schema.room_left(ages().head(0), sequences(1)).verdict is Verdict.ERROR


@pytest.fixture(scope="module", params=[15, 16, 18])
def ward(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection to a new database with one sound table and its like."""
    with bare(request.param).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SOUND_WARD)
        yield connection


SOUND_WARD = """
create table public.users (id bigint primary key, email varchar(40), score numeric(10, 2), tags text[], at timestamptz, mood text);
create table public.notes (id bigint generated always as identity primary key, user_id bigint references public.users, body text);
create table public.parted (id int primary key, at date) partition by range (id);
create table public.parted_1 partition of public.parted for values from (0) to (10);
create domain public.short as text;
create function public.f() returns trigger language plpgsql as 'begin return new; end';
create trigger f before insert on public.notes for each row execute function public.f();
create rule r as on delete to public.users do also nothing;
create publication changes for table public.notes;
create foreign data wrapper w; create server s foreign data wrapper w;
"""

# kind → what breaks it, what mends it
DEFECTS: dict[str, tuple[str, str, Verdict]] = {
    "constraint not validated": (
        "alter table notes add constraint c check (body <> '') not valid", "alter table notes validate constraint c", Verdict.FAIL),
    "foreign key not validated": (
        "alter table notes add constraint k foreign key (user_id) references users not valid",
        "alter table notes validate constraint k", Verdict.FAIL),
    "domain's constraint not validated": (
        "alter domain short add constraint d check (value <> '') not valid", "alter domain short validate constraint d", Verdict.FAIL),
    "index invalid": ("update pg_index set indisvalid = false where indexrelid = 'notes_pkey'::regclass",
        "update pg_index set indisvalid = true where indexrelid = 'notes_pkey'::regclass", Verdict.FAIL),
    "index not on every partition": ("create index pi on only parted (at)", "drop index pi", Verdict.FAIL),
    "trigger disabled": ("alter table notes disable trigger f", "alter table notes enable trigger f", Verdict.FAIL),
    "trigger for replicas only": ("alter table notes enable replica trigger f", "alter table notes enable trigger f", Verdict.FAIL),
    "rule disabled": ("alter table users disable rule r", "alter table users enable always rule r", Verdict.FAIL),
    "foreign key switched off": ("alter table users disable trigger all", "alter table users enable trigger all", Verdict.FAIL),
    "event trigger disabled": (
        "create function e() returns event_trigger language plpgsql as 'begin end';"
        "create event trigger et on ddl_command_end execute function e(); alter event trigger et disable",
        "drop event trigger et; drop function e()", Verdict.FAIL),
    "published without identity": (
        "create table loose (id int); alter publication changes add table loose", "drop table loose", Verdict.FAIL),
    "published without identity, all tables": (
        "alter table users replica identity nothing; create publication everything for all tables",
        "drop publication everything; alter table users replica identity default", Verdict.FAIL),
    "foreign table unreachable": ("create foreign table far (a int) server s", "drop foreign table far", Verdict.FAIL),
    "foreign key of another type": (
        "create table child (id int primary key, user_id int references users)", "drop table child", Verdict.WARN),
    "partitioned table without partitions": (
        "create table bare (id int primary key) partition by range (id)", "drop table bare", Verdict.WARN),
    "unlogged table": ("create unlogged table fast (id int primary key)", "drop table fast", Verdict.WARN),
    "no primary key": ("create table heap (id int)", "drop table heap", Verdict.WARN),
}  # fmt: skip


def asked(connection: psycopg.Connection[Any], *names: str) -> list[Facts]:
    with Postgres(SecretStr(connection.info.dsn), phase="test") as database:
        return [database.query(name, **({} if name == "transaction_ids" else {"schemas": ["public"]})) for name in names]


@pytest.mark.parametrize("kind", DEFECTS)
def test_each_defect_is_seen_and_gone_when_mended(ward: psycopg.Connection[Any], kind: str) -> None:
    """Sound, broken, mended, on a real server."""
    broken, mended, verdict = DEFECTS[kind]
    assert schema.no_errors(*asked(ward, "relations", "schema_errors")).verdict is Verdict.PASS
    ward.execute(broken.encode())
    try:
        seen = schema.no_errors(*asked(ward, "relations", "schema_errors"))
    finally:
        ward.execute(mended.encode())
    assert seen.verdict is verdict, seen.summary
    assert schema.no_errors(*asked(ward, "relations", "schema_errors")).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ("create table n (id int generated always as identity (start with 1000) primary key)", Verdict.PASS),
        ("create table n (id int generated always as identity (start with 1800000000) primary key)", Verdict.WARN),
        ("create table n (id serial primary key); select setval('n_id_seq', 2147000000)", Verdict.FAIL),
        ("create sequence big; create table n (id int primary key default nextval('big')); select setval('big', 2147000000)", Verdict.FAIL),
        ("create table n (id bigserial primary key); select setval('n_id_seq', 2147000000)", Verdict.PASS),
        ("create table n (id smallserial primary key); select setval('n_id_seq', 32000)", Verdict.FAIL),
        ("create sequence big maxvalue 100 cycle; select setval('big', 100)", Verdict.PASS),
        (
            'create table n (); create sequence "Odd ""seq" as int increment by -1; select setval(\'"Odd ""seq"\', -2147000000)',
            Verdict.FAIL,
        ),
    ],
)
def test_sequences_near_their_end(ward: psycopg.Connection[Any], made: str, verdict: Verdict) -> None:
    """The column's type counts, not only the sequence's; one that begins anew does not run out."""
    ward.execute(made.encode())
    ward.execute("do $$ begin if to_regclass('n_id_seq') is not null then perform nextval('n_id_seq'); end if; end $$")
    try:
        result = schema.room_left(*asked(ward, "transaction_ids", "schema_sequences"))
    finally:
        ward.execute('drop table if exists n cascade; drop sequence if exists big; drop sequence if exists "Odd ""seq"')
    assert result.verdict is verdict, result.summary


def test_types_as_the_server_writes_them(ward: psycopg.Connection[Any]) -> None:
    """Expectations in the spellings people use hold on a real catalogue."""
    (facts,) = asked(ward, "columns")
    expected = {"id": "int8", "email": "varchar(40)", "score": "decimal(10, 2)", "tags": "text array", "at": "timestamptz", "mood": "text"}
    assert schema.record_columns(facts, table="users", expected=expected).verdict is Verdict.PASS
    others = {"id": "int4", "email": "varchar(41)", "score": "numeric", "tags": "text", "at": "timestamp", "mood": "mood"}
    for name, other in others.items():
        assert schema.record_columns(facts, table="users", expected={**expected, name: other}).verdict is Verdict.FAIL, name


def test_reading_takes_only_access_share(ward: psycopg.Connection[Any]) -> None:
    """While another session holds a lock that any stronger one would wait for, everything is still read."""
    ward.execute("create table locked (id serial primary key)")
    try:
        with psycopg.connect(ward.info.dsn) as blocker:
            blocker.execute("lock table locked, users, notes in exclusive mode")
            facts = asked(ward, "schema_errors", "schema_sequences", "transaction_ids")
            assert all(fact.ok for fact in facts), [str(fact.error) for fact in facts]
            blocker.rollback()
    finally:
        ward.execute("drop table locked")
