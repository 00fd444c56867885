"""What is due now, and what was missed. Pure: a schedule, a journal and a clock's reading in, a decision out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsnb.config.schedule import Slot, slots

__all__ = ["Decision", "Slot", "decide", "lateness", "next_due", "slots"]


@dataclass(frozen=True)
class Decision:
    """*run* now (the newest slot that is due, or None) and record *missed* (older ones that nobody ran)."""

    run: Slot | None
    missed: tuple[Slot, ...]


def decide(now: datetime, schedule: Sequence[Slot], settled: Collection[int]) -> Decision:
    """What to do at *now* about every slot that is due and not *settled* (done, or recorded as missed)."""
    owed = [slot for slot in schedule if slot.due <= now and slot.number not in settled]
    run = next((slot for slot in owed if now < slot.closes), None)
    return Decision(run, tuple(slot for slot in owed if slot is not run))


def next_due(schedule: Sequence[Slot], settled: Collection[int]) -> datetime | None:
    """When the first slot is due that is not settled; None where all are."""
    return min((slot.due for slot in schedule if slot.number not in settled), default=None)


def lateness(slot: Slot, began: datetime) -> timedelta:
    """How long after it was due *slot* was begun; nothing where it was not late."""
    return max(timedelta(0), began - slot.due)
