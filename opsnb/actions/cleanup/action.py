"""The action: plans, deletes exactly the plan in one transaction, keeps what went, and files what was done."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from pydantic import SecretStr

from opsnb.actions import record as records
from opsnb.actions.cleanup import before_image, filing
from opsnb.actions.cleanup.closure import Found, find, make_plan
from opsnb.actions.cleanup.plan import Plan
from opsnb.config import Environment, Release, load_environment, load_release, require_references, settings, text_of
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, SourceError, UsageError
from opsnb.evidence import deployments, sealed
from opsnb.evidence.deployments import Deployment
from opsnb.sources import writing
from opsnb.sources.writing import Keys, Table, Transaction

LOCK_TIMEOUT_MS = 2000
"""How long a row somebody else holds is waited for."""


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
        """Reads what would be deleted; settles what an earlier run left open. SourceError where it cannot be read whole."""
        with self._reading() as reading:
            filing.settle(self.deployment, reading)
            return make_plan(reading, self.release.cleanup)

    def apply(self, plan: Plan, *, confirm: str) -> None:
        """Deletes exactly *plan* in one transaction, asserts it, and files the record. Raises ActionRefused or ActionFailed."""
        require_confirmed(self.environment.name, confirm)
        records.require_phases(self.deployment, self.release.actions.cleanup.needs, action="cleanup")
        dsn = self._write_dsn()
        if plan.blocked_by:
            raise ActionRefused(f"{plan.sentence} Nothing was changed.")
        if not plan.rows and not plan.changes:
            filing.file_nothing(self.deployment, plan, datetime.now(UTC))
            self.sentence = "No test record was left; there was nothing to delete."
            return
        recipient = self._recipient()
        pending: filing.Pending | None = None
        try:
            with writing.transaction(dsn, phase="cleanup", read_only=False, lock_timeout_ms=LOCK_TIMEOUT_MS) as deleting:
                found = self._the_same(deleting, plan)
                image = before_image.take(deleting, found)
                done = _delete(deleting, found)
                before_image.note_after(deleting, image, done.changed)
                pending = self._keep(image, found.plan, done, recipient, deleting)
        except BaseException:
            if pending is not None:  # only the commit came after it: look how it ended
                with contextlib.suppress(SourceError), self._reading() as reading:
                    filing.settle(self.deployment, reading)
            raise
        try:
            left, orphans = self._left(done)
        except OpsnbError as error:  # its text speaks of the reading
            why = f"The deletion was committed ({plan.rows} rows); what is left could not be read afterwards: {error}. Plan again to see."
            raise ActionFailed(why) from None
        filing.finish(pending, left.by_table, orphans)
        self.sentence = f"{plan.rows} rows deleted in one transaction, {left.rows + sum(orphans.values())} left."
        if plan.changes:
            self.sentence += f" {plan.changes} rows lost a reference and stayed."
        if added := sum(done.added.values()):
            self.sentence += f" Triggers added {added} rows to {', '.join(sorted(done.added))}."

    def _the_same(self, deleting: Transaction, plan: Plan) -> Found:
        """The plan made again inside the transaction, its rows held; ActionRefused where it is not the one that was shown."""
        if not deleting.counts:
            raise ActionRefused(
                "The server does not count changed rows (track_counts is off), so nothing could be asserted. Nothing was changed."
            )
        if not deleting.begin_changes():
            raise ActionRefused("Another action is changing this database right now. Nothing was changed; plan again when it has ended.")
        found = find(deleting, self.release.cleanup)
        if found.plan != plan:
            raise ActionRefused(
                f"The data changed since the plan was made ({plan.rows} rows then, {found.plan.rows} now). Nothing was changed; plan again."
            )
        for oid in sorted({*found.deleted, *found.changed}):
            table = deleting.catalog.table(oid)
            ids = writing.plus(found.deleted.get(oid, {}), found.changed.get(oid, {}))
            if deleting.hold(table, ids) != writing.size(ids):
                raise ActionRefused(f"Rows of {table.name} went while the plan was made. Nothing was changed; plan again.")
        return found

    def _keep(self, image: before_image.Image, plan: Plan, done: Done, recipient: str, deleting: Transaction) -> filing.Pending:
        """Writes the before-image and a record that says how the transaction is called, both synced, before it is committed."""
        started = filing.free_moment(self.deployment)
        image.about |= {"environment": self.environment.name, "deployment": self.deployment.id, "database": deleting.database,
                        "started_at": started.isoformat()}  # fmt: skip
        kept = sealed.seal(filing.image_path(self.deployment, started), image.pack(), recipient)
        return filing.begin(self.deployment, plan, done.deleted, done.changed_rows, done.added, kept, image.rows, deleting.number, started)

    def _left(self, done: Done) -> tuple[Plan, dict[str, int]]:
        """What is left now: the plan made afresh, and rows that came in behind a link that no constraint guards."""
        with self._reading() as reading:
            orphans: dict[str, int] = {}
            for link, values in done.linked:
                rows = reading.still_referring(link, values) if values else 0
                if rows:
                    name = reading.catalog.table(link.child).name
                    orphans[name] = orphans.get(name, 0) + rows
            return make_plan(reading, self.release.cleanup), orphans

    def _reading(self) -> contextlib.AbstractContextManager[Transaction]:
        postgres = self.environment.postgres
        return writing.transaction(
            postgres.dsn.resolve(self.root), phase="cleanup", read_only=True,
            lock_timeout_ms=postgres.lock_timeout_ms, statement_timeout_ms=postgres.statement_timeout_ms,
        )  # fmt: skip

    def _write_dsn(self) -> SecretStr:
        if self.environment.postgres.write_dsn is None:
            raise UsageError(f"environment {self.environment.name}: postgres.write_dsn is needed to delete; name a reference to it")
        return self.environment.postgres.write_dsn.resolve(self.root)

    def _recipient(self) -> str:
        if self.environment.encryption is None:
            raise UsageError(
                f"environment {self.environment.name}: encryption.recipient is needed to delete: the rows are kept for an undo, encrypted. "
                "Make a key pair with `age-keygen -o key.txt`, keep it elsewhere, and set encryption.recipient to its public key (age1…). "
                "Nothing was changed."
            )
        return sealed.require_recipient(text_of(self.environment.encryption.recipient, self.root))


@dataclass
class Done:
    """What the transaction did, per table by name. `linked`: the values a link's column may not carry any more."""

    deleted: dict[str, int]
    changed_rows: dict[str, int]
    added: dict[str, int]
    changed: list[tuple[Table, Keys]]
    linked: list[tuple[writing.Link, list[str]]]


def _delete(deleting: Transaction, found: Found) -> Done:
    """Changes and deletes by key, children first; ActionFailed (rolled back) where the effect is not exactly the plan."""
    catalog = deleting.catalog
    keys = {oid: deleting.keys(catalog.table(oid), ids) for oid, ids in found.deleted.items()}
    changed = [
        (catalog.table(oid), deleting.keys(catalog.table(oid), ids)) for oid, ids in sorted(found.changed.items(), key=lambda item: item[0])
    ]
    linked = [(link, deleting.values(catalog.table(link.parent), found.deleted[link.parent], link.parent_columns[0]))
              for link in found.links if link.parent in found.deleted]  # fmt: skip
    for update in found.updates:
        deleting.update(update)
    for group in found.order:
        deleting.delete([(table, keys[table.oid]) for table in group])
    return Done(*_asserted(deleting, found.plan), changed, linked)


def _asserted(deleting: Transaction, plan: Plan) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """(deleted, changed, added) rows per table as the server counted them; ActionFailed where anything else happened."""
    effects = {deleting.relation(oid): change for oid, change in deleting.changes().items()}
    deleted = {name: change.deleted for name, change in effects.items() if change.deleted}
    changed = {name: change.updated for name, change in effects.items() if change.updated}
    added = {name: change.inserted for name, change in effects.items() if change.inserted}
    for happened, planned, word in ((deleted, plan.by_table, "lose"), (changed, plan.changed_by_table, "have changed")):
        for name in sorted({*happened, *planned}):
            if happened.get(name, 0) != planned.get(name, 0):
                raise _failed(plan, f"{name} would {word} {happened.get(name, 0)} rows, the plan said {planned.get(name, 0)}")
    if altered := deleting.strong_locks():
        raise _failed(plan, f"something would have emptied or altered {', '.join(altered)}")
    return deleted, changed, added


def _failed(plan: Plan, why: str) -> ActionFailed:
    suspects = f" Look at {'; '.join(fires.sentence for fires in plan.triggers)}." if plan.triggers else ""
    return ActionFailed(f"The deletion was rolled back: {why}. Nothing was changed.{suspects}")
