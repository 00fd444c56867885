"""Questions about the database: the cumulative record, the catalogue, its pools, who reaches which rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from opsnb.checks.health import pools
from opsnb.checks.migrations import listing
from opsnb.checks.records import shape_params
from opsnb.config import RecordSpec
from opsnb.errors import SourceError
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base
from opsnb.sources import impersonation

RECENT_S = 3600.0
"""The guide's "updated within the last hour"."""
NEWEST_RECORDS = 1000
"""Records whose shape is looked at: the newest."""
GRACE_S = 300.0
"""How long a merge may lag behind the signature of its note."""


class DatabaseQuestions(Base):
    """What a phase can be asked about the release's database."""

    def records(self, question: str) -> Facts:
        """What the statement ``record_<question>`` (recent, shape, updates) tells of the release's cumulative record."""
        said = self.release.record
        if said is None:
            return self._not_in_release("record")
        return self.sources.database.query(f"record_{question}", **self._record_params(said, question))

    def _record_params(self, said: RecordSpec, question: str) -> dict[str, Any]:
        where = {"table": said.table, "record_column": said.column, "updated_at_column": said.updated_at_column}
        shape = shape_params(said.json_schema)
        if question == "recent":
            return {**where, "array_keys": shape["array_keys"], "within_s": RECENT_S, "max_records": 5}
        if question == "shape":
            return {**where, **shape, "note_column": said.note_column, "max_records": NEWEST_RECORDS}
        return {
            "record_table": said.table, "record_patient_column": said.patient_column, "updated_at_column": said.updated_at_column,
            "note_table": said.note_table, "note_patient_column": said.note_patient_column, "signed_at_column": said.note_signed_at_column,
            "within_s": 4 * RECENT_S, "grace_s": GRACE_S,
        }  # fmt: skip

    def pools(self, metrics: Facts) -> Facts:
        """The connection pools the metrics tell about: pool, used, size, waiting."""
        return metrics if metrics.answer is None else replace(metrics, answer=pools(metrics.answer))

    def policy_counts(self, relations: Facts) -> Facts:
        """The access matrix's tables with what they have (object, expected, found, ok), for a chart."""
        if relations.answer is None:
            return relations
        here = relations.answer[relations.answer["name"].isin(list(self.release.access))]
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
        return f"files of {self.release.links.migrations}", listing(path.name for path in folder.iterdir())

    def protected_relations(self) -> Facts:
        """The catalogue's relations, where there is somebody to protect them from: API roles of a platform, or a matrix of the release."""
        if not self.release.access and self.environment.platform is None:
            return self._not_in_release("access")
        return self.sources.database.query("relations", schemas=self.release.schema_.schemas)

    def access_matrix(self) -> Facts:
        """What each identity sees of each table of the release's access matrix, by becoming it."""
        if self.release.identity is None:
            return self._not_in_release("identity")
        values = self._probe_values()
        known = {kind: values[f"{kind}_id"] for kind in ("patient", "provider") if f"{kind}_id" in values}
        return impersonation.matrix(self.sources.database, access=self.release.access, identity=self.release.identity, known=known)
