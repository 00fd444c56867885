"""Stays, and does what is due when it is due. Nothing is kept in memory: stopped and started again, it goes on where it was."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

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
    """Returns when every slot is settled. A run that could not be begun is told to *failed*, and tried again while its slot lasts.

    Ctrl-C raises KeyboardInterrupt, at the latest when what is being done is through.
    """
    with _interrupts() as interrupted:
        _follow(desk, ticked, failed, waiting, sleep, interrupted)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Remembers a Ctrl-C: one that arrives while a library is imported may be taken for a missing library, and be lost."""
    seen = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: FrameType | None) -> None:
        seen.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(
    desk: Desk, ticked: Callable[[Tick], None], failed: Callable[[Exception], None], waiting: Callable[[datetime | None], None],
    sleep: Callable[[float], None], interrupted: threading.Event,
) -> None:  # fmt: skip
    while True:
        pause = LOOK_S
        try:
            tick = desk.tick()
            ticked(tick)
        except (OpsnbError, OSError) as error:
            failed(error)
            pause = RETRY_S
        if interrupted.is_set():
            raise KeyboardInterrupt
        due = next_due(desk.schedule, desk.settled())
        if due is None:
            return
        waiting(due)
        left = (due - desk.clock()).total_seconds()
        sleep(min(pause, left) if 0 < left < pause else pause)
