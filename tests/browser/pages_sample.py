"""One page of every kind: a phase, a deployment, an environment, a sign-off, a timeline, a fleet; with what a page must cope with."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence"))
import evidence_sample as sample
import pandas as pd
from harness import REPOSITORY

from opsnb.config import load_environment, load_release
from opsnb.evidence import index, signoff
from opsnb.fleet import page as fleet_page
from opsnb.fleet import store
from opsnb.fleet.rollup import roll_up
from opsnb.fleet.target import PhaseRow, TargetEnd
from opsnb.verdicts import CheckResult, Verdict
from opsnb.watching import timeline

PHASES = ("schema", "rls")


def make_pages(root: Path) -> dict[str, Path]:
    """Kind → page, under *root*."""
    deployment, folder = sample.make_run(root / "reports")
    sample.make_run(root / "reports", phase="rls", attestations=("S6-7", "S6-8"), later=timedelta(minutes=1))
    deployment_page = index.write_index(deployment, phases=[*PHASES, "window"])
    return {
        "phase": folder / "report.html",
        "deployment": deployment_page,
        "environment": deployment.folder.parent / "index.html",
        "sign-off": signoff.render_signoff(deployment),
        "timeline": _timeline(deployment),
        "fleet": _fleet(root / "reports"),
    }


def _timeline(deployment: Any) -> Path:
    ends = [("done", "passed"), ("done", "failed"), ("done", "held"), ("done", "unmeasured"), ("missed", ""), ("running", ""), ("due", "")]
    rows = [
        {
            "slot": number, "period": "hours 0 to 4", "due": pd.Timestamp(sample.NOW) + pd.Timedelta(hours=number), "state": state,
            "gate": gate, "run": "", "seconds": 2.5, "late_min": 3.0 if number == 2 else None, "finding": "was missed",
        }
        for number, (state, gate) in enumerate(ends + [("to come", "")] * 12, start=1)
    ]  # fmt: skip
    judged = CheckResult("schedule.kept", "The schedule is kept", (), Verdict.INCONCLUSIVE, "4 of 19 runs are done.", "Wait.")
    folder = deployment.folder / "monitor"
    watch: Any = SimpleNamespace(
        table=lambda _now: pd.DataFrame(rows), judged=lambda _now: judged, deployment=deployment, desk=SimpleNamespace(folder=folder),
        release=load_release("patient-history", REPOSITORY), environment=load_environment("local", REPOSITORY),
    )  # fmt: skip
    return timeline.write(watch, sample.NOW + timedelta(hours=6))


def _fleet(reports: Path) -> Path:
    names = tuple(f"clinic-{number}" for number in range(24))
    gates = ("passed", "held", "failed", "unmeasured")
    run = store.begin(reports, (*names, "last"), PHASES, sample.NOW)
    ends = {
        name: TargetEnd(
            name, "2026-01-17T22:05:00Z", 2.0 + at,
            tuple(PhaseRow(each, gates[at % 4], 1.0, "a reason", f"{name}/d/{each}/r/report.html", {"FAIL": 1}) for each in PHASES), "d",
        )
        for at, name in enumerate(names)
    }  # fmt: skip
    fleet_page.write(roll_up(run, ends, None))
    return run.folder / "index.html"
