"""A door that is not there: the environment names no such system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsnb.errors import SourceAbsent
from opsnb.facts import Facts


class Absent:
    """Stands where a source would: whatever is asked of it answers Facts without a table, and checks of them are NOT_APPLICABLE."""

    def __init__(self, source: str, why: str) -> None:
        self.source = source
        self.why = why

    def __getattr__(self, question: str) -> Callable[..., Facts]:
        if question.startswith("_"):
            raise AttributeError(question)  # what IPython and copy look for is not a question

        def ask(*_args: Any, **_kwargs: Any) -> Facts:
            return self.facts(question)

        return ask

    def facts(self, question: str) -> Facts:
        """The answer to any question."""
        return Facts(self.source, question, 0.0, error=SourceAbsent(self.why, source=self.source, question=question))
