"""Started by a test: cleanups that are killed (kill -9). Prints how each ended, a line each.

Usage: killed_cleanups.py DESK.json MOMENT...; N is after N calls and returns of opsnb's functions, -N after N microseconds, also while the
server works; 0 lets the run end by itself and prints how many calls it made and how many microseconds it took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from cleaning_desk import Desk

from opsnb.errors import OpsnbError


def run(desk: Desk, calls: int, ready: int) -> None:
    action = desk.action()
    plan = action.plan()
    made = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        if event in ("call", "return") and "/opsnb/" in frame.f_code.co_filename:
            made += 1
            if made == calls:
                os.kill(os.getpid(), signal.SIGKILL)

    os.write(ready, b".")
    started = time.perf_counter()
    if calls >= 0:
        sys.setprofile(count)
    try:
        action.apply(plan, confirm="desk")
    finally:
        sys.setprofile(None)
    if not calls:
        sys.stdout.write(f"{made} {(time.perf_counter() - started) * 1e6:.0f} ")


said = json.loads(Path(sys.argv[1]).read_text())
desk = Desk(said["dsn"], Path(said["root"]), said["cleanup"])
for calls in map(int, sys.argv[2:]):
    sys.stdout.flush()
    waiting, ready = os.pipe()
    child = os.fork()
    if not child:
        code = 0
        try:
            run(desk, calls, ready)
        except OpsnbError as error:
            sys.stdout.write(f"{error} ")
            code = 1
        sys.stdout.flush()
        os._exit(code)
    os.close(ready)
    if calls < 0:
        os.read(waiting, 1)
        time.sleep(-calls / 1e6)
        os.kill(child, signal.SIGKILL)
    os.close(waiting)
    _, status = os.waitpid(child, 0)
    while desk.rows("select count(*) from pg_stat_activity where application_name like 'opsnb/%'")[0][0]:
        time.sleep(0.01)
    print(json.dumps({"calls": calls, "killed": os.WIFSIGNALED(status), "counts": desk.rows(said["counts"])[0]}), flush=True)
    if desk.rows(said["counts"])[0] != tuple(said["whole"]):
        desk.action().plan()  # settles
        if desk.rows("select count(*) from people")[0][0] == 1:
            desk.run(said["again"])
