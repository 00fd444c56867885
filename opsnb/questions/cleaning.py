"""The clean-up, as a notebook sees it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opsnb.actions.cleanup import Cleanup, newest_record
from opsnb.actions.journey import Journey
from opsnb.actions.record import newest_action
from opsnb.evidence import display
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base


class CleanupInNotebook:
    """Plan, deletion and record of the clean-up, each the output of one cell."""

    def __init__(self, phase: CleanupQuestions) -> None:
        self._phase = phase
        self._action = Cleanup(phase.environment, phase.release, phase.deployment, root=phase.root)

    @asked("postgres")
    def planned(self) -> tuple[str, pd.DataFrame]:
        """What a deletion would take, as a tree: tree, rows, what happens, reached by."""
        return "the named records, and every row that goes with them", self._action.plan().tree

    @asked("postgres")
    def guards(self) -> tuple[str, pd.DataFrame]:
        """Whether a row of the plan looks real, guard by guard."""
        return "whether a row of the plan looks real", self._action.plan().guard_table

    def perform(self) -> Any:
        """Deletes the plan where `apply` is True and `confirm` is the environment's name; says what was done."""
        if not self._phase.apply:
            return display.Note("Nothing was changed: apply is False.")
        self._action.apply(self._action.plan(), confirm=self._phase.confirm)
        return display.Note(self._action.sentence)

    def record(self) -> Facts:
        """What the newest deletion in this deployment did, per table."""
        return newest_record(self._phase.deployment)


class CleanupQuestions(Base):
    """The removal of test records, and other actions."""

    def announcement(self) -> Facts:
        """What the newest announcement of this deployment was, and whom it reached: message, place, kind, delivered."""
        return newest_action(self.deployment, "announce", "sent")

    def journey(self) -> display.Note:
        """Walks the release's journey where `apply` is True and `confirm` is the environment's name; says what was done."""
        if self.release.journey is None:
            return display.Note(f"The release {self.release.name} describes no journey.")
        if not self.apply:
            return display.Note("Nothing was walked: apply is False. `opsnb journey` walks it, or a person does and attests the items.")
        action = Journey.open(self.environment.name, root=self.root, deployment=self.deployment.id)
        record = action.apply(confirm=self.confirm)
        removed = sum(record["removed"].values())
        return display.Note(f"{len(record['steps'])} steps walked, {removed} rows removed afterwards.")

    def cleanup(self) -> CleanupInNotebook:
        """The removal of the release's test records, as a notebook sees it."""
        return CleanupInNotebook(self)
