"""Which phases run, in which order, and which of them side by side."""

from __future__ import annotations

from collections.abc import Sequence

from opsnb.runbook import PHASES, phase_named

WAVES: tuple[tuple[str, ...], ...] = (
    # these only read, each a room of its own; the window mostly waits, and what it allows (seconds) is far from what they cost it
    ("checklist", "snapshot", "functions", "cleanup", "environment", "schema", "rls", "window"),
    # probes of others would blur the response times that are judged here, so it has the target to itself
    ("verify",),
    ("monitor", "rollback"),
    # reads what the others left
    ("signoff",),
)


LONGEST = ("window", "rls", "monitor")
"""Begun first in their wave, so that the others run beside them."""
WAITING = ("window",)
"""These watch the clock more than they work: beside them runs as much as if they were not there."""


def waves(names: Sequence[str] = ()) -> list[list[str]]:
    """The phases to run (all, or those *names* mean), as waves: a wave starts when the one before it has ended."""
    wanted = {phase_named(name) for name in names} or set(PHASES)
    return [chosen for wave in WAVES if (chosen := [phase for phase in wave if phase in wanted])]
