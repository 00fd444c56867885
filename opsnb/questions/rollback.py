"""Questions about the way back: what a rollback did, and what runs now beside what was archived."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from opsnb.actions import functions_archive
from opsnb.actions.rollback.action import state_of
from opsnb.config import settings
from opsnb.errors import OpsnbError
from opsnb.evidence.manifest import source_hash
from opsnb.facts import Facts
from opsnb.questions.base import Base, told
from opsnb.sources import Absent

COLUMNS = ("step", "done", "by_hand", "uncertain", "proved", "seconds", "tables", "rows", "lost", "failed")
STEPS = ("feature", "functions", "point in time", "rows", "compare", "notify")


class RollbackQuestions(Base):
    """What phase 10 asks."""

    @cached_property
    def _walked(self) -> dict[str, Any]:
        return dict(state_of(self.deployment))

    def rollback_begun_at(self) -> datetime | None:
        """When the newest rollback was begun; None where none was."""
        return datetime.fromisoformat(self._walked["begun"]) if self._walked["begun"] else None

    def rollback_ended_at(self) -> datetime | None:
        """When it ended; None where it did not."""
        return datetime.fromisoformat(self._walked["ended"]) if self._walked["ended"] else None

    def rollback_steps(self) -> Facts:
        """One row per step of the newest rollback: step, done, by_hand, uncertain, proved, seconds, tables, rows, lost, failed."""
        rows = []
        for name in STEPS if self._walked["begun"] else ():
            if name == "point in time" and not self._walked["point"]:
                continue
            said = self._walked["done"].get(name)
            about = dict(said or {})
            counts = about.get("rows") if isinstance(about.get("rows"), dict) else {}
            total = sum(sum(each.values()) for each in counts.values()) if counts else about.get("rows", 0)
            lost = sum(each["gone"] + each["changed"] for each in counts.values()) if counts else 0
            rows.append(
                (name, said is not None, bool(about.get("by_hand")), about.get("uncertain"), bool(about.get("proved")),
                 about.get("seconds"), about.get("equal") or about.get("tables") or 0,
                 total if isinstance(total, int) else 0, lost, self._walked["failed"] if said is None else None)
            )  # fmt: skip
        return told("journal", "steps of the newest rollback", rows, *COLUMNS)

    def rollback_exports(self) -> Facts:
        """One row per export of rows that were lost: file, rows, kept (whether it is still there)."""
        rows = []
        for said in (self._walked["done"].get(name, {}) for name in ("point in time", "rows")):
            if not said.get("export"):
                continue
            lost = sum(each["gone"] + each["changed"] for each in said["rows"].values())
            rows.append((said["export"], lost, (self.deployment.folder / said["export"]).is_file()))
        return told("journal", "exports of rows that were lost", rows, "file", "rows", "kept")

    def functions_as_archived(self) -> Facts:
        """One row per function archived before or in this deployment: function, archived, live (SHA-256), verify_jwt_kept."""
        kept = functions_archive.archived(settings().reports_folder(self.root), self.environment.name).table
        if isinstance(self.sources.platform, Absent) or kept.empty:
            return told("platform", "archived functions beside live ones", [], "function", "archived", "live", "verify_jwt_kept")
        running = self.sources.platform.functions().table.set_index("slug")["verify_jwt"]
        rows = []
        for slug, place in functions_archive.before(settings().reports_folder(self.root), self.deployment).items():
            source = functions_archive.read(place, slug)
            jwt = None if slug not in running.index or source.verify_jwt is None else bool(running[slug]) == source.verify_jwt
            rows.append((slug, source.sha256, self._live(slug), jwt))
        return told("platform", "archived functions beside live ones", rows, "function", "archived", "live", "verify_jwt_kept")

    def _live(self, slug: str) -> str | None:
        try:
            table: pd.DataFrame = self.sources.platform.function_source(slug).table
        except OpsnbError:
            return None
        return source_hash((str(row.path), str(row.sha256)) for row in table.itertuples(index=False))
