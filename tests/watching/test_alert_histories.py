"""Histories of spikes, slow burns, flapping, silence, clock jumps, recovery: each with exactly the notifications a person gets."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opsnb.config.alerts import AlertRule, Alerts, QuietHours
from opsnb.watching import alerts
from opsnb.watching.alerts import Reading, State

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
HISTORIES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "histories" / "histories.yaml").read_text(encoding="utf-8"))
NIGHT = QuietHours(begins="08:20", ends="09:00")


def rule_of(history: dict[str, Any]) -> AlertRule:
    kind: dict[str, Any] = {"limit": 0.05}
    if history.get("burn"):
        kind = {"objective": 0.99, "burn": [{"long_minutes": 60, "short_minutes": 5, "factor": 10}]}
    return AlertRule.model_validate({"name": "errors", "check": "errors.alert_rate", **kind, **history.get("rule", {})})


def readings(history: dict[str, Any]) -> list[Reading]:
    now, found = START, []
    for word in history["series"].split():
        if word[0] in "+-":
            now += timedelta(minutes=int(word))
            continue
        times, value = word.split("x", 1)
        for _ in range(int(times)):
            bad, slash, total = value.partition("/")
            if value == "-":
                found.append(Reading(now))
            else:
                found.append(Reading(now, bad=float(bad), total=float(total)) if slash else Reading(now, value=float(bad)))
            now += timedelta(minutes=history.get("every", 1))
    return found


def clock(text: str) -> datetime:
    """08:88 is 88 minutes after 08:00."""
    hours, minutes = re.fullmatch(r"(\d\d):(\d\d)", text).groups()  # type: ignore[union-attr]
    return START.replace(hour=0) + timedelta(hours=int(hours), minutes=int(minutes))


def test_there_are_enough() -> None:
    assert len(HISTORIES) >= 30
    assert len({history["name"] for history in HISTORIES}) == len(HISTORIES)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history["name"].replace(" ", "-"))
def test_exactly_these_notifications(history: dict[str, Any]) -> None:
    state, told, sent = State(), [], []
    for reading in readings(history):
        state, notices = alerts.step(rule_of(history), state, reading, NIGHT if history.get("quiet") else None)
        told += notices
        sent += [reading.at] * len(notices)
    assert [(notice.at, notice.kind) for notice in told] == [(clock(said[:5]), said[6:]) for said in history["expect"]]
    assert sent == [clock(at) for at in history["sent"]] if "sent" in history else sent == [notice.at for notice in told]


VALUES = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.04, 0.06, 0.5])), max_size=80)
RULES = st.builds(
    lambda for_, good, remind, silent: AlertRule(
        name="r", check="c", limit=0.05, for_minutes=for_, good_minutes=good, remind_minutes=remind, silent_minutes=silent
    ),
    st.integers(0, 9), st.integers(0, 9), st.integers(1, 30), st.integers(0, 9),
)  # fmt: skip
JUMPS = st.lists(st.integers(-90, 90), max_size=80)


@given(VALUES, RULES, JUMPS)
def test_whatever_happens_an_incident_is_told_once_and_ended_by_a_measurement(
    values: list[float | None], rule: AlertRule, jumps: list[int]
) -> None:
    """firing and resolved alternate, reminders stand between them, nothing is resolved without a good value, or begun without a bad one."""
    now, state, on = START, State(), False
    for place, value in enumerate(values):
        now += timedelta(minutes=jumps[place] if place < len(jumps) else 1)
        state, notices = alerts.step(rule, state, Reading(now, value=value))
        for notice in notices:
            if notice.kind == alerts.FIRING:
                assert not on and value is not None and value > 0.05
                on = True
            elif notice.kind == alerts.RESOLVED:
                assert on and value is not None and value <= 0.05
                on = False
            elif notice.kind == alerts.REMINDER:
                assert on
        assert state.firing is on


@given(VALUES, RULES)
def test_a_night_loses_no_incident(values: list[float | None], rule: AlertRule) -> None:
    """With quiet hours each incident is told at most once as firing or past, and one that is on in the morning is told."""
    held = rule.model_copy(update={"severity": "warning"})
    found = [Reading(START + timedelta(minutes=place), value=value) for place, value in enumerate(values)]
    found.append(Reading(START + timedelta(hours=3), value=None))
    by_day = [notice.at for notice in alerts.run(held, found) if notice.kind == alerts.FIRING]
    with_night = [notice.at for notice in alerts.run(held, found, NIGHT) if notice.kind in (alerts.FIRING, alerts.PAST)]
    assert with_night == by_day


def test_quiet_hours_over_midnight_and_in_a_zone() -> None:
    quiet = QuietHours(begins="22:00", ends="06:30", zone="Asia/Kathmandu")  # UTC+5:45
    assert quiet.hold("warning", datetime(2026, 11, 23, 16, 15, tzinfo=UTC))
    assert not quiet.hold("warning", datetime(2026, 11, 23, 16, 14, tzinfo=UTC))
    assert not quiet.hold("warning", datetime(2026, 11, 23, 0, 45, tzinfo=UTC))
    assert not quiet.hold("critical", datetime(2026, 11, 23, 18, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"name": "r", "check": "c"}, "either limit, or objective with burn"),
        ({"name": "r", "check": "c", "limit": 1.0, "objective": 0.9}, "objective below 1 beside burn"),
        ({"name": "r", "check": "c", "objective": 0.9, "burn": [{"long_minutes": 5, "short_minutes": 5, "factor": 2}]}, "shorter than"),
    ],
)
def test_rules_that_are_none(said: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        AlertRule.model_validate(said)


def test_two_rules_of_one_name_are_refused() -> None:
    rule = {"name": "r", "check": "c", "limit": 1.0}
    with pytest.raises(ValidationError, match="r is given twice"):
        Alerts.model_validate({"rules": [rule, rule]})


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="a zone like"):
        QuietHours(begins="22:00", ends="06:00", zone="Mars/Olympus")
