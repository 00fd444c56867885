"""Does what is due, once: looks at the schedule, claims, runs, records. Safe to call at any time by any number of processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opsnb.config.clock import now as present
from opsnb.config.schedule import Slot
from opsnb.verdicts import Gate
from opsnb.watching import journal as journals
from opsnb.watching.claims import Claim, Holder, claimed
from opsnb.watching.journal import Journal
from opsnb.watching.plan import decide

CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True)
class Done:
    """How a slot's run ended: gate, its folder's name in the archive, why; `began` and `seconds` of one that is found there."""

    gate: Gate
    run: str
    why: str = ""
    seconds: float | None = None
    began: datetime | None = None


@dataclass(frozen=True)
class Tick:
    """What one look at the schedule led to. `busy` is who does the slots meanwhile, where somebody else does."""

    ran: Slot | None = None
    done: Done | None = None
    adopted: tuple[Slot, ...] = ()
    missed: tuple[Slot, ...] = ()
    reopened: tuple[int, ...] = ()
    busy: Holder | None = None

    @property
    def well(self) -> bool:
        """Whether what was due was done, and measured."""
        return self.done is None or self.done.gate in (Gate.PASSED, Gate.HELD)


@dataclass(frozen=True)
class Desk:
    """The slots of one deployment. `folder` is its ``monitor`` folder, and `clock` tells the time (UTC).

    `run` runs a slot's phase; `find` answers the oldest whole run in the archive that began in [since, until): of a runner that was
    killed before it could say so, or made by hand or by a scheduler that runs notebooks itself. `began` is told when a slot begins.
    """

    folder: Path
    schedule: Sequence[Slot]
    run: Callable[[Slot], Done]
    find: Callable[[datetime, datetime], Done | None] = lambda _since, _until: None
    clock: Callable[[], datetime] = present
    began: Callable[[Slot], None] = field(default=lambda _slot: None)

    @property
    def journal(self) -> Journal:
        """What was done so far."""
        return Journal(self.folder)

    def settled(self) -> set[int]:
        """Numbers of the slots about which nothing is left to do."""
        return journals.settled(self.journal.entries())

    def tick(self) -> Tick:
        """Runs the newest slot that is due and records older ones as missed; nothing where another process is at it."""
        with claimed(self.folder) as claim:
            if isinstance(claim, Holder):
                return Tick(busy=claim)
            return self._with(claim)

    def _with(self, claim: Claim) -> Tick:
        now = self.clock()
        reopened = self._reopen(now)
        adopted = self._take_over(now)
        adopted += self._adopt(now)
        decision = decide(now, self.schedule, self.settled())
        for slot in decision.missed:
            self.journal.write("missed", slot, at=now, why=self._why_missed(slot))
        told: dict[str, Any] = {"missed": decision.missed, "reopened": reopened, "adopted": adopted}
        if decision.run is None:
            return Tick(**told)
        return Tick(ran=decision.run, done=self._do(decision.run, claim), **told)

    def _why_missed(self, slot: Slot) -> str:
        """Why its last attempt did not end; nothing where nobody tried."""
        return next(
            (
                str(entry["why"])
                for entry in reversed(self.journal.entries())
                if (entry["slot"], entry["event"]) == (slot.number, "stopped")
            ),
            "",
        )

    def _do(self, slot: Slot, claim: Claim) -> Done:
        began, started = self.clock(), time.monotonic()
        with claim.at(slot.number):
            self.journal.write("begun", slot, at=began, claim=claim.id)
            self.began(slot)
            try:
                done = self.run(slot)
            except KeyboardInterrupt:
                self.journal.write("stopped", slot, at=self.clock(), claim=claim.id, why="stopped by its operator")
                raise
            except Exception as error:
                # what could not be begun may be possible in a minute: the slot stays open as long as it lasts
                self.journal.write("stopped", slot, at=self.clock(), claim=claim.id, why=f"it could not be run ({type(error).__name__})")
                raise
            self._end(slot, done, began=began, seconds=time.monotonic() - started, claim=claim.id)
        return done

    def _end(self, slot: Slot, done: Done, *, began: datetime, seconds: float | None, claim: str) -> None:
        self.journal.write(
            "ended", slot, at=self.clock(), began=began.isoformat(), seconds=None if seconds is None else round(seconds, 1),
            gate=str(done.gate), run=done.run, claim=claim,
        )  # fmt: skip

    def _take_over(self, now: datetime) -> tuple[Slot, ...]:
        """Ends what a killed process left: its run counts where it is whole, else its slot is open again as long as it lasts."""
        entry = journals.unfinished(self.journal.entries())
        slot = None if entry is None else next((slot for slot in self.schedule if slot.number == entry["slot"]), None)
        if entry is None or slot is None:
            return ()  # nothing, or a slot of a schedule that is no longer the release's: told by the check
        began, claim = datetime.fromisoformat(entry["at"]), str(entry.get("claim", ""))
        found = self.find(began, max(now, began) + CLOCK_TOLERANCE)
        if found is None:
            self.journal.write("stopped", slot, at=now, claim=claim, why="its process was killed")
            return ()
        self._end(slot, found, began=found.began or began, seconds=found.seconds, claim=claim)
        return (slot,)

    def _adopt(self, now: datetime) -> tuple[Slot, ...]:
        """Ends slots in whose time somebody else ran the phase: an operator, or a scheduler that runs the notebook."""
        settled, adopted = self.settled(), []
        for slot in self.schedule:
            if slot.number in settled or now < slot.due:
                continue
            found = self.find(slot.due, slot.closes)
            if found is not None:
                self._end(slot, found, began=found.began or slot.due, seconds=found.seconds, claim="")
                adopted.append(slot)
        return tuple(adopted)

    def _reopen(self, now: datetime) -> tuple[int, ...]:
        """Slots that were run or recorded as missed by a clock that ran ahead: they are still owed."""
        ahead = journals.settled_in_the_future(self.journal.entries(), now + CLOCK_TOLERANCE)
        # one that was run a little early by a clock that was a little ahead stays: it is due by both clocks
        reopened = [slot for slot in self.schedule if now < (slot.due if ahead.get(slot.number) == "ended" else slot.closes)]
        reopened = [slot for slot in reopened if slot.number in ahead]
        for slot in reopened:
            self.journal.write("reopened", slot, at=now, why="it was settled by a clock that was ahead")
        return tuple(slot.number for slot in reopened)
