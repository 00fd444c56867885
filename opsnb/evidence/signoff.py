"""The sign-off page: one single file with the gate, every item and its evidence, what persons said, and who signed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from opsnb.evidence import ledger, page, seal
from opsnb.evidence.cells import render_cells
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.display import result_card
from opsnb.evidence.report import read_notebook, under, verdict_counts, verdict_rows
from opsnb.evidence.results import REPORT_NAME, Run, read_runs, with_tables
from opsnb.evidence.safe import write_atomic
from opsnb.evidence.state import ItemState, State, state_of
from opsnb.verdicts import Verdict

FILE_NAME = "signoff.html"
SIGN = "sign"
"""How a signature is called in the record of a deployment."""
_MET = (Verdict.FAIL, Verdict.ERROR)


def render_signoff(deployment: Deployment, *, phases: Sequence[str] | None = None, out: Path | None = None) -> Path:
    """Writes the sign-off page and answers its path. *phases*: those expected, in their order; None for the whole runbook."""
    every = read_runs(deployment)
    state = state_of(deployment, phases=phases, every_run=every)
    path = out or deployment.folder / FILE_NAME
    write_atomic(
        path,
        page.render(
            "signoff.html.j2", deployment=deployment, gate=str(state.gate.gate), reason=state.gate.reason,
            sections=[_section(state.runs[phase]) for phase in state.order if phase in state.runs],
            missing=[phase for phase in state.order if phase not in state.runs],
            counts=verdict_counts(result for run in state.runs.values() for result in run.results),
            items=state.items, by_phase=_by_phase(state),
            waiting=sum(item.is_open for item in state.items), statements=state.said.statements,
            accepted=_accepted(state), met=issues_met(every, state), history=_history(every), signatures=signatures(state),
            record=ledger.head(deployment.folder),
        ),
    )  # fmt: skip
    return path


def signatures(state: State) -> list[dict[str, str]]:
    """Who signed so far: by, role, meaning, at (UTC), key (its fingerprint), statement; oldest first. A damaged record has none."""
    try:
        entries = ledger.read(state.deployment.folder)
    except ledger.RecordDamaged:
        return []
    return [{"at": entry.at, **{key: str(value) for key, value in entry.data.items()}} for entry in entries if entry.kind == SIGN]


def issues_met(every: Iterable[Run], state: State) -> list[dict[str, str]]:
    """Checks that were FAIL or ERROR in any run: when, what it said, and what the run that counts says now; oldest first."""
    now = {result.id: str(result.verdict) for run in state.runs.values() for result in run.results}
    met: dict[str, dict[str, str]] = {}
    for run in sorted(every, key=lambda run: str(run.data["started_at"])):
        for result in run.results:
            if result.verdict in _MET:
                seen = met.setdefault(
                    result.id, {"check": result.id, "phase": run.phase, "first": str(run.data["started_at"]), "runs": "0"}
                )
                seen |= {"last": str(run.data["started_at"]), "verdict": str(result.verdict), "summary": result.summary}
                seen["runs"] = str(int(seen["runs"]) + 1)
    return [{**seen, "now": now.get(check, "not run")} for check, seen in met.items()]


def _section(run: Run) -> dict[str, Any]:
    notebook = read_notebook(run.folder)
    cells = [] if notebook is None else render_cells(notebook, live=False)
    return {
        "phase": run.phase, "run": run.name, "gate": str(run.gate), "reason": run.reason, "under": under(run),
        "rows": verdict_rows(run, set()),
        "charts": [part for cell in cells for part in re.findall(r"<figure class=\"chart\">.*?</figure>", cell.html, re.S)],
        "cards": [] if run.damaged else [result_card(result).html for result in with_tables(run)],
        "hashes": [each for each in seal.digests(run.folder) if each.name != REPORT_NAME],
    }  # fmt: skip


def _by_phase(state: State) -> list[tuple[str, list[ItemState]]]:
    """The items in the order of the phases."""
    phases = list(dict.fromkeys([*state.order, *(item.phase for item in state.items)]))
    groups = [(phase, [item for item in state.items if item.phase == phase]) for phase in phases]
    return [(phase, items) for phase, items in groups if items]


def _accepted(state: State) -> list[dict[str, str]]:
    """The risks that were taken, with the verdict that the check keeps."""
    rows = []
    for check, said in state.said.accepted.items():
        data = said.entry.data
        rows.append(
            {
                "check": check, "verdict": str(data["evidence"]), "by": f"{said.by}, {data['role']}", "at": said.entry.at,
                "reason": str(data["statement"]), "expires": str(data["expires"]), "number": str(said.entry.number),
            }
        )  # fmt: skip
    return rows


def _history(every: Iterable[Run]) -> list[dict[str, str]]:
    """Every run in the order of time: what was done when, and how it ended."""
    rows = [
        {"at": str(run.data["started_at"]), "phase": run.phase, "gate": str(run.gate), "run": run.name, "reason": run.reason}
        for run in every
    ]
    return sorted(rows, key=lambda row: row["at"])
