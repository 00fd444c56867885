"""Slots are done once each: by two schedulers at once, by threads, with processes killed, after a reboot, across a clock change."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsnb.checks import schedule
from opsnb.config.release import GUIDE_SCHEDULE
from opsnb.config.schedule import Slot, slots
from opsnb.questions.slots import entries_table
from opsnb.verdicts import Gate, Outcome, Verdict
from opsnb.watching import claims
from opsnb.watching.claims import Claim, Holder, claimed
from opsnb.watching.desk import Desk, Done
from opsnb.watching.journal import Journal

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
PROGRAM = Path(__file__).with_name("slots_under_fire.py")


class Clock:
    """A clock that a test sets."""

    def __init__(self, hours: float = 0) -> None:
        self.now = START + timedelta(hours=hours)

    def __call__(self) -> datetime:
        return self.now

    def at(self, hours: float) -> None:
        self.now = START + timedelta(hours=hours)


def desk(folder: Path, clock: Clock, run: Callable[[Slot], Done] | None = None) -> Desk:
    return Desk(folder, slots(START, GUIDE_SCHEDULE), run or (lambda slot: Done(Gate.PASSED, f"run-{slot.number}")), clock=clock)


def kept(at: Desk, hours: float = 24) -> Outcome:
    entries = entries_table(at.journal.entries())
    return schedule.kept.judge(entries, schedule=GUIDE_SCHEDULE, deployed_at=START, now=START + timedelta(hours=hours))


def ended(at: Desk) -> list[int]:
    return [entry["slot"] for entry in at.journal.entries() if entry["event"] == "ended"]


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments_and_fired_twice_still_nineteen(tmp_path: Path, seed: int) -> None:
    told = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), str(seed), "120"], capture_output=True, text=True, timeout=200, check=False
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["killed"] >= 20
    journal = Journal(tmp_path / "monitor")
    done = Counter(entry["slot"] for entry in journal.entries() if entry["event"] == "ended")
    assert done == dict.fromkeys(range(1, 20), 1)
    whole = Counter(int(line.split()[0]) for line in (tmp_path / "whole").read_text().splitlines())
    assert whole == dict.fromkeys(range(1, 20), 1), "a phase was run to its end twice"
    began = (tmp_path / "began").read_text().splitlines()
    assert len(began) > 19, "no run was killed: the test did not disturb"
    outcome = kept(desk(tmp_path / "monitor", Clock()))
    assert outcome.verdict is Verdict.PASS and outcome.summary.startswith("19 of 19 runs"), outcome.summary


def test_a_day_without_trouble(tmp_path: Path) -> None:
    clock = Clock()
    at = desk(tmp_path, clock)
    for minutes in range(0, 24 * 60 + 1, 5):
        clock.at(minutes / 60)
        at.tick()
    assert ended(at) == list(range(1, 20))
    assert kept(at).verdict is Verdict.PASS
    assert kept(at, hours=30).summary.startswith("19 of 19 runs of the schedule done")


def test_many_threads_at_once_run_it_once(tmp_path: Path) -> None:
    clock = Clock(0.5)
    begun: list[int] = []

    def run(slot: Slot) -> Done:
        begun.append(slot.number)
        time.sleep(0.2)
        return Done(Gate.PASSED, "r")

    at = desk(tmp_path, clock, run)
    ticks: list[object] = []
    threads = [threading.Thread(target=lambda: ticks.append(at.tick())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun == [1] and ended(at) == [1] and len(ticks) == 8


def test_the_machine_was_off(tmp_path: Path) -> None:
    """Of several slots that passed meanwhile the newest is run; the others are told as missed, and FAIL."""
    clock = Clock(0.5)
    at = desk(tmp_path, clock)
    at.tick()
    clock.at(2.6)
    tick = at.tick()
    assert tick.ran is not None and tick.ran.number == 5
    assert [slot.number for slot in tick.missed] == [2, 3, 4]
    outcome = kept(at, hours=2.7)
    assert outcome.verdict is Verdict.FAIL and "; slots 2, 3 and 4 were missed." in outcome.summary, outcome.summary
    assert at.tick().ran is None


def test_a_clock_that_ran_ahead_and_was_put_back(tmp_path: Path) -> None:
    clock = Clock(1)
    at = desk(tmp_path, clock)
    at.tick()
    clock.at(10)
    tick = at.tick()
    assert tick.ran is not None and tick.ran.number == 14 and len(tick.missed) == 11
    clock.at(1.1)
    assert at.tick().reopened == tuple(range(3, 15)), "also the one that was run too early"
    for minutes in range(70, 24 * 60 + 1, 5):
        clock.at(minutes / 60)
        at.tick()
    table = schedule.slot_table(entries_table(at.journal.entries()), schedule=GUIDE_SCHEDULE, deployed_at=START, now=clock())
    assert list(table[table["state"] == "missed"]["slot"]) == [1], "missed before the clock ran ahead"
    assert table["state"].value_counts()["done"] == 18 and not set(table["finding"]) & {"was run more than once"}


def test_a_clock_that_goes_back_runs_nothing_twice(tmp_path: Path) -> None:
    clock = Clock(0.6)
    at = desk(tmp_path, clock)
    at.tick()
    clock.at(0.51)
    assert at.tick().ran is None
    clock.at(0.7)
    assert at.tick().ran is None
    assert ended(at) == [1]


def test_a_runner_that_raises_leaves_the_slot_open(tmp_path: Path) -> None:
    clock = Clock(0.5)

    def broken(_slot: Slot) -> Done:
        raise OSError("patient Jane Doe")

    with pytest.raises(OSError, match="Jane"):
        desk(tmp_path, clock, broken).tick()
    assert "Jane" not in (tmp_path / "slots.jsonl").read_text()
    tick = desk(tmp_path, clock).tick()
    assert tick.ran is not None and tick.ran.number == 1


def test_a_torn_line_is_told_and_what_follows_is_whole(tmp_path: Path) -> None:
    clock = Clock(0.5)
    at = desk(tmp_path, clock)
    at.tick()
    with (tmp_path / "slots.jsonl").open("ab") as journal:
        journal.write(b'{"at": "2026-11-23T09:00:0')
    clock.at(1)
    at.tick()
    assert at.journal.damaged == 1 and ended(at) == [1, 2]


def test_another_machine_that_lives_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks do not reach from machine to machine, the heartbeat says who lives."""
    said = {"claim": "x", "slot": 3, "pid": 7, "host": "another", "boot": "other", "since": "2026-11-23T09:30:02+00:00"}
    tmp_path.joinpath(claims.FILE_NAME).write_text(json.dumps(said))
    with claimed(tmp_path) as claim:
        assert isinstance(claim, Holder)
        assert str(claim) == "process 7 on another, at slot 3 since 09:30:02 UTC"
    monkeypatch.setattr(claims, "STALE_S", -1.0)
    with claimed(tmp_path) as claim:
        assert isinstance(claim, Claim)


def test_this_machine_before_its_reboot_is_taken_over_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed(tmp_path) as claim:
        assert isinstance(claim, Claim)
        claim._say(3)
    monkeypatch.setattr(claims, "boot_id", lambda: "after the reboot")
    with claimed(tmp_path) as claim:
        assert isinstance(claim, Claim)


def test_the_heart_beats_while_a_slot_is_run(tmp_path: Path) -> None:
    with claimed(tmp_path) as claim:
        assert isinstance(claim, Claim)
        path = tmp_path / claims.FILE_NAME
        with claim.at(1, every_s=0.01):
            before = path.stat().st_mtime_ns
            time.sleep(0.1)
            assert path.stat().st_mtime_ns > before
            assert json.loads(path.read_text())["slot"] == 1
        assert json.loads(path.read_text())["slot"] is None
