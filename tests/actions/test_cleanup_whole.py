"""Everything or nothing: killed at any moment, two at once, a disk that is full, a database that refuses; and back again exactly."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cleaning_desk import IDENTITY, Desk
from clusters import bare
from pyrage import x25519

from opsnb.actions.cleanup import before_image, newest_record
from opsnb.checks import cleanup as checks
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, SourceError, SourceTimeout, UsageError
from opsnb.local.database import insert_test_records
from opsnb.verdicts import Verdict

SECRET = "Anna-has-measles"
SCHEMA = """
create table people (id int primary key, name text);
create table visits (id int primary key, who int references people (id) on delete cascade);
create table calls (id int primary key, visit int references visits (id) on delete set null);
create table log (id bigint generated always as identity, who text);
"""
ROWS = f"""
insert into people values (1, '{SECRET}'); insert into visits select n, 1 from generate_series(1, 40) n;
insert into calls select n, n from generate_series(1, 5) n on conflict (id) do update set visit = excluded.visit;
insert into log (who) select '1' from generate_series(1, 3);
"""
OTHERS = """
insert into people values (2, 'b'); insert into visits values (99, 2);
insert into calls values (99, 99); insert into log (who) values ('2');
"""
SECTION: dict[str, Any] = {
    "records": [{"table": "people", "key": "id", "values": ["1"]}],
    "links": [{"child": "public.log.who", "parent": "public.people.id"}],
}
COUNTS = "select (select count(*) from people), (select count(*) from visits), (select count(visit) from calls), (select count(*) from log)"
WHOLE, CLEAN = (2, 41, 6, 4), (1, 1, 1, 1)


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with bare(getattr(request, "param", 18)).fresh() as dsn:
        made = Desk(dsn, tmp_path / "root", json.loads(json.dumps(SECTION)))
        made.run(SCHEMA + OTHERS + ROWS)
        yield made


def counts(desk: Desk) -> tuple[Any, ...]:
    return desk.rows(COUNTS)[0]


def apply(desk: Desk) -> Any:
    action = desk.action()
    action.apply(action.plan(), confirm="desk")
    return action


def filed(desk: Desk) -> list[str]:
    return sorted(path.name.partition("Z-")[2] for path in desk.actions.glob("*"))


def test_what_is_kept_and_what_is_filed(desk: Desk) -> None:
    """A record of counts and hashes, an encrypted file; a second run changes neither."""
    action = apply(desk)
    assert counts(desk) == CLEAN
    assert action.sentence == "44 rows deleted in one transaction, 0 left. 5 rows lost a reference and stayed."
    assert filed(desk) == ["cleanup.before.age", "cleanup.json"]
    image, record = sorted(desk.actions.glob("*"))
    assert SECRET not in record.read_text() and SECRET.encode() not in image.read_bytes()
    assert image.stat().st_mode & 0o777 == 0o600
    said = json.loads(record.read_text())
    assert said["state"] == "committed" and said["before_image"]["rows"] == 49
    facts = newest_record(action.deployment)
    result = checks.executed(facts)
    assert result.verdict is Verdict.PASS and "44 rows deleted as planned" in result.summary and "5 rows lost" in result.summary
    before = {path: path.read_bytes() for path in desk.actions.glob("*")}
    again = apply(desk)
    assert "nothing to delete" in again.sentence
    assert {path: path.read_bytes() for path in desk.actions.glob("*")} == before, "a second run is no new record"


def test_the_check_sees_what_became_of_the_before_image(desk: Desk) -> None:
    action = apply(desk)
    image = next(desk.actions.glob("*.age"))
    content = image.read_bytes()
    image.write_bytes(content[:-1])
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.FAIL
    image.unlink()
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.WARN
    image.write_bytes(content)
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.PASS


def test_nothing_to_delete_is_filed_once(desk: Desk) -> None:
    desk.run("delete from visits where who = 1; delete from log where who = '1'; delete from people where id = 1")
    action = apply(desk)
    assert filed(desk) == ["cleanup.json"]
    result = checks.executed(newest_record(action.deployment))
    assert result.verdict is Verdict.PASS and "Nothing was left to delete" in result.summary


@pytest.mark.campaign
def test_killed_at_any_moment(desk: Desk, tmp_path: Path) -> None:
    """32 moments, a fourth of them while the server works: all rows or none are gone, and the next plan knows which."""
    said = {"dsn": desk.dsn, "root": str(desk.root), "cleanup": desk.cleanup, "counts": COUNTS, "whole": WHOLE, "again": ROWS}
    file = tmp_path / "desk.json"
    file.write_text(json.dumps(said))

    def run(*calls: int) -> list[str]:
        here = Path(__file__).parent
        ended = subprocess.run(
            [sys.executable, here / "killed_cleanups.py", file, *map(str, calls)], capture_output=True, text=True, timeout=120,
            env={**os.environ, "PYTHONPATH": str(here)},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    made, microseconds = map(int, run(0)[0].split()[:2])
    assert made > 200
    choose = random.Random(3)
    moments = [*sorted(choose.sample(range(1, made), 22)), made - 2, made - 1]
    moments += [-choose.randrange(microseconds // 20, microseconds * 9 // 10) for _ in range(8)]
    ends = [json.loads(line) for line in run(*moments)]
    assert len(ends) == 32 and sum(end["killed"] for end in ends) >= 24
    seen = {tuple(end["counts"]) for end in ends}
    assert seen == {WHOLE, CLEAN}, f"something between everything and nothing: {seen}"
    desk.action().plan()
    records = [json.loads(path.read_text()) for path in desk.actions.glob("*-cleanup.json")]
    assert {record["state"] for record in records} == {"committed"}
    committed = 1 + sum(tuple(end["counts"]) == CLEAN for end in ends)
    assert len(records) == committed and len(list(desk.actions.glob("*.age"))) == committed, "what did not happen left nothing"
    if counts(desk) == CLEAN:
        desk.run(ROWS)
    apply(desk)
    assert counts(desk) == CLEAN
    assert apply(desk).sentence == "No test record was left; there was nothing to delete."


def test_a_run_stopped_while_it_ended_is_inconclusive_until_the_next_plan(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record says committing; the server knows how it ended."""
    monkeypatch.setattr("opsnb.actions.cleanup.filing.finish", lambda *given: None)
    apply(desk)
    monkeypatch.undo()
    action = desk.action()
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.INCONCLUSIVE
    action.plan()
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.PASS


def test_what_cannot_be_read_afterwards_was_deleted_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not said that nothing was changed; the next plan finishes the record."""
    action = desk.action()
    plan = action.plan()

    def gone(*given: Any) -> Any:
        raise SourceTimeout("the server stopped answering")

    monkeypatch.setattr("opsnb.actions.cleanup.action.make_plan", gone)
    with pytest.raises(ActionFailed, match=r"was committed \(44 rows\).*Plan again"):
        action.apply(plan, confirm="desk")
    monkeypatch.undo()
    assert counts(desk) == CLEAN and desk.action().plan().rows == 0
    assert checks.executed(newest_record(action.deployment)).verdict is Verdict.PASS


def test_a_commit_that_is_refused_leaves_nothing(desk: Desk) -> None:
    """A deferred check says no at the very end."""
    desk.run(
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; "
        "create constraint trigger no after delete on people initially deferred for each row execute function no();"
    )
    with pytest.raises(SourceError, match="nothing was changed") as caught:
        apply(desk)
    assert SECRET not in str(caught.value)
    assert counts(desk) == WHOLE and filed(desk) == []


def test_a_disk_that_cannot_be_written_leaves_everything(desk: Desk) -> None:
    """No before-image, no deletion."""
    action = desk.action()
    plan = action.plan()
    (action.deployment.folder / "actions").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        action.apply(plan, confirm="desk")
    assert counts(desk) == WHOLE


def test_two_at_once(desk: Desk) -> None:
    """One deletes; the other is refused or finds nothing."""
    plans = [(action, action.plan()) for action in (desk.action(), desk.action())]
    ends: list[str] = []

    def work(action: Any, plan: Any) -> None:
        try:
            action.apply(plan, confirm="desk")
            ends.append(action.sentence)
        except OpsnbError as error:
            ends.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=pair) for pair in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(end.startswith("44 rows deleted") for end in ends) == 1, ends
    assert sum("Nothing was changed" in end or "nothing was changed" in end for end in ends) == 1, ends
    assert counts(desk) == CLEAN and filed(desk) == ["cleanup.before.age", "cleanup.json"]


def test_rows_that_somebody_holds_are_not_waited_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsnb.actions.cleanup.action.LOCK_TIMEOUT_MS", 100)
    action = desk.action()
    plan = action.plan()
    with psycopg.connect(desk.dsn) as holding:
        holding.execute("select from calls where id = 1 for update")
        started = time.monotonic()
        with pytest.raises(SourceTimeout, match="locked by somebody else; nothing was changed"):
            action.apply(plan, confirm="desk")
        assert time.monotonic() - started < 5
    assert counts(desk) == WHOLE and not desk.actions.exists()


def test_a_change_after_the_plan_inside_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changes a row between our reading and our lock."""
    from opsnb.sources.writing import Transaction

    held = Transaction.hold

    def hold(self: Any, table: Any, ids: Any) -> int:
        if table.name == "public.people":
            desk.run("update people set name = 'b' where id = 1")
        return held(self, table, ids)

    action = desk.action()
    plan = action.plan()
    monkeypatch.setattr(Transaction, "hold", hold)
    with pytest.raises(SourceError, match="somebody else changed the same rows"):
        action.apply(plan, confirm="desk")
    assert counts(desk) == WHOLE


def test_rows_behind_a_link_that_come_in_meanwhile_are_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No constraint keeps them out: they are left, and the check says so."""
    taken = before_image.take

    def take(*given: Any) -> Any:
        desk.run("insert into log (who) values ('1')")
        return taken(*given)

    monkeypatch.setattr("opsnb.actions.cleanup.before_image.take", take)
    action = apply(desk)
    assert "1 left" in action.sentence
    result = checks.executed(newest_record(action.deployment))
    assert result.verdict is Verdict.FAIL and "public.log: 1 row left" in result.summary


def test_a_server_that_counts_nothing(desk: Desk) -> None:
    desk.run("alter role postgres set track_counts = off")
    try:
        with pytest.raises(ActionRefused, match="track_counts is off"):
            apply(desk)
    finally:
        desk.run("alter role postgres reset track_counts")
    assert counts(desk) == WHOLE


# undo

TYPES = """
create schema x; create type x.mood as enum ('ok', 'so "so"', 'bad\\\\'); create domain x.code as text check (value <> '');
create type x.pair as (a int, b text);
create table everything (
    id uuid primary key default gen_random_uuid(), n bigint generated always as identity, d int generated by default as identity,
    j jsonb, k json, b bytea, num numeric, f float8, r real, ts timestamptz, t timestamp, ti interval, dt date, tm timetz,
    a text[], nested int[][], m x.mood, ms x.mood[], c x.code, p x.pair, rg int4range, mr int4multirange, ip inet, bits bit(3), mo money,
    s text, ch char(5), big text, doubled numeric generated always as (num * 2) stored);
create table children (a int, b int, e uuid references everything (id) on delete cascade, primary key (a, b));
"""
VALUES = """
insert into everything (j, k, b, num, f, r, ts, t, ti, dt, tm, a, nested, m, ms, c, p, rg, mr, ip, bits, mo, s, ch, big) values
('{"a": [1, 2.50, null], "ü": "\\\\n"}', '{"b" : 1,  "a":1, "a": 2}', '\\x00ff5c0a', 123456789012345678901234567890.1234567890, 0.1,
 1e-40, '2026-01-02 03:04:05.678901+07', '2026-03-29 02:30:00.000001', '1 mon -2 days 03:04:05.6', '0044-03-15 BC', '12:00:00.1+05:30',
 array['a,b', null, '"q"', '{}', ''], array[[1,2],[3,null]], 'so "so"', array['ok','bad\\\\']::x.mood[], 'x', (1, 'a"b')::x.pair, '[1,5)',
 '{[1,3),[5,9)}', '10.0.0.1/8', b'101', 12.34, E'tab\\there\\nnew\\\\line\\r', 'ab', repeat('long ', 20000)),
(null, null, null, 'NaN', 'infinity', '-infinity', 'infinity', '-infinity', null, null, null, '{}', null, null, null, null, null, 'empty',
 null, null, null, null, '', null, null);
insert into everything (num) select n + 0.10 from generate_series(1, 20) n;
insert into children select g, -g, id from everything, generate_series(1, 2) g where s = '';
"""


@pytest.mark.parametrize("desk", [18, 15], indirect=True)
def test_every_type_comes_back_byte_for_byte(desk: Desk) -> None:
    """Also values that other settings would write differently; identity and generated columns; sequences go on."""
    desk.run(TYPES + VALUES)
    desk.run("alter role postgres set TimeZone = 'Asia/Kolkata'; alter role postgres set DateStyle = 'German';"
             "alter role postgres set IntervalStyle = 'iso_8601'; alter role postgres set extra_float_digits = -10;"
             "alter role postgres set bytea_output = 'escape'")  # fmt: skip
    try:
        ids = [str(value) for (value,) in desk.rows("select id from everything")]
        desk.cleanup["records"] = [{"table": "everything", "key": "id", "values": ids}]
        before = desk.hashes()
        exact = desk.rows("select string_agg(e::text, ' ' order by id) from everything e")
        apply(desk)
        assert desk.rows("select count(*) from everything") == [(0,)]
        undo = desk.undo()
        plan = undo.plan()
        assert plan.rows == 24 and list(plan.table["table"]) == ["public.everything", "public.children"]
        undo.apply(plan, confirm="desk")
        assert desk.hashes() == before
        assert desk.rows("select string_agg(e::text, ' ' order by id) from everything e") == exact
        desk.run("insert into everything (num) values (1)")
        assert desk.rows("select max(n) from everything") == [(23,)]
    finally:
        desk.run("alter role postgres reset all")


def test_undo_of_an_undo_is_refused(desk: Desk) -> None:
    before = desk.hashes()
    apply(desk)
    undo = desk.undo()
    undo.apply(undo.plan(), confirm="desk")
    assert undo.sentence == "49 rows put back in one transaction, each as it was."
    assert desk.hashes() == before
    assert "cleanup-undo.json" in filed(desk)
    record = json.loads(next(desk.actions.glob("*-cleanup-undo.json")).read_text())
    assert {row["table_name"]: row["restored"] for row in record["tables"]} == {
        "public.people": 1, "public.visits": 40, "public.log": 3, "public.calls": 5}  # fmt: skip
    with pytest.raises(ActionRefused, match="says that this was undone already"):
        undo.apply(undo.plan(), confirm="desk")
    next(desk.actions.glob("*-cleanup-undo.json")).unlink()
    with pytest.raises(ActionRefused, match=r"of the same key (is|are) there again"):
        undo.apply(undo.plan(), confirm="desk")
    assert desk.hashes() == before
    with pytest.raises(UsageError, match="expected the environment's name, desk"):
        undo.apply(undo.plan(), confirm="production")


def test_an_older_cleanup_can_be_named(desk: Desk) -> None:
    """By its record's path, its name, or the before-image's path, also where the record is gone."""
    apply(desk)
    desk.run("insert into people values (1, 'other')")
    apply(desk)
    first, second = sorted(desk.actions.glob("*-cleanup.json"))
    assert desk.undo().plan().rows == 1
    image = first.with_name(first.name.replace(".json", ".before.age"))
    for named in (str(first), first.name, first.stem, str(image), image.name):
        assert desk.undo(named).plan().rows == 49, named
    first.unlink()
    undo = desk.undo(image.name)
    undo.apply(undo.plan(), confirm="desk")
    assert counts(desk) == WHOLE
    for named in ("nothing", str(desk.root / "nothing.age")):
        with pytest.raises(UsageError, match="There is no record or before-image"):
            desk.undo(named)
    assert second.exists()


def test_nothing_was_kept(desk: Desk) -> None:
    desk.run("delete from visits where who = 1; delete from log where who = '1'; delete from people where id = 1")
    with pytest.raises(UsageError, match="kept anything that could be put back"):
        desk.undo()
    apply(desk)
    with pytest.raises(UsageError, match="kept anything that could be put back"):
        desk.undo()
    record = next(desk.actions.glob("*.json"))
    with pytest.raises(UsageError, match="nothing to put back"):
        desk.undo(record.name)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda content: content[:-7], "SHA-256 differs"),
        (lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], "SHA-256 differs"),
        (lambda content: b"", "SHA-256 differs"),
    ],
)
@pytest.mark.parametrize("with_record", [True, False])
def test_a_file_that_is_not_the_one_that_was_written(desk: Desk, spoil: Any, why: str, with_record: bool) -> None:
    """Without its record the encryption itself notices."""
    apply(desk)
    before = desk.hashes()
    image = next(desk.actions.glob("*.age"))
    image.write_bytes(spoil(image.read_bytes()))
    if not with_record:
        next(desk.actions.glob("*-cleanup.json")).unlink()
    with pytest.raises(ActionRefused, match=why if with_record else "was changed or cut short"):
        desk.undo(image.name)
    assert desk.hashes() == before


def test_another_key_or_none(desk: Desk) -> None:
    apply(desk)
    desk.action()
    for text, kind, why in (
        (f"{x25519.Identity.generate()}\n", ActionRefused, "encrypted to another key"),
        (f"{IDENTITY.to_public()}\n", UsageError, "leads to no age identity"),
        ("AGE-SECRET-KEY-1NONSENSE\n", UsageError, "leads to no age identity"),
    ):

        def action(text: str = text) -> Any:
            made = Desk.action(desk)
            (desk.root / "key").write_text(text)
            return made

        desk.action = action  # type: ignore[method-assign]
        with pytest.raises(kind, match=why) as caught:
            desk.undo()
        assert str(IDENTITY) not in str(caught.value)
    del desk.action
    desk.encrypted = False
    with pytest.raises(UsageError, match=r"encryption\.identity is needed to undo"):
        desk.undo()


def test_a_table_that_is_no_longer_the_same(desk: Desk) -> None:
    apply(desk)
    for change, why in (
        ("alter table people rename name to called", "look at name"),
        ("alter table people alter called type varchar(99); alter table people rename called to name", "look at name"),
        ("alter table people alter name type text; alter table people add more int not null default 3", None),
        ("drop table log", "log is no longer there"),
    ):
        desk.run(change)
        before = desk.hashes()
        if why is None:
            assert desk.undo().plan().rows == 49
            continue
        with pytest.raises(ActionRefused, match=why):
            desk.undo().plan()
        assert desk.hashes() == before


def test_rows_that_no_longer_fit_are_put_back_all_or_not_at_all(desk: Desk) -> None:
    """A constraint made since says no."""
    apply(desk)
    desk.run("alter table visits add check (id <> 40)")
    before = desk.hashes()
    undo = desk.undo()
    with pytest.raises(SourceError, match="CheckViolation, 23514") as caught:
        undo.apply(undo.plan(), confirm="desk")
    assert desk.hashes() == before and "40" not in str(caught.value)


def test_another_environments_before_image(desk: Desk) -> None:
    apply(desk)
    action = desk.action()
    other = action.environment.model_copy(update={"name": "production"})
    from opsnb.actions.cleanup import Undo

    with pytest.raises(ActionRefused, match="is of the environment desk, not of production"):
        Undo.of(other, action.deployment, desk.root)


def test_the_guides_own_list(tmp_path: Path) -> None:
    """Step 3 of the guide on the clinic's real schema: its order comes out, nothing else goes, and everything comes back."""
    from opsnb.config import load_release

    section = load_release("patient-history", Path(__file__).parents[2]).cleanup.model_dump(mode="json")
    with bare(18).fresh(clinic=True) as dsn:
        desk = Desk(dsn, tmp_path / "root", section)
        without = desk.hashes()
        with psycopg.connect(dsn) as connection:
            insert_test_records(connection)
        before = desk.hashes()
        plan = desk.action().plan()
        assert not plan.blocked_by and not plan.changes
        order = [table for group in plan.order for table in group]
        for child, parent in (
            ("soap_notes", "appointments"), ("video_call_sessions", "appointments"), ("appointments", "users"), ("soap_notes", "users"),
            ("patient_profiles", "soap_notes"), ("medical_provider_profiles", "users"), ("soap_plan_medication", "soap_notes"),
        ):  # fmt: skip
            assert order.index(f"public.{child}") < order.index(f"public.{parent}")
        assert order[-1] == "public.users"
        apply(desk)
        assert desk.hashes() == without
        undo = desk.undo()
        undo.apply(undo.plan(), confirm="desk")
        assert desk.hashes() == before
