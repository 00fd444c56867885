"""Adoption: too early is undecided, too late is a failure, and only different people count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import psycopg
import pytest
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import usage as checks
from opsnb.sources import usage
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import Verdict

T = datetime(2026, 1, 17, 22, tzinfo=UTC)


def used(*rows: tuple[str, int, int]) -> pd.DataFrame:
    table = pd.DataFrame([(T, *row) for row in rows], columns=["hour", "what", "n", "people"])
    return table.astype({"what": "string", "n": "Int64", "people": "Int64"})


@pytest.mark.parametrize(
    ("table", "hours", "verdict"),
    [
        (used(("notes", 4, 2), ("views", 9, 3)), 5, Verdict.PASS), (used(("notes", 4, 2)), 5, Verdict.INCONCLUSIVE),
        (used(("notes", 4, 2)), 13, Verdict.FAIL), (used(), 1, Verdict.INCONCLUSIVE), (used(), 13, Verdict.FAIL),
        (used(("notes", 400, 1), ("views", 400, 1)), 13, Verdict.FAIL),  # one eager person is no adoption
    ],
)  # fmt: skip
def test_adopted(table: pd.DataFrame, hours: float, verdict: Verdict) -> None:
    assert checks.adopted(table, names=["notes", "views"], hours=hours, within_h=12, people=2).verdict is verdict


def test_a_release_that_names_no_use_is_undecided() -> None:
    assert checks.adopted(used(), names=[], hours=13, within_h=12, people=2).verdict is Verdict.INCONCLUSIVE


@pytest.fixture
def dsn() -> Iterator[str]:
    with bare(18).fresh() as made:
        yield made


def test_rows_and_people_are_counted_per_hour_since_the_deployment(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute('create table public."Odd notes" (at timestamptz, who text)')
        for minutes, who in ((-5, "a"), (5, "a"), (6, "a"), (7, "b"), (65, "c")):
            connection.execute('insert into public."Odd notes" values (%s, %s)', [T + timedelta(minutes=minutes), who])
    use = SimpleNamespace(name="notes", table="public.Odd notes", at_column="at", person_column="who")
    database = Postgres(SecretStr(dsn), phase="test")
    try:
        table = usage.usage(database, [use], since=T).table
    finally:
        database.close()
    assert table[["what", "n", "people"]].to_numpy().tolist() == [["notes", 3, 2], ["notes", 1, 1]]
    assert list(table["hour"]) == [pd.Timestamp(T), pd.Timestamp(T + timedelta(hours=1))]
