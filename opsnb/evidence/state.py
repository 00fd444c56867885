"""Where a deployment stands: its newest runs, what persons said, its gate, and the state of every item of the runbook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from opsnb.evidence import attestations
from opsnb.evidence.attestations import Standing
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.gates import DeploymentGate, deployment_gate
from opsnb.evidence.ledger import RecordDamaged
from opsnb.evidence.results import Run, item_verdicts, newest_runs
from opsnb.runbook import ITEMS, PHASES
from opsnb.verdicts import Gate, Verdict

ATTESTED = "attested"


@dataclass(frozen=True)
class Item:
    """A runbook item as the index shows it. `kind` is check, act, attest or journey."""

    id: str
    phase: str
    kind: str
    text: str
    automated: bool = True


@dataclass(frozen=True)
class ItemState:
    """What the runs, and persons, say about one item. `verdict` is a verdict, attested, open (an attestation) or not run."""

    id: str
    phase: str
    text: str
    verdict: str
    checks: tuple[str, ...]
    closes: str
    said: str = ""

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something about it."""
        return bool(self.closes)


@dataclass(frozen=True)
class State:
    """All of it at one moment. `runs`: phase → the run that counts; `order`: the phases as pages list them."""

    deployment: Deployment
    runs: Mapping[str, Run]
    order: tuple[str, ...]
    said: Standing
    gate: DeploymentGate
    items: tuple[ItemState, ...]

    def for_machines(self) -> dict[str, Any]:
        """As JSON: the gate, every item, every statement."""
        return {
            "deployment": self.deployment.id, "environment": self.deployment.environment, "gate": str(self.gate.gate),
            "reason": self.gate.reason, "items": [{**asdict(item), "open": item.is_open} for item in self.items],
            "statements": [{**each.entry.data, "number": each.entry.number, "at": each.entry.at, "state": each.state}
                           for each in self.said.statements],
        }  # fmt: skip


def state_of(
    deployment: Deployment, *, items: Iterable[Any] | None = None, phases: Sequence[str] | None = None, every_run: list[Run] | None = None
) -> State:
    """Where *deployment* stands. *items*: the runbook's (id, phase, kind, text), *phases*: those expected; None for the whole runbook."""
    runs = newest_runs(deployment, every_run)
    known = [
        Item(item.id, item.phase, item.kind, item.text, getattr(item, "automated", True))
        for item in (ITEMS.values() if items is None else items)
    ]
    expected = list(PHASES if phases is None else phases)
    order = [*expected, *(phase for phase in sorted(runs) if phase not in expected)]
    said, damage = statements(deployment, runs)
    gate = DeploymentGate(Gate.UNMEASURED, damage) if damage else deployment_gate(deployment, phases=expected, runs=runs, said=said)
    return State(deployment, runs, tuple(order), said, gate, tuple(item_states(known, runs, said)))


def statements(deployment: Deployment, runs: Mapping[str, Run]) -> tuple[Standing, str]:
    """What persons said of *deployment*; and, where their record was changed, the sentence that says so."""
    try:
        return attestations.read(deployment, runs=runs), ""
    except RecordDamaged as error:
        return Standing(), str(error)


def item_states(items: Iterable[Item], runs: Mapping[str, Run], said: Standing | None = None) -> list[ItemState]:
    """The state of each of *items*, and of every other item the *runs* answer, in the runbook's order."""
    said = said or Standing()
    results = [replace(result, verdict=said.counted(result)) for run in runs.values() for result in run.results]
    answers = item_verdicts(results)
    asked = {item: run.phase for run in runs.values() for item in run.data["open_attestations"]}
    states = []
    seen = set()
    for item in items:
        seen.add(item.id)
        answer = answers.get(item.id)
        checks = tuple(answer["checks"]) if answer else ()
        verdict = _state(item.id, answer, asked, said, ran=item.phase in runs)
        closes = _closes(verdict, item)
        states.append(ItemState(item.id, item.phase, item.text, verdict, checks, closes, _said(item.id, said)))
    for identifier in dict.fromkeys([*answers, *asked]):
        if identifier not in seen:
            answer = answers.get(identifier)
            phase = asked.get(identifier) or next(run.phase for run in runs.values() if identifier in item_verdicts(run.results))
            verdict = _state(identifier, answer, asked, said, ran=True)
            other = Item(identifier, phase, "attest" if identifier in asked else "check", "")
            checks = tuple(answer["checks"]) if answer else ()
            states.append(ItemState(identifier, phase, "", verdict, checks, _closes(verdict, other), _said(identifier, said)))
    return states


def _state(item: str, answer: Mapping[str, Any] | None, asked: Mapping[str, str], said: Standing, *, ran: bool) -> str:
    """An open attestation outweighs everything but what is worse than undecided."""
    if item in said.refused:
        return str(Verdict.FAIL)
    if answer and Verdict(answer["verdict"]) in (Verdict.FAIL, Verdict.ERROR):
        return str(answer["verdict"])
    if item in said.closed:
        return ATTESTED
    if item in asked or item in said.waiting:
        return "open"
    if answer:
        return str(answer["verdict"])
    return str(Verdict.INCONCLUSIVE) if ran else "not run"


def _said(item: str, said: Standing) -> str:
    return said.closed.get(item) or said.refused.get(item) or said.waiting.get(item, "")


def _closes(verdict: str, item: Item) -> str:
    """Who can close *item*, and how."""
    if verdict in (Verdict.PASS, Verdict.WARN, Verdict.NOT_APPLICABLE, ATTESTED):
        return ""
    person = "a named person, by attesting it"
    if verdict == "open":
        return person
    if verdict == "not run":
        return person if item.kind == "attest" else f"a run of {item.phase}"
    if verdict == Verdict.FAIL:
        return f"whoever mends it, then a run of {item.phase}"
    if verdict == Verdict.ERROR:
        return f"whoever restores the measurement, then a run of {item.phase}"
    return f"a further run of {item.phase}" if item.automated else person
