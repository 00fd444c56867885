"""The clock of the way back: how long each way would take now, as far as it was ever measured, and what is at stake."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from opsnb.actions import functions_archive, snapshot
from opsnb.config import settings
from opsnb.facts import Facts
from opsnb.questions.base import Base, told
from opsnb.sources import Absent

COLUMNS = ("way", "possible", "rehearsed_s", "now_s", "why")


class ClockQuestions(Base):
    """What window, verify and monitor ask."""

    def ways_back(self, sizes: Facts) -> Facts:
        """One row per way back: way, possible, rehearsed_s (when it was walked), now_s (scaled to the rows there are now), why.

        *sizes*: `table_sizes` of the release's schemas. ``extra``: t0, rows_then, rows_now (the planner's figures), growth.
        """
        kept = snapshot.newest_kept(self.deployment)
        if kept is None:
            return told("archive", "ways back of this deployment", [], *COLUMNS)
        found = snapshot.newest_rehearsal(kept)
        growth = self._growth(kept, sizes)
        rehearsed = sum(found["seconds"].values()) if found else None
        whole = bool(found and found.get("whole"))
        why = "" if whole else "never restored" if not found else "its rehearsal did not give back what was taken"
        rows = [("rows from the snapshot", whole, rehearsed, rehearsed * max(1.0, growth) if rehearsed is not None else None, why)]
        archived = functions_archive.before(settings().reports_folder(self.root), self.deployment)
        names = ", ".join(archived)
        one = (found or {}).get("function", {}).get("seconds")
        each = None if one is None else float(one) * len(archived)  # one after the other, as the rollback deploys them
        rows.append(("functions from the archive", bool(archived), each, each, names or "nothing was archived before the deployment"))
        rows.append(self._point_in_time(kept.at))
        facts = told("archive", "ways back of this deployment", rows, *COLUMNS)
        facts.extra.update(t0=kept.at.astimezone(UTC), growth=growth)
        return facts

    def rows_at_stake(self, sizes: Facts) -> Facts:
        """One row per table whose number of rows is another than at T0: table, then, now (the planner's figure), more. Largest first."""
        kept = snapshot.newest_kept(self.deployment)
        if kept is None or sizes.answer is None:
            return told("archive", "rows since the snapshot", [], "table", "then", "now", "more")
        now = self._now(sizes)
        rows = [
            (name, int(said["rows"] or 0), now[name], now[name] - int(said["rows"] or 0)) for name, said in kept.tables.items()
            if name in now and now[name] >= 0 and now[name] != int(said["rows"] or 0)
        ]  # fmt: skip
        return told("archive", "rows since the snapshot", sorted(rows, key=lambda row: -abs(row[3])), "table", "then", "now", "more")

    def _growth(self, kept: snapshot.Kept, sizes: Facts) -> float:
        if sizes.answer is None:
            return 1.0
        now = self._now(sizes)
        pairs = [(int(said["rows"] or 0), now[name]) for name, said in kept.tables.items() if now.get(name, -1) >= 0]
        then = sum(pair[0] for pair in pairs)
        return sum(pair[1] for pair in pairs) / then if then else 1.0

    def _now(self, sizes: Facts) -> dict[str, int]:
        table = sizes.table
        names = table["schema"].astype(str) + "." + table["name"].astype(str)
        return {str(name): int(rows) for name, rows in zip(names, table["estimated_rows"].fillna(-1), strict=True)}

    def _point_in_time(self, at: datetime) -> tuple[str, bool, None, None, str]:
        way = "the platform's point in time"
        if isinstance(self.sources.platform, Absent):
            return way, False, None, None, self.sources.platform.why
        backups = self.sources.platform.backups()
        if backups.answer is None:
            return way, False, None, None, f"the platform did not say: {backups.error}"
        moments = backups.answer.set_index("kind")["at"]
        earliest, latest = (moments.get(f"point in time, {which}") for which in ("earliest", "latest"))
        if earliest is None or latest is None or pd.isna(earliest) or pd.isna(latest):
            return way, False, None, None, "no window is told"
        inside = earliest <= pd.Timestamp(at) <= latest
        window = f"{earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S} UTC"
        return way, bool(inside), None, None, f"the window, {window}, {'has' if inside else 'does not have'} T0; its time is not promised"
