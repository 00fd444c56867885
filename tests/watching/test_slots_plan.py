"""The plan of the slots: 19 of them, in UTC, each settled once whatever the clock and the scheduler do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.config.release import GUIDE_SCHEDULE, Period, Release
from opsnb.config.schedule import Slot, slots
from opsnb.errors import SourceNonsense
from opsnb.watching.plan import decide, lateness, next_due

START = datetime(2026, 11, 23, 8, tzinfo=UTC)

STARTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Period, ...]:
    """Stretches that follow one another, some with a gap between."""
    found, at = [], 0.0
    for number in range(draw(st.integers(1, 4))):
        at += draw(st.sampled_from([0, 0, 0, 1]))
        length = draw(st.integers(1, 8))
        found.append(Period(name=f"p{number}", from_hours=at, to_hours=at + length, every_minutes=draw(st.integers(7, 300))))
        at += length
    return tuple(found)


def test_the_guide_owes_nineteen_runs_at_the_end_of_each_interval() -> None:
    found = slots(START, GUIDE_SCHEDULE)
    hours = [(slot.due - START).total_seconds() / 3600 for slot in found]
    assert hours == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 20, 24]
    assert [slot.number for slot in found] == list(range(1, 20)) and {slot.of for slot in found} == {19}


def test_a_release_without_a_schedule_has_the_guides() -> None:
    release = Release.model_validate({"title": "t", "schema": {"schemas": ["public"], "tables": {}}})
    assert len(slots(START, release.monitoring)) == 19


def test_periods_that_overlap_are_refused() -> None:
    periods = [
        {"name": "a", "from_hours": 0, "to_hours": 4, "every_minutes": 30},
        {"name": "b", "from_hours": 3, "to_hours": 12, "every_minutes": 60},
    ]
    with pytest.raises(ValueError, match="b begins before a has ended"):
        Release.model_validate({"title": "t", "schema": {"schemas": ["public"], "tables": {}}, "monitoring": periods})


def test_the_zone_of_the_start_does_not_matter_and_a_missing_one_is_refused() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert slots(elsewhere, GUIDE_SCHEDULE) == slots(START, GUIDE_SCHEDULE)
    assert {slot.due.tzinfo for slot in slots(elsewhere, GUIDE_SCHEDULE)} == {UTC}
    with pytest.raises(SourceNonsense, match="no zone"):
        slots(datetime(2026, 11, 23, 8), GUIDE_SCHEDULE)


@given(STARTS, schedules())
def test_slots_cover_their_stretches_without_gap_or_overlap(start: datetime, schedule: tuple[Period, ...]) -> None:
    found = slots(start, schedule)
    for period in schedule:
        own = [slot for slot in found if slot.period == period.name]
        assert own[0].from_ == start + timedelta(hours=period.from_hours)
        assert own[-1].due == start + timedelta(hours=period.to_hours)
        assert all(one.due == other.from_ for one, other in pairwise(own))
        assert all(slot.due - slot.from_ <= timedelta(minutes=period.every_minutes) for slot in own)
    for one, other in pairwise(found):
        assert one.due < other.due == one.closes


@given(schedules(), st.lists(st.floats(0, 40 * 3600), max_size=60))
def test_every_slot_is_settled_once_however_often_one_looks(schedule: tuple[Period, ...], looks: list[float]) -> None:
    """Looking at any moments, in order: each slot is run or missed, once; run only between its due time and its closing."""
    found = slots(START, schedule)
    settled: dict[int, str] = {}
    for seconds in sorted(looks):
        now = START + timedelta(seconds=seconds)
        decision = decide(now, found, settled)
        for slot in decision.missed:
            assert slot.number not in settled and now >= slot.closes
            settled[slot.number] = "missed"
        if decision.run is not None:
            assert decision.run.number not in settled and decision.run.due <= now < decision.run.closes
            settled[decision.run.number] = "run"
        assert decide(now, found, settled).run is None and not decide(now, found, settled).missed
        assert {slot.number for slot in found if slot.due <= now} == set(settled)
    after = next_due(found, settled)
    assert (after is None) == (len(settled) == len(found))


def test_the_newest_is_run_and_older_ones_are_missed() -> None:
    found = slots(START, GUIDE_SCHEDULE)
    decision = decide(START + timedelta(hours=2, minutes=10), found, {1})
    assert decision.run is found[3] and decision.missed == (found[1], found[2])
    assert lateness(found[3], START + timedelta(hours=2, minutes=10)) == timedelta(minutes=10)
    assert lateness(found[3], START) == timedelta(0)


def test_the_last_slot_closes_too() -> None:
    found = slots(START, GUIDE_SCHEDULE)
    before = set(range(1, 19))
    assert decide(START + timedelta(hours=27, minutes=59), found, before).run is found[18]
    late = decide(START + timedelta(hours=28), found, before)
    assert late.run is None and late.missed == (found[18],)


def test_nothing_is_owed_before_the_first_interval_has_ended() -> None:
    found = slots(START, GUIDE_SCHEDULE)
    assert decide(START + timedelta(minutes=29, seconds=59), found, set()).run is None
    assert isinstance(decide(START + timedelta(minutes=30), found, set()).run, Slot)
