"""What a cleanup leaves beside the deployment: a record of counts and hashes, and the before-image. No value of a row is in a record.

The record is written before the commit, with the transaction's number; afterwards it is finished. A run that was killed in between is
settled by the next plan: the server knows how its transaction ended.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.actions import record as records
from opsnb.actions.cleanup.plan import Plan
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.safe import write_atomic
from opsnb.evidence.sealed import Sealed, sealed_state, write_sealed
from opsnb.facts import Facts
from opsnb.sources.writing import Transaction

COMMITTED, COMMITTING = "committed", "committing"


@dataclass
class Pending:
    """A record that is not finished yet."""

    path: Path
    record: dict[str, Any]


def image_path(deployment: Deployment, at: datetime) -> Path:
    """Where the before-image of the cleanup of that moment lies."""
    return deployment.folder / "actions" / f"{at.astimezone(UTC).strftime(STAMP)}-cleanup.before.age"


def free_moment(deployment: Deployment) -> datetime:
    """Now, or the next second in which no cleanup was filed: files are named by it."""
    while True:
        now = datetime.now(UTC)
        if not any((deployment.folder / "actions").glob(f"{now.strftime(STAMP)}-cleanup*")):
            return now
        time.sleep(0.1)


def begin(
    deployment: Deployment, plan: Plan, deleted: dict[str, int], changed: dict[str, int], added: dict[str, int],
    image: Sealed, image_rows: int, transaction: str, started: datetime,
) -> Pending:  # fmt: skip
    """Files what is about to be committed, and writes the before-image."""
    record = {
        **_head(plan, started, COMMITTING),
        "transaction": transaction,
        "before_image": {"file": image.path.name, "sha256": image.sha256, "bytes": len(image.content), "rows": image_rows},
        "tables": _tables(plan, deleted, changed, added, image.sha256),
    }
    pending = Pending(records.file_action(deployment, "cleanup", record, at=started), record)
    write_sealed(image)  # after its record: one that is left without a commit is found and removed
    return pending


def finish(pending: Pending, remaining: dict[str, int], orphans: dict[str, int]) -> None:
    """Files that it was committed, and what was left afterwards."""
    for table in pending.record["tables"]:
        table["remaining"] = remaining.get(table["table_name"], 0) + orphans.get(table["table_name"], 0)
        table["state"] = COMMITTED
    pending.record |= {"state": COMMITTED, "ended_at": datetime.now(UTC).isoformat()}
    _write(pending)


def file_nothing(deployment: Deployment, plan: Plan, at: datetime) -> None:
    """Files that nothing was left to delete, where no cleanup was filed yet; a record of one that deleted stays the newest."""
    if records.action_paths(deployment, "cleanup"):
        return
    record = {**_head(plan, at, COMMITTED), "before_image": None, "tables": _tables(plan, {}, {}, {}, "")}
    for table in record["tables"]:
        table["state"] = COMMITTED
    records.file_action(deployment, "cleanup", record, at=at)


def settle(deployment: Deployment, reading: Transaction) -> None:
    """Finishes or removes the records of runs that were stopped while they ended, by what the server says of their transactions."""
    for path in records.action_paths(deployment, "cleanup"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("state", COMMITTED) != COMMITTING:
            continue
        how = reading.ended(record["transaction"])
        if how == "committed":
            finish(Pending(path, record), {}, {})
        elif how == "aborted":
            (path.parent / record["before_image"]["file"]).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def newest_record(deployment: Deployment) -> Facts:
    """The newest cleanup of *deployment*, a row per table; `before_image` says whether the file is as it was written."""
    facts = records.newest_action(deployment, "cleanup", "tables")
    table = facts.table.copy()
    if table.empty or "before_image" not in table.columns:
        return facts
    image = json.loads(records.action_paths(deployment, "cleanup")[-1].read_text(encoding="utf-8"))["before_image"]
    if image:
        state = sealed_state(deployment.folder / "actions" / image["file"], image["sha256"])
        table["before_image"] = ["" if hash_ == "" else state for hash_ in table["before_image"]]
    return Facts(facts.source, facts.question, facts.seconds, answer=table, extra=facts.extra)


def _head(plan: Plan, started: datetime, state: str) -> dict[str, Any]:
    return {
        "action": "cleanup",
        "state": state,
        "started_at": started.isoformat(),
        "ended_at": started.isoformat(),
        "order": [list(group) for group in plan.order],
        "steps": [asdict(step) for step in plan.steps],
        "guards": [asdict(guard) for guard in plan.guards],
        "triggers": [fires.sentence for fires in plan.triggers],
        "notes": list(plan.notes),
    }


def _tables(
    plan: Plan, deleted: dict[str, int], changed: dict[str, int], added: dict[str, int], image: str
) -> list[dict[str, Any]]:  # fmt: skip
    names = sorted({step.table for step in plan.steps} | set(deleted) | set(changed) | set(added))
    return [
        {
            "table_name": name,
            "planned": plan.by_table.get(name, 0),
            "deleted": deleted.get(name, 0),
            "to_change": plan.changed_by_table.get(name, 0),
            "changed": changed.get(name, 0),
            "added": added.get(name, 0),
            "remaining": 0,
            "unplanned": max(0, deleted.get(name, 0) - plan.by_table.get(name, 0))
            + max(0, changed.get(name, 0) - plan.changed_by_table.get(name, 0)),
            "refused": sum(guard.refused for guard in plan.guards if guard.table == name),
            "before_image": image if plan.by_table.get(name, 0) or plan.changed_by_table.get(name, 0) else "",
            "state": COMMITTING,
        }
        for name in names
    ]


def _write(pending: Pending) -> None:
    write_atomic(pending.path, json.dumps(pending.record, indent=2) + "\n")
