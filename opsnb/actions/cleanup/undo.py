"""Puts back what a cleanup deleted or changed, from its before-image: exactly those rows, in one transaction, or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.actions import record as records
from opsnb.actions.cleanup.action import LOCK_TIMEOUT_MS, require_confirmed
from opsnb.actions.cleanup.before_image import Image, Kept, unpack
from opsnb.checks.tables import counted
from opsnb.config import Environment, Reference, load_environment, settings
from opsnb.errors import ActionFailed, ActionRefused, UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.sealed import read_sealed
from opsnb.sources import writing
from opsnb.sources.writing import Restoring, Table, Transaction
from opsnb.sources.writing.restoring import Laid


@dataclass(frozen=True)
class UndoPlan:
    """What would be put back, per table: (table, "deleted" or "changed", rows), in the order in which it happens."""

    steps: tuple[tuple[str, str, int], ...]
    started_at: str

    @property
    def rows(self) -> int:
        """How many rows in all."""
        return sum(rows for _, _, rows in self.steps)

    @property
    def table(self) -> pd.DataFrame:
        """One row per table: table, what happens, rows."""
        words = {"deleted": "put back", "changed": "given its old values"}
        rows = [(table, words[what], rows) for table, what, rows in self.steps]
        return pd.DataFrame(rows, columns=["table", "what happens", "rows"])

    @property
    def sentence(self) -> str:
        """The plan in one sentence."""
        return (
            f"{counted(self.rows, 'row')} of {counted(len(self.steps), 'table')}, deleted or changed by the cleanup of {self.started_at}, "
            "would be put back as they were; users' triggers stay silent meanwhile, constraints do not."
        )


@dataclass
class Undo:
    """The undo of one cleanup. `image` is its before-image, opened."""

    environment: Environment
    deployment: Deployment
    root: Path
    image: Image
    source: str
    sentence: str = field(default="", init=False)

    @classmethod
    def open(cls, environment: str, *, root: Path, record: str = "", deployment: str = "", identity: Reference | None = None) -> Undo:
        """Opens the before-image of *record*: a record's or before-image's path or name; empty for the newest cleanup.

        *identity* is where the key is, `encryption.identity` of the environment if not given. UsageError, ActionRefused where it cannot
        be opened: another key, a file that was changed or cut short, another environment's.
        """
        loaded = load_environment(environment, root)
        reports = settings().reports_folder(root)
        found = deployments.find(reports, loaded.name, deployment) if deployment else deployments.newest_open(reports, loaded.name)
        if found is None:
            raise UsageError(f"The environment {loaded.name} has no open deployment; name the one of the cleanup with --deployment.")
        return cls.of(loaded, found, root, record, identity)

    @classmethod
    def of(cls, environment: Environment, deployment: Deployment, root: Path, record: str = "", identity: Reference | None = None) -> Undo:
        """As `open`, of an environment and a deployment that are loaded already."""
        path, sha256 = _find(deployment, record)
        key = identity or (environment.encryption.identity if environment.encryption else None)
        if key is None:
            raise UsageError(
                f"environment {environment.name}: encryption.identity is needed to undo; set it to a reference to the age key, "
                "such as file:/media/key/key.txt or env:AGE_IDENTITY"
            )
        image = unpack(read_sealed(path, key.resolve(root).get_secret_value(), sha256=sha256))
        if image.about["environment"] != environment.name:
            raise ActionRefused(
                f"{path.name} is of the environment {image.about['environment']}, not of {environment.name}. Nothing was changed."
            )
        return cls(environment, deployment, root, image, path.name)

    def plan(self) -> UndoPlan:
        """What would be put back; nothing is asked of the database but whether its tables are still the same."""
        postgres = self.environment.postgres
        reading = writing.transaction(
            postgres.dsn.resolve(self.root), phase="cleanup-undo", read_only=True,
            lock_timeout_ms=postgres.lock_timeout_ms, statement_timeout_ms=postgres.statement_timeout_ms,
        )  # fmt: skip
        with reading as transaction:
            for kept in self.image.tables:
                self._table(transaction, kept)
        steps = tuple((kept.table, kept.what, kept.rows) for group in self._groups() for kept in group)
        return UndoPlan(steps, self.image.about["started_at"])

    def apply(self, plan: UndoPlan, *, confirm: str) -> None:
        """Puts everything back in one transaction and asserts it, row for row. Raises ActionRefused or ActionFailed."""
        require_confirmed(self.environment.name, confirm)
        if self.environment.postgres.write_dsn is None:
            raise UsageError(f"environment {self.environment.name}: postgres.write_dsn is needed to undo; name a reference to it")
        started = datetime.now(UTC)
        dsn = self.environment.postgres.write_dsn.resolve(self.root)
        with writing.transaction(dsn, phase="cleanup-undo", read_only=False, lock_timeout_ms=LOCK_TIMEOUT_MS) as transaction:
            self._restore(transaction)
        self.sentence = f"{counted(plan.rows, 'row')} put back in one transaction, each as it was."
        record: dict[str, Any] = {
            "action": "cleanup-undo",
            "started_at": started.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
            "before_image": self.source,
            "tables": [{"table_name": table, "what": what, "restored": rows} for table, what, rows in plan.steps],
        }
        records.file_action(self.deployment, "cleanup-undo", record, at=started)

    def _restore(self, transaction: Transaction) -> None:
        if not transaction.counts:
            raise ActionRefused(
                "The server does not count changed rows (track_counts is off), so nothing could be asserted. Nothing was changed."
            )
        if not transaction.begin_changes():
            raise ActionRefused("Another action is changing this database right now. Nothing was changed; try again when it has ended.")
        if transaction.database != self.image.about["database"]:
            raise ActionRefused(f"The rows are of the database {self.image.about['database']}, this is another. Nothing was changed.")
        restoring = Restoring(transaction)
        self._require_first(transaction)
        laid = {id(kept): self._lay_out(transaction, restoring, kept) for group in self._groups() for kept in group}
        with restoring.triggers_held_off([(laid[id(kept)].table, kept.what) for kept in self.image.tables]):
            for group in self._groups():
                if group[0].what == "changed":
                    done = [restoring.put_right(laid[id(kept)]) for kept in group]
                else:
                    done = restoring.insert([laid[id(kept)] for kept in group])
                for kept, (rows, digest) in zip(group, done, strict=True):
                    if (rows, digest) != (kept.rows, kept.digest):
                        raise ActionFailed(f"The undo was rolled back: {kept.table} would not be as it was. Nothing was changed.")
        self._require_nothing_else(transaction)

    def _require_first(self, transaction: Transaction) -> None:
        """Rows without a key cannot be seen to be there again: what was undone once stays undone."""
        if all(self._table(transaction, kept).key for kept in self.image.tables):
            return
        for path in records.action_paths(self.deployment, "cleanup-undo"):
            if json.loads(path.read_text(encoding="utf-8"))["before_image"] == self.source:
                raise ActionRefused(f"The rows are there again: {path.name} says that this was undone already. Nothing was changed.")

    def _lay_out(self, transaction: Transaction, restoring: Restoring, kept: Kept) -> Laid:
        laid = restoring.lay_out(self._table(transaction, kept), kept.columns, kept.content)
        if laid.rows != kept.rows:
            raise ActionRefused(f"The before-image holds {laid.rows} rows of {kept.table}, not {kept.rows}. Nothing was changed.")
        if kept.what == "deleted":
            there = restoring.there_again(laid)
            if there:
                raise ActionRefused(f"{counted(there, 'row')} of {kept.table} of the same key {'is' if there == 1 else 'are'} there again: "
                                    "it was undone already, or somebody put them there. Nothing was changed.")  # fmt: skip
        elif restoring.digest(laid) != kept.after:
            raise ActionRefused(f"Rows of {kept.table} were changed since the cleanup; they are not overwritten. Nothing was changed.")
        return laid

    def _table(self, transaction: Transaction, kept: Kept) -> Table:
        table = transaction.catalog.find(kept.table)
        if table is None:
            raise ActionRefused(f"The table {kept.table} is no longer there. Nothing was changed.")
        types = {column.name: column.type for column in table.columns}
        other = [name for name, type_ in zip(kept.columns, kept.types, strict=True) if types.get(name) != type_]
        if other or list(table.key) != kept.key:
            raise ActionRefused(f"The table {kept.table} is not what it was: look at {', '.join(other) or 'its key'}. Nothing was changed.")
        return table

    def _groups(self) -> list[Sequence[Kept]]:
        """The tables in the order of their return: parents first, rows that stayed last."""
        ordered = sorted(self.image.tables, key=lambda kept: -kept.group)
        return [list(group) for _, group in groupby(ordered, key=lambda kept: kept.group)]

    def _require_nothing_else(self, transaction: Transaction) -> None:
        planned: dict[str, list[int]] = {}
        for kept in self.image.tables:
            planned.setdefault(kept.table, [0, 0])[kept.what == "changed"] += kept.rows
        happened = {transaction.relation(oid): [change.inserted, change.updated] for oid, change in transaction.changes().items()}
        lost = [transaction.relation(oid) for oid, change in transaction.changes().items() if change.deleted]
        if happened != planned or lost:
            odd = sorted({*lost, *(name for name in {*happened, *planned} if happened.get(name) != planned.get(name))})
            raise ActionFailed(
                f"The undo was rolled back: it would have changed more than it should in {', '.join(odd)}. Nothing was changed."
            )


def _find(deployment: Deployment, record: str) -> tuple[Path, str]:
    """(before-image, its SHA-256 where a record says it)."""
    folder = deployment.folder / "actions"
    if not record:
        kept = [path for path in records.action_paths(deployment, "cleanup") if _image_of(path)]
        if not kept:
            raise UsageError(f"No cleanup of the deployment {deployment.id} kept anything that could be put back.")
        path = kept[-1]
    else:
        path = next((each for each in (Path(record), folder / record, folder / f"{record}.json") if each.is_file()), Path(record))
        if not path.is_file():
            raise UsageError(f"There is no record or before-image {record}; they lie in {folder}.")
    if path.suffix != ".json":
        said = path.with_name(path.name.replace(".before.age", ".json"))
        image = _image_of(said) if said.is_file() else None
        return path, str(image["sha256"]) if image else ""
    image = _image_of(path)
    if image is None:
        raise UsageError(f"{path.name} is the record of a cleanup that deleted nothing: there is nothing to put back.")
    return path.with_name(str(image["file"])), str(image["sha256"])


def _image_of(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8")).get("before_image")
    except (OSError, ValueError, AttributeError):
        raise UsageError(f"{path} is no record of a cleanup.") from None
    return said if isinstance(said, dict) and {"file", "sha256"} <= set(said) else None
