"""The door to Postgres on a real server, and on servers that are slow, gone, full or no databases at all."""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any

import pandas as pd
import psycopg
import pytest
from conftest import Server, Talk
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout, UsageError
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres, frame
from opsnb.sources.statements import parse

SECRET = "Anna-has-measles"


def door(server: Server, **options: Any) -> Postgres:
    return Postgres(server.dsn(), phase="tests", **options)


def run(db: Postgres, sql: str) -> Facts:
    """Facts of any text, as the doors beside this one ask."""

    def ask(connection: Connection) -> pd.DataFrame:
        return pd.DataFrame(connection.execute(sql.encode()).fetchall())

    return db.ask(sql, ask)


def said(facts: Facts) -> str:
    """Everything a person or a log may get to see of a failure."""
    assert facts.error is not None
    return "".join(traceback.format_exception(facts.error)) + repr(facts.error)


def test_a_named_statement_becomes_typed_facts(server: Server) -> None:
    """Columns as in the header, nullable types, UTC, the text asked and the time it took."""
    with door(server) as db:
        facts = db.facts()
        assert facts.error is None
        assert facts.table["now"].dtype == "datetime64[us, UTC]"
        assert facts.table["read_only"].dtype == "boolean"
        assert facts.table["version_number"].dtype == "Int64"
        assert facts.table["role"].tolist() == ["reader"]
        assert facts.question.startswith("-- The server that answered")
        assert 0 < facts.seconds < 5
        empty = db.query("relations", schemas=["there_is_no_such_schema"])
        assert len(empty) == 0
        assert {"schema", "name", "rls"} <= set(empty.table.columns)
        assert empty.table["rls"].dtype == "boolean"


def test_nulls_stay_nulls(server: Server) -> None:
    """Every type of a header, with a value and with NULL."""
    types = {
        "text": "'a'", "uuid": "'00000000-0000-4000-8000-000000000001'", "boolean": "true", "smallint": "1", "integer": "2", "bigint": "3",
        "float8": "1.5", "numeric": "2.5", "timestamptz": "'2026-01-01 01:00+01'", "jsonb": "'{}'", "text[]": "'{a}'",
    }  # fmt: skip
    names = {kind: kind.replace("[]", "s") + "_" for kind in types}
    columns = " | ".join(f"{name} {kind}" for kind, name in names.items())
    values = ", ".join(f"{value}::{kind} as {names[kind]}" for kind, value in types.items())
    nulls = ", ".join(f"null::{kind}" for kind in types)
    asked = parse(
        "postgres",
        "types",
        f"-- Types.\n-- columns: {columns}\n-- params: none\n-- needs: nothing\nselect {values} union all select {nulls}",
    )
    with door(server) as db:
        table = db.ask("types", lambda connection: frame(connection.execute(asked.body.encode()), asked)).table
    assert table.iloc[1].isna().all()
    assert table["timestamptz_"].iloc[0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert table.dtypes.astype(str).to_dict() == {
        "text_": "string", "uuid_": "string", "boolean_": "boolean", "smallint_": "Int64", "integer_": "Int64", "bigint_": "Int64",
        "float8_": "Float64", "numeric_": "Float64", "timestamptz_": "datetime64[us, UTC]", "jsonb_": "object", "texts_": "object",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("select 1 as other", "answered the columns other; its header names n"),
        (f"select '{SECRET}' as n", "n is not the bigint its header says"),
    ],
)
def test_an_answer_that_is_not_the_headers_is_nonsense(server: Server, body: str, expected: str) -> None:
    """Names and types are held against the header; no value is shown."""
    asked = parse("postgres", "things", f"-- Things.\n-- columns: n bigint\n-- params: none\n-- needs: nothing\n{body}")
    with door(server) as db:
        facts = db.ask(body, lambda connection: frame(connection.execute(asked.body.encode()), asked))
    assert isinstance(facts.error, SourceNonsense)
    assert expected in str(facts.error)
    assert SECRET not in said(facts)


def test_parameters_are_checked_before_anything_is_asked(closed_port: int) -> None:
    """A misspelt name is the caller's mistake, not the server's."""
    db = Postgres(SecretStr(f"postgresql://u:p@127.0.0.1:{closed_port}/x"), phase="tests")
    with pytest.raises(UsageError, match="parameter schema is unknown"):
        db.query("relations", schema=["public"])


def test_the_session_reads_and_names_itself(server: Server) -> None:
    """Settings hold, each statement is its own transaction, and writing is refused."""
    with door(server, statement_timeout_ms=1234, lock_timeout_ms=56) as db:
        names = "'statement_timeout', 'lock_timeout', 'default_transaction_read_only', 'application_name', 'TimeZone'"
        table = run(db, f"select name, setting from pg_settings where name in ({names})").table
        assert dict(table.itertuples(index=False)) == {
            "statement_timeout": "1234", "lock_timeout": "56", "default_transaction_read_only": "on",
            "application_name": "opsnb/tests", "TimeZone": "UTC",
        }  # fmt: skip
        moments = [run(db, "select transaction_timestamp()").table.iloc[0, 0] for _ in range(2)]
        assert moments[0] < moments[1]
        refused = run(db, "create table public.mine (n int)")
        assert isinstance(refused.error, SourceDenied)
        assert "25006" in str(refused.error)


def test_a_slow_statement_is_stopped(server: Server) -> None:
    """By the server, and the connection goes on."""
    with door(server, statement_timeout_ms=100) as db:
        facts = run(db, "select pg_sleep(20)")
        assert isinstance(facts.error, SourceTimeout)
        assert "57014" in str(facts.error)
        assert facts.seconds < 2
        assert run(db, "select 1").ok


def test_a_lock_is_not_waited_for(server: Server, admin: psycopg.Connection[Any]) -> None:
    """Fifty milliseconds, not until the other ends."""
    with door(server) as db, admin.transaction(force_rollback=True):
        admin.execute("lock table clinic.people in access exclusive mode")
        facts = run(db, "select count(*) from clinic.people")
        assert isinstance(facts.error, SourceTimeout)
        assert "lock" in str(facts.error)
        assert facts.seconds < 1


@pytest.mark.parametrize(
    ("sql", "kind", "sign"),
    [
        ("select * from clinic.nothing", SourceError, "table that was asked for does not exist (SQLSTATE 42P01)"),
        ("select nothing from clinic.people", SourceError, "column that was asked for does not exist (SQLSTATE 42703)"),
        (f"select '{SECRET}'::int", SourceError, "SQLSTATE 22P02"),
        ("select pg_read_file('/etc/hostname')", SourceDenied, "may not read this"),
    ],
)
def test_refusals_are_sentences_without_values(server: Server, sql: str, kind: type[SourceError], sign: str) -> None:
    """The SQLSTATE and what to do; the server's own text and DETAIL are dropped."""
    with door(server) as db:
        facts = run(db, sql)
    assert type(facts.error) is kind
    assert sign in str(facts.error)
    assert facts.error.question == sql
    assert SECRET not in str(facts.error)
    assert "psycopg" not in said(facts)


def test_a_lost_connection_is_reopened_for_the_next_question(server: Server, admin: psycopg.Connection[Any]) -> None:
    """The question that lost it is lost; it is not asked again by itself."""
    with door(server) as db:
        pid = int(run(db, "select pg_backend_pid()").table.iloc[0, 0])
        admin.execute("select pg_terminate_backend(%s, 2000)", (pid,))
        lost = run(db, "select 1")
        assert lost.error is not None
        assert "57P01" in str(lost.error) or "lost" in str(lost.error)
        again = run(db, "select pg_backend_pid()")
        assert again.ok
        assert int(again.table.iloc[0, 0]) != pid


def test_a_server_that_is_stopped_does_not_hold_us(server: Server) -> None:
    """No time-out of its own works in a stopped server: ours does."""
    with door(server, statement_timeout_ms=200) as db:
        pid = int(run(db, "select pg_backend_pid()").table.iloc[0, 0])
        os.kill(pid, signal.SIGSTOP)
        try:
            facts = run(db, "select 1")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert isinstance(facts.error, SourceTimeout)
        assert "stopped answering" in str(facts.error)
        assert facts.seconds < 4
        assert run(db, "select 1").ok


def test_close_is_safe_and_reopens(server: Server) -> None:
    """Twice, and a question afterwards opens a new connection."""
    db = door(server)
    assert run(db, "select 1").ok
    db.close()
    db.close()
    assert run(db, "select 1").ok
    db.close()


def test_answers_are_timed_one_by_one(server: Server) -> None:
    """As many rows as times asked."""
    with door(server) as db:
        facts = db.timed("response_time", times=5)
    assert facts.table["milliseconds"].between(0, 1000).sum() == 5


# ── no connection ──


def unreachable(dsn: str, **options: Any) -> tuple[SourceError, float]:
    started = time.monotonic()
    with Postgres(SecretStr(dsn), phase="tests", **options) as db:
        facts = db.facts()
    assert facts.error is not None
    assert "hunter2" not in said(facts)
    return facts.error, time.monotonic() - started


def test_nothing_listens(closed_port: int) -> None:
    """Tried three times, shortly, then said."""
    error, seconds = unreachable(f"postgresql://u:hunter2@127.0.0.1:{closed_port}/x")
    assert str(error) == f"nothing listens at 127.0.0.1:{closed_port}; is the database running?"
    assert 0.3 < seconds < 3


def test_somebody_listens_and_says_nothing(listening: Callable[[Talk], int]) -> None:
    """The time-out of connecting, once."""
    port = listening(lambda line: time.sleep(30))
    error, seconds = unreachable(f"postgresql://u:hunter2@127.0.0.1:{port}/x", connect_timeout_s=2)
    assert isinstance(error, SourceTimeout)
    assert "did not answer within 2 s" in str(error)
    assert seconds < 4


def test_somebody_listens_and_is_no_database(listening: Callable[[Talk], int]) -> None:
    """Nonsense instead of a protocol."""

    def talk(line: socket.socket) -> None:
        line.recv(1024)
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line.shutdown(socket.SHUT_WR)

    error, seconds = unreachable(f"postgresql://u:hunter2@127.0.0.1:{listening(talk)}/x")
    assert isinstance(error, SourceNonsense)
    assert "is no PostgreSQL" in str(error)
    assert seconds < 5


def test_wrong_password_is_tried_once(server: Server, admin: psycopg.Connection[Any]) -> None:
    """Platforms ban addresses that try again and again."""
    error, seconds = unreachable(server.dsn(password="hunter2").get_secret_value())
    assert isinstance(error, SourceDenied)
    assert "refused the role or its password" in str(error)
    assert seconds < 0.3


@pytest.mark.parametrize(
    ("role", "database", "sign"), [("reader", "nowhere", "no such role or database"), ("crowded", "doors", "no connection left")]
)
def test_other_refusals_to_connect(server: Server, role: str, database: str, sign: str) -> None:
    """A database that is not there, a role whose connections are used up."""
    error, _ = unreachable(server.dsn(role, database=database).get_secret_value())
    assert sign in str(error)


@pytest.mark.parametrize("dsn", ["hunter2", "postgresql://u:hunter2@h:5432:1/x?nonsense=1", "host=h hunter2=x"])
def test_what_is_no_dsn_is_the_operators_mistake(dsn: str) -> None:
    """And is not repeated."""
    with pytest.raises(UsageError, match=r"postgres\.dsn of the environment is not a DSN") as caught:
        Postgres(SecretStr(dsn), phase="tests").facts()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_the_transaction_pooler_is_refused_unless_allowed() -> None:
    """Its port says what it is; the sentence says what to use."""
    dsn = SecretStr("postgresql://u:hunter2@127.0.0.1:6543/x")
    with pytest.raises(UsageError, match=r"transaction pooler.*session mode: port 5432"):
        Postgres(dsn, phase="tests").facts()
    allowed = Postgres(dsn, phase="tests", allow_transaction_pooler=True).facts()
    assert isinstance(allowed.error, SourceError)
