"""A fleet run: the targets that a glob means, ordered, kept one by one, rolled up; resumable at any moment."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.config import settings
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.report import INDEX_NAME
from opsnb.evidence.safe import utc
from opsnb.execution import plan
from opsnb.fleet import page, remote, store
from opsnb.fleet.executors import Executor
from opsnb.fleet.rollup import Rollup, roll_up
from opsnb.fleet.store import FOLDER, ORDER_NAME, RESULTS_NAME, FleetRun
from opsnb.fleet.target import Order, TargetEnd

Progress = Callable[[TargetEnd], None]
"""Called with each target that ended."""


def targets_of(patterns: Sequence[str], root: Path) -> tuple[str, ...]:
    """The environments that *patterns* mean: globs of files below *root*, or of environments' names; in the order of their names.

    UsageError for a pattern that means none, and for a file that is no environment.
    """
    folder = root / "parameters" / "environments"
    found: set[str] = set()
    for pattern in patterns:
        is_path = "/" in pattern or pattern.endswith((".yaml", ".yml"))
        # a name is looked for where environments are; a path as the shell would, below the project
        paths = [Path(path) for path in glob.glob(str(root / pattern) if is_path else f"{folder}/{pattern}.yaml")]  # noqa: PTH207
        if not paths:
            known = sorted(path.stem for path in folder.glob("*.yaml"))
            raise UsageError(f"{pattern}: no environment matches; there are: {', '.join(known) or 'none'} (in {folder})")
        for path in paths:
            if path.resolve().parent != folder.resolve() or path.suffix != ".yaml":
                raise UsageError(f"{pattern}: {path.name} is no environment; expected files of {folder}")
            found.add(path.stem)
    if FOLDER in found:
        raise UsageError(f"{FOLDER}: an environment of a fleet cannot be called so: the archive keeps the fleet's pages there")
    return tuple(sorted(found))


def phases_of(names: Sequence[str]) -> tuple[str, ...]:
    """The phases that *names* mean (all by default), in the order they run. UsageError for an unknown one."""
    return tuple(phase for wave in plan.waves(names) for phase in wave)


def prepare(targets: Sequence[str], phases: Sequence[str], root: Path, *, resume: bool, reports_url: str) -> FleetRun:
    """The fleet run to work at: a new one, or with *resume* the newest of the same targets and phases. UsageError."""
    reports = settings().reports_folder(root)
    deployments.require_writable(reports)
    archive = remote.Archive(reports_url) if reports_url else None
    now = datetime.now(UTC)
    run = store.resumed(reports, targets, phases) if resume else store.begin(reports, targets, phases, now)
    if archive is not None:  # what cannot be written to is told before a target is started
        archive.write(f"{FOLDER}/{run.id}/{ORDER_NAME}", (run.folder / ORDER_NAME).read_bytes())
    return run


def execute(
    run: FleetRun, executor: Executor, *, root: Path, timeout_s: float, reports_url: str = "", progress: Progress = lambda _end: None
) -> Rollup:
    """Runs every target of *run* that has not finished, and rolls up. Whatever stops it, what ended is kept."""
    with run.locked():
        todo = unfinished(run)
        futures: dict[Future[TargetEnd], str] = {}
        try:
            for target in todo:
                futures[executor.submit(Order(target, run.phases, str(root), timeout_s, reports_url))] = target
            for future in as_completed(futures):
                end = _end_of(future, futures[future])
                run.keep(end)
                progress(end)
        except BaseException:
            executor.stop()
            executor.close()
            for future, target in futures.items():  # what was stopped says so
                if future.done() and not future.cancelled():
                    run.keep(_end_of(future, target))
            close(run, root, reports_url="")
            raise
        executor.close()
        return close(run, root, reports_url=reports_url)


def unfinished(run: FleetRun) -> list[str]:
    """The targets that have not come to their end in *run*."""
    ends = run.ends()
    return [target for target in run.targets if target not in ends or not ends[target].finished]


def close(run: FleetRun, root: Path, *, reports_url: str = "") -> Rollup:
    """Rolls up what *run* has so far and writes its page; copies both to *reports_url*."""
    before: Mapping[str, Any] | None = store.previous_results(settings().reports_folder(root), run)
    archive = remote.Archive(reports_url) if reports_url else None
    if before is None and archive is not None:
        kept = archive.newest_results(run.id)
        before = kept if kept is not None and kept.get("phases") == list(run.phases) and "run" in kept else None
    rollup = roll_up(run, run.ends(), before)
    page.write(rollup)
    if archive is not None:
        for name in (RESULTS_NAME, INDEX_NAME):
            archive.write(f"{FOLDER}/{run.id}/{name}", (run.folder / name).read_bytes())
    return rollup


def _end_of(future: Future[TargetEnd], target: str) -> TargetEnd:
    """How a target ended; an executor that lost it is a reason like any other."""
    try:
        return future.result()
    except (CancelledError, KeyboardInterrupt):
        reason = "The fleet run was stopped before this target began."
    except Exception as error:  # a worker that died, an answer that cannot be read: the others go on
        reason = f"The worker that ran it was lost ({type(error).__name__})."
    return TargetEnd(target, utc(datetime.now(UTC)), 0.0, error=reason)


def page_of(run: FleetRun) -> Path:
    """Where the roll-up's page is."""
    return run.folder / INDEX_NAME


def as_json(content: Mapping[str, Any]) -> str:
    """*content* as text for machines."""
    return json.dumps(content, indent=1, ensure_ascii=False)
