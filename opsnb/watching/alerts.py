"""When a person is told what. Pure: a rule, what was so far, and a reading in; what is now, and notifications out.

One notification per incident, reminders while it lasts, one when it is over. A missing measurement holds everything as it is: it is no
breach, and it never ends one. Durations are sums of what was measured, so a clock that jumps neither begins nor ends anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from opsnb.config.alerts import AlertRule, BurnWindow, QuietHours

FIRING, REMINDER, RESOLVED, PAST, SILENT, HEARD = "firing", "reminder", "resolved", "past", "silent", "heard"
LONGEST_STEP_S = 3600.0
"""Of a longer time between two readings only so much counts as seen: the monitored interval, at most."""


@dataclass(frozen=True)
class Reading:
    """What was measured at a time: a value, or, of a share, how many of how many were bad. Nothing where it could not be measured."""

    at: datetime
    value: float | None = None
    bad: float | None = None
    total: float | None = None

    @property
    def measured(self) -> float | None:
        """The value or the share; None where nothing was measured, or nothing happened."""
        if self.value is not None:
            return self.value
        return self.bad / self.total if self.bad is not None and self.total else None


@dataclass(frozen=True)
class Notification:
    """What is told: which rule, what of it (firing, reminder, resolved, past, silent, heard), when, and the value then."""

    rule: str
    kind: str
    at: datetime
    severity: str
    value: float | None = None
    lasted_s: float = 0.0


@dataclass(frozen=True)
class State:
    """What is remembered of one rule between readings. Durations in seconds.

    `firing`: an incident is on; `told`: a person knows of it; `waiting`: for the end of the quiet hours;
    `blind`: the last reading measured nothing.
    """

    last: datetime | None = None
    breached_s: float | None = None
    good_s: float | None = None
    firing: bool = False
    told: bool = False
    waiting: tuple[Notification, ...] = ()
    lasted_s: float = 0.0
    reminded_s: float = 0.0
    unheard_s: float = 0.0
    silent: bool = False
    blind: bool = False
    readings: tuple[Reading, ...] = ()


def step(rule: AlertRule, state: State, reading: Reading, quiet: QuietHours | None = None) -> tuple[State, tuple[Notification, ...]]:
    """The state after *reading*, and what a person is told."""
    passed_s = 0.0 if state.last is None else (reading.at - state.last).total_seconds()
    if passed_s < 0:  # the clock was put back: what was read stays where it was relative to now
        shift = timedelta(seconds=passed_s)
        state = replace(state, readings=tuple(replace(old, at=old.at + shift) for old in state.readings))
        passed_s = 0.0
    if state.last == reading.at:
        return state, ()  # read already
    seen_s = min(passed_s, LONGEST_STEP_S)
    state = replace(state, last=reading.at, readings=_kept(rule, (*state.readings, reading)))
    breached = _breached(rule, state.readings)
    notices: list[Notification] = []
    state = _heard(rule, state, reading, seen_s, notices)
    # of the time before which nothing was measured nothing is known
    state = _judged(rule, state, reading, breached, 0.0 if state.blind else seen_s, passed_s, notices)
    state = replace(state, blind=reading.measured is None)
    return _sent(rule, state, reading, notices, quiet)


def run(rule: AlertRule, readings: Sequence[Reading], quiet: QuietHours | None = None) -> list[Notification]:
    """Every notification of a whole history: what a back-test shows."""
    state = State()
    told: list[Notification] = []
    for reading in readings:
        state, notices = step(rule, state, reading, quiet)
        told += notices
    return told


def _judged(
    rule: AlertRule, state: State, reading: Reading, breached: bool | None, seen_s: float, passed_s: float, notices: list[Notification]
) -> State:
    """Begins, keeps up or ends the incident."""

    def notice(kind: str) -> Notification:
        return Notification(rule.name, kind, reading.at, rule.severity, reading.measured, state.lasted_s)

    if not state.firing:
        if breached is None:
            return state
        if not breached:
            return replace(state, breached_s=None)
        # the first breach begins the count; what lay before it was not breached
        so_far = 0.0 if state.breached_s is None else state.breached_s + seen_s
        if so_far < rule.for_minutes * 60:
            return replace(state, breached_s=so_far)
        notices.append(notice(FIRING))
        return replace(state, firing=True, breached_s=None, good_s=None, lasted_s=so_far, reminded_s=0.0)
    state = replace(state, lasted_s=state.lasted_s + passed_s, reminded_s=state.reminded_s + passed_s)
    if breached is False:
        good_s = 0.0 if state.good_s is None else state.good_s + seen_s
        if good_s >= rule.good_minutes * 60:
            notices.append(notice(RESOLVED))
            return replace(state, firing=False, good_s=None, breached_s=None, lasted_s=0.0, reminded_s=0.0)
        state = replace(state, good_s=good_s)
    else:  # absence is no proof that it is good: the count of good minutes begins again
        state = replace(state, good_s=None)
    if state.reminded_s >= rule.remind_minutes * 60:
        notices.append(notice(REMINDER))
        state = replace(state, reminded_s=0.0)
    return state


def _heard(rule: AlertRule, state: State, reading: Reading, seen_s: float, notices: list[Notification]) -> State:
    """Tells once that nothing is measured any more, and once that it is again."""
    if reading.measured is not None:
        if state.silent:
            notices.append(Notification(rule.name, HEARD, reading.at, rule.severity, reading.measured, state.unheard_s))
        return replace(state, unheard_s=0.0, silent=False)
    state = replace(state, unheard_s=state.unheard_s + seen_s)
    if rule.silent_minutes and not state.silent and state.unheard_s >= rule.silent_minutes * 60:
        notices.append(Notification(rule.name, SILENT, reading.at, rule.severity, None, state.unheard_s))
        state = replace(state, silent=True)
    return state


def _sent(
    rule: AlertRule, state: State, reading: Reading, notices: Sequence[Notification], quiet: QuietHours | None
) -> tuple[State, tuple[Notification, ...]]:
    """What is sent now; in quiet hours it waits, and what is over when they end is told in one notification."""
    waiting = (*state.waiting, *notices)
    if quiet is not None and quiet.hold(rule.severity, reading.at):
        return replace(state, waiting=waiting), ()
    sent: list[Notification] = []
    told = state.told
    for notification in waiting:
        late = notification not in notices
        if notification.kind in (SILENT, HEARD):
            if not late or (notification.kind == SILENT and state.silent):
                sent.append(notification)
        elif notification.kind == FIRING:
            over = next((other for other in waiting if other.kind == RESOLVED and other.at >= notification.at), None)
            sent.append(replace(notification, kind=PAST, lasted_s=over.lasted_s) if over else notification)
            told = over is None
        elif told and (notification.kind == RESOLVED or not late):
            sent.append(notification)
            told = notification.kind != RESOLVED
    return replace(state, waiting=(), told=told), tuple(sent)


def _breached(rule: AlertRule, readings: Sequence[Reading]) -> bool | None:
    """Whether the newest reading is beyond the rule; None where that cannot be said."""
    newest = readings[-1]
    if newest.measured is None:
        return None
    if rule.limit is not None:
        return newest.measured > rule.limit
    answers = [_burns(rule, window, readings) for window in rule.burn]
    if any(answers):
        return True
    return None if None in answers else False


def _burns(rule: AlertRule, window: BurnWindow, readings: Sequence[Reading]) -> bool | None:
    budget = 1 - float(rule.objective or 0)
    rates = [_rate(readings, minutes) for minutes in (window.long_minutes, window.short_minutes)]
    if any(rate is None for rate in rates):
        return None
    return all(rate is not None and rate > window.factor * budget for rate in rates)


def _rate(readings: Sequence[Reading], minutes: float) -> float | None:
    """The share of bad ones among all of the last *minutes*; None where there were none."""
    since = readings[-1].at - timedelta(minutes=minutes)
    inside = [each for each in readings if since < each.at <= readings[-1].at and each.measured is not None]
    # a share of which only the share is known counts as one
    total = sum(1.0 if each.total is None else each.total for each in inside)
    bad = sum(float(each.measured or 0) * (1.0 if each.total is None else each.total) for each in inside)
    return bad / total if total else None


def _kept(rule: AlertRule, readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """The readings that the longest window may still ask for; the newest alone where there is none."""
    longest = max((window.long_minutes for window in rule.burn), default=0.0)
    since = readings[-1].at - timedelta(minutes=longest)
    return (*(each for each in readings[:-1] if each.at > since), readings[-1])
