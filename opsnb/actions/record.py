"""What an action leaves in the archive, and what must hold before it may act."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.errors import ActionRefused
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.results import newest_runs
from opsnb.evidence.safe import write_atomic
from opsnb.facts import Facts
from opsnb.verdicts import Gate


def file_action(deployment: Deployment, action: str, record: dict[str, Any], *, at: datetime) -> Path:
    """Writes the record of one applied action below the deployment's ``actions`` folder; where."""
    path = deployment.folder / "actions" / f"{at.astimezone(UTC).strftime(STAMP)}-{action}.json"
    write_atomic(path, json.dumps(record, indent=2) + "\n")
    return path


def action_paths(deployment: Deployment, action: str) -> list[Path]:
    """The records of *action* in *deployment*, the oldest first."""
    return sorted((deployment.folder / "actions").glob(f"*-{action}.json"))


def newest_action(deployment: Deployment, action: str, table: str) -> Facts:
    """The list *table* of the newest record of *action*; an empty table where it was never applied."""
    question = f"record of the newest {action} in {deployment.id}"
    records = action_paths(deployment, action)
    if not records:
        return Facts("archive", question, 0.0, answer=pd.DataFrame())
    record = json.loads(records[-1].read_text(encoding="utf-8"))
    return Facts("archive", question, 0.0, answer=pd.DataFrame(record[table]), extra={"started_at": record["started_at"]})


def require_phases(deployment: Deployment, phases: Sequence[str], *, action: str) -> None:
    """ActionRefused unless the newest run of each of *phases* ended without FAIL and ERROR; held does not block."""
    runs = newest_runs(deployment)
    for phase in phases:
        if phase not in runs:
            raise ActionRefused(
                f"{action} needs the phase {phase}, which did not run in {deployment.id}. "
                f"Run it: opsnb run {deployment.environment} --phase {phase}"
            )
        if runs[phase].gate in (Gate.FAILED, Gate.UNMEASURED):
            raise ActionRefused(f"{action} needs the phase {phase}, whose newest run ended {runs[phase].gate}. Nothing was changed.")
