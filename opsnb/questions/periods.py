"""Questions about the stretches of time that a monitoring run judges: its own interval, and the period of the schedule so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opsnb.config.schedule import Slot, slots
from opsnb.facts import Facts
from opsnb.questions.before import BeforeQuestions
from opsnb.sources import Absent


@dataclass(frozen=True)
class Span:
    """A stretch of time with a name for sentences; empty where `since` is `until`."""

    name: str
    since: datetime
    until: datetime

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """Both ends, as a log statement takes them."""
        return self.since, self.until


class PeriodQuestions(BeforeQuestions):
    """What a phase can be asked about its place in the schedule."""

    def interval(self, minutes: float = 30) -> Span:
        """What this run is about: the interval of the slot that is due now; the last *minutes* where none is."""
        slot = self._slot()
        if slot is None:
            return Span(f"the last {minutes:g} minutes", self.minutes_ago(minutes), self.started_at)
        return Span(f"the interval of {slot.key}", slot.from_, self.started_at)

    def period_of(self, item: str, *, minutes: float = 0) -> Span:
        """The stretch of the schedule that answers *item*, as far as it has come.

        Before the deployment's first slot is due, and before the stretch begins, it is the last *minutes* (a look ahead, which counts
        for nothing), or empty.
        """
        begun, now = self.deployment.opened_at, self.started_at
        for period in self.release.monitoring:
            if item in period.items:
                since, until = begun + timedelta(hours=period.from_hours), begun + timedelta(hours=period.to_hours)
                if now >= since and (self._slot() or now >= until or not minutes):
                    return Span(f"the {period.name}", since, min(now, until))
                if not minutes:
                    return Span(f"the {period.name}, which begin at {since:%Y-%m-%d %H:%M} UTC", now, now)
        return Span(f"the last {minutes:g} minutes", self.minutes_ago(minutes), now)

    def logged(self, name: str, span: Span, **params: Any) -> Facts:
        """The log statement *name* over *span*; no row where it is empty."""
        logs = self.sources.logs
        return logs.facts(name) if isinstance(logs, Absent) else self._of(name, *span.ends, params)

    def _slot(self) -> Slot | None:
        """The newest slot that is due and not yet over; None before the first and after the last."""
        due = [slot for slot in slots(self.deployment.opened_at, self.release.monitoring) if slot.due <= self.started_at < slot.closes]
        return due[-1] if due else None
