"""The gate of a deployment: the join of the runs that count, and of what persons said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from opsnb.evidence.deployments import Deployment
from opsnb.evidence.reasons import count, gate_reason
from opsnb.evidence.results import Run, newest_runs
from opsnb.verdicts import CheckResult, Gate, PhaseReport, Verdict, gate


@dataclass(frozen=True)
class DeploymentGate:
    """The gate of a deployment and why, in one sentence."""

    gate: Gate
    reason: str


class Statements(Protocol):
    """What persons said about a deployment, as the gate needs it; `evidence.attestations.Standing` is one."""

    @property
    def closed(self) -> Mapping[str, str]:
        """Items somebody attested."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Items somebody refused, with a sentence."""

    @property
    def waiting(self) -> Mapping[str, str]:
        """Items with a statement that does not close them."""

    def counted(self, result: CheckResult) -> Verdict:
        """The verdict as the gate counts it."""


def deployment_gate(
    deployment: Deployment, *, phases: Sequence[str] = (), runs: Mapping[str, Run] | None = None, said: Statements | None = None
) -> DeploymentGate:
    """Joins the runs that count, and what persons *said*. A phase that never ran, and a run without a journal, hold the gate."""
    counting = newest_runs(deployment) if runs is None else runs
    results = [result for run in counting.values() for result in run.results]
    attestations = open_items(counting, said)
    if said is not None:
        results = [replace(result, verdict=said.counted(result)) for result in results]
        results += [_refused(item, sentence) for item, sentence in said.refused.items()]
    report = PhaseReport("deployment", tuple(results), attestations)
    missing = [phase for phase in phases if phase not in counting]
    unproved = [run.phase for run in counting.values() if not run.journalled]
    verdicts = [result.verdict for result in results]
    if verdicts and (missing or unproved):
        verdicts.append(Verdict.INCONCLUSIVE)
    joined = gate(verdicts, open_attestations=len(attestations))
    reason = gate_reason(report)
    if joined is Gate.HELD and report.gate is Gate.PASSED:
        reason = f"Everything that ran passed ({count(len(results), 'check')})."
    if missing and counting:
        reason += f" Not yet run: {', '.join(missing)}."
    if unproved:
        reason += f" Run without a journal, so not proof: {', '.join(unproved)}."
    return DeploymentGate(joined, reason)


def open_items(runs: Mapping[str, Run], said: Statements | None) -> tuple[str, ...]:
    """The attestations that are open: those of the runs that nobody closed, and those whose statement does not stand."""
    asked = [item for run in runs.values() for item in run.data["open_attestations"]]
    if said is None:
        return tuple(asked)
    settled = {*said.closed, *said.refused}
    return tuple(dict.fromkeys([*(item for item in asked if item not in settled), *said.waiting]))


def _refused(item: str, sentence: str) -> CheckResult:
    return CheckResult(
        id=f"attestation.{item}", title="A named person attests this", items=(item,), verdict=Verdict.FAIL,
        summary=f"{item} was {sentence}", fix="Mend what was refused, then let it be attested again.",
    )  # fmt: skip
