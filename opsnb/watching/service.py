"""A deployment's slots with everything real: its schedule, its archive, the runner."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from opsnb.checks import schedule as schedule_checks
from opsnb.config import Environment, Release, load_environment, load_release, settings
from opsnb.config.alerts import Alerts
from opsnb.config.schedule import Slot, slots
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import read_runs
from opsnb.execution import runner
from opsnb.questions.slots import entries_table
from opsnb.verdicts import CHECKS, CheckResult
from opsnb.watching.desk import Desk, Done

PHASE = "monitor"


@dataclass(frozen=True)
class Watch:
    """The slots of one open deployment."""

    environment: Environment
    release: Release
    deployment: Deployment
    desk: Desk

    def table(self, now: datetime) -> pd.DataFrame:
        """One row per slot, as `checks.schedule.slot_table` answers it."""
        return schedule_checks.slot_table(
            entries_table(self.desk.journal.entries()), schedule=self.release.monitoring, deployed_at=self.deployment.opened_at, now=now
        )

    def judged(self, now: datetime) -> CheckResult:
        """The check `schedule.kept`, now."""
        return schedule_checks.kept(
            entries_table(self.desk.journal.entries()), schedule=self.release.monitoring, deployed_at=self.deployment.opened_at, now=now
        )


def open_watch(
    environment_name: str, *, root: Path, deployment: str = "", began: Callable[[Slot], None] = lambda _slot: None
) -> Watch | None:
    """The slots of the newest open deployment, or of the one named; None where none is open: a scheduler never begins a deployment.

    Raises UsageError for what is wrong with the parameter files or the name.
    """
    environment, release = runner.require_possible(environment_name, phases=[PHASE], deployment=deployment, parameters={}, root=root)
    require_known_checks(release.alerts, f"parameters/releases/{release.name}.yaml", "alerts.rules")
    reports = settings().reports_folder(root)
    found = (
        deployments.find(reports, environment.name, deployment)
        if deployment
        else deployments.newest_open(reports, environment.name, release.name)
    )
    if found is None or not found.is_open:
        return None
    desk = Desk(
        folder=found.folder / PHASE,
        schedule=slots(found.opened_at, release.monitoring),
        run=lambda _slot: _run(environment.name, found, root),
        find=lambda since, until: find_run(found, since, until),
        began=began,
    )
    return Watch(environment, release, found, desk)


def require_known_checks(alerts: Alerts, file: str, key: str) -> None:
    """UsageError for a rule on a check that there is none of: it would be silent for ever."""
    for rule in alerts.rules:
        if rule.check.partition(":")[0] not in CHECKS:
            near = difflib.get_close_matches(rule.check, CHECKS, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/checks.md lists them"
            raise UsageError(f"{file}: {key}, {rule.name}: check = {rule.check}: expected a check's id{hint}")


def find_run(deployment: Deployment, since: datetime, until: datetime) -> Done | None:
    """The oldest whole run of the phase that began in [since, until); the archive knows whole seconds.

    Whole: judged to its end, and with its page. One that was killed between the two is done again.
    """
    first = since.replace(microsecond=0)
    for run in reversed(read_runs(deployment)):
        if run.phase != PHASE or run.damaged or run.data["unfinished"] or not run.has_report:
            continue
        began = datetime.fromisoformat(str(run.data["started_at"])).astimezone(UTC)
        if first <= began < until:
            return Done(run.gate, run.name, run.reason, float(run.data["seconds"]), began)
    return None


def _run(environment: str, deployment: Deployment, root: Path) -> Done:
    _deployment, ends = runner.run(environment, phases=[PHASE], deployment=deployment.id, root=root, remembered=False)
    end = ends[0]
    return Done(end.gate, end.folder.name, end.sentence)


def known_environment(name: str, root: Path) -> Environment:
    """The environment called *name*, with a release that loads. Raises UsageError."""
    environment = load_environment(name, root)
    load_release(environment.release, root)
    return environment
