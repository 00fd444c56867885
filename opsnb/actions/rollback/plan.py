"""What a rollback would do: steps, in order, each with what it changes, how long it took in rehearsal, and how it is undone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

FEATURE, FUNCTIONS, ROWS, POINT, COMPARE, NOTIFY = "feature", "functions", "rows", "point in time", "compare", "notify"


@dataclass(frozen=True)
class Step:
    """One step. `needed` False: there is nothing to do. `by_hand`: a person does it, and attests it."""

    name: str
    what: str
    undo: str
    needed: bool = True
    by_hand: bool = False
    rehearsed_s: float | None = None


@dataclass(frozen=True)
class Plan:
    """The steps and what would be lost. `lost`: table → rows that came or changed since T0; `gone`: objects that are not there any more."""

    snapshot: str
    steps: tuple[Step, ...]
    lost: dict[str, int] = field(default_factory=dict)
    back: dict[str, int] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    refused: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """One row per step: step, what, undo, rehearsed (s)."""
        rows = [
            (step.name, step.what, "by hand" if step.by_hand else "yes" if step.needed else "nothing to do", step.undo, step.rehearsed_s)
            for step in self.steps
        ]
        return pd.DataFrame(rows, columns=["step", "what it changes", "acts", "undone by", "took in rehearsal (s)"])

    @property
    def seconds(self) -> float:
        """What the steps took in rehearsal, all together."""
        return sum(step.rehearsed_s or 0.0 for step in self.steps if step.needed)
