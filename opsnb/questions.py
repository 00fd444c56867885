"""Questions of a notebook that need more than one source, a file of the release, or the archive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.actions.cleanup import Cleanup
from opsnb.actions.record import newest_action
from opsnb.checks.contacts import contact_row
from opsnb.checks.health import pools
from opsnb.checks.migrations import listing
from opsnb.checks.records import shape_params
from opsnb.checks.scanner import scan
from opsnb.config import Environment, RecordSpec, Reference, Release, text_of
from opsnb.errors import ReferenceError_, SourceError
from opsnb.evidence import display
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import newest_runs, read_runs
from opsnb.facts import Facts, asked
from opsnb.runbook import ITEMS, PHASES
from opsnb.sources import Absent, Doors, impersonation
from opsnb.verdicts import CheckResult

RECENT_S = 3600.0
"""The guide's "updated within the last hour"."""
NEWEST_RECORDS = 1000
"""Records whose shape is looked at: the newest."""
GRACE_S = 300.0
"""How long a merge may lag behind the signature of its note."""


class Questions:
    """What a phase can be asked beside its sources. Mixed into `Phase`, which sets what is declared here."""

    name: str
    root: Path
    environment: Environment
    release: Release
    deployment: Deployment
    sources: Doors
    started_at: datetime
    apply: bool
    confirm: str
    _results: dict[str, CheckResult]

    # ── time ──
    def utc_now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC)

    def minutes_ago(self, minutes: float) -> datetime:
        """So many minutes before this run started."""
        return self.started_at - timedelta(minutes=minutes)

    def hours_since_start(self) -> float:
        """Hours since the deployment was opened."""
        return (self.started_at - self.deployment.opened_at).total_seconds() / 3600

    def not_begun(self, item: str) -> str:
        """Why *item* cannot be answered yet: its period of the monitoring schedule lies ahead; '' where it does not."""
        for period in self.release.monitoring:
            if item in period.items and self.hours_since_start() < period.from_hours:
                begins = self.deployment.opened_at + timedelta(hours=period.from_hours)
                return f"The {period.name} begin at {begins:%Y-%m-%d %H:%M} UTC; run this phase again then."
        return ""

    def items_now(self, *items: str) -> list[str]:
        """Those of *items* whose period has begun: what is measured before says nothing about it."""
        return [item for item in items if not self.not_begun(item)]

    # ── functions ──
    def probe(self, times: int = 3) -> Facts:
        """Calls every function of the release as it says, *times* times; marked, journalled, bodies not kept."""
        return self.sources.functions.probe(self.release.functions, values=self._probe_values(), times=times)

    def watch(self, seconds: float | None = None) -> Facts:
        """Calls every function over and over, for *seconds* or as long as the environment says."""
        window = self.environment.window
        return self.sources.functions.watch(
            self.release.functions, values=self._probe_values(), seconds=seconds or window.probe_seconds, interval_s=window.probe_interval_s
        )

    def probe_seen(self) -> Facts:
        """Whether a probe of this run arrived in the logs; waits as long as the environment says they are late."""
        if isinstance(self.sources.functions, Absent):
            return self.sources.functions.facts("probe_seen")
        mark = self.sources.functions.mark
        return self.sources.logs.seen(mark, self.minutes_ago(1), deadline_s=max(2.0, self.environment.log_delay_s))

    def watched(self, seconds: float | None = None) -> dict[str, float]:
        """How long and how often `watch` probes: window_s, interval_s."""
        window = self.environment.window
        return {"window_s": seconds or window.probe_seconds, "interval_s": window.probe_interval_s}

    def outcomes(self, probes: Facts) -> Facts:
        """The probes with `ok`: whether each was answered as the release says."""
        if probes.answer is None:
            return probes
        status = {slug: said.response.status for slug, said in self.release.functions.items()}
        return replace(probes, answer=probes.answer.assign(ok=probes.answer["status"] == probes.answer["function"].map(status)))

    def by_function(self, probes: Facts) -> Facts:
        """The probes' response times per function: function, n, p50_ms, p95_ms, max_ms."""
        if probes.answer is None:
            return probes
        milliseconds = probes.answer.assign(ms=probes.answer["seconds"] * 1000).groupby("function", sort=True)["ms"]
        table = milliseconds.agg(n="count", p50_ms="median", p95_ms=lambda ms: ms.quantile(0.95, interpolation="higher"), max_ms="max")
        return replace(probes, answer=table.reset_index())

    def named(self, table: Facts, functions: Facts) -> Facts:
        """A table of the logs with the slug of each function as `function`; the logs know ids only."""
        if table.answer is None:
            return table
        slugs = dict(zip(functions.table["id"], functions.table["slug"], strict=True)) if functions.ok else {}
        ids = table.answer["function_id"]
        return replace(table, answer=table.answer.assign(function=ids.map(slugs).fillna("an unknown function")))

    def function_archive(self) -> Facts:
        """The kept sources of earlier versions: slug, version, sha256, bytes. None is kept yet."""
        return _told("archive", "kept sources of earlier versions", [], "slug", "version", "sha256", "bytes")

    def function_sources(self) -> Facts:
        """Places in the deployed sources that look like credentials: path, line, kind. `extra` says what was looked at."""
        files: dict[str, bytes] = {}
        scanned: list[str] = []

        @asked("platform")
        def ask() -> tuple[str, pd.DataFrame]:
            for slug in self.release.functions:
                source = self.sources.platform.function_source(slug)
                if isinstance(source.error, SourceError) and "404" in str(source.error):
                    continue  # not deployed: the check says so
                source.table  # noqa: B018  (raises where it could not be had)
                scanned.append(slug)
                files.update({f"{slug}/{path}": content for path, content in source.extra["files"].items()})
            return f"the sources of {', '.join(scanned)}, as deployed", scan(files)

        facts = ask()
        facts.extra.update(files=len(files), names=list(self.release.functions), scanned=scanned)
        return facts

    def rollback_targets(self, functions: Facts) -> Facts:
        """Per function: what runs now and the version a rollback would go back to, as the release says."""
        running = dict(zip(functions.answer["slug"], functions.answer["version"], strict=True)) if functions.answer is not None else {}
        rows = [(slug, running.get(slug), said.version, said.previous_version) for slug, said in self.release.functions.items()]
        return _told("release", "versions of the release, beside those that run", rows, "function", "runs", "release", "goes back to")

    def _probe_values(self) -> dict[str, str]:
        return {name: text_of(value, self.root) for name, value in self.environment.probe_values.items()}

    # ── the release's words as parameters of statements ──
    def records(self, question: str) -> Facts:
        """What the statement ``record_<question>`` (recent, shape, updates) tells of the release's cumulative record."""
        said = self.release.record
        if said is None:
            return self._not_in_release("record")
        return self.sources.database.query(f"record_{question}", **self._record_params(said, question))

    def _not_in_release(self, key: str) -> Facts:
        return Absent("release", f"the release {self.release.name} names no `{key}`").facts(key)

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

    # ── the release's files and people ──
    @asked("release")
    def migration_files(self) -> tuple[str, pd.DataFrame] | Facts:
        """The release's migrations: version, name, file."""
        if not self.release.links.migrations:
            return self._not_in_release("links.migrations")
        folder = self.root / self.release.links.migrations
        if not folder.is_dir():
            raise SourceError(f"{folder}: the release's links.migrations is no folder; name the one with its migrations", source="release")
        return f"files of {self.release.links.migrations}", listing(path.name for path in folder.iterdir())

    def contacts(self) -> Facts:
        """Which contacts of the support matrix are given; neither names nor numbers."""
        support = self.environment.support or self.release.support
        rows = [
            tuple(contact_row(period, contact.role, self._text(contact.name), self._text(contact.reach)).values())
            for period, contacts in support.periods.items()
            for contact in contacts
        ]
        return _told("release", "support matrix", rows, "period", "role", "name_given", "reach_given", "placeholder")

    def _text(self, value: Reference | str) -> str | None:
        try:
            return text_of(value, self.root)
        except ReferenceError_:
            return None

    # ── access ──
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

    # ── what was found so far ──
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
        return _told("archive", "newest run of every phase", rows, "phase", "started", "ended", "verdict")

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
        return _told("archive", "monitoring runs of this deployment", [(moment,) for moment in (*moments, *own)], "run_at")

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
        return _told("release", "monitoring schedule", rows, "period", "runs", "number", "state")

    def open_items(self) -> Facts:
        """Every item of the runbook that nothing has answered with PASS or WARN yet, and how it is closed."""
        settled = {
            item for run in newest_runs(self.deployment).values() for result in run.results
            if result.verdict in ("PASS", "WARN", "NOT_APPLICABLE") for item in result.items
        } | {item for result in self._results.values() if result.verdict in ("PASS", "WARN") for item in result.items}  # fmt: skip
        rows = [
            (item.id, item.phase, item.shown_as, item.text)
            for item in ITEMS.values()
            if item.id not in settled and not (item.phase == "rollback" and item.kind == "attest")
        ]
        return _told("archive", "items of the runbook without PASS or WARN", rows, "item", "phase", "closed by", "what")

    # ── the clean-up ──
    def cleanup(self) -> CleanupInNotebook:
        """The removal of the release's test records, as a notebook sees it."""
        return CleanupInNotebook(self)


class CleanupInNotebook:
    """Plan, deletion and record of the clean-up, each the output of one cell."""

    def __init__(self, phase: Questions) -> None:
        self._phase = phase
        self._action = Cleanup(phase.environment, phase.release, phase.deployment, root=phase.root)

    @asked("postgres")
    def planned(self) -> tuple[str, pd.DataFrame]:
        """What a deletion would take: table, found, rows."""
        return "the named records, and the rows that refer to them through foreign keys", self._action.plan().table

    def perform(self) -> Any:
        """Deletes the plan where `apply` is True and `confirm` is the environment's name; says what was done."""
        if not self._phase.apply:
            return display.Note("Nothing was changed: apply is False.")
        self._action.apply(self._action.plan(), confirm=self._phase.confirm)
        return display.Note(self._action.sentence)

    def record(self) -> Facts:
        """What the newest deletion in this deployment did, per table."""
        return newest_action(self._phase.deployment, "cleanup", "tables")


def _worst(results: Iterable[CheckResult]) -> str:
    from opsnb.verdicts import WORST_FIRST

    return str(min((result.verdict for result in results), key=WORST_FIRST.index, default="ERROR"))


def _told(source: str, question: str, rows: Sequence[tuple[Any, ...]], *columns: str) -> Facts:
    """Facts that took no asking: from the release or the archive."""
    return Facts(source, question, 0.0, answer=pd.DataFrame(rows, columns=list(columns)))
