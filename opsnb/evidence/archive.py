"""The archive: reports/<environment>/<deployment>/<phase>/<UTC run>/ and what is kept in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.config import clock
from opsnb.evidence import deployments
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.results import (
    FILE_NAME,
    JOURNAL_NAME,
    REPORT_NAME,
    Run,
    newest_runs,
    read_run,
    read_runs,
    read_table,
    write_results,
    write_unfinished,
)
from opsnb.evidence.safe import jsonable, unwritable, utc, write_atomic
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, Gate, PhaseReport

LIBRARY_NAME = "plotly.min.js"
ROLLBACK_NAME = "rollback.json"
POINTER_SUFFIX = ".run"
SOURCE = "archive"


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, in one sentence."""

    gate: Gate
    sentence: str


def new_run_folder(deployment: Deployment, phase: str, *, now: datetime) -> Path:
    """Makes the folder of a run that starts *now*; two runs of one phase in one second get two folders."""
    parent = deployment.folder / phase
    stamp = now.astimezone(UTC).strftime(STAMP)
    count = 1
    while True:
        # zero-padded, so that names sort in the order of their making
        folder = parent / (stamp if count == 1 else f"{stamp}-{count:03d}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            count += 1
        except OSError as error:
            raise unwritable(parent, error) from error


def file_run(
    deployment: Deployment,
    report: PhaseReport,
    *,
    started_at: datetime,
    ended_at: datetime,
    guide_minutes: float | None,
    saved: Mapping[str, pd.DataFrame] | None = None,
    extras: Mapping[str, Any] | None = None,
    run_folder: Path | None = None,
    journal: Path | None = None,
) -> Path:
    """Archives what a notebook concluded, from its last cell; answers the run's folder.

    *run_folder* is the folder the runner made, *journal* the engine's journal of a run without one: the engine is told the new
    folder beside it. With neither, nobody will write the page later, so a page of the verdicts is written here.
    """
    folder = run_folder or new_run_folder(deployment, report.phase, now=started_at)
    journalled = (folder / JOURNAL_NAME).is_file() or (journal is not None and journal.is_file())
    write_results(
        folder, phase=report.phase, environment=deployment.environment, release=deployment.release, deployment=deployment.id,
        report=report, started_at=started_at, ended_at=ended_at, guide_minutes=guide_minutes, extras=extras, saved=saved,
        journalled=journalled,
    )  # fmt: skip
    if run_folder is None and journal is not None:
        write_atomic(journal.with_name(journal.name + POINTER_SUFFIX), str(folder))
    elif run_folder is None:
        _write_page(folder)
    return folder


def complete_run(folder: Path, *, phase: str, deployment_folder: Path, reason: str = "") -> Run:
    """Makes sure a run has results: ERROR ones with *reason* where its notebook never reached its last cell."""
    run = read_run(folder)
    if not run.damaged:
        return run
    deployment = deployments.read_deployment(deployment_folder)
    write_unfinished(
        folder, phase, reason or "The notebook never reached its last cell.", environment=deployment.environment,
        release=deployment.release, deployment=deployment.id, started_at=_started(folder), ended_at=clock.now(),
    )  # fmt: skip
    return read_run(folder)


def ensure_run(folder: Path, *, phase: str, deployment: Deployment, reason: str = "", started_at: datetime | None = None) -> RunEnd:
    """Makes sure a run left results and a page, whatever became of its process; answers how it ended."""
    run = read_run(folder)
    if run.damaged:
        write_unfinished(
            folder, phase, reason or "The notebook never reached its last cell.", environment=deployment.environment,
            release=deployment.release, deployment=deployment.id, started_at=started_at or _started(folder), ended_at=clock.now(),
        )  # fmt: skip
        run = read_run(folder)
    if run.damaged or not run.has_report or (folder / REPORT_NAME).stat().st_mtime < (folder / FILE_NAME).stat().st_mtime:
        _write_page(folder)
    return RunEnd(run.gate, run.reason)


def withhold(folder: Path, why: str) -> None:
    """Leaves of a run nothing but that it was withheld, and *why* (places and kinds, never a value): ERROR."""
    run, started = read_run(folder), _started(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    _replace(run, f"Withheld, because something that must not leave was left in it: {why}.", started)
    _write_page(folder)


def disown(folder: Path, why: str) -> None:
    """Replaces the verdicts of a run whose records contradict each other: ERROR, with *why*. Its other files stay."""
    _replace(read_run(folder), f"The records of this run contradict each other, so nothing in it counts. {why}", _started(folder))


def _replace(run: Run, reason: str, started_at: datetime) -> None:
    environment, release, deployment = (str(run.data.get(name, "")) for name in ("environment", "release", "deployment"))
    write_unfinished(
        run.folder, run.phase, reason, environment=environment, release=release, deployment=deployment, started_at=started_at,
        ended_at=clock.now(),
    )  # fmt: skip


def copy_chart_library(deployment_folder: Path) -> Path:
    """The chart library at the deployment's root: one copy, whole, written once."""
    path = deployment_folder / LIBRARY_NAME
    content = chart_library()
    if not path.is_file() or hashlib.sha256(path.read_bytes()).digest() != hashlib.sha256(content).digest():
        write_atomic(path, content)
    return path


@cache
def chart_library() -> bytes:
    """The chart library, as plotly brings it."""
    from plotly.offline import get_plotlyjs

    return bytes(get_plotlyjs().encode("utf-8"))


def saved_table(deployment: Deployment, phase: str, name: str) -> Facts:
    """The table *name* kept by the newest run of *phase*; an empty table where there is none."""
    question = f"table {name} kept by the newest run of {phase} in {deployment.id}"
    for run in read_runs(deployment):
        if run.phase == phase and name in run.data["saved"]:
            table = read_table(run, run.data["saved"][name])
            if table is not None:
                return Facts(SOURCE, question, 0.0, answer=table, extra={"run": run.name, "run_at": run.data["started_at"]})
    return Facts(SOURCE, question, 0.0, answer=pd.DataFrame())


def saved_over_time(deployment: Deployment, name: str) -> Facts:
    """Every table *name* kept by the runs of *deployment*, oldest first, each row with its `run_at` (UTC)."""
    found: list[pd.DataFrame] = []
    for run in read_runs(deployment):
        relative = run.data["saved"].get(name)
        table = read_table(run, relative) if relative else None
        if table is not None and len(table):
            found.append(table.assign(run_at=pd.Timestamp(run.data["started_at"]), phase=run.phase))
    question = f"table {name} kept by any run of {deployment.id}"
    if not found:
        return Facts(SOURCE, question, 0.0, answer=pd.DataFrame())
    together = pd.concat(found, ignore_index=True).sort_values("run_at", kind="stable", ignore_index=True)
    return Facts(SOURCE, question, 0.0, answer=together)


RESULT_COLUMNS = (
    "phase", "check", "title", "items", "verdict", "summary", "measured", "limit", "seconds", "run", "started_at", "journalled",
)  # fmt: skip


def newest_results(deployment: Deployment) -> Facts:
    """The results of the runs that count: one row per check, the columns of RESULT_COLUMNS."""
    rows = [
        (
            run.phase, result.id, result.title, ", ".join(result.items), str(result.verdict), result.summary,
            None if result.measured is None else str(result.measured), None if result.limit is None else str(result.limit),
            float(result.seconds), run.name, run.data["started_at"], run.journalled,
        )
        for run in newest_runs(deployment).values()
        for result in run.results
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(RESULT_COLUMNS))
    return Facts(SOURCE, f"results of the newest runs of {deployment.id}", 0.0, answer=table)


def results_that_count(deployment: Deployment) -> list[CheckResult]:
    """The results of the newest runs."""
    return [result for run in newest_runs(deployment).values() for result in run.results]


def begin_rollback(deployment: Deployment, *, now: datetime, why: str) -> Path:
    """Notes that a roll-back of *deployment* was begun: from now on its items count. A second note changes nothing."""
    path = deployment.folder / ROLLBACK_NAME
    if not path.is_file():
        write_atomic(path, json.dumps(jsonable({"begun_at": utc(now), "why": why}), indent=2) + "\n")
    return path


def rollback_begun(deployment: Deployment) -> bool:
    """Whether a roll-back of *deployment* was begun."""
    return (deployment.folder / ROLLBACK_NAME).is_file()


def _started(folder: Path) -> datetime:
    """When the run of *folder* started, from its name; the time of its making where the name is another."""
    try:
        return datetime.strptime(folder.name[:16], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _write_page(folder: Path) -> None:
    from opsnb.evidence import report  # a page is drawn with much that a notebook's last cell does not need

    report.render_report(report.read_notebook(folder), folder)
