"""A simulated day whose scheduler fires twice each time, and whose processes are killed: every slot done, none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness import process_environment

from opsnb.questions.slots import read_lines
from opsnb.watching.simulated import Day

OPSNB = str(Path(sys.executable).with_name("opsnb"))


@dataclass
class Told:
    """How many slots are done, how many processes were killed, and whatever was wrong."""

    done: int = 0
    killed: int = 0
    fired: int = 0
    wrong: list[str] = field(default_factory=list)


def campaign(root: Path, *, kills: int, seed: int) -> Told:
    """Lives through a day in the home *root*, whose target is up."""
    from opsnb.local import target

    dice, told = random.Random(seed), Told()
    target.day(root)
    os.environ["OPSNB_HOME"] = str(root)
    try:
        day = Day.open("local", root=root)
    finally:
        del os.environ["OPSNB_HOME"]
    doomed = Counter(dice.randrange(len(day.schedule)) for _ in range(kills))
    for number, slot in enumerate(day.schedule):
        at = slot.due + timedelta(seconds=5)
        latest = 6.0 if slot is not day.schedule[-1] else 2.0  # a run takes about four seconds
        while doomed[number]:
            doomed[number] -= 1
            killed, _ = _fire(day, at, told, kill_after_s=dice.uniform(0.3, latest))
            told.killed += killed
            at += timedelta(minutes=1)
            if not killed:  # it came too late; the slot is done, and another is for it
                doomed[number + 1] += 1 + doomed[number]
                doomed[number] = 0
        for _ in range(4):
            if slot.number in _ended(day):
                break
            _, said = _fire(day, at, told)
            at += timedelta(minutes=1)
        else:
            if slot.number not in _ended(day):
                told.wrong.append(f"slot {slot.number} was not done: {said}")
    ended = _ended(day)
    told.done = len(ended)
    told.wrong += [f"slot {number} ended {times} times" for number, times in ended.items() if times != 1]
    entries = read_lines(day.deployment.folder / "monitor" / "slots.jsonl")[0]
    told.wrong += [f"slot {entry['slot']} was missed" for entry in entries if entry["event"] == "missed"]
    runs = Counter(entry["run"] for entry in entries if entry["event"] == "ended")
    told.wrong += [f"run {run} counts for {times} slots" for run, times in runs.items() if times != 1]
    told.wrong += [f"{run} is not whole" for run in runs if not (day.deployment.folder / "monitor" / run / "report.html").is_file()]
    return told


def _fire(day: Day, at: datetime, told: Told, *, kill_after_s: float | None = None) -> tuple[bool, str]:
    """Two `opsnb monitor` at once at the moment *at*; killed after so long, with all they started. Whether any was, and what they said."""
    behind = (datetime.now(UTC) - at).total_seconds()
    words = [OPSNB, "monitor", "local", "--deployment", day.deployment.id]
    environment = process_environment(day.root, OPSNB_CLOCK_BEHIND_S=f"{behind:.3f}")
    files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115  (closed below, once their processes ended)
    killed = False
    both = [
        subprocess.Popen(words, cwd=day.root, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                         stderr=subprocess.STDOUT, start_new_session=True)
        for file in files
    ]  # fmt: skip
    told.fired += 2
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        for process in both:  # whoever of the two is at it
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed = True
    said = ""
    for process, file in zip(both, files, strict=True):
        said += f"[{process.wait(timeout=180)}] "
        file.seek(0)
        said += file.read()[-2000:]
        file.close()
    return killed, said


def _ended(day: Day) -> Counter[int]:
    entries = read_lines(day.deployment.folder / "monitor" / "slots.jsonl")[0]
    return Counter(entry["slot"] for entry in entries if entry["event"] == "ended")
