"""Stays, and does what is due when it is due. Nothing is kept in memory: stopped and started again, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from opsnb.errors import OpsnbError
from opsnb.watching.desk import Desk, Tick
from opsnb.watching.plan import next_due

LOOK_S = 20.0
"""The clock is read at least this often: it may be changed, and the machine may sleep."""
RETRY_S = 60.0


def follow(
    desk: Desk,
    *,
    ticked: Callable[[Tick], None] = lambda _tick: None,
    failed: Callable[[Exception], None] = lambda _error: None,
    waiting: Callable[[datetime | None], None] = lambda _until: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when every slot is settled. A run that could not be begun is told to *failed*, and tried again while its slot lasts."""
    while True:
        pause = LOOK_S
        try:
            tick = desk.tick()
            ticked(tick)
        except (OpsnbError, OSError) as error:
            failed(error)
            pause = RETRY_S
        due = next_due(desk.schedule, desk.settled())
        if due is None:
            return
        waiting(due)
        left = (due - desk.clock()).total_seconds()
        sleep(min(pause, left) if 0 < left < pause else pause)
