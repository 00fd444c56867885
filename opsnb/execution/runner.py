"""Runs phases through papermill and leaves the archive, whatever happens to them.

A wave's phases run side by side in processes of their own; a phase that fails, hangs or dies still leaves a report.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.config import (
    Environment,
    Limits,
    Release,
    child_environment,
    clock,
    effective_limits,
    load_environment,
    load_release,
    require_references,
    settings,
)
from opsnb.errors import UsageError
from opsnb.evidence import archive, deployments, index, leaks, measured, signoff
from opsnb.evidence.deployments import Deployment
from opsnb.execution import notebooks, orders, plan, secrecy
from opsnb.execution.orders import Order
from opsnb.execution.reporting import ABOUT_PEOPLE
from opsnb.execution.workers import Workers
from opsnb.runbook import PHASES
from opsnb.verdicts import Gate

GRACE_S = 15.0
"""How long a phase may take beyond its deadline to end by itself and write its report."""


@dataclass(frozen=True)
class PhaseEnd:
    """How one phase ended. `sentence` is the first thing a person should read."""

    phase: str
    gate: Gate
    seconds: float
    folder: Path
    sentence: str


Progress = Callable[[str, PhaseEnd | None], None]
"""Called with a phase's name when it starts (None) and when it has ended."""


def run(
    environment_name: str,
    *,
    phases: Sequence[str] = (),
    deployment: str = "",
    parameters: Mapping[str, Any] | None = None,
    root: Path,
    progress: Progress = lambda _phase, _end: None,
    workers: Workers | None = None,
    order: Order | None = None,
    remembered: bool = True,
) -> tuple[Deployment, list[PhaseEnd]]:
    """Runs *phases* (all by default) of the newest open deployment, else of a new one.

    *order*: one that was cut off and is taken up (`opsnb.execution.orders`); what it had finished counts, and is not done again.
    *remembered*: whether such an order is filed now; jobs that keep a record of their own need none. *workers*, made beforehand, have
    begun to import while the caller does other things. Everything that could be wrong with the operator's input is looked at before the
    first kernel starts: UsageError.
    """
    given = dict(parameters or {})
    environment, release = require_possible(environment_name, phases=phases, deployment=deployment, parameters=given, root=root)
    require_references(environment, root)
    _refuse_secrets(given, leaks.of_environment(environment, root))
    chosen = plan.waves(phases)
    reports = settings().reports_folder(root)
    opened = deployments.find_or_open(reports, environment.name, release.name, identifier=deployment, now=clock.now())
    names = [phase for wave in chosen for phase in wave]
    with contextlib.nullcontext(order) if order or not remembered else orders.begin(opened, names, given) as held:
        ends = _ends_before(opened, order, environment, root) if order else []
        left = [[phase for phase in wave if phase not in {end.phase for end in ends}] for wave in chosen]
        with workers or Workers() as ready:
            for wave in filter(None, left):
                ends += _side_by_side(
                    wave, lambda phase: _run_phase(phase, environment, opened, given, root, progress, ready), ready, opened
                )
        _finish(opened, ends)
        if held and len(orders.through(opened, held)) == len(held.phases):
            held.end()
    return opened, ends


def _ends_before(deployment: Deployment, order: Order, environment: Environment, root: Path) -> list[PhaseEnd]:
    """How the phases of *order* ended that came to their end before it was cut off; of the others the archive is told that they did not."""
    for folder in orders.cut_off(deployment, order):
        leaks.clean_folder(folder, secrecy.of_environment(environment, root, people=folder.parent.name != ABOUT_PEOPLE))
        archive.ensure_run(
            folder, phase=folder.parent.name, deployment=deployment, reason="The run was cut off before this phase had ended."
        )
    runs = orders.through(deployment, order)
    return [PhaseEnd(run.phase, run.gate, float(run.data["seconds"]), run.folder, run.reason) for run in runs.values()]


def _finish(opened: Deployment, ends: Sequence[PhaseEnd]) -> None:
    """Writes the deployment's own pages, and what was measured so far as one file."""
    if any(end.phase == "signoff" and not _rendered(opened, end) for end in ends):
        signoff.render_signoff(opened, phases=PHASES)
    index.write_index(opened)
    measured.write(opened)


def require_possible(
    environment_name: str, *, phases: Sequence[str], deployment: str, parameters: Mapping[str, Any], root: Path
) -> tuple[Environment, Release]:
    """Looks at everything that can be wrong before a target is started or anything is written: UsageError."""
    environment = load_environment(environment_name, root)
    release = load_release(environment.release, root)
    for phase in (phase for wave in plan.waves(phases) for phase in wave):
        notebooks.refuse_unknown_parameters(root, phase, parameters)
    effective_limits(release, environment, **{name: value for name, value in parameters.items() if name in Limits.model_fields})
    reports = settings().reports_folder(root)
    if deployment:
        deployments.require_open(deployments.find(reports, environment.name, deployment))
    deployments.require_writable(reports)
    return environment, release


def _refuse_secrets(given: Mapping[str, Any], secrets: leaks.Secrets) -> None:
    """Parameters are archived: UsageError where one holds what must not leave."""
    for name, value in given.items():
        for what, _kind in secrets.found(leaks.texts(value)):
            raise UsageError(f"--set {name}: this is {what}, which must not be archived; name a reference (env:, file:) in the environment")


def joined(ends: Sequence[PhaseEnd]) -> Gate:
    """The worst gate of the phases that ran."""
    order = (Gate.FAILED, Gate.UNMEASURED, Gate.HELD, Gate.PASSED)
    return min((end.gate for end in ends), key=order.index, default=Gate.UNMEASURED)


def _rendered(deployment: Deployment, end: PhaseEnd) -> bool:
    """Whether the worker of the sign-off got as far as its page: one that was stopped left the page as it was."""
    page, report = deployment.folder / signoff.FILE_NAME, end.folder / "report.html"
    return page.is_file() and report.is_file() and page.stat().st_mtime_ns >= report.stat().st_mtime_ns


def _side_by_side(wave: list[str], run_phase: Callable[[str], PhaseEnd], workers: Workers, deployment: Deployment) -> list[PhaseEnd]:
    at_once = (os.cpu_count() or 1) + sum(phase in plan.WAITING for phase in wave)
    with ThreadPoolExecutor(max_workers=max(1, min(len(wave), at_once))) as side_by_side:
        in_turn = sorted(wave, key=lambda phase: phase not in plan.LONGEST)
        started = {phase: side_by_side.submit(run_phase, phase) for phase in in_turn}
        try:
            return [started[phase].result() for phase in wave]
        except BaseException:
            # the operator stops the run: what runs ends now and leaves its report, what did not begin never does
            side_by_side.shutdown(wait=False, cancel_futures=True)
            workers.stop()
            side_by_side.shutdown()
            index.write_index(deployment)
            raise


def _run_phase(
    phase: str, environment: Environment, deployment: Deployment, given: Mapping[str, Any], root: Path, progress: Progress,
    workers: Workers,
) -> PhaseEnd:  # fmt: skip
    progress(phase, None)
    started = clock.now()
    folder = archive.new_run_folder(deployment, phase, now=started)
    order = {
        "phase": phase,
        "notebook": str(notebooks.notebook_path(root, phase)),
        "folder": str(folder),
        "root": str(root),
        "deployment_folder": str(deployment.folder),
        "deadline_s": environment.phase_deadline_s,
        "parameters": {**given, "environment": environment.name, "deployment": deployment.id},
    }
    reason = _work(order, child_environment(OPSNB_RUN_DIR=str(folder), OPSNB_HOME=str(root)), workers)
    if reason:  # whoever was stopped did not come to it
        leaks.clean_folder(folder, secrecy.of_environment(environment, root, people=phase != ABOUT_PEOPLE))
    end = archive.ensure_run(folder, phase=phase, deployment=deployment, reason=reason, started_at=started)
    ended = PhaseEnd(phase, end.gate, (clock.now() - started).total_seconds(), folder, end.sentence)
    progress(phase, ended)
    return ended


def _work(order: dict[str, Any], environment: dict[str, str], workers: Workers) -> str:
    """Runs a worker to its end; answers why it did not end well, in words, or nothing."""
    deadline_s = order["deadline_s"]
    work = workers.start(order, environment)
    try:
        code = work.wait(deadline_s + GRACE_S)
        complaint = work.complaint()
    except TimeoutError:
        return f"The phase did not end within its deadline of {deadline_s:g} s and was stopped."
    finally:
        workers.end(work)
    if workers.stopped:
        return "The run was stopped before this phase had ended."
    if code == 0:
        return ""
    last_line = complaint.strip().splitlines()[-1] if complaint.strip() else f"exit code {code}"
    return f"The worker process of the phase ended early: {last_line}"
