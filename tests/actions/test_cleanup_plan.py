"""The clean-up deletes exactly its plan, or nothing. On the real target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from opsnb.actions.cleanup import Cleanup, Plan, Undo, newest_record
from opsnb.config import load_release
from opsnb.errors import ActionRefused, UsageError
from opsnb.local.database import insert_test_records

pytestmark = pytest.mark.target


@pytest.fixture
def database(target: Path) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection that may write, the test records inserted; afterwards they and what a test added are gone."""
    dsn = (target / ".opsnb" / "local" / "run" / "write_dsn").read_text(encoding="utf-8").strip()
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.transaction():
            insert_test_records(connection)
        yield connection
        for record in load_release("patient-history", target).cleanup.records:
            connection.execute(f"delete from {record.table} where {record.key}::text = any(%s)", (list(record.values),))


@pytest.fixture
def cleaning(at_home: Path, database: object) -> Cleanup:
    return Cleanup.open("local", root=at_home)


def count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    return int(str(row[0]))


def test_the_plan_follows_cascades(cleaning: Cleanup) -> None:
    """Children that go with their parents are in the plan, those behind a composite key too."""
    plan = cleaning.plan()
    assert plan.by_table["public.soap_notes"] == 2
    assert plan.by_table["public.context_snapshots"] >= 1
    assert not plan.blocked_by
    assert plan.rows == sum(plan.by_table.values())


def test_apply_deletes_exactly_the_plan(cleaning: Cleanup, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """Every table loses as many rows as the plan says, and a second run finds nothing."""
    plan = cleaning.plan()
    before = {table: count(database, table) for table in plan.by_table}
    cleaning.apply(plan, confirm="local")
    assert {table: before[table] - count(database, table) for table in plan.by_table} == plan.by_table
    assert cleaning.plan().rows == 0
    record = newest_record(cleaning.deployment).table
    assert record["unplanned"].sum() == 0
    assert record["remaining"].sum() == 0
    assert record["deleted"].sum() == plan.rows
    assert set(record["before_image"]) == {"kept"}


PATIENT, PROVIDER = "805148ca-76b5-48b2-88e7-0ebfd13bc580", "cb184de2-68c6-4fa7-98dc-885d6e5c244e"
APPOINTMENT = (
    "insert into public.appointments (patient_id, provider_id, starts_at, ends_at) "
    "values (%s, %s, now(), now() + interval '1 hour') returning id"
)


def test_a_row_that_nobody_named_goes_along(cleaning: Cleanup, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """An appointment of the test patient with the test provider that the release does not name, whatever its constraint says."""
    database.execute(APPOINTMENT, (PATIENT, PROVIDER))
    plan = cleaning.plan()
    assert plan.by_table["public.appointments"] == 3 and not plan.blocked_by
    cleaning.apply(plan, confirm="local")
    assert cleaning.plan().rows == 0


def test_a_row_of_somebody_real_blocks_it(cleaning: Cleanup, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """An appointment of the test patient with a provider who is none of the tests': refused, nothing deleted."""
    row = database.execute("select id from public.users where role = 'provider' and id <> %s limit 1", (PROVIDER,)).fetchone()
    assert row is not None
    row = database.execute(APPOINTMENT, (PATIENT, row[0])).fetchone()
    assert row is not None
    try:
        plan = cleaning.plan()
        assert plan.blocked_by
        before = count(database, "public.soap_notes")
        with pytest.raises(ActionRefused, match="not in the plan"):
            cleaning.apply(plan, confirm="local")
        assert count(database, "public.soap_notes") == before
    finally:
        database.execute("delete from public.appointments where id = %s", (row[0],))


def test_it_is_undone_with_the_targets_own_key(
    cleaning: Cleanup, at_home: Path, database: psycopg.Connection[tuple[object, ...]]
) -> None:  # fmt: skip
    """Through the parameter files, as the command line does."""
    # the living clinic goes on merging notes: what it stamps is left out
    stamped = "'{updated_at,medical_record_last_updated_at,medical_record_last_soap_note_id}'::text[]"
    query = f"select md5(string_agg((to_jsonb(t) - {stamped})::text, '' order by id)) from public.%s t"
    tables = ("users", "soap_notes", "patient_profiles", "soap_plan_medication")
    before = [database.execute(query % table).fetchone() for table in tables]
    cleaning.apply(cleaning.plan(), confirm="local")
    assert [database.execute(query % table).fetchone() for table in tables] != before
    undo = Undo.open("local", root=at_home)
    undo.apply(undo.plan(), confirm="local")
    assert [database.execute(query % table).fetchone() for table in tables] == before


def test_a_plan_that_no_longer_holds_is_refused(cleaning: Cleanup, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """The data changed between plan and deletion: refused, nothing deleted."""
    plan = cleaning.plan()
    database.execute("delete from public.soap_notes where id = 'c5b820ae-3f82-471d-b875-9af8b2b0ec0b'")
    before = count(database, "public.users")
    with pytest.raises(ActionRefused, match="changed since the plan"):
        cleaning.apply(plan, confirm="local")
    assert count(database, "public.users") == before


def test_another_environments_name_is_refused(cleaning: Cleanup, database: psycopg.Connection[tuple[object, ...]]) -> None:
    """The wrong name typed: usage error, nothing deleted."""
    before = count(database, "public.users")
    with pytest.raises(UsageError, match="expected the environment's name, local"):
        cleaning.apply(cleaning.plan(), confirm="production")
    assert count(database, "public.users") == before


def test_an_empty_plan_says_so() -> None:
    """Nothing to delete is a sentence, not an empty table."""
    assert "nothing to delete" in Plan(()).sentence
