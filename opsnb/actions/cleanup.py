"""Removes a release's test records: a plan first, then one transaction that deletes exactly the plan or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import pandas as pd

from opsnb.actions import record as records
from opsnb.config import CleanupRecord, Environment, Release, load_environment, load_release, require_references, settings
from opsnb.errors import ActionFailed, ActionRefused, UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.sources import writing

MAX_ROWS = 10_000
"""More rows than this are no test records."""


@dataclass(frozen=True)
class Step:
    """Rows of one table. `cascade` names the table whose deletion takes them along; empty where they are named themselves."""

    table: str
    column: str
    rows: int
    cascade: str = ""


@dataclass(frozen=True)
class Plan:
    """What would be deleted, in order."""

    steps: tuple[Step, ...]
    blocked_by: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows in all."""
        return sum(step.rows for step in self.steps)

    @property
    def table(self) -> pd.DataFrame:
        """One row per table: table, found by, rows."""
        return pd.DataFrame(
            [(step.table, f"deleted with {step.cascade}" if step.cascade else f"named by {step.column}", step.rows) for step in self.steps],
            columns=["table", "found", "rows"],
        )

    @property
    def by_table(self) -> dict[str, int]:
        """Table → rows."""
        totals: dict[str, int] = {}
        for step in self.steps:
            totals[step.table] = totals.get(step.table, 0) + step.rows
        return {table: rows for table, rows in totals.items() if rows}

    @property
    def sentence(self) -> str:
        """The plan in one sentence."""
        if not self.rows:
            return "No test record is left; there is nothing to delete."
        blocked = f" Blocked: {'; '.join(self.blocked_by)}." if self.blocked_by else ""
        return f"{self.rows} rows in {len(self.by_table)} tables would be deleted.{blocked}"


def make_plan(transaction: writing.Transaction, records: Sequence[CleanupRecord]) -> Plan:
    """The named records and every row their deletion takes along, followed through the foreign keys."""
    links = transaction.foreign_keys()
    named: dict[str, set[str]] = {}
    steps: list[Step] = []
    blocked: list[str] = []
    seen: dict[str, set[str]] = {}
    for record in records:
        table = transaction.table_name(record.table)
        if table is None:
            raise ActionRefused(f"The release's cleanup names the table {record.table}, which this database does not have.")
        key = next(iter(transaction.columns(table)))
        rows = transaction.keys_where(table, key, record.key, record.values)
        named.setdefault(table, set()).update(rows)
        steps.append(Step(table, record.key, len(rows)))
    done: set[str] = set()
    for table in [step.table for step in steps]:
        # rows already deleted by an earlier step are no obstacle to a later one
        done.add(table)
        _follow(transaction, links, table, sorted(named[table]), named, done, seen, steps, blocked)
    if sum(step.rows for step in steps) > MAX_ROWS:
        raise ActionRefused(f"The plan has more than {MAX_ROWS:,} rows: these are not test records. Look at the release's cleanup section.")
    return Plan(tuple(steps), tuple(blocked))


def _follow(
    transaction: writing.Transaction, links: list[writing.ForeignKey], table: str, keys: list[str],
    named: dict[str, set[str]], done: set[str], seen: dict[str, set[str]], steps: list[Step], blocked: list[str],
) -> None:  # fmt: skip
    if not keys:
        return
    for link in (link for link in links if link.parent == table):
        children = set(transaction.children(link, keys)) - seen.get(link.child, set())
        if link.child in done:
            # deleted by an earlier step: no longer there when this one runs
            children -= named.get(link.child, set())
        if children and link.blocks:
            blocked.append(
                f"{len(children)} rows of {link.child} refer to rows of {table} by {', '.join(link.columns)} and are not in the plan"
            )
        if not link.cascades:
            continue
        extra = children - named.get(link.child, set())
        if extra:
            seen.setdefault(link.child, set()).update(extra)
            steps.append(Step(link.child, ", ".join(link.columns), len(extra), cascade=table))
            _follow(transaction, links, link.child, sorted(extra), named, done, seen, steps, blocked)


def require_confirmed(environment: str, confirm: str) -> None:
    """UsageError where the name the operator gave is not the environment's."""
    if confirm != environment:
        raise UsageError(f"--confirm {confirm}: expected the environment's name, {environment}; nothing was changed")


@dataclass
class Cleanup:
    """The action, for one environment and deployment."""

    environment: Environment
    release: Release
    deployment: Deployment
    root: Path
    sentence: str = field(default="", init=False)

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Cleanup:
        """Loads the environment and its release; opens a deployment where there is none."""
        loaded = load_environment(environment, root)
        release = load_release(loaded.release, root)
        require_references(loaded, root)
        now = datetime.now(UTC)
        found = deployments.find_or_open(settings().reports_folder(root), loaded.name, release.name, identifier=deployment, now=now)
        return cls(loaded, release, found, root)

    def __enter__(self) -> Cleanup:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def plan(self) -> Plan:
        """Reads what would be deleted."""
        with writing.transaction(self.environment.postgres.dsn.resolve(self.root), phase="cleanup", read_only=True) as reading:
            return make_plan(reading, self.release.cleanup.records)

    def apply(self, plan: Plan, *, confirm: str) -> None:
        """Deletes exactly *plan* in one transaction, asserts it, and files the record. Raises ActionRefused or ActionFailed."""
        require_confirmed(self.environment.name, confirm)
        records.require_phases(self.deployment, self.release.actions.cleanup.needs, action="cleanup")
        if self.environment.postgres.write_dsn is None:
            raise UsageError(f"environment {self.environment.name}: postgres.write_dsn is needed to delete; name a reference to it")
        if plan.blocked_by:
            raise ActionRefused(f"{plan.sentence} Nothing was changed.")
        started = datetime.now(UTC)
        with writing.transaction(self.environment.postgres.write_dsn.resolve(self.root), phase="cleanup", read_only=False) as deleting:
            again = make_plan(deleting, self.release.cleanup.records)
            if again != plan:
                raise ActionRefused(
                    f"The data changed since the plan was made ({plan.rows} rows then, {again.rows} now). Nothing was changed; plan again."
                )
            for record in self.release.cleanup.records:
                deleting.delete(deleting.table_name(record.table) or record.table, record.key, record.values)
            deleted = deleting.deleted_here()
            if deleted != plan.by_table:
                raise ActionFailed(f"The deletion was rolled back: it would have deleted {deleted}, the plan said {plan.by_table}.")
        left = self.plan()
        done = f"{sum(deleted.values())} rows deleted in one transaction, {left.rows} left."
        self.sentence = done if deleted or left.rows else "No test record was left; there was nothing to delete."
        self._file(plan, deleted, left, started)

    def _file(self, plan: Plan, deleted: dict[str, int], left: Plan, started: datetime) -> None:
        record = {
            "action": "cleanup",
            "started_at": started.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
            "steps": [asdict(step) for step in plan.steps],
            "tables": [
                {
                    "table_name": table,
                    "planned": plan.by_table.get(table, 0),
                    "deleted": deleted.get(table, 0),
                    "remaining": left.by_table.get(table, 0),
                    "unplanned": max(0, deleted.get(table, 0) - plan.by_table.get(table, 0)),
                }
                for table in sorted({step.table for step in plan.steps} | set(deleted))
            ],
        }
        records.file_action(self.deployment, "cleanup", record, at=started)
