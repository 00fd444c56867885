"""The monitoring schedule as points in time: which runs a deployment owes, and when. Pure; times in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from opsnb.errors import SourceNonsense


class Stretch(Protocol):
    """A stretch of the schedule, in hours after the deployment's start; a run at the end of every so many minutes."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def from_hours(self) -> float: ...  # noqa: D102
    @property
    def to_hours(self) -> float: ...  # noqa: D102
    @property
    def every_minutes(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, order=True)
class Slot:
    """One run that is owed: number *number* of *of*, watching [from_, due], run as soon as *due*, until *closes*.

    From *closes* on the slot is missed: then the next one is due, or, for the last, as much time again has passed.
    """

    number: int
    of: int
    period: str
    from_: datetime
    due: datetime
    closes: datetime

    @property
    def key(self) -> str:
        """``slot 4 of 19``, for sentences."""
        return f"slot {self.number} of {self.of}"


def slots(start: datetime, schedule: Sequence[Stretch]) -> tuple[Slot, ...]:
    """Every slot of *schedule* for a deployment that began at *start*, in order.

    A stretch that its interval does not divide ends with a shorter one. Raises SourceNonsense for a start without a zone.
    """
    if start.tzinfo is None:
        raise SourceNonsense("the deployment's start carries no zone; expected one like 2026-01-31T12:00:00+00:00")
    begun = start.astimezone(UTC)
    spans: list[tuple[str, datetime, datetime]] = []
    for period in sorted(schedule, key=lambda period: period.from_hours):
        from_, end = begun + timedelta(hours=period.from_hours), begun + timedelta(hours=period.to_hours)
        while from_ < end:
            due = min(from_ + timedelta(minutes=period.every_minutes), end)
            spans.append((period.name, from_, due))
            from_ = due
    closing = [*(due for _name, _from, due in spans[1:]), *(due + (due - from_) for _name, from_, due in spans[-1:])]
    return tuple(
        Slot(number, len(spans), name, from_, due, closes)
        for number, ((name, from_, due), closes) in enumerate(zip(spans, closing, strict=True), start=1)
    )
