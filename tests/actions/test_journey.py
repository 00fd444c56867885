"""The provider's way on the real local target: it works, what is broken is named, and no trace of it stays, also after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness import Ended, process_environment

from opsnb.actions.journey import Journey
from opsnb.checks import journey as checks
from opsnb.errors import SourceError, UsageError
from opsnb.evidence import deployments
from opsnb.questions.archive import ArchiveQuestions
from opsnb.verdicts import Verdict

pytestmark = pytest.mark.target
TRACES = """
select (select count(*) from public.appointments where reason like 'opsnb-%'),
    (select count(*) from public.soap_notes where summary like 'opsnb-%'),
    (select count(*) from public.soap_subjective_allergies where allergen like 'opsnb-%'),
    (select md5(cumulative_medical_record::text || medical_record_last_updated_at::text
                || coalesce(medical_record_last_soap_note_id::text, ''))
     from public.patient_profiles where user_id = '5e000000-0000-4000-8000-000000000001')
"""
LOST_UPDATE = """
create or replace function public.merge_soap_into_cumulative_record(p_soap_note_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare note public.soap_notes; before jsonb; result jsonb;
begin
    select n.* into note from public.soap_notes n where n.id = p_soap_note_id;
    select p.cumulative_medical_record into before from public.patient_profiles p where p.user_id = note.patient_id;
    perform pg_catalog.pg_sleep(0.4);
    select pg_catalog.jsonb_set(before, '{allergies}', (before -> 'allergies') || coalesce(pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object('name', a.allergen, 'status', a.status)), '[]')) into result
    from public.soap_subjective_allergies a
    where a.soap_note_id = note.id and not (before -> 'allergies')::text like '%' || a.allergen || '%';
    update public.patient_profiles p set cumulative_medical_record = result where p.user_id = note.patient_id;
    return result;
end $$
"""
NOT_IDEMPOTENT = LOST_UPDATE.replace(" and not (before -> 'allergies')::text like '%' || a.allergen || '%'", "").replace(
    "select p.cumulative_medical_record into before from public.patient_profiles p where p.user_id = note.patient_id;",
    "select p.cumulative_medical_record into before from public.patient_profiles p where p.user_id = note.patient_id for update;",
)
NOT_SHOWN = """
create or replace function public.merge_soap_into_cumulative_record(p_soap_note_id uuid) returns jsonb
language sql volatile security definer set search_path = '' as $$ select p.cumulative_medical_record from public.patient_profiles p
    where p.user_id = (select n.patient_id from public.soap_notes n where n.id = p_soap_note_id) $$
"""


@contextmanager
def broken(home: Path, definition: str) -> Iterator[None]:
    """The merging function in another version, and as it was again."""
    with psycopg.connect(dsn(home), autocommit=True) as connection:
        good = connection.execute("select pg_get_functiondef('public.merge_soap_into_cumulative_record(uuid)'::regprocedure)").fetchone()
        assert good is not None
        connection.execute(definition)  # type: ignore[arg-type]
        try:
            yield
        finally:
            connection.execute(good[0])


def dsn(home: Path) -> str:
    return (home / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()


def traces(home: Path) -> Any:
    with psycopg.connect(dsn(home)) as connection:
        return connection.execute(TRACES).fetchone()


def walk(home: Path) -> dict[str, Any]:
    return Journey.open("local", root=home).apply(confirm="local")


def judged(home: Path, item: str = "") -> Any:
    """What phase 08 says of the newest journey."""
    questions = ArchiveQuestions.__new__(ArchiveQuestions)
    questions.deployment = deployments.named(home / "reports", "local")
    return checks.walked(questions.journey_steps().table, item=item, broken_off=questions.journey_broken_off()), checks.no_trace(
        questions.journey_left().table
    )


@pytest.fixture
def home_of_target(target: Path, at_home: Path) -> Path:
    assert target == at_home
    return target


def test_the_way_works_and_leaves_nothing(home_of_target: Path, opsnb: Callable[..., Ended]) -> None:
    before = traces(home_of_target)
    ended = opsnb("journey", "local", "--apply", "--confirm", "local")
    assert ended.code == 0, ended
    assert "11 of 11 steps went well" in ended.out
    assert traces(home_of_target) == before
    for item in ("", "POST-4.1", "POST-4.3", "POST-4.4"):
        way, gone = judged(home_of_target, item)
        assert (way.verdict, gone.verdict) == (Verdict.PASS, Verdict.PASS), way
    folder = deployments.named(home_of_target / "reports", "local").folder / "actions"
    record = json.loads(next(folder.glob("*-journey.json")).read_text())
    assert f"{record['mark']}-1" not in json.dumps(record)  # of answers and bodies nothing is kept
    assert not list(folder.glob("*.open.json"))


@pytest.mark.parametrize(
    ("definition", "step"),
    [(LOST_UPDATE, "the next appointment shows both"), (NOT_IDEMPOTENT, "merging again changes nothing"),
     (NOT_SHOWN, "the next appointment shows both")],
    ids=["lost update", "not idempotent", "not shown"],
)  # fmt: skip
def test_what_is_broken_is_named(home_of_target: Path, definition: str, step: str) -> None:
    before = traces(home_of_target)
    with broken(home_of_target, definition):
        record = walk(home_of_target)
    assert step in [row["step"] for row in record["steps"] if row["wrong"]], record
    way, gone = judged(home_of_target, "POST-4.4")
    assert way.verdict is Verdict.FAIL and step in way.summary and gone.verdict is Verdict.PASS
    assert judged(home_of_target, "POST-4.1")[0].verdict is Verdict.PASS
    assert traces(home_of_target)[:3] == before[:3]
    time.sleep(1.1)  # a record a second
    walk(home_of_target)
    assert judged(home_of_target, "POST-4.4")[0].verdict is Verdict.PASS
    assert traces(home_of_target) == before


@pytest.mark.campaign
def test_a_killed_journey_is_cleaned_up(home_of_target: Path, opsnb: Callable[..., Ended]) -> None:
    before = traces(home_of_target)
    script = (
        "import sys; from pathlib import Path; from opsnb.actions.journey import Journey\n"
        "Journey.open('local', root=Path(sys.argv[1])).apply(confirm='local', progress=lambda step: print(step, flush=True))"
    )
    for wait_for in ("the note is saved", "both notes are merged at once", "removing traces"):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(home_of_target)],
            stdout=subprocess.PIPE,
            text=True,
            env=process_environment(home_of_target),
        )
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == wait_for:
                break
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        time.sleep(1.0)  # what the doors were asked may still be under way
        ended = opsnb("journey", "local", "--clean", "--apply", "--confirm", "local")
        assert ended.code == 0, ended
        assert traces(home_of_target) == before
    assert "Nothing is left of any journey" in opsnb("journey", "local", "--clean", "--apply", "--confirm", "local").out


def test_refused_before_anything_is_asked(home_of_target: Path, opsnb: Callable[..., Ended]) -> None:
    before = traces(home_of_target)
    assert opsnb("journey", "local", "--apply", "--confirm", "production").code == 2
    plan = opsnb("journey", "local")
    assert plan.code == 0 and "Nothing was asked" in plan.out
    assert opsnb("run", "local", "--apply", "--confirm", "local").code == 2  # which phase may act is said
    assert traces(home_of_target) == before


def test_an_answer_that_never_comes_ends_the_journey(home_of_target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been done is not asked again: the journey ends, is FAIL, and leaves nothing."""
    from opsnb.sources import walking

    before = traces(home_of_target)
    asked: list[str] = []
    good = walking.Http.request

    def lost(self: Any, method: str, path: str, **options: Any) -> Any:
        answer = good(self, method, path, **options)
        asked.append(path)
        if path == "soap_notes":
            raise SourceError("the connection was lost", source="journey")
        return answer

    time.sleep(1.1)
    monkeypatch.setattr(walking.Http, "request", lost)
    record = walk(home_of_target)
    monkeypatch.undo()
    assert asked.count("soap_notes") == 1 and "not known" in record["broken_off"]
    assert judged(home_of_target)[0].verdict is Verdict.FAIL
    assert traces(home_of_target) == before


def test_words_nobody_knows_are_refused(home_of_target: Path) -> None:
    journey = Journey.open("local", root=home_of_target)
    with pytest.raises(UsageError, match=r"nothing is called \{nobody\}"):
        journey._fill({"a": ["{nobody}"]})
    assert json.dumps(journey._fill({"a": 1, "b": [True, None]})) == '{"a": 1, "b": [true, null]}'
