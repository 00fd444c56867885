"""How the server keeps itself, on real servers: each thing is broken, found, mended and passed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import resources
from typing import Any

import pandas as pd
import psycopg
import pytest
from clusters import bare
from psycopg.rows import dict_row

from opsnb.checks import upkeep
from opsnb.verdicts import CheckResult

STATEMENTS = resources.files("opsnb") / "sql" / "postgres"


@pytest.fixture(params=[15, 18])
def dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own on a server of each version."""
    with bare(request.param).fresh() as made:
        yield made


def ask(dsn: str, name: str, **params: Any) -> pd.DataFrame:
    """What a statement answers a new session: one that is open keeps the statistics it saw first."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute((STATEMENTS / f"{name}.sql").read_bytes(), params or None)
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or ()])


def until(judge: Callable[[], CheckResult], verdict: str) -> CheckResult:
    """The result once it is *verdict*: sessions report what they counted a moment later, so it is asked again for a while."""
    deadline = time.monotonic() + 20
    while str((result := judge()).verdict) != verdict and time.monotonic() < deadline:
        time.sleep(0.1)
    assert str(result.verdict) == verdict, result.summary
    return result


def deadlock(dsn: str) -> None:
    """Two transactions that each wait for the other's row; the server ends one of them."""
    first, second = psycopg.connect(dsn), psycopg.connect(dsn)
    with first, second:
        for connection in (first, second):
            connection.execute("set deadlock_timeout = '50ms'")
        first.execute("update pair set at = 1 where id = 1")
        second.execute("update pair set at = 1 where id = 2")

        def cross() -> None:
            with suppress(psycopg.errors.DeadlockDetected):
                second.execute("update pair set at = 2 where id = 1")
            second.rollback()

        other = threading.Thread(target=cross)
        other.start()
        with suppress(psycopg.errors.DeadlockDetected):
            first.execute("update pair set at = 2 where id = 2")
        first.rollback()
        other.join()


def test_a_deadlock_since_the_first_reading(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table pair (id integer primary key, at integer)")
        connection.execute("insert into pair values (1, 0), (2, 0)")
    first = ask(dsn, "counters")

    def judge() -> CheckResult:
        return upkeep.deadlocks(ask(dsn, "counters"), first, limit=0)

    assert str(judge().verdict) == "PASS"
    deadlock(dsn)
    found = until(judge, "FAIL")
    assert (found.measured, found.limit) == (1, 0)
    assert found.summary.startswith("1 deadlock since 20")
    assert str(upkeep.deadlocks(ask(dsn, "counters"), first, limit=1).verdict) == "PASS"
    # a new first reading: what was before the deployment is not its fault
    first = ask(dsn, "counters")
    assert str(judge().verdict) == "PASS"


def test_counters_that_were_reset_are_not_passed(dsn: str) -> None:
    """None is missing for certain only where the server counted all the time."""
    first = ask(dsn, "counters")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_stat_reset()")
    found = until(lambda: upkeep.deadlocks(ask(dsn, "counters"), first, limit=0), "INCONCLUSIVE")
    assert "may have lost some" in found.summary
    reset = ask(dsn, "counters")
    assert str(upkeep.deadlocks(reset.assign(deadlocks=2), first, limit=0).verdict) == "FAIL"


def test_reads_that_miss_the_cache(dsn: str) -> None:
    """A table larger than the cache may give to one scan is read from outside it every time; a small one is not."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create unlogged table large as select n, repeat('x', 900) as text from generate_series(1, 40000) as n")
        connection.execute("create table small as select n from generate_series(1, 1000) as n")
    first = ask(dsn, "counters")

    def judge() -> CheckResult:
        return upkeep.cache(ask(dsn, "counters"), first, limit_share=0.9)

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set max_parallel_workers_per_gather = 0")
        for _ in range(4):
            connection.execute("select count(text) from large")
    found = until(judge, "FAIL")
    assert found.measured is not None
    assert float(found.measured) < 0.9
    first = ask(dsn, "counters")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(400):
            connection.execute("select count(n) from small")
    assert until(judge, "PASS").measured is not None


def test_dead_rows_that_no_vacuum_came_for(dsn: str) -> None:
    """Over the threshold while a lock keeps autovacuum away; a vacuum mends it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema clinic")
        connection.execute("create table clinic.notes (id integer primary key, text text)")
        connection.execute("create table clinic.quiet (id integer) with (autovacuum_vacuum_threshold = 5000)")
        connection.execute("insert into clinic.notes select n, 'x' from generate_series(1, 1000) as n")

    def judge(grace_s: float = 0) -> CheckResult:
        return upkeep.autovacuum(ask(dsn, "vacuum_state", schemas=["clinic"]), grace_s=grace_s)

    assert str(judge().verdict) == "PASS"
    with psycopg.connect(dsn) as holder:
        holder.execute("lock table clinic.notes in share update exclusive mode")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("update clinic.notes set text = 'y'")
            connection.execute("insert into clinic.quiet select n from generate_series(1, 1000) as n")
            connection.execute("delete from clinic.quiet")
        found = until(judge, "FAIL")
        assert (
            found.summary
            == "1 of 2 tables left to themselves: clinic.notes: over its threshold, and never vacuumed since the server counts."
        )
        assert str(judge(grace_s=10**9).verdict) == "INCONCLUSIVE"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum clinic.notes")
    until(judge, "PASS")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter table clinic.notes set (autovacuum_enabled = off)")
        connection.execute("update clinic.notes set text = 'z'")
    found = until(judge, "FAIL")
    assert "autovacuum is switched off for it" in found.summary
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter table clinic.notes reset (autovacuum_enabled)")
        connection.execute("vacuum clinic.notes")
    until(judge, "PASS")


def test_a_server_that_does_not_vacuum(dsn: str) -> None:
    """Not on the server, not counting, and a table that falls behind although it was vacuumed."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table notes (id integer)")
    state = ask(dsn, "vacuum_state", schemas=["public"])
    assert str(upkeep.autovacuum(state).verdict) == "PASS"
    assert upkeep.autovacuum(state.assign(autovacuum=False)).summary == "The server does not vacuum by itself (autovacuum is off)."
    assert upkeep.autovacuum(state.assign(counted=False)).summary == "The server does not vacuum by itself (track_counts is off)."
    vacuumed = state.assign(last_vacuum=state["read_at"])
    assert str(upkeep.autovacuum(vacuumed.assign(dead_rows=51), grace_s=0).verdict) == "PASS"
    assert str(upkeep.autovacuum(vacuumed.assign(dead_rows=500), grace_s=0).verdict) == "WARN"
    assert str(upkeep.autovacuum(state.assign(dead_rows=51), grace_s=0).verdict) == "FAIL"
    assert str(upkeep.autovacuum(state[:0]).verdict) == "INCONCLUSIVE"
    assert str(upkeep.autovacuum(state.assign(dead_rows=None)).verdict) == "ERROR"


def test_pages_that_hold_little(dsn: str) -> None:
    """Full, emptied by three quarters, written anew: the estimate follows, and is near the truth while its statistics are."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema clinic")
        connection.execute("create table clinic.notes (id bigint, at timestamptz, text text, gone text) with (autovacuum_enabled = off)")
        connection.execute("insert into clinic.notes select n, now(), repeat('x', 200 + n % 100), null from generate_series(1, 20000) as n")

    def judge() -> CheckResult:
        return upkeep.bloat(ask(dsn, "bloat", schemas=["clinic"]), limit_share=0.5, matters_mb=1)

    def change(*statements: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    assert "unknown: never analysed" in judge().summary
    change("analyze clinic.notes")
    full = until(judge, "PASS")
    row = ask(dsn, "bloat", schemas=["clinic"]).iloc[0]
    assert 0.9 < row["expected_bytes"] / row["heap_bytes"] < 1.1
    assert full.table is not None
    assert full.table.iloc[0]["trust"] == "good: 0 rows changed since its statistics of 20,000"
    change("delete from clinic.notes where id % 4 > 0")
    stale = until(judge, "INCONCLUSIVE")
    assert "15,000 rows changed since its statistics of 20,000" in stale.summary
    change("vacuum (analyze) clinic.notes")
    empty = until(judge, "WARN")
    assert "clinic.notes (75%)" in empty.summary or "clinic.notes (74%)" in empty.summary, empty.summary
    change("vacuum (full, analyze) clinic.notes")
    assert until(judge, "PASS").table is not None


def test_statistics_that_are_not_visible(dsn: str) -> None:
    """A role that may not read a column sees no statistics of it: unknown, not small."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table notes (id bigint, text text) with (autovacuum_enabled = off)")
        connection.execute("insert into notes select n, repeat('x', 200) from generate_series(1, 10000) as n")
        connection.execute("drop role if exists half_blind")
        connection.execute("create role half_blind")
        connection.execute("grant select (id) on notes to half_blind")
    with psycopg.connect(dsn, autocommit=True) as connection:  # a session counts its own changes after its own analyze
        connection.execute("analyze notes")

    def seen(role: str) -> CheckResult:
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
            connection.execute(f"set role {role}".encode())
            rows = connection.execute((STATEMENTS / "bloat.sql").read_bytes(), {"schemas": ["public"]}).fetchall()
        return upkeep.bloat(pd.DataFrame(rows), limit_share=0.5, matters_mb=1)

    until(lambda: seen("postgres"), "PASS")
    blind = seen("half_blind")
    assert str(blind.verdict) == "INCONCLUSIVE"
    assert "public.notes (unknown: the statistics of 1 column are missing, or not visible to this role)" in blind.summary
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("revoke all on notes from half_blind")
        connection.execute("drop role half_blind")
    assert upkeep.bloat(ask(dsn, "bloat", schemas=["public"]), limit_share=0.5).summary.startswith("None of 1 table is as large as 10 MB")
    assert str(upkeep.bloat(ask(dsn, "bloat", schemas=["nowhere"]), limit_share=0.5).verdict) == "INCONCLUSIVE"


def reading(**changes: Any) -> pd.DataFrame:
    at = pd.Timestamp("2026-11-23 10:00", tz="UTC")
    whole = {"database": "d", "deadlocks": 5, "blocks_hit": 10_000, "blocks_read": 100, "counted": True}
    return pd.DataFrame([{**whole, "counting_since": at, "read_at": at + pd.Timedelta(hours=1), **changes}])


@pytest.mark.parametrize(
    ("now", "first", "verdicts"),
    [
        (reading(deadlocks=5, blocks_hit=30_000), reading(), ("PASS", "PASS")),
        (reading(deadlocks=6, blocks_hit=30_000), reading(), ("FAIL", "PASS")),
        (reading(deadlocks=5, blocks_hit=10_000, blocks_read=9_000), reading(), ("PASS", "FAIL")),
        (reading(), reading(), ("PASS", "INCONCLUSIVE")),  # too few blocks
        (reading(), pd.DataFrame(), ("INCONCLUSIVE", "INCONCLUSIVE")),
        (reading(), reading(database="other"), ("INCONCLUSIVE", "INCONCLUSIVE")),
        (reading(counted=False), reading(), ("INCONCLUSIVE", "INCONCLUSIVE")),
        (reading(deadlocks=0, blocks_hit=2_000), reading(), ("INCONCLUSIVE", "PASS")),  # reset
        (reading(deadlocks=1, blocks_hit=2_000), reading(), ("FAIL", "PASS")),
        (reading(counting_since=pd.Timestamp("2026-11-23 12:00", tz="UTC"), blocks_hit=30_000), reading(), ("INCONCLUSIVE", "PASS")),
        (pd.DataFrame(), reading(), ("ERROR", "ERROR")),
        (reading(deadlocks=-1), reading(deadlocks=-1), ("ERROR", "ERROR")),
        (reading(deadlocks=None), reading(), ("ERROR", "ERROR")),
    ],
)
def test_what_the_counters_prove(now: pd.DataFrame, first: pd.DataFrame, verdicts: tuple[str, str]) -> None:
    found = upkeep.deadlocks(now, first, limit=0), upkeep.cache(now, first, limit_share=0.9)
    assert tuple(str(result.verdict) for result in found) == verdicts, [result.summary for result in found]
