"""Questions about what was found so far, about people, and about the schedule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd

from opsnb.actions import record as records
from opsnb.actions import snapshot
from opsnb.checks.contacts import contact_row
from opsnb.collecting import collect as collecting
from opsnb.collecting.archive import Archive
from opsnb.config import Reference, text_of
from opsnb.errors import ReferenceError_
from opsnb.evidence import attestations
from opsnb.evidence.results import newest_runs, read_runs
from opsnb.facts import Facts
from opsnb.questions.base import Base, told
from opsnb.runbook import ITEMS, PHASES
from opsnb.sources.kept_logs import folder_of
from opsnb.verdicts import CheckResult


class ArchiveQuestions(Base):
    """What a phase can be asked about its deployment."""

    def contacts(self) -> Facts:
        """Which contacts of the support matrix are given; neither names nor numbers."""
        support = self.environment.support or self.release.support
        rows = [
            tuple(contact_row(period, contact.role, self._text(contact.name), self._text(contact.reach)).values())
            for period, contacts in support.periods.items()
            for contact in contacts
        ]
        return told("release", "support matrix", rows, "period", "role", "name_given", "reach_given", "placeholder")

    def _text(self, value: Reference | str) -> str | None:
        try:
            return text_of(value, self.root)
        except ReferenceError_:
            return None

    def details(self, prefix: str) -> pd.DataFrame:
        """The tables of this run's schema-like results (object, expected, found, ok) whose check begins with *prefix*."""
        tables = [
            result.table
            for identifier, result in self._results.items()
            if identifier.startswith(prefix) and result.table is not None and {"object", "expected", "found", "ok"} <= set(result.table)
        ]
        empty = pd.DataFrame(columns=["object", "expected", "found", "ok"])
        return pd.concat(tables, ignore_index=True).drop_duplicates("object") if tables else empty

    def timeline(self) -> Facts:
        """The newest run of every phase of this deployment: phase, started, ended, verdict."""
        rows = [
            (run.phase, pd.Timestamp(run.data["started_at"]), pd.Timestamp(run.data["ended_at"]), _worst(run.results))
            for run in newest_runs(self.deployment).values()
        ]
        return told("archive", "newest run of every phase", rows, "phase", "started", "ended", "verdict")

    def phases_before(self) -> list[str]:
        """The phases a sign-off looks back on; a rollback is not a condition of it."""
        return [phase for phase in PHASES if phase not in ("rollback", "signoff")]

    def ended_at(self, phase: str) -> str | None:
        """When the newest run of *phase* in this deployment ended (UTC); None where there is none, or it left no results."""
        run = newest_runs(self.deployment).get(phase)
        return None if run is None or run.damaged else str(run.data["ended_at"])

    def monitor_runs(self) -> Facts:
        """Every monitoring run of this deployment, this one too: run_at."""
        moments = [run.data["started_at"] for run in read_runs(self.deployment) if run.phase == "monitor" and not run.damaged]
        own = [self.started_at.isoformat()] if self.name == "monitor" else []
        return told("archive", "monitoring runs of this deployment", [(moment,) for moment in (*moments, *own)], "run_at")

    def schedule(self) -> Facts:
        """The release's monitoring schedule and where this deployment stands in it."""
        hours = self.hours_since_start()
        rows = [
            (
                period.name, f"every {period.every_minutes:g} min",
                round((period.to_hours - period.from_hours) * 60 / period.every_minutes),
                "over" if hours >= period.to_hours else "now" if hours >= period.from_hours else "to come",
            )
            for period in self.release.monitoring
        ]  # fmt: skip
        return told("release", "monitoring schedule", rows, "period", "runs", "number", "state")

    def journey_steps(self) -> Facts:
        """The steps of the newest journey: step, door, kind, requests, status, seconds, wrong, items; ``extra["broken_off"]`` tells why."""
        said = self._journey()
        rows = [
            (step["step"], step["door"], step["kind"], step["requests"], ", ".join(map(str, step["status"])), step["seconds"],
             "; ".join(step["wrong"]), ", ".join(step["items"]))
            for step in said.get("steps", ())
        ]  # fmt: skip
        columns = ("step", "door", "kind", "requests", "status", "seconds", "wrong", "items")
        return told("archive", "steps of the newest journey", rows, *columns)

    def journey_broken_off(self) -> str:
        """Why the newest journey was broken off; '' where it was not."""
        return str(self._journey().get("broken_off", ""))

    def journey_left(self) -> Facts:
        """What the newest journey removed and what is left of it: what, removed, left."""
        said = self._journey()
        removed = said.get("removed", {})
        rows = [(name, removed.get(name, 0), rows) for name, rows in said.get("left", {}).items()]
        return told("archive", "traces of the newest journey", rows, "what", "removed", "left")

    def _journey(self) -> dict[str, Any]:
        paths = records.action_paths(self.deployment, "journey")
        return dict(json.loads(paths[-1].read_text(encoding="utf-8"))) if paths else {}

    def collected(self) -> Facts:
        """The lines of the last day in the archive of logs, per key event: event ('' for lines without one), lines."""
        folder = folder_of(self.root, self.environment.name)
        table = collecting.read(folder, since=self.minutes_ago(24 * 60)) if folder.is_dir() else None
        if table is None or table.empty:
            return told("logs", "collected lines per key event", [], "event", "lines")
        events = table["events"].astype(str).str.split(" ").explode().value_counts().sort_index()
        return told("logs", "collected lines per key event", [(str(event), int(n)) for event, n in events.items()], "event", "lines")

    def collected_until(self) -> datetime | None:
        """Up to when the archive of logs is complete; None where nothing was collected."""
        return Archive(folder_of(self.root, self.environment.name)).watermark()

    def snapshots(self) -> Facts:
        """The snapshots of this deployment, newest first, each with what its newest rehearsal found."""
        rows = []
        for kept in snapshot.all_kept(self.deployment):
            found = snapshot.newest_rehearsal(kept) or {}
            tables = kept.tables.values()
            broken = [*found.get("differing", ()), *found.get("not_restored", ()), *(each["object"] for each in found.get("catalogue", ()))]
            rows.append(
                (kept.name, pd.Timestamp(kept.at), len(tables), sum(int(each["rows"] or 0) for each in tables),
                 sum(each["fingerprint"] is None for each in tables), pd.Timestamp(found["ended_at"]) if found else None,
                 found.get("whole"), ", ".join(broken), sum(found["seconds"].values()) if found else None)
            )  # fmt: skip
        columns = ("snapshot", "at", "tables", "rows", "unknown", "rehearsed", "whole", "differing", "seconds")
        return told("archive", "snapshots of this deployment and their rehearsals", rows, *columns)

    def snapshot_at(self) -> datetime | None:
        """T0 of the newest snapshot; None where none was taken."""
        kept = snapshot.newest_kept(self.deployment)
        return kept.at if kept else None

    def rehearsal_steps(self) -> Facts:
        """Each step of the newest rehearsal with its seconds: step, seconds."""
        kept = snapshot.newest_kept(self.deployment)
        found = snapshot.newest_rehearsal(kept) if kept else None
        rows = list(found["seconds"].items()) if found else []
        return told("archive", "steps of the newest rehearsal", rows, "step", "seconds")

    def not_covered(self) -> Facts:
        """What no backup holds: what, how many, and how it is kept instead."""
        kept = snapshot.newest_kept(self.deployment)
        said = kept.data["not_covered"] if kept else {}
        rows = [
            ("functions", _number(said.get("functions")), "opsnb functions archive, before deploying"),
            ("values of variables", _number(said.get("secrets")), "the operator's own store of secrets; names and digests are kept"),
            ("files in storage", None, "a copy of the buckets' objects"),
            ("passwords of roles", _number(said.get("roles")), "the operator's own store of secrets"),
        ]
        return told("archive", "what no backup covers", rows, "what", "number", "kept how")

    def open_items(self) -> Facts:
        """Every item of the runbook that nothing has answered with PASS or WARN yet, and how it is closed."""
        settled = {
            item for run in newest_runs(self.deployment).values() for result in run.results
            if result.verdict in ("PASS", "WARN", "NOT_APPLICABLE") for item in result.items
        } | {item for result in self._results.values() if result.verdict in ("PASS", "WARN") for item in result.items}  # fmt: skip
        closed = attestations.read(self.deployment).closed
        rows = [
            (item.id, item.phase, item.shown_as, item.text)
            for item in ITEMS.values()
            if item.id not in settled and item.id not in closed and not (item.phase == "rollback" and item.kind == "attest")
        ]
        return told("archive", "items of the runbook without PASS or WARN", rows, "item", "phase", "closed by", "what")


def _number(said: object) -> int | None:
    return len(said) if isinstance(said, list) else said if isinstance(said, int) else None


def _worst(results: Iterable[CheckResult]) -> str:
    from opsnb.verdicts import WORST_FIRST

    return str(min((result.verdict for result in results), key=WORST_FIRST.index, default="ERROR"))
