"""`schedule.kept`: late, missed, overlapping, failed and unmeasured runs of the monitoring schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from opsnb.checks import schedule
from opsnb.config.release import GUIDE_SCHEDULE
from opsnb.config.schedule import slots
from opsnb.questions.slots import entries_table
from opsnb.verdicts import CheckResult, Outcome, Verdict

T = datetime(2026, 11, 23, 8, tzinfo=UTC)
PLAN = slots(T, GUIDE_SCHEDULE)
END = T + timedelta(hours=24, minutes=1)


def done(number: int, *, late: float = 0, seconds: float = 20, gate: str = "held") -> list[dict[str, Any]]:
    began = PLAN[number - 1].due + timedelta(minutes=late)
    return [
        {"slot": number, "event": "begun", "at": began.isoformat()},
        {
            "slot": number, "event": "ended", "at": (began + timedelta(seconds=seconds)).isoformat(), "began": began.isoformat(),
            "seconds": seconds, "gate": gate, "run": f"r{number}",
        },
    ]  # fmt: skip


def judged(*changed: tuple[int, list[dict[str, Any]]], now: datetime = END, until: int = 19) -> Outcome:
    """A day in order, but for the slots that *changed*."""
    other = dict(changed)
    entries = [entry for number in range(1, until + 1) for entry in other.get(number, done(number))]
    return schedule.kept.judge(entries_table(entries), schedule=GUIDE_SCHEDULE, deployed_at=T, now=now)


def test_a_day_in_order() -> None:
    outcome = judged()
    assert outcome.verdict is Verdict.PASS
    assert outcome.summary == "19 of 19 runs of the schedule done, each in time: the latest began 0.0 min after it was due."


@pytest.mark.parametrize(
    ("slot", "entries", "verdict", "sentence"),
    [
        (3, done(3, late=11), Verdict.WARN, "19 of 19 runs of the schedule done; slot 3 began 11 min late."),
        (3, done(3, late=9), Verdict.PASS, "the latest began 9.0 min after"),
        (3, done(3, seconds=1801), Verdict.WARN, "slot 3 ran into the next"),
        (8, done(8, seconds=1801), Verdict.PASS, "19 of 19"),
        (3, [], Verdict.FAIL, "18 of 19 runs of the schedule done; slot 3 was missed."),
        (3, [{"slot": 3, "event": "begun", "at": PLAN[2].due.isoformat()}], Verdict.FAIL, "slot 3 was missed"),
        (3, done(3, gate="failed"), Verdict.WARN, "slot 3 failed (a later run did not)"),
        (19, done(19, gate="failed"), Verdict.FAIL, "slot 19 failed."),
        (3, done(3, gate="unmeasured"), Verdict.ERROR, "slot 3 could not measure"),
        (3, done(3) + done(3)[1:], Verdict.WARN, "slot 3 was run more than once"),
        (
            3,
            [{"slot": 3, "event": "missed", "at": PLAN[3].due.isoformat(), "why": "its process was killed"}],
            Verdict.FAIL,
            "slot 3 was missed (its process was killed)",
        ),
    ],
)
def test_one_slot_is_different(slot: int, entries: list[dict[str, Any]], verdict: Verdict, sentence: str) -> None:
    outcome = judged((slot, entries))
    assert outcome.verdict is verdict
    assert sentence in outcome.summary


def test_several_missed_are_one_clause() -> None:
    outcome = judged((3, []), (4, []), (9, []))
    assert outcome.summary == "16 of 19 runs of the schedule done; slots 3, 4 and 9 were missed."
    assert outcome.table is not None and list(outcome.table["slot"][:3]) == [3, 4, 9], "worst first"


def test_what_is_to_come_is_inconclusive() -> None:
    outcome = judged(now=T + timedelta(hours=2, minutes=5), until=4)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.summary == "4 of 19 runs of the schedule done, slot 5 is next at 2026-11-23 10:30 UTC."
    assert judged(now=T + timedelta(hours=3, minutes=5), until=4).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"slot": 20, "event": "begun", "at": T.isoformat()}, "names slot 20, of 19"),
        ({"slot": 2, "event": "vanished", "at": T.isoformat()}, "an event of no known kind"),
        ({"slot": 2, "event": "ended", "at": T.isoformat()}, "does not say when the run of slot 2 began"),
        ({"slot": 2, "event": "ended", "at": T.isoformat(), "began": T.isoformat(), "gate": "fine"}, "how it ended"),
    ],
)
def test_a_journal_that_is_none_is_an_error(entry: dict[str, Any], sentence: str) -> None:
    result: CheckResult = schedule.kept(entries_table([entry]), schedule=GUIDE_SCHEDULE, deployed_at=T, now=END)
    assert result.verdict is Verdict.ERROR
    assert sentence in result.summary


def test_no_schedule_is_no_pass() -> None:
    assert schedule.kept(pd.DataFrame(), schedule=(), deployed_at=T, now=END).verdict is Verdict.INCONCLUSIVE
