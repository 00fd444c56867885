"""A Ctrl-C that a library swallowed ends the watch all the same."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any, cast

import pytest

from opsnb.watching.desk import Desk
from opsnb.watching.follow import follow


class Swallowing:
    """A desk at which a Ctrl-C arrives in the middle of an import that takes everything for a missing library."""

    ticks = 0

    def tick(self) -> Any:
        self.ticks += 1
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_swallowed_interrupt_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGINT)
    desk = Swallowing()
    with pytest.raises(KeyboardInterrupt):
        follow(cast(Desk, desk))
    assert desk.ticks == 1
    assert signal.getsignal(signal.SIGINT) is before
