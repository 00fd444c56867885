"""``opsnb rollback``: plans the way back and, with --apply, walks it; killed, it goes on where it was.

Every step first looks at what there is and does only what is missing, so that none is done twice. What would be lost is exported,
encrypted, before anything is changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from opsnb.actions import functions_archive
from opsnb.actions.announce import Announcement
from opsnb.actions.cleanup.action import require_confirmed
from opsnb.actions.rollback.exporting import EXPORT, Name, counts, export
from opsnb.actions.rollback.feature import Feature, feature
from opsnb.actions.rollback.journal import Journal, held, newest, read_journal
from opsnb.actions.rollback.objects import differing_objects, entries_of, missing_objects
from opsnb.actions.rollback.plan import COMPARE, FEATURE, FUNCTIONS, NOTIFY, POINT, ROWS, Plan, Step
from opsnb.actions.rollback.point import ASKED, PointInTime
from opsnb.actions.snapshot import Kept, Rehearsal, newest_kept, newest_rehearsal
from opsnb.config import Environment, Release, load_environment, load_release, require_references, settings, text_of
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, UsageError
from opsnb.evidence import archive, deployments, sealed
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.manifest import source_hash
from opsnb.sources import Absent, Doors, backup
from opsnb.sources.deploying import Deploying

Progress = Callable[[str], None]


@dataclass
class Rollback:
    """The action, for one deployment and its newest snapshot."""

    environment: Environment
    release: Release
    deployment: Deployment
    kept: Kept
    root: Path
    point: bool = False
    """Whether the database is taken back by the platform, to a point in time, before its rows are compared with T0."""
    seconds: dict[str, float] = field(default_factory=dict, init=False)

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "", point: bool = False) -> Rollback:
        """Finds the deployment and its newest snapshot; UsageError where there is nothing to go back to."""
        loaded = load_environment(environment, root)
        release = load_release(loaded.release, root)
        require_references(loaded, root)
        reports = settings().reports_folder(root)
        found = deployments.find(reports, environment, deployment) if deployment else deployments.named(reports, environment)
        if not found.is_open:
            raise ActionRefused(f"{found.id} was signed off and is closed; a rollback belongs to a deployment that is open.")
        kept = newest_kept(found)
        if kept is None:
            raise UsageError(
                f"{found.id} has no snapshot to go back to (opsnb snapshot {environment}, before deploying). Nothing was changed."
            )
        begun = next((event for event in newest(read_journal(found)) if event["event"] == "begun"), None)
        unfinished = begun is not None and state_of(found)["ended"] is None
        return cls(loaded, release, found, kept, root, point or (unfinished and bool(begun and begun.get("point"))))

    # ── the plan ──
    def plan(self, progress: Progress = lambda _: None) -> Plan:
        """Looks at everything that differs from T0 and says what would be done; changes nothing."""
        self._settle(progress)
        with self._then(progress) as then:
            return self._plan(then, progress)

    def _plan(self, then: Then, progress: Progress) -> Plan:
        steps = [self._feature.plan()]
        wrong = self._functions_to_deploy()
        took = (newest_rehearsal(self.kept) or {}).get("seconds", {})
        what = f"deploys {', '.join(wrong)} as archived" if wrong else "every archived function runs as it was"
        steps.append(Step(FUNCTIONS, what, "deploy the release again; versions only rise", needed=bool(wrong)))
        if self.point:
            steps.append(self._point.plan(asked=self._asked() is not None))
        progress("comparing rows")
        lost, back = self._differences(then)
        gone, changed = missing_objects(self.kept, then.now_catalogue(self))
        rows = sum(lost.values()) + sum(back.values())
        parts = [f"{rows:,} rows of {len({*lost, *back})} tables"] if rows else []
        parts += [f"{len(gone)} objects that are gone"] if gone else []
        steps.append(
            Step(ROWS, f"puts back {' and '.join(parts)}" if parts else "every row is as it was", f"the export of rows ({EXPORT})",
                 needed=bool(parts), rehearsed_s=sum(took.values()) if took else None)
        )  # fmt: skip
        steps.append(Step(COMPARE, "compares every table with T0", "changes nothing"))
        told = self.release.actions.rollback.message if self.environment.notify else ""
        steps.append(Step(NOTIFY, f"sends the message {told}" if told else "tells the providers", "a further message", by_hand=not told))
        return Plan(self.kept.name, tuple(steps), lost, back, tuple(gone), tuple(changed))

    @property
    def _feature(self) -> Feature:
        return feature(self.release.actions.rollback, root=self.root, write_dsn=self._write_dsn)

    def _functions_to_deploy(self) -> dict[str, functions_archive.Source]:
        """Slug → archived source, of those that run otherwise. The archive: the newest that is older than the deployment's own version."""
        doors = self._doors()
        try:
            if isinstance(doors.platform, Absent):
                return {}
            wanted: dict[str, functions_archive.Source] = {}
            for slug, place in functions_archive.before(settings().reports_folder(self.root), self.deployment).items():
                source = functions_archive.read(place, slug)
                running = doors.platform.function_source(slug)
                live = ""
                if running.error is None:
                    live = source_hash((str(row.path), str(row.sha256)) for row in running.table.itertuples(index=False))
                if live != source.sha256:
                    wanted[slug] = source
            return wanted
        finally:
            doors.close()

    # ── walking ──
    def apply(self, *, confirm: str, why: str = "", progress: Progress = lambda _: None) -> Plan:
        """Walks the way back. Raises ActionRefused before anything is changed, ActionFailed where a step could not be done."""
        require_confirmed(self.environment.name, confirm)
        self._recipient()
        self._write_dsn()
        self._settle(progress)
        with held(self.deployment) as journal, self._then(progress) as then:
            plan = self._plan(then, progress)
            if plan.changed and not self.point:
                raise ActionRefused(
                    f"{len(plan.changed)} objects were changed since T0 ({', '.join(plan.changed[:5])}): rows cannot be put back into "
                    "tables of another shape. Undo the migration first, or have the whole project taken back (--point-in-time). "
                    "Nothing was changed."
                )
            journal.failed = bool(journal.events) and journal.events[-1]["event"] == "failed"
            if not journal.open:
                archive.begin_rollback(self.deployment, now=datetime.now(UTC), why=why or "opsnb rollback")
                journal.write("begun", snapshot=self.kept.name, why=why, point=self.point)
            try:
                self._walk(journal, then, plan, progress)
            except OpsnbError as error:
                journal.write("failed", why=str(error))
                raise
            journal.write("ended", seconds=round(sum(self.seconds.values()), 3))
        return plan

    def _walk(self, journal: Journal, then: Then, plan: Plan, progress: Progress) -> None:
        for step in plan.steps:
            if journal.done(step.name) and not (journal.failed and step.name in (FUNCTIONS, ROWS) and step.needed):
                continue
            again = journal.began(step.name)
            with self._step(journal, step, progress) as said:
                if step.by_hand:
                    said["by_hand"] = True
                elif step.name == FEATURE:
                    self._feature.off(said, again=again)
                elif step.name == FUNCTIONS:
                    self._deploy(said, progress)
                elif step.name == POINT:
                    self._go_back(said, then, journal, progress)
                elif step.name == ROWS:
                    self._put_back(said, then, journal, progress)
                elif step.name == COMPARE:
                    self._compare(said, then)
                elif step.name == NOTIFY:
                    self._notify(said, maybe_sent=again)
            if step.name in (POINT, ROWS):
                self._switch_off_again(journal, step.name)

    def _switch_off_again(self, journal: Journal, after: str) -> None:
        """A row that switches the feature off is gone with a restore, and is not there before its table is."""
        postponed = (journal.done(FEATURE) or {}).get("postponed")
        if self.release.actions.rollback.switch is None or not (postponed or after == POINT):
            return
        said: dict[str, Any] = {}
        began = time.monotonic()
        self._feature.off(said, again=True)
        if not said.get("postponed"):
            journal.write("done", step=FEATURE, seconds=round(time.monotonic() - began, 3), again=True, **said)

    def _deploy(self, said: dict[str, Any], progress: Progress) -> None:
        wanted = self._functions_to_deploy()
        said["deployed"] = {}
        if not wanted:
            return
        deploying = self._deploying()
        try:
            for slug, source in wanted.items():
                progress(f"deploying {slug}")
                jwt = True if source.verify_jwt is None else source.verify_jwt
                version = deploying.deploy(slug, source.files, entrypoint=source.entrypoint, verify_jwt=jwt, import_map=source.import_map)
                said["deployed"][slug] = {"version": version, "source_sha256": source.sha256}
        finally:
            deploying.close()
        if left := sorted(self._functions_to_deploy()):
            raise ActionFailed(f"{', '.join(left)}: deployed, and what the platform gives back is not what was archived.")

    @property
    def _point(self) -> PointInTime:
        return PointInTime(self.kept.at, self._doors, self._deploying, self._read_dsn, self.environment.backup.restore_wait_s)

    def _asked(self) -> dict[str, Any] | None:
        """What was noted of a restore that was asked for and is not known to have ended."""
        current = newest(read_journal(self.deployment))
        over = any(event["event"] == "ended" or (event["event"] == "done" and event["step"] == POINT) for event in current)
        return None if over else next((dict(event) for event in reversed(current) if event["event"] == ASKED), None)

    def _settle(self, progress: Progress) -> None:
        """Waits for a restore that an earlier process asked for: nothing can be looked at while it goes on."""
        asked = self._asked() if self.point else None
        if asked is not None and self._point.under_way():
            self._point.wait(asked, progress)

    def _go_back(self, said: dict[str, Any], then: Then, journal: Journal, progress: Progress) -> None:
        asked = journal.noted(ASKED)
        if asked is None:  # what a restore takes away is kept before it is asked for
            tables = self._tables()
            with backup.rewinding(self._read_dsn(), then.dsn, tables, write=False, timeout_s=self.environment.backup.timeout_s) as both:
                differences = both.differences(tables)
                new = {table: both.rows(*table) for table in self._new_tables()}
                rows = counts(differences, new)
                # of a table that is gone nothing is left
                if (lost := [each for each in differences if each.added or each.changed]) or any(new.values()):
                    progress("exporting what would be lost")
                    kept = export(self.deployment, self._recipient(), both, lost, [*new])
                    said["export"] = str(kept.relative_to(self.deployment.folder))
                    journal.write("exported", file=said["export"], rows=rows)
                said["rows"] = rows
        else:
            exported = journal.noted("exported") or {}
            said.update({"export": exported["file"], "rows": exported["rows"]} if exported else {})
        self._point.walk(said, asked=asked, note=journal.write, progress=progress)

    def _put_back(self, said: dict[str, Any], then: Then, journal: Journal, progress: Progress) -> None:
        gone, _ = missing_objects(self.kept, then.now_catalogue(self))
        switch = self.release.actions.rollback.switch
        tables = self._tables(with_switch=switch is not None and f"table {switch.table}" in gone)
        before, after = entries_of(backup.listed(then.programs, then.folder, timeout_s=60), gone)
        timeout = self.environment.backup.timeout_s
        if before:
            progress("objects that are gone")
            said["objects"] = backup.restore_entries(then.programs, self._write_dsn(), then.folder, before, timeout_s=timeout)
        progress("holding the tables")
        kept: list[Path] = []
        with backup.rewinding(self._write_dsn(), then.dsn, tables, write=True, timeout_s=timeout) as rewinding:
            differences = rewinding.differences(tables)
            said["rows"] = counts(differences, {})
            if any(each.added or each.changed for each in differences):
                progress("exporting what would be lost")
                kept.append(export(self.deployment, self._recipient(), rewinding, differences))
                journal.write("exported", file=str(kept[0].relative_to(self.deployment.folder)), rows=said["rows"])
            progress("putting rows back")
            rewinding.rewind(differences)
            progress("comparing with T0")
            if left := [each.table for each in rewinding.differences(tables)]:
                raise ActionFailed(f"{', '.join(left[:5])}: not as at T0 after rows were put back. Nothing was changed.")
            said["equal"] = len(tables)
        earlier = journal.noted("exported")
        if kept:
            said["export"] = str(kept[0].relative_to(self.deployment.folder))
        elif not differences and earlier is not None and not self.point:  # killed between the commit and this line of the journal
            said.update(rows=earlier["rows"], export=earlier["file"])
        if after:
            progress("foreign keys that are gone")
            said["keys"] = backup.restore_entries(then.programs, self._write_dsn(), then.folder, after, timeout_s=timeout)

    def _compare(self, said: dict[str, Any], then: Then) -> None:
        """Every fingerprint against the snapshot's. Equality was proved while the tables were held; what differs now was written since."""
        switch = self.release.actions.rollback.switch
        meant = {switch.table} if switch else set()
        if wrong := differing_objects(self.kept, then.now_catalogue(self)):
            raise ActionFailed(f"{len(wrong)} objects are not as at T0: {', '.join(wrong[:5])}. Look at them before callers are let in.")
        differing = []
        with backup.moment(self._read_dsn(), phase="rollback") as moment:
            there = {f"{schema}.{name}": (schema, name) for schema, name in moment.tables(self.kept.data["schemas"])}
            for table, was in self.kept.tables.items():
                now = moment.count(*there[table], timeout_s=self.environment.backup.timeout_s) if table in there else None
                if (now is None or now.fingerprint != was["fingerprint"]) and table not in meant:
                    differing.append(table)
        said.update(tables=len(self.kept.tables), written_since=differing, meant=sorted(meant))

    def _notify(self, said: dict[str, Any], *, maybe_sent: bool) -> None:
        if maybe_sent:
            said["uncertain"] = "the process was stopped while it was sent; it is not sent twice"
            return
        announcement = Announcement(self.environment, self.release, self.deployment, self.root)
        planned = announcement.plan(self.release.actions.rollback.message)
        said["sent"] = len(announcement.apply(planned, confirm=self.environment.name))

    # ── what the steps need ──
    @contextmanager
    def _step(self, journal: Journal, step: Step, progress: Progress) -> Iterator[dict[str, Any]]:
        progress(step.name)
        journal.write("step", step=step.name)
        began, said = time.monotonic(), dict[str, Any]()
        yield said
        self.seconds[step.name] = time.monotonic() - began
        journal.write("done", step=step.name, seconds=round(self.seconds[step.name], 3), **said)

    def _differences(self, then: Then) -> tuple[dict[str, int], dict[str, int]]:
        """Table → rows that would be lost (came or changed since T0), table → rows that come back (changed or went)."""
        tables = self._tables()
        with backup.rewinding(self._read_dsn(), then.dsn, tables, write=False, timeout_s=self.environment.backup.timeout_s) as both:
            found = both.differences(tables)
            new = {f"{schema}.{name}": both.rows(schema, name) for schema, name in (self._new_tables() if self.point else ())}
        lost = {each.table: len(each.added) + len(each.changed) for each in found if each.added or each.changed}
        back = {each.table: len(each.changed) + len(each.lost) for each in found if each.changed or each.lost}
        return lost | {table: rows for table, rows in new.items() if rows}, back

    def _new_tables(self) -> list[Name]:
        """Tables that came since T0: the platform's restore takes them away, and row by row they stay."""
        with backup.moment(self._read_dsn(), phase="rollback") as moment:
            return [table for table in moment.tables(self.kept.data["schemas"]) if ".".join(table) not in self.kept.tables]

    def _tables(self, *, with_switch: bool = False) -> list[tuple[str, str]]:
        """The tables of the snapshot; the feature's own is the switch's business, unless it was gone."""
        switch = self.release.actions.rollback.switch
        names = [table for table in self.kept.tables if switch is None or with_switch or table != switch.table]
        return [(table.partition(".")[0], table.partition(".")[2]) for table in names]

    @contextmanager
    def _then(self, progress: Progress) -> Iterator[Then]:
        """The snapshot, restored into a scratch server, and its dump opened beside it."""
        rehearsal = Rehearsal(self.environment, self.deployment, self.kept, self.root)
        from opsnb.actions.snapshot.kept import check_files

        check_files(self.kept)
        with ExitStack() as stack:
            dsn, broken = stack.enter_context(rehearsal.restored(progress))
            if broken:
                raise ActionRefused(f"The snapshot cannot be restored whole ({', '.join(broken[:5])}). Nothing was changed.")
            scratch = Path(self.environment.backup.scratch).expanduser() if self.environment.backup.scratch else None
            folder = stack.enter_context(backup.private_folder("dump", where=scratch))
            rehearsal.open_dump(folder)
            version = int(self.kept.data["server"]["version_number"])
            named = Path(self.environment.backup.programs).expanduser() if self.environment.backup.programs else None
            yield Then(dsn, folder / "dump", backup.find_programs(version, named=named, with_server=True))

    def _doors(self) -> Doors:
        return Doors(self.environment, self.release, phase="rollback", root=self.root)

    def _deploying(self) -> Deploying:
        platform, project = self.environment.platform, self.environment.project_ref
        if platform is None or project is None:
            raise ActionRefused(f"environment {self.environment.name}: platform and project_ref are not named. Nothing was changed.")
        return Deploying(text_of(platform.url, self.root), project, platform.access_token.resolve(self.root))

    def _recipient(self) -> str:
        if self.environment.encryption is None:
            raise ActionRefused("encryption.recipient is not named: what a rollback loses is kept encrypted only. Nothing was changed.")
        return sealed.require_recipient(text_of(self.environment.encryption.recipient, self.root))

    def _read_dsn(self) -> SecretStr:
        return (self.environment.backup.dsn or self.environment.postgres.dsn).resolve(self.root)

    def _write_dsn(self) -> SecretStr:
        if self.environment.postgres.write_dsn is None:
            raise ActionRefused(f"environment {self.environment.name}: postgres.write_dsn is not named. Nothing was changed.")
        return self.environment.postgres.write_dsn.resolve(self.root)


@dataclass(frozen=True)
class Then:
    """The snapshot as it is compared with: a scratch server that holds it, and its dump, opened."""

    dsn: SecretStr
    folder: Path
    programs: backup.Programs

    def now_catalogue(self, rollback: Rollback) -> Any:
        """The catalogue of the database as it is."""
        from opsnb.sources import catalogue
        from opsnb.sources.postgres import Postgres

        postgres = rollback.environment.postgres
        database = Postgres(postgres.dsn.resolve(rollback.root), phase="rollback", statement_timeout_ms=60_000)
        try:
            return catalogue.read(database, schemas=list(rollback.kept.data["schemas"])).table
        finally:
            database.close()


def state_of(deployment: Deployment) -> Mapping[str, Any]:
    """What the newest rollback did so far: begun, ended, seconds per step, and what each step said."""
    events = newest(read_journal(deployment))
    done = {str(event["step"]): event for event in events if event["event"] == "done"}
    return {
        "begun": events[0]["at"] if events else None, "ended": next((each["at"] for each in events if each["event"] == "ended"), None),
        "point": bool(events and events[0].get("point")),
        "failed": next((each["why"] for each in reversed(events) if each["event"] == "failed"), None), "done": done,
    }  # fmt: skip
