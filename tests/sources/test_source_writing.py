"""The writing door: whole or not at all, and nothing of a row in what it says."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from conftest import Server
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceTimeout, UsageError
from opsnb.sources.writing import Changes, Transaction, size, transaction

SECRET = "Anna-has-measles"
SCHEMA = """
create role writer login password 'writer-secret';
create schema desk authorization writer;
set role writer;
create table desk.visits (id bigint primary key, patient text not null, unique (id, patient));
create table desk."Odd Notes" (
    id uuid primary key default gen_random_uuid(), visit bigint, who text,
    foreign key (visit, who) references desk.visits (id, patient) on delete cascade
);
create table desk.bills (id bigint primary key, visit bigint references desk.visits (id));
create table desk.late (id bigint primary key, visit bigint references desk.visits (id) deferrable initially deferred);
reset role;
create table desk.foreign_to_writer (id bigint primary key);
"""
ROWS = """
truncate desk.visits, desk."Odd Notes", desk.bills, desk.late;
insert into desk.visits values (1, 'a'), (2, 'b'), (3, 'c');
insert into desk."Odd Notes" (visit, who) values (1, 'a'), (1, 'a'), (2, 'b');
insert into desk.bills values (10, 3);
"""


@pytest.fixture(scope="module")
def desk(server: Server) -> Iterator[Server]:
    with psycopg.connect(server.superuser, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield server
        connection.execute("drop schema desk cascade; drop role writer")


@pytest.fixture(autouse=True)
def rows(desk: Server, admin: psycopg.Connection[Any]) -> None:
    admin.execute(ROWS)


def dsn(server: Server, password: str = "writer-secret") -> SecretStr:
    return server.dsn("writer", password)


def count(admin: psycopg.Connection[Any], table: str = "desk.visits") -> int:
    row = admin.execute(f"select count(*) from {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def delete(changing: Transaction, table: str, column: str, *values: str) -> int:
    """Finds rows, and deletes them by their keys."""
    found = changing.catalog.find(table)
    assert found is not None
    ids = changing.named(found, column, values, 100)
    return changing.delete([(found, changing.keys(found, ids))])[0]


def run(changing: Transaction, sql: str) -> None:
    """What actions never do: any text, to bring errors about."""
    changing._connection.execute(sql.encode())


def said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


def test_it_ends_whole(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """Committed when the block ends; what cascades took is counted too."""
    with transaction(dsn(desk), phase="tests", read_only=False) as changing:
        assert changing.counts and changing.begin_changes()
        assert delete(changing, "desk.visits", "id", "1", "2", "99") == 2
        changes = {changing.relation(oid): change for oid, change in changing.changes().items()}
        assert changes == {"desk.visits": Changes(deleted=2), 'desk."Odd Notes"': Changes(deleted=3)}
        assert count(admin) == 3, "nobody sees it before the end"
    assert count(admin) == 1
    assert count(admin, 'desk."Odd Notes"') == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UsageError])
def test_it_is_rolled_back_whole(desk: Server, admin: psycopg.Connection[Any], error: type[BaseException]) -> None:
    """Whatever the block raised comes out as it is."""
    with pytest.raises(error), transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.visits", "id", "1", "2")
        raise error
    assert count(admin) == 3


def test_a_refusal_by_the_database_rolls_back_what_came_before(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """A child without cascade keeps its parent; the row that DETAIL names is not repeated."""
    with pytest.raises(SourceError, match=r"ForeignKeyViolation, 23503.*nothing was changed") as caught:  # noqa: SIM117
        with transaction(dsn(desk), phase="tests", read_only=False) as changing:
            delete(changing, "desk.visits", "id", "1")
            delete(changing, "desk.visits", "id", "3")
    assert count(admin) == 3
    assert "Key (id)" not in said(caught.value)


def test_a_refusal_at_the_very_end_is_one_too(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """Deferred constraints are looked at by the commit."""
    with (
        pytest.raises(SourceError, match=r"23503.*nothing was changed"),
        transaction(dsn(desk), phase="tests", read_only=False) as changing,
    ):
        run(changing, "insert into desk.late values (1, 77)")
    assert count(admin, "desk.late") == 0


def test_a_commit_that_nobody_answered_is_not_said_to_have_changed_nothing(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """The one case in which it is not known."""
    with pytest.raises(SourceError, match="whether it was committed is not known"):  # noqa: SIM117
        with transaction(dsn(desk), phase="tests", read_only=False) as changing:
            delete(changing, "desk.visits", "id", "1")
            pid = changing._connection.info.backend_pid
            admin.execute("select pg_terminate_backend(%s, 2000)", (pid,))
    assert count(admin) == 3


def test_a_connection_lost_before_that_changed_nothing(desk: Server, admin: psycopg.Connection[Any]) -> None:
    with pytest.raises(SourceError, match="nothing was changed"), transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.visits", "id", "1")
        admin.execute("select pg_terminate_backend(%s, 2000)", (changing._connection.info.backend_pid,))
        changing.catalog.links()
    assert count(admin) == 3


def test_a_plan_only_reads(desk: Server) -> None:
    """Read-only by the transaction itself, not by a default that a pooler may drop."""
    with transaction(dsn(desk), phase="tests", read_only=True) as reading:
        row = reading._connection.execute("select current_setting('transaction_read_only'), current_setting('application_name')").fetchone()
        assert row == ("on", "opsnb/tests")
    with pytest.raises(SourceError, match="25006"), transaction(dsn(desk), phase="tests", read_only=True) as reading:
        delete(reading, "desk.visits", "id", "1")


def test_locks_and_slowness_have_time_outs(desk: Server, admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("select from desk.visits for update")
        with (
            pytest.raises(SourceTimeout, match="locked by somebody else; nothing was changed"),
            transaction(dsn(desk), phase="tests", read_only=False, lock_timeout_ms=50) as changing,
        ):
            delete(changing, "desk.visits", "id", "1")
    with (
        pytest.raises(SourceTimeout, match="took too long"),
        transaction(dsn(desk), phase="tests", read_only=False, statement_timeout_ms=50) as changing,
    ):
        run(changing, "select pg_sleep(5)")


def test_a_right_that_is_missing(desk: Server) -> None:
    with pytest.raises(SourceDenied, match="may not do this"), transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.foreign_to_writer", "id", "1")


def test_no_value_is_in_an_error(desk: Server) -> None:
    """Neither the text of a cast nor a table that is none of the catalogue's."""
    with pytest.raises(SourceError, match="22P02") as caught, transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.visits", "id", SECRET)
    assert SECRET not in said(caught.value)
    with pytest.raises(SourceError, match="has no column patience; it has id, patient"):  # noqa: SIM117
        with transaction(dsn(desk), phase="tests", read_only=False) as changing:
            delete(changing, "desk.visits", "patience", "1")
    with pytest.raises(SourceError, match="not UTF-8"), transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.visits", "patient", "\udce9")


def test_composite_keys_are_followed_column_by_column(desk: Server) -> None:
    """In the order of the constraint; names come as the catalogue writes them."""
    with transaction(dsn(desk), phase="tests", read_only=True) as reading:
        visits = reading.catalog.find("desk.visits")
        assert visits is not None and visits.key == ("id",)
        links = {reading.catalog.table(link.child).name: link for link in reading.catalog.links() if link.parent == visits.oid}
        notes, bills = links['desk."Odd Notes"'], links["desk.bills"]
        assert (notes.on_delete, notes.columns, notes.parent_columns, notes.sets) == ("cascade", ("visit", "who"), ("id", "patient"), False)
        assert (bills.on_delete, bills.indexed) == ("no action", False)
        ones = reading.named(visits, "id", ["1", "99"], 10)
        assert size(ones) == 1 and size(reading.named(visits, "patient", ["b", "c", "z"], 10)) == 2
        assert size(reading.named(visits, "patient", ["a", "b", "c"], 2)) == 2, "no more than were asked for"
        children = reading.children(notes, ones, 10)
        assert size(children) == 2 and reading.parents(notes, children, 10) == ones
        assert reading.children(bills, ones, 10) == {}
        assert reading.keys(visits, reading.named(visits, "id", ["2", "1"], 10)) == [["1", "2"]]
        assert reading.catalog.find("desk.nothing") is None


def test_one_action_at_a_time(desk: Server) -> None:
    """The lock goes with its transaction."""
    with transaction(dsn(desk), phase="tests", read_only=False) as first:
        assert first.begin_changes()
        with transaction(dsn(desk), phase="tests", read_only=False) as second:
            assert not second.begin_changes()
    with transaction(dsn(desk), phase="tests", read_only=False) as third:
        assert third.begin_changes()


def test_what_others_changed_in_the_session_is_not_counted(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """Only what happened since the action began."""
    with transaction(dsn(desk), phase="tests", read_only=False) as changing:
        delete(changing, "desk.bills", "id", "10")
        changing.begin_changes()
        assert changing.changes() == {}
        run(changing, "update desk.visits set patient = 'd' where id = 3")
        assert list(changing.changes().values()) == [Changes(updated=1)]


def test_how_a_transaction_ended(desk: Server) -> None:
    with transaction(dsn(desk), phase="tests", read_only=False) as changing:
        committed = changing.number
        with transaction(dsn(desk), phase="tests", read_only=True) as reading:
            assert reading.ended(committed) in ("in progress", "")
    with pytest.raises(ValueError), transaction(dsn(desk), phase="tests", read_only=False) as changing:
        aborted = changing.number
        raise ValueError
    with transaction(dsn(desk), phase="tests", read_only=True) as reading:
        assert [reading.ended(number) for number in (committed, aborted, "999999999", "nonsense")] == ["committed", "aborted", "", ""]


def test_two_who_change_the_same_row(desk: Server, admin: psycopg.Connection[Any]) -> None:
    """What was read is what is deleted: a row somebody changed meanwhile is not."""
    with pytest.raises(SourceError, match="somebody else changed the same rows"):  # noqa: SIM117
        with transaction(dsn(desk), phase="tests", read_only=False) as changing:
            assert changing.counts
            admin.execute("update desk.bills set visit = null where id = 10")
            delete(changing, "desk.bills", "id", "10")
    assert count(admin, "desk.bills") == 1


@pytest.mark.parametrize(
    ("given", "kind", "sign"),
    [
        ("hunter2", UsageError, "is not a DSN"),
        ("postgresql://u:hunter2@127.0.0.1:6543/x", UsageError, "transaction pooler"),
        ("postgresql://u:hunter2@a..b/x", SourceError, "is not known"),
    ],
)
def test_a_dsn_that_cannot_be_used(given: str, kind: type[Exception], sign: str) -> None:
    with pytest.raises(kind, match=sign) as caught, transaction(SecretStr(given), phase="tests", read_only=True):
        pass
    assert "hunter2" not in said(caught.value)


def test_no_connection(desk: Server, closed_port: int) -> None:
    """In the words of the reading door."""
    wrong = "hunter2"  # a traceback quotes the line that calls
    with pytest.raises(SourceDenied, match="refused the role or its password") as caught:  # noqa: SIM117
        with transaction(dsn(desk, wrong), phase="tests", read_only=True):
            pass
    assert "hunter2" not in said(caught.value)
    nowhere = SecretStr(f"postgresql://u:{wrong}@127.0.0.1:{closed_port}/x")
    with pytest.raises(SourceError, match="nothing listens") as refused, transaction(nowhere, phase="tests", read_only=True):
        pass
    assert "hunter2" not in said(refused.value)
