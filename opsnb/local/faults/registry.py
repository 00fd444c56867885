"""What a fault is, and every one of them by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from opsnb.local.state import Context


@dataclass(frozen=True)
class Fault:
    """One way to break the target. `checks` are the ids that leave PASS; an id ending in ``:*`` stands for all its subjects."""

    name: str
    sentence: str
    checks: frozenset[str]
    apply: Callable[[Context], Awaitable[None]]


FAULTS: dict[str, Fault] = {}

UNANSWERED = ("functions.answers", "functions.fields", "functions.no_error_codes", "window.downtime")
"""What leaves PASS while a function does not answer its callers."""

MANY_ERRORS = (
    "window.no_500", "errors.rate", "errors.recurring", "errors.alert_rate", "errors.rate_of_period", "errors.success_of_period",
)  # fmt: skip
"""What leaves PASS once a good part of the callers met errors."""

CHILDREN_OF_NOTES = (
    "soap_subjective_symptoms", "soap_subjective_allergies", "soap_subjective_medical_history", "soap_subjective_social_history",
    "soap_objective_vital_signs", "soap_objective_physical_exam", "soap_objective_lab_results", "soap_assessment_problem_list",
    "soap_assessment_differential_diagnosis", "soap_plan_medication", "soap_plan_investigation", "soap_plan_follow_up",
)  # fmt: skip
"""Tables whose policies ask which notes the caller sees: they are as open as the notes are."""


def fault(sentence: str, *checks: str) -> Callable[[Callable[[Context], Awaitable[None]]], Callable[[Context], Awaitable[None]]]:
    """Registers a coroutine that breaks the target, under its own name."""

    def register(apply: Callable[[Context], Awaitable[None]]) -> Callable[[Context], Awaitable[None]]:
        name = apply.__name__
        FAULTS[name] = Fault(name, sentence, frozenset(checks), apply)
        return apply

    return register


async def statements(context: Context, texts: Iterable[str]) -> None:
    """Executes each of *texts* as the database's owner."""
    for text in texts:
        await context.rows(text)
