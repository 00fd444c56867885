"""Verdicts, what a check returns, and the gate that joins them.

There is no way to PASS by default: a check that raises, is given no table, or returns nothing is ERROR.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pandas as pd

from opsnb import errors
from opsnb.errors import OpsnbError, SourceAbsent
from opsnb.facts import Facts


class Verdict(StrEnum):
    """What a check concluded."""

    PASS = "PASS"  # noqa: S105
    WARN = "WARN"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Measured, but not enough to decide; the summary says how much more is needed."""
    ERROR = "ERROR"
    """Could not measure."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """The release or the environment declares why; shown, outside the gate."""


WORST_FIRST = (
    Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.PASS, Verdict.NOT_APPLICABLE,
)  # fmt: skip


class Gate(StrEnum):
    """The join of all verdicts of a phase or a deployment."""

    PASSED = "passed"
    HELD = "held"
    UNMEASURED = "unmeasured"
    FAILED = "failed"

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 held, 4 unmeasured (2 is usage)."""
        return {
            Gate.PASSED: errors.EXIT_PASSED,
            Gate.FAILED: errors.EXIT_FAILED,
            Gate.HELD: errors.EXIT_HELD,
            Gate.UNMEASURED: errors.EXIT_UNMEASURED,
        }[self]


def gate(verdicts: Iterable[Verdict], *, open_attestations: int = 0) -> Gate:
    """Any FAIL: failed; else any ERROR: unmeasured; else any INCONCLUSIVE or open attestation: held; else passed.

    Nothing at all was measured is unmeasured, never passed.
    """
    seen = set(verdicts)
    if Verdict.FAIL in seen:
        return Gate.FAILED
    if Verdict.ERROR in seen:
        return Gate.UNMEASURED
    if Verdict.INCONCLUSIVE in seen or open_attestations:
        return Gate.HELD
    if not seen:
        return Gate.UNMEASURED
    return Gate.PASSED


@dataclass(frozen=True)
class Outcome:
    """What a check function returns: the verdict and one sentence with the measured value and the limit."""

    verdict: Verdict
    summary: str
    table: pd.DataFrame | None = None
    measured: float | int | str | None = None
    limit: float | int | str | None = None


def passed(summary: str, **details: Any) -> Outcome:
    """PASS. *details*: table, measured, limit."""
    return Outcome(Verdict.PASS, summary, **details)


def warned(summary: str, **details: Any) -> Outcome:
    """WARN: does not stop the gate, is listed at sign-off."""
    return Outcome(Verdict.WARN, summary, **details)


def failed(summary: str, **details: Any) -> Outcome:
    """FAIL."""
    return Outcome(Verdict.FAIL, summary, **details)


def inconclusive(summary: str, **details: Any) -> Outcome:
    """INCONCLUSIVE: say how much more is needed."""
    return Outcome(Verdict.INCONCLUSIVE, summary, **details)


def unmeasured(summary: str, **details: Any) -> Outcome:
    """ERROR: could not measure."""
    return Outcome(Verdict.ERROR, summary, **details)


def not_applicable(summary: str, **details: Any) -> Outcome:
    """NOT_APPLICABLE: the release or the environment says why."""
    return Outcome(Verdict.NOT_APPLICABLE, summary, **details)


@dataclass(frozen=True)
class CheckResult:
    """One check, judged. `question` is what was asked of which source, `seconds` how long asking and judging took."""

    id: str
    title: str
    items: tuple[str, ...]
    verdict: Verdict
    summary: str
    fix: str
    table: pd.DataFrame | None = field(default=None, compare=False)
    question: str = ""
    seconds: float = 0.0
    measured: float | int | str | None = None
    limit: float | int | str | None = None


CHECKS: dict[str, Check] = {}
"""Every check there is, by id."""


@dataclass(frozen=True)
class Check:
    """A pure function with a name: tables in, Outcome out.

    `items` are the runbook items it answers, `fix` what to do when it does not pass, `harm` what failing does to you,
    `empty` what an empty first table means (a sentence; tested).
    """

    id: str
    title: str
    items: tuple[str, ...]
    fix: str
    empty: str
    judge: Callable[..., Outcome]
    harm: str = ""

    def __call__(self, *facts: Facts | pd.DataFrame, subject: str = "", items: Sequence[str] | None = None, **expected: Any) -> CheckResult:
        """Judges *facts* (Facts or bare tables) against *expected*; never raises.

        *subject* makes the id unique where one check is asked of many objects (``schema.table_present:users``);
        *items* are the runbook items it answers here, where they are not those of the check.
        """
        started = time.perf_counter()
        asked = [fact for fact in facts if isinstance(fact, Facts)]
        broken = [fact for fact in asked if not fact.ok]
        absent = next((fact.error for fact in broken if isinstance(fact.error, SourceAbsent)), None)
        if absent is not None:
            outcome = not_applicable(f"Does not apply: {absent}.")
        elif broken:
            reasons = "; ".join(dict.fromkeys(f"{fact.source}: {fact.error}" for fact in broken))
            outcome = unmeasured(f"Could not be measured. {reasons}")
        else:
            outcome = self._judge([fact.table if isinstance(fact, Facts) else fact for fact in facts], expected)
        return CheckResult(
            id=f"{self.id}:{subject}" if subject else self.id,
            title=f"{self.title}: {subject}" if subject else self.title,
            items=self.items if items is None else tuple(items),
            verdict=outcome.verdict,
            summary=outcome.summary,
            fix=self.fix,
            table=outcome.table,
            question="\n\n".join(dict.fromkeys(f"-- {fact.source}\n{fact.question}" for fact in asked)),
            seconds=sum(fact.seconds for fact in asked) + time.perf_counter() - started,
            measured=outcome.measured,
            limit=outcome.limit,
        )

    def _judge(self, tables: list[pd.DataFrame], expected: dict[str, Any]) -> Outcome:
        try:
            outcome = self.judge(*tables, **expected)
        except OpsnbError as error:
            return unmeasured(f"Could not be judged. {error}")
        except Exception as error:  # a check that raises has not measured anything
            # the text of a foreign exception may quote a value of the table: only its kind is shown
            return unmeasured(f"Could not be judged: the answer was not what the check expects ({type(error).__name__}).")
        if not isinstance(outcome, Outcome):
            return unmeasured("Could not be judged: the check returned no verdict.")
        return outcome


def check(
    id: str, *, title: str, items: Sequence[str] = (), harm: str = "", fix: str, empty: str
) -> Callable[[Callable[..., Outcome]], Check]:
    """Registers a pure function as a check. Its docstring stays; positional arguments are tables, keywords expectations."""

    def register(function: Callable[..., Outcome]) -> Check:
        if id in CHECKS:
            raise ValueError(f"two checks are called {id}")
        made = Check(id=id, title=title, items=tuple(items), fix=fix, empty=empty, judge=function, harm=harm)
        object.__setattr__(made, "__doc__", inspect.getdoc(function))
        CHECKS[id] = made
        return made

    return register


def with_items(result: CheckResult, items: Sequence[str]) -> CheckResult:
    """The same result, answering other items."""
    return replace(result, items=tuple(items))


@dataclass(frozen=True)
class PhaseReport:
    """All results of one run of one phase, and the attestations still open in it (item ids)."""

    phase: str
    results: tuple[CheckResult, ...]
    open_attestations: tuple[str, ...] = ()

    @property
    def gate(self) -> Gate:
        """The join of the verdicts."""
        return gate((result.verdict for result in self.results), open_attestations=len(self.open_attestations))

    def worst_first(self) -> list[CheckResult]:
        """The results, those that need a person first."""
        return sorted(self.results, key=lambda result: WORST_FIRST.index(result.verdict))
