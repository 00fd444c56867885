"""index.html: what a deployment's runs add up to, per phase and per runbook item; and the list of an environment's deployments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opsnb.evidence import deployments, history, page
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.display import seconds_text
from opsnb.evidence.gates import DeploymentGate, deployment_gate
from opsnb.evidence.report import INDEX_NAME, verdict_counts
from opsnb.evidence.results import FILE_NAME, SCHEMA_VERSION, Run, newest_runs, read_runs
from opsnb.evidence.safe import jsonable, utc, write_atomic
from opsnb.evidence.signoff import FILE_NAME as SIGNOFF_NAME
from opsnb.evidence.state import ItemState, state_of, statements
from opsnb.verdicts import WORST_FIRST, Gate


def write_index(deployment: Deployment, *, items: Iterable[Any] | None = None, phases: Sequence[str] | None = None) -> Path:
    """Writes index.html and results.json at the deployment's root, and the environment's list of deployments; answers the index.

    *items*: the runbook's (attributes id, phase, kind, text), *phases*: those expected; None for the whole runbook.
    """
    path = render_index(deployment, items=items, phases=phases)
    render_environment_index(deployment.folder.parent.parent, deployment.environment)
    return path


def render_index(deployment: Deployment, *, items: Iterable[Any] | None = None, phases: Sequence[str] | None = None) -> Path:
    """Writes index.html and results.json at the deployment's root; answers the path of the page."""
    every_run = read_runs(deployment)
    state = state_of(deployment, items=items, phases=phases, every_run=every_run)
    runs, order, gate, states = state.runs, state.order, state.gate, state.items
    _write_results(deployment, gate, order, runs, states)
    path = deployment.folder / INDEX_NAME
    rows = [_phase_row(deployment, phase, runs.get(phase), [run for run in every_run if run.phase == phase]) for phase in order]
    waiting = [state for state in states if state.is_open]
    write_atomic(
        path,
        page.render(
            "index.html.j2", deployment=deployment, signoff=(deployment.folder / SIGNOFF_NAME).is_file(), gate=str(gate.gate),
            reason=gate.reason, phases=rows, waiting=_worst_first(waiting),
            settled=[state for state in states if not state.is_open], statements=state.said.statements,
            links=_links(deployment, runs), day=_day(deployment), up=f"../{INDEX_NAME}",
            counts=verdict_counts(result for run in runs.values() for result in run.results), compared=history.compare(deployment, runs),
        ),
    )  # fmt: skip
    return path


def render_environment_index(reports_root: Path, environment: str) -> Path:
    """Writes reports/<environment>/index.html: its deployments, newest first; answers its path."""
    rows = []
    for deployment in deployments.all_deployments(reports_root, environment):
        gate = _kept_gate(deployment)
        rows.append({"deployment": deployment, "gate": str(gate.gate), "reason": gate.reason, "href": f"{deployment.id}/{INDEX_NAME}"})
    path = reports_root / environment / INDEX_NAME
    write_atomic(path, page.render("environment.html.j2", environment=environment, rows=rows))
    return path


def _worst_first(states: Sequence[ItemState]) -> list[ItemState]:
    order = [*map(str, WORST_FIRST[:3]), "open", "not run"]
    return sorted(states, key=lambda state: order.index(state.verdict))


def _phase_row(deployment: Deployment, phase: str, run: Run | None, every: Sequence[Run]) -> dict[str, Any]:
    if run is None:
        return {"phase": phase, "gate": "not run", "reason": "No run of this phase is archived.", "href": "", "took": "", "runs": []}
    others = [
        {"name": each.name, "gate": str(each.gate), "href": _href(deployment, each), "journalled": each.journalled, "counts": each is run}
        for each in every
    ]
    return {
        "phase": phase, "gate": str(run.gate), "reason": run.reason, "href": _href(deployment, run),
        "took": _took(run), "runs": others,
    }  # fmt: skip


def _took(run: Run) -> str:
    guide = run.data["guide_minutes"]
    return seconds_text(run.data["seconds"]) + (f" of {guide:g} min" if guide is not None else "")


def _href(deployment: Deployment, run: Run) -> str:
    return (run.folder / "report.html").relative_to(deployment.folder).as_posix() if run.has_report else ""


def _day(deployment: Deployment) -> str:
    """The page of the monitoring's schedule; '' where the schedule was not begun. It is written right after a run's index."""
    begun = any((deployment.folder / "monitor" / name).is_file() for name in ("slots.jsonl", "timeline.html"))
    return "monitor/timeline.html" if begun else ""


def _links(deployment: Deployment, runs: Mapping[str, Run]) -> dict[str, str]:
    return {phase: _href(deployment, run) for phase, run in runs.items()}


def _write_results(
    deployment: Deployment, gate: DeploymentGate, order: Sequence[str], runs: Mapping[str, Run], states: Sequence[ItemState]
) -> None:
    content = {
        "schema_version": SCHEMA_VERSION,
        "deployment": deployment.id,
        "environment": deployment.environment,
        "release": deployment.release,
        "opened_at": utc(deployment.opened_at),
        "closed_at": None if deployment.closed_at is None else utc(deployment.closed_at),
        "gate": str(gate.gate),
        "exit_code": gate.gate.exit_code,
        "reason": gate.reason,
        "phases": {
            phase: {
                "gate": str(runs[phase].gate), "reason": runs[phase].reason, "run": runs[phase].name, "journalled": runs[phase].journalled,
                "results": f"{phase}/{runs[phase].name}/{FILE_NAME}",
            } if phase in runs else None
            for phase in order
        },
        "items": {
            state.id: {
                "verdict": state.verdict, "phase": state.phase, "checks": list(state.checks), "open": state.is_open, "closes": state.closes,
                "said": state.said,
            }
            for state in states
        },
    }  # fmt: skip
    write_atomic(deployment.folder / FILE_NAME, json.dumps(jsonable(content), indent=1, ensure_ascii=False) + "\n")


def _kept_gate(deployment: Deployment) -> DeploymentGate:
    """The gate as the deployment's results.json says; computed where that is missing or damaged."""
    try:
        kept = json.loads((deployment.folder / FILE_NAME).read_text(encoding="utf-8"))
        return DeploymentGate(Gate(kept["gate"]), str(kept["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return deployment_gate(deployment, said=statements(deployment, newest_runs(deployment))[0])
