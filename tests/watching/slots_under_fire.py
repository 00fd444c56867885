"""Started by a test: processes that do slots, killed (kill -9) at random moments. Prints what happened as JSON.

Usage: slots_under_fire.py FOLDER SEED KILLS. Each look at the schedule is two processes at once, of which one or both are killed. The clock
is the driver's: it goes on when a slot is settled. The phase is a stub that leaves a line when it is whole.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsnb.config.release import GUIDE_SCHEDULE
from opsnb.config.schedule import Slot, slots
from opsnb.verdicts import Gate
from opsnb.watching.desk import Desk, Done

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def line(path: Path, said: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{said}\n".encode())
    os.close(descriptor)


def desk_at(folder: Path, now: datetime) -> Desk:
    def run(slot: Slot) -> Done:
        line(folder / "began", str(slot.number))
        time.sleep(random.uniform(0, 0.05))
        line(folder / "whole", f"{slot.number} {now.isoformat()}")
        time.sleep(random.uniform(0, 0.05))
        return Done(Gate.PASSED, f"run-{slot.number}")

    def find(since: datetime, until: datetime) -> Done | None:
        lines = (folder / "whole").read_text().splitlines() if (folder / "whole").exists() else []
        made = [number for number, at in map(str.split, lines) if since <= datetime.fromisoformat(at) < until]
        return Done(Gate.PASSED, f"run-{made[0]}") if made else None

    return Desk(folder / "monitor", slots(START, GUIDE_SCHEDULE), run, find, clock=lambda: now)


def main() -> None:
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    killed = rounds = 0
    schedule = slots(START, GUIDE_SCHEDULE)
    for slot in schedule:
        now = slot.due + timedelta(seconds=random.uniform(0, 200))
        left = -(-(kills - killed) // (len(schedule) - slot.number + 1))  # spread over the slots that are left
        while True:
            rounds += 1
            children = []
            for _ in range(2):
                child = os.fork()
                if child == 0:
                    random.seed(os.getpid())
                    code = 0
                    try:
                        desk_at(folder, now).tick()
                    except BaseException:
                        code = 9
                    os._exit(code)
                children.append(child)
            aimed = random.choice([children[:1], children, children]) if left > 0 else []
            time.sleep(random.uniform(0, 0.035) if aimed else 0)
            for child in aimed:
                os.kill(child, signal.SIGKILL)
            ends = [os.waitpid(child, 0)[1] for child in children]
            assert all(os.WIFSIGNALED(end) or os.WEXITSTATUS(end) == 0 for end in ends), "a process raised"
            died = sum(os.WIFSIGNALED(end) for end in ends)
            killed, left = killed + died, left - died
            if slot.number in desk_at(folder, now).settled():
                break
    print(json.dumps({"killed": killed, "rounds": rounds}))


if __name__ == "__main__":
    main()
