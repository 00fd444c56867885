"""Bodies on real servers: what is broken is found and named, what is sound stays quiet, and plpgsql_check agrees where it can say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import psycopg
import pytest
from bodies_corpus import BROKEN, ORACLE_COMPLAINS, SCHEMA, SOUND
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import schema
from opsnb.sources.bodies import bodies
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import CheckResult, Verdict

VERSIONS = (15, 16, 18)


@pytest.fixture(scope="module", params=VERSIONS)
def ward(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the corpus' schema; its DSN."""
    with bare(request.param).fresh() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SCHEMA.encode())
        yield dsn


@contextmanager
def made(dsn: str, statements: str) -> Iterator[psycopg.Connection]:
    """The functions of *statements*, created unchecked; gone afterwards."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set check_function_bodies = off; set search_path = public")
        connection.execute(statements.encode())
        try:
            yield connection
        finally:
            connection.execute("drop routine if exists ward.tested cascade; drop routine if exists ward.tested_too cascade")


def judged(dsn: str, *schemas: str) -> CheckResult:
    with Postgres(SecretStr(dsn), phase="test") as database:
        return schema.bodies_resolve(*bodies(database, schemas=schemas or ("ward",)))


def rows(result: CheckResult, severity: str = "error") -> pd.DataFrame:
    assert result.table is not None, result.summary
    return result.table[result.table["severity"] == severity]


def test_the_corpus_is_large_enough() -> None:
    assert len(BROKEN) >= 25
    assert len(SOUND) >= 25


@pytest.mark.parametrize("name", BROKEN)
def test_broken(ward: str, name: str) -> None:
    """FAIL, naming the function and what it misses; only that one function."""
    statements, names = BROKEN[name]
    with made(ward, statements):
        result = judged(ward)
    assert result.verdict is Verdict.FAIL, result.summary
    found = rows(result)
    assert all("ward.tested(" in each for each in found["object"]), found.to_string()
    assert names in " ".join(found["finding"]), found.to_string()
    assert "ward.tested" in result.summary


@pytest.mark.parametrize("name", SOUND)
def test_sound(ward: str, name: str) -> None:
    """Quiet: neither error nor warning."""
    with made(ward, SOUND[name]):
        result = judged(ward)
    assert result.table is not None, result.summary
    assert result.verdict is Verdict.PASS, f"{result.summary}\n{result.table.to_string()}"
    unread = rows(result, "not read")
    meant = name in ("dynamic", "cursors", "trigger arguments and row assignment", "dynamically made tables")
    assert meant or unread.empty, unread.to_string()


def oracle(connection: psycopg.Connection, *tables: str) -> list[tuple[str, str]]:
    """What plpgsql_check itself says of ward.tested, as superuser: (SQLSTATE, message) of its errors."""
    query = """
        select sqlstate, message from public.plpgsql_check_function_tb(
            'ward.tested'::regproc, %s::regclass, fatal_errors => false, other_warnings => false)
        where level = 'error'"""
    found = []
    for table in tables or ("0",):
        with connection.transaction(force_rollback=True):
            connection.execute("set local transaction_read_only = on")
            found += connection.execute(query.encode(), [table]).fetchall()
    return [(str(state), str(message)) for state, message in found]


@pytest.fixture(scope="module")
def checker() -> Iterator[str]:
    """The corpus' schema on PostgreSQL 15 with plpgsql_check installed."""
    with bare(15).fresh() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            if not connection.execute("select 1 from pg_available_extensions where name = 'plpgsql_check'").fetchone():
                pytest.skip("plpgsql_check is not on this machine")
            connection.execute(SCHEMA.encode() + b"; create extension plpgsql_check")
        yield dsn


def _asked(connection: psycopg.Connection) -> list[tuple[str, str]] | None:
    row = connection.execute(
        "select l.lanname, p.prorettype::regtype::text from pg_proc p join pg_language l on l.oid = p.prolang"
        " where p.oid = 'ward.tested'::regproc"
    ).fetchone()
    assert row
    if row[0] != "plpgsql" or row[1] == "event_trigger":
        return None
    on = connection.execute("select tgrelid::regclass from pg_trigger where tgfoid = 'ward.tested'::regproc").fetchall()
    tables = [str(each) for (each,) in on]
    if row[1] == "trigger" and not tables:
        return None
    try:
        return oracle(connection, *tables)
    except psycopg.Error as error:
        return [(str(error.sqlstate), str(error))]


@pytest.mark.parametrize("name", BROKEN)
def test_the_oracle_finds_it_too(checker: str, name: str) -> None:
    """plpgsql_check, asked about everything as superuser, calls the same bodies broken."""
    with made(checker, BROKEN[name][0]) as connection:
        said = _asked(connection)
    if said is None:
        pytest.skip("no PL/pgSQL")
    assert said


@pytest.mark.parametrize("name", SOUND)
def test_the_oracle_is_quiet_too(checker: str, name: str) -> None:
    """plpgsql_check has nothing to say of the sound ones, but where it cannot know better."""
    with made(checker, SOUND[name]) as connection:
        said = _asked(connection)
    if said is None:
        pytest.skip("no PL/pgSQL")
    # 22012: it computes constants; a query that returns several columns: what an unbound cursor is opened for
    said = [each for each in said if each[0] != "22012" and "returned" not in each[1]]
    assert bool(said) is (name in ORACLE_COMPLAINS), said


@pytest.mark.parametrize("name", BROKEN)
def test_broken_with_the_checker(checker: str, name: str) -> None:
    """Where plpgsql_check is installed it is used for bodies that only read; the verdict is the same."""
    with made(checker, BROKEN[name][0]):
        result = judged(checker)
    assert result.verdict is Verdict.FAIL, result.summary
    reads_only = "language plpgsql" in BROKEN[name][0] and not re.search(
        r"insert|update|delete|merge", BROKEN[name][0].split("$tested$")[1]
    )
    assert set(rows(result)["read by"]) == {"plpgsql_check" if reads_only else "syntax tree"}


@pytest.mark.parametrize("name", SOUND)
def test_sound_with_the_checker(checker: str, name: str) -> None:
    with made(checker, SOUND[name]):
        result = judged(checker)
    assert result.verdict is Verdict.PASS, f"{result.summary}\n{result.table.to_string() if result.table is not None else ''}"


def test_the_clinic_is_sound() -> None:
    """Every function of the embedded target's clinic, and of the schemas it comes with."""
    with bare(18).fresh(clinic=True) as dsn:
        result = judged(dsn, "public", "auth", "storage", "realtime")
    assert result.verdict is Verdict.PASS, result.summary
    assert result.table is not None
    assert result.table.empty


def test_broken_then_mended(ward: str) -> None:
    """A renamed column breaks the function that names it, and renaming it back mends it; the line is told."""
    body = "begin\n  return (select count(*) from ward.notes where\n status = 'x');\nend"
    with made(ward, f"create function ward.tested() returns bigint language plpgsql as $$\n{body} $$") as connection:
        assert judged(ward).verdict is Verdict.PASS
        connection.execute("alter table ward.notes rename column status to state")
        try:
            result = judged(ward)
        finally:
            connection.execute("alter table ward.notes rename column state to status")
        assert result.verdict is Verdict.FAIL
        assert "ward.tested(), line 3: column status does not exist" in result.summary
        assert judged(ward).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("begin perform 1 from lookup; end", "caller's search_path"),
        ("begin perform helper(1); end", "caller's search_path"),
        ("begin begin insert into ward.gone values (1); exception when others then null; end; end", "a handler of all errors hides it"),
    ],
)
def test_what_only_some_callers_meet_is_a_warning(ward: str, body: str, says: str) -> None:
    """A name that a caller's path may bring, and one whose error is swallowed."""
    with made(ward, f"create function ward.tested() returns void language plpgsql as $${body}$$"):
        result = judged(ward)
    assert result.verdict is Verdict.WARN, result.summary
    assert says in result.summary


def test_a_materialised_view_never_filled(ward: str) -> None:
    """It is bound by Postgres, but reading it is an error."""
    with psycopg.connect(ward, autocommit=True) as connection:
        connection.execute("create materialized view ward.counts as select count(*) from ward.notes with no data")
        try:
            assert judged(ward).verdict is Verdict.WARN
            connection.execute("refresh materialized view ward.counts")
            assert judged(ward).verdict is Verdict.PASS
        finally:
            connection.execute("drop materialized view ward.counts")


@pytest.mark.parametrize(
    "body",
    [
        "language plpgsql as $$ this is no body $$",
        "language plpgsql as $$ begin if true then select 1 $$",
        "language sql as $$ select from where 'oops $$",
        "language sql as $$ select %% frobnicate (from $$",
    ],
)
def test_what_is_not_understood_is_not_read(ward: str, body: str) -> None:
    """Never FAIL, never an exception, counted; nothing of its text is shown."""
    with made(ward, f"create function ward.tested() returns void {body}"):
        result = judged(ward)
    assert result.verdict is Verdict.PASS, result.summary
    assert "Not read: ward.tested" in result.summary
    assert len(rows(result, "not read")) == 1
    assert "frobnicate" not in result.summary + rows(result, "not read").to_string()


def test_nothing_could_be_read() -> None:
    """A schema of which nothing could be read proves nothing; one without bodies does not apply."""
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        assert judged(dsn, "public").verdict is Verdict.NOT_APPLICABLE
        connection.execute("set check_function_bodies = off; create function odd() returns void language plpgsql as 'no body'")
        assert judged(dsn, "public").verdict is Verdict.INCONCLUSIVE


def test_no_literal_of_a_body_is_shown(ward: str) -> None:
    """Findings name objects; a body's strings stay in it."""
    broken = "insert into ward.gone (a) values ('Jane Doe'); perform 1 from ward.notes where statuss = 'Jane Doe';"
    text = f"begin {broken} execute 'select 1 as ''Jane Doe'''; end"
    with made(ward, f"create function ward.tested() returns void language plpgsql as $${text}$$"):
        result = judged(ward)
    assert result.table is not None
    assert len(rows(result)) == 2
    assert "Jane" not in result.summary + result.table.to_string() + result.question


def test_the_checker_takes_access_share_only(checker: str) -> None:
    """While every table is locked against writers, bodies that only read are still checked, and those that write were not asked about."""
    reads = "create function ward.tested() returns void language plpgsql as $$ begin perform nam from ward.patients; end $$;"
    writes = "create function ward.tested_too() returns void language plpgsql as $$ begin update ward.patients set nam = ''; end $$"
    with made(checker, reads + writes), psycopg.connect(checker) as blocker:
        blocker.execute("lock table ward.patients, ward.notes, ward.audit, ward.settings in exclusive mode")
        with Postgres(SecretStr(checker), phase="test") as database:
            facts = bodies(database, schemas=["ward"])
        blocker.rollback()
    names = dict(zip(facts.routines.table["oid"], facts.routines.table["name"], strict=True))
    asked = {names[oid] for oid in facts.checked.table["oid"]}
    assert "tested" in asked
    assert "tested_too" not in asked
    result = schema.bodies_resolve(*facts)
    assert dict(zip(rows(result)["object"], rows(result)["read by"], strict=True)) == {
        "ward.tested()": "plpgsql_check", "ward.tested_too()": "syntax tree",
    }  # fmt: skip


def test_without_time_the_trees_are_left(checker: str) -> None:
    """What the budget cut is read by syntax trees, and the page says so."""
    with made(checker, BROKEN["bare missing column"][0]), Postgres(SecretStr(checker), phase="test") as database:
        result = schema.bodies_resolve(*bodies(database, schemas=["ward"], budget_s=0))
    assert result.verdict is Verdict.FAIL
    assert set(rows(result)["read by"]) == {"syntax tree"}


def test_a_role_with_few_rights_reads_the_same(checker: str) -> None:
    """The reading role needs no right on the functions or their tables."""
    with made(checker, BROKEN["bare missing column"][0]) as connection:
        connection.execute("drop role if exists looker; create role looker login")
        result = judged(checker.replace("postgres@", "looker@"))
        assert result.verdict is Verdict.FAIL
        assert "surname" in result.summary
        connection.execute("revoke execute on all functions in schema public from public")
        assert judged(checker.replace("postgres@", "looker@")).verdict is Verdict.FAIL
        connection.execute("grant execute on all functions in schema public to public; drop role looker")
