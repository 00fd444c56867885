"""What a source answered: a table, or the reason why there is none.

A source never raises into a notebook: it returns `Facts`. A check that is given facts without a
table becomes ERROR. Code that acts on facts reads `.table`, which raises the stored error.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, cast

import pandas as pd

from opsnb.errors import SourceError

P = ParamSpec("P")


@dataclass(frozen=True)
class Facts:
    """One answer of one source.

    `question` is the statement or request as asked (no secret in it), `seconds` the wall time it took,
    `extra` single values that came with the table (for example ``server_version``).
    """

    source: str
    question: str
    seconds: float
    answer: pd.DataFrame | None = None
    error: SourceError | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is a table."""
        return self.error is None and self.answer is not None

    @property
    def table(self) -> pd.DataFrame:
        """The answer; raises the stored SourceError where there is none."""
        if self.error is not None:
            raise self.error
        if self.answer is None:
            raise SourceError("no answer was given", source=self.source, question=self.question)
        return self.answer

    def __len__(self) -> int:
        return 0 if self.answer is None else len(self.answer)


def asked(source: str) -> Callable[[Callable[P, tuple[str, pd.DataFrame] | Facts]], Callable[P, Facts]]:
    """Turns a method that returns (question, table) and raises SourceError into one that returns Facts."""

    def wrap(method: Callable[P, tuple[str, pd.DataFrame] | Facts]) -> Callable[P, Facts]:
        @functools.wraps(method)
        def ask(*args: P.args, **kwargs: P.kwargs) -> Facts:
            started = time.perf_counter()
            try:
                answer = method(*args, **kwargs)
            except SourceError as error:
                seconds = time.perf_counter() - started
                return Facts(error.source or source, error.question or method.__name__, seconds, error=error)
            if isinstance(answer, Facts):
                return answer
            question, table = answer
            return Facts(source, question, time.perf_counter() - started, answer=table)

        return cast(Callable[P, Facts], ask)

    return wrap
