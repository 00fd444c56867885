"""Rows that look real are refused, with table, number and reason, and never a value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cleaning_desk import Desk
from clusters import bare

from opsnb.checks import cleanup as checks
from opsnb.errors import ActionRefused, SourceError
from opsnb.verdicts import Verdict

SECRET = "Anna-has-measles"
CLINIC = f"""
create table users (id int primary key, name text not null, invited_by int references users (id) on delete cascade,
    created_at timestamptz not null default '2026-01-15');
create table clinics (id int primary key, director int references users (id));
create table visits (id int primary key, patient int not null references users (id) on delete cascade,
    provider int not null references users (id), clinic int references clinics (id), at date default '2026-01-15',
    created_at timestamp default '2026-01-15', unique (id, patient, provider));
create table calls (id int primary key, visit int references visits (id) on delete set null);
create table notes (id int primary key, visit int, patient int, provider int,
    foreign key (visit, patient, provider) references visits (id, patient, provider), created_at timestamptz default '2026-01-15');
create table chat (id int primary key, author text, note int references notes (id) on delete cascade);
insert into users values (1, 'test'), (2, 'test'), (3, '{SECRET}'), (4, '{SECRET}');
insert into clinics values (1, 3);
insert into visits (id, patient, provider, clinic) values (10, 1, 2, 1), (11, 3, 4, 1);
insert into calls values (100, 10), (101, 11);
insert into notes (id, visit, patient, provider) values (1000, 10, 1, 2), (1001, 11, 3, 4);
insert into chat values (5, '1', 1000);
"""
PEOPLE = {"people": ["public.users"]}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Test users 1 and 2 with a visit, a call, a note and a line of chat; 3 and 4 are real."""
    with bare(18).fresh() as dsn:
        made = Desk(dsn, tmp_path / "root", {"records": [{"table": "users", "key": "id", "values": ["1", "2"]}], "guards": PEOPLE})
        made.run(CLINIC)
        yield made


def refused(desk: Desk, *signs: str) -> None:
    """The plan is refused in words with every sign in them; applying changes nothing; the check fails."""
    action = desk.action()
    plan = action.plan()
    said = "; ".join(plan.blocked_by)
    assert said, "the plan is not refused"
    for sign in signs:
        assert sign in said
    before = desk.hashes()
    with pytest.raises(ActionRefused, match="Nothing was changed") as caught:
        action.apply(plan, confirm="desk")
    assert desk.hashes() == before
    assert not desk.actions.exists()
    result = checks.plan_is_test_data(plan.guard_table)
    assert result.verdict is Verdict.FAIL and result.table is not None and result.table.iloc[0]["severity"] == "FAIL"
    for text in (said, str(caught.value), result.summary, result.table.to_string(), repr(plan), *plan.tree_lines):
        assert SECRET not in text


def allowed(desk: Desk) -> None:
    action = desk.action()
    plan = action.plan()
    assert plan.blocked_by == ()
    assert checks.plan_is_test_data(plan.guard_table).verdict is Verdict.PASS
    action.apply(plan, confirm="desk")
    assert action.plan().rows == 0
    assert checks.plan_is_test_data(action.plan().guard_table).verdict is Verdict.PASS, "nothing left is nothing real"


def named(desk: Desk, table: str, key: str, *values: str) -> None:
    desk.cleanup["records"].append({"table": table, "key": key, "values": list(values)})


def test_test_data_alone_is_allowed(desk: Desk) -> None:
    """A shared clinic whose director is real makes nobody real."""
    allowed(desk)
    assert desk.rows("select id from visits") == [(11,)] and desk.rows("select count(*) from clinics") == [(1,)]


def test_a_row_linked_to_somebody_real(desk: Desk) -> None:
    """A test patient seen by a real provider."""
    desk.run("insert into visits values (12, 1, 4, 1)")
    refused(desk, "public.visits: 1 row of 2 refers by provider to rows of public.users that are not in the plan")


def test_a_person_whom_nobody_named(desk: Desk) -> None:
    """A real user who was invited by a test user goes by a cascade."""
    desk.run("update users set invited_by = 1 where id = 3")
    refused(desk, "public.users: 1 person in the plan whom the release does not name")


def test_a_test_user_invited_by_somebody_real(desk: Desk) -> None:
    desk.run("update users set invited_by = 3 where id = 1")
    refused(desk, "public.users: 1 row of 2 refers by invited_by to rows of public.users")


def test_a_person_who_would_be_changed(desk: Desk) -> None:
    desk.run(
        "alter table users add last_visit int references visits (id) on delete set null; update users set last_visit = 10 where id = 4"
    )
    refused(desk, "public.users: 1 person in the plan whom the release does not name")


def test_a_column_that_means_a_person_through_another_table(desk: Desk) -> None:
    """A mistyped note of a real visit: its patient stands in a composite key only."""
    named(desk, "notes", "id", "1001")
    refused(desk, "public.notes: 1 row of 2 refers by patient", "refers by provider")


def test_a_row_that_belongs_to_a_real_row(desk: Desk) -> None:
    """A mistyped call: it has no person, its visit has. The release names visits, so one outside the list is somebody else's."""
    named(desk, "visits", "id", "10")
    named(desk, "calls", "id", "101")
    refused(desk, "public.calls: 1 row of 2 belongs to rows of public.visits outside the plan, and these to people who are not in it")


def test_two_steps_away(desk: Desk) -> None:
    """A mistyped line of chat under the note of a real visit, whose people stand two tables away."""
    desk.run("alter table notes drop column patient cascade; alter table notes add foreign key (visit) references visits (id);"
             "insert into chat values (6, null, 1001)")  # fmt: skip
    named(desk, "visits", "id", "10")
    named(desk, "notes", "id", "1000")
    named(desk, "chat", "id", "6")
    refused(desk, "public.chat: 1 row of 2 belongs to rows of public.notes outside the plan")


def test_links_of_the_release_are_links_to_people_too(desk: Desk) -> None:
    desk.run("update chat set author = '3'")
    allowed_without = desk.action().plan()
    assert not allowed_without.blocked_by
    desk.cleanup["links"] = [{"child": "public.chat.author", "parent": "public.users.id"}]
    refused(desk, "public.chat: 1 row of 1 refers by author to rows of public.users")
    desk.run("update chat set author = '99'")
    allowed(desk)


WINDOW = {"window_from": "2026-01-01T00:00:00Z", "window_to": "2026-02-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("update users set created_at = '2025-12-31 23:59:59+00' where id = 1", "public.users: 1 row of 2 has a created_at outside"),
        ("update users set created_at = '2026-02-01 00:00:01+00' where id < 3", "public.users: 2 rows of 2 have a created_at outside"),
        ("update notes set created_at = null", "public.notes: 1 row of 1 has a created_at outside"),
        ("update visits set created_at = '2026-02-01 00:00:01'", "public.visits: 1 row of 1 has a created_at outside"),
        ("alter table calls add created_at date; update calls set created_at = '2026-03-01'", "public.calls: 1 row of 1 has"),
    ],
)  # fmt: skip
def test_older_or_newer_than_the_tests(desk: Desk, change: str, table: str) -> None:
    """Also a row that would only be changed, and one that has no time."""
    desk.cleanup["guards"] = WINDOW
    desk.run(change)
    refused(desk, table, "(2026-01-01 00:00 to 2026-02-01 00:00)")


def test_within_the_window(desk: Desk) -> None:
    """Its ends belong to it; a table without the column is said to be not looked at."""
    desk.cleanup["guards"] = {**WINDOW, **PEOPLE}
    desk.run(
        "update users set created_at = '2026-01-01 00:00+00' where id = 1; update users set created_at = '2026-02-01 00:00+00' where id = 2"
    )
    guards = desk.action().plan().guard_table
    assert "it has no time in created_at: not looked at" in set(guards["finding"])
    allowed(desk)


def test_another_time_column(desk: Desk) -> None:
    desk.cleanup["guards"] = {**WINDOW, "time_column": "at"}
    desk.run("update visits set at = '2025-12-31'")
    refused(desk, "public.visits: 1 row of 1 has a at outside")


def test_not_synthetic(desk: Desk) -> None:
    """What is unknown is not met; the expression may hold anything a row's expression may."""
    desk.cleanup["guards"] = {"synthetic": {"public.users": "name like 'te%t' and name <> '{}' -- as the tests write it"}}
    assert not desk.action().plan().blocked_by
    desk.run(f"update users set name = '{SECRET}' where id = 2")
    refused(desk, "public.users: 1 row of 2 is not synthetic")
    desk.cleanup["guards"] = {"synthetic": {"public.users": "invited_by > 0"}}
    refused(desk, "public.users: 2 rows of 2 are not synthetic")


@pytest.mark.parametrize("expression", ["name::int = 1", "nothing = 1", "1); delete from users; select (1"])
def test_an_expression_that_is_none(desk: Desk, expression: str) -> None:
    """Nothing of a row is in the error."""
    desk.cleanup["guards"] = {"synthetic": {"public.users": expression}}
    before = desk.hashes()
    with pytest.raises(SourceError) as caught:
        desk.action().plan()
    assert "test" not in str(caught.value) and desk.hashes() == before


def test_what_is_guarded_by_nothing_is_a_warning(desk: Desk) -> None:
    desk.cleanup["guards"] = {}
    plan = desk.action().plan()
    result = checks.plan_is_test_data(plan.guard_table)
    assert result.verdict is Verdict.WARN and "no guard" in result.summary


def test_a_guard_is_asked_again_inside_the_transaction(desk: Desk) -> None:
    """A visit becomes somebody's between plan and deletion."""
    action = desk.action()
    plan = action.plan()
    desk.run("update visits set provider = 4 where id = 10 and false; update visits set clinic = null where id = 10")
    action_plan: Any = action.plan()
    assert action_plan == plan, "what changed is nothing the plan speaks of"
    desk.run("insert into visits values (12, 1, 4, 1)")
    before = desk.hashes()
    with pytest.raises(ActionRefused, match="data changed since the plan"):
        action.apply(plan, confirm="desk")
    assert desk.hashes() == before


def test_other_rows_of_the_same_number_are_another_plan(desk: Desk) -> None:
    """As many rows, and not the same ones."""
    action = desk.action()
    plan = action.plan()
    desk.run("insert into calls values (102, 10); delete from calls where id = 100")
    with pytest.raises(ActionRefused, match=r"data changed since the plan was made \(5 rows then, 5 now\)"):
        action.apply(plan, confirm="desk")
