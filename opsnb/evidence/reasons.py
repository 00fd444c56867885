"""Why a gate is what it is, in one or two sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opsnb.verdicts import CheckResult, PhaseReport, Verdict

NOT_MEASURED = "Could not be measured. "
"""How the summary of a check begins whose question was not answered."""


def gate_reason(report: PhaseReport) -> str:
    """Why *report* has its gate, in one or two sentences."""
    by_verdict = {verdict: [result for result in report.results if result.verdict is verdict] for verdict in Verdict}
    judged = sum(len(results) for verdict, results in by_verdict.items() if verdict is not Verdict.NOT_APPLICABLE)
    total = f"of {count(judged, 'check')}"
    parts = []
    if failed := by_verdict[Verdict.FAIL]:
        parts.append(f"{len(failed)} {total} failed: {_names(failed)}")
    if errors := by_verdict[Verdict.ERROR]:
        parts.append(f"{len(errors)} {'more ' if parts else total + ' '}could not be measured: {_names(errors)}")
    if parts:
        return "; ".join(parts) + "." + _cause(errors)
    if undecided := by_verdict[Verdict.INCONCLUSIVE]:
        parts.append(f"{len(undecided)} {total} {'is' if len(undecided) == 1 else 'are'} not decided: {_names(undecided)}")
    if report.open_attestations:
        parts.append(f"{count(len(report.open_attestations), 'attestation')} open: {_some(list(report.open_attestations))}")
    if parts:
        return "; ".join(parts) + "."
    if not report.results:
        return "Nothing was measured."
    warned = by_verdict[Verdict.WARN]
    if not judged:
        return "Nothing here applies to this deployment; each line says why."
    passed = "The one check passed" if judged == 1 else f"All {judged} checks passed"
    return passed + (f", {len(warned)} with a warning: {_names(warned)}." if warned else ".")


def _cause(errors: Sequence[CheckResult]) -> str:
    """What most of the *errors* say, as a sentence to follow another; nothing where they give no cause."""
    causes = Counter(error.summary.removeprefix(NOT_MEASURED) for error in errors if error.summary.startswith(NOT_MEASURED))
    if not causes:
        return ""
    cause = causes.most_common(1)[0][0].strip().rstrip(".")
    return f" {cause[:1].upper()}{cause[1:]}" + ("" if cause.endswith("?") else ".")


def count(number: int, noun: str) -> str:
    """`1 check`, `2 checks`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _names(results: Sequence[CheckResult]) -> str:
    return _some([result.id for result in results])


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
