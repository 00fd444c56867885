"""Questions about the database: the cumulative record, the catalogue, its pools, who reaches which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from opsnb.checks.health import pools
from opsnb.checks.migrations import listing
from opsnb.checks.records import array_keys
from opsnb.errors import SourceAbsent, SourceError, UsageError
from opsnb.evidence import archive, baseline
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base
from opsnb.sources import Absent, Postgres, catalogue, impersonation, merges, openings, reaching, shape_sql
from opsnb.sources import bodies as bodies_
from opsnb.sources import usage as usage_

RECENT_S = 3600.0
"""The guide's "updated within the last hour"."""
NEWEST_RECORDS = 1000
"""Records whose shape is looked at: the newest."""
GRACE_S = 300.0
"""How long a merge may lag behind the signature of its note."""


class DatabaseQuestions(Base):
    """What a phase can be asked about the release's database."""

    def recent_merges(self) -> Facts:
        """The release's most recently merged records, as the guide asks for them; ``extra["hint"]`` says why where it was slow."""
        said = self.release.record
        if said is None:
            return self._not_in_release("record")
        return merges.recent(
            self.sources.database, table=said.table, record_column=said.column, updated_at_column=said.updated_at_column,
            array_keys=array_keys(said.json_schema), within_s=RECENT_S, max_records=5, limit_s=self.limits.merge_query_s,
        )  # fmt: skip

    def record_shape(self) -> Facts:
        """How often the newest records break each rule of the release's JSON Schema."""
        said = self.release.record
        if said is None:
            return self._not_in_release("record")
        return shape_sql.violations(
            self.sources.database, table=said.table, column=said.column, updated_at_column=said.updated_at_column,
            schema=said.json_schema, max_records=NEWEST_RECORDS, note_column=said.note_column, note_table=said.note_table,
            patient_column=said.patient_column, note_patient_column=said.note_patient_column,
            note_signed_at_column=said.note_signed_at_column,
        )  # fmt: skip

    def usage(self) -> Facts:
        """What people did since the deployment, per hour and kind of use: hour, what, n, people."""
        if not self.release.usage:
            return self._not_in_release("usage")
        return usage_.usage(self.sources.database, self.release.usage, since=self.deployment.opened_at)

    def record_updates(self) -> Facts:
        """Whether the records of patients whose note was signed lately were updated since."""
        said = self.release.record
        if said is None:
            return self._not_in_release("record")
        return self.sources.database.query(
            "record_updates", record_table=said.table, record_patient_column=said.patient_column, updated_at_column=said.updated_at_column,
            note_table=said.note_table, note_patient_column=said.note_patient_column, signed_at_column=said.note_signed_at_column,
            within_s=4 * RECENT_S, grace_s=GRACE_S,
        )  # fmt: skip

    def bodies(self) -> bodies_.BodiesFacts:
        """What the bodies of functions, triggers and views name, and whether it is there: facts in the order the check takes them."""
        return bodies_.bodies(self.sources.database, schemas=self.own_schemas())

    def own_schemas(self) -> list[str]:
        """The release's schemas and those of helpers beside them: all but the server's and the platform's own."""
        facts = self.sources.database.query("own_schemas", platform=catalogue.PLATFORM)
        return (
            [str(name) for name in facts.answer["name"]] if facts.answer is not None and len(facts) else list(self.release.schema_.schemas)
        )

    def pools(self, metrics: Facts) -> Facts:
        """The connection pools the metrics tell about: pool, used, size, waiting."""
        return metrics if metrics.answer is None else replace(metrics, answer=pools(metrics.answer))

    def policy_counts(self, relations: Facts) -> Facts:
        """The access matrix's tables with what they have (object, expected, found, ok), for a chart."""
        if relations.answer is None:
            return relations
        here = relations.answer[relations.answer["name"].isin([table.rpartition(".")[2] for table in self.release.access])]
        ok = here["rls"].astype(bool) & (here["policies"] > 0)
        table = pd.DataFrame({"object": here["name"], "expected": "policies", "found": here["policies"].astype(str), "ok": ok})
        return replace(relations, answer=table)

    @asked("release")
    def migration_files(self) -> tuple[str, pd.DataFrame] | Facts:
        """The release's migrations: version, name, file."""
        if not self.release.links.migrations:
            return self._not_in_release("links.migrations")
        folder = self.root / self.release.links.migrations
        if not folder.is_dir():
            raise SourceError(f"{folder}: the release's links.migrations is no folder; name the one with its migrations", source="release")
        texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in folder.iterdir() if path.suffix == ".sql"}
        return f"files of {self.release.links.migrations}", listing(texts)

    def asked_of_database(self, names: Sequence[str], **params: Any) -> list[Facts]:
        """The answers of several statements that take the same parameters."""
        return [self.sources.database.query(name, **params) for name in names]

    # ── drift ──
    def catalogue(self) -> Facts:
        """Everything the database was told, of one moment: kind, object, properties."""
        return catalogue.read(self.sources.database)

    @asked("baseline")
    def baseline(self) -> Facts:
        """What the catalogue is compared with: the captured baseline, else this deployment's last snapshot; ``extra["against"]`` tells."""
        place = baseline.find(self.root, self.release.name, self.environment.name)
        if place is not None:
            try:
                captured = baseline.read(place)
            except UsageError as error:
                raise SourceError(str(error), source="baseline") from None
            return replace(captured, extra={**captured.extra, "against": f"the baseline of {captured.extra['captured_at']}"})
        kept = archive.saved_table(self.deployment, "snapshot", "catalogue")
        if kept.ok and len(kept):
            return replace(kept, extra={**kept.extra, "against": "the last snapshot of this deployment"})
        nothing = pd.DataFrame(columns=list(baseline.COLUMNS), dtype="str")
        why = "neither a captured baseline nor a snapshot of this deployment"
        return Facts("baseline", why, 0.0, answer=nothing, extra={"against": ""})

    def protected_relations(self) -> Facts:
        """The catalogue's relations, where there is somebody to protect them from: API roles of a platform, or a matrix of the release."""
        if not self.release.access and self.environment.platform is None:
            return self._not_in_release("access")
        named = {table.partition(".")[0] for table in self.release.access if "." in table}
        return self.sources.database.query("relations", schemas=sorted(named.union(self.release.schema_.schemas)))

    def reached_by_strangers(self) -> Facts:
        """What nobody and a fresh subject reach of the release's schemas."""
        return reaching.strangers(
            self.sources.database, schemas=self.release.schema_.schemas, identity=self.release.identity,
            api_roles=self.release.api_roles, budget_s=self.environment.postgres.proof_budget_s,
        )  # fmt: skip

    def openings(self) -> openings.Openings:
        """What may let a caller in, of every schema of the project: facts in the order `checks.lint.no_excess` takes them."""
        return openings.read(self.sources.database, schemas=self.own_schemas(), api_roles=self.release.api_roles)

    def access_writes(self) -> Facts:
        """What each identity can write, tried and rolled back; only where the environment allows it."""
        said = self.environment.postgres
        if self.release.identity is None:
            return self._not_in_release("identity")
        if not said.write_probes or said.write_dsn is None:
            why = f"the environment {self.environment.name} does not allow write probes (postgres.write_probes with a write_dsn)"
            return Absent("postgres", why).facts("access_writes")
        values = self._probe_values()
        known = {kind: values[f"{kind}_id"] for kind in self.release.identity.roles if f"{kind}_id" in values}
        with Postgres(said.write_dsn.resolve(self.root), phase=self.name, lock_timeout_ms=said.lock_timeout_ms) as door:
            return reaching.writes(
                door, access=self.release.access, identity=self.release.identity, known=known,
                schema=self.release.schema_.schemas[0], budget_s=said.proof_budget_s,
            )  # fmt: skip

    def proofs(self, visible: Facts, writes: Facts, reached: Facts) -> Facts:
        """What the three proofs of access covered: a row per proof that was tried, with its cells and how they were compared."""
        rows = []
        for proof, facts in (("reading", visible), ("writing", writes), ("strangers", reached)):
            if facts.error is not None and not isinstance(facts.error, SourceAbsent):
                return facts
            cells = facts.answer
            if cells is None:
                continue
            compared = cells["compared"] if "compared" in cells else pd.Series("", index=cells.index)
            seconds = cells["seconds"].astype("Float64")
            rows.append({
                "proof": proof, "cells": len(cells), "asked": int((cells["sqlstate"] != impersonation.NOT_ASKED).sum()),
                "callers": cells["identity"].nunique(), "by_fingerprint": int((compared == "fingerprint").sum()),
                "by_sample": int((compared == "sample").sum()), "slowest_s": seconds.max(), "seconds": seconds.sum(),
            })  # fmt: skip
        if not rows:
            return visible
        return replace(visible, answer=pd.DataFrame(rows), question="the cells of the proofs above")

    def by_verb(self, visible: Facts, writes: Facts) -> Facts:
        """Reading and writing in one table for a chart: what was seen or written, per identity and verb."""
        if visible.answer is None or writes.answer is None:
            return visible
        tried = writes.answer
        written = tried.assign(
            identity=tried["identity"] + " " + tried["verb"],
            expected=tried["allowed"],
            seen=tried["allowed"] - tried["missing"] + tried["leaked"],
        )
        read = visible.answer.assign(identity=visible.answer["identity"] + " select")
        both = pd.concat([read, written[["identity", "table", "expected", "seen", "leaked", "missing", "sqlstate"]]], ignore_index=True)
        verbs = {verb: place for place, verb in enumerate(("select", "insert", "update", "delete"))}
        order = both["identity"].map(lambda name: verbs[str(name).rpartition(" ")[2]])
        return replace(visible, answer=both.iloc[order.argsort(kind="stable")].reset_index(drop=True))

    def access_matrix(self) -> Facts:
        """What each identity sees of each table of the release's access matrix, by becoming it."""
        if self.release.identity is None:
            return self._not_in_release("identity")
        values = self._probe_values()
        known = {kind: values[f"{kind}_id"] for kind in self.release.identity.roles if f"{kind}_id" in values}
        return impersonation.matrix(self.sources.database, access=self.release.access, identity=self.release.identity, known=known)
