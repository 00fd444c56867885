"""``opsnb run``, ``opsnb lab``, ``opsnb demo``: the phases, one way or another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from opsnb import errors
from opsnb.cli.cleaning import cleanup
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, confirmed, err, out
from opsnb.config import child_environment, clock, find_root
from opsnb.errors import UsageError

if TYPE_CHECKING:
    from opsnb.evidence.deployments import Deployment
    from opsnb.execution.orders import Order
    from opsnb.execution.runner import PhaseEnd
    from opsnb.execution.workers import Workers
    from opsnb.verdicts import Gate

GATE_STYLES = {"passed": "green", "held": "yellow", "unmeasured": "magenta", "failed": "red"}
GATE_REASONS = {
    "passed": "every check passed and nothing is open.",
    "held": "nothing failed; checks are inconclusive or attestations are open, and a person decides.",
    "unmeasured": "something could not be measured.",
    "failed": "at least one check failed.",
}


@app.command()
def run(
    environment: EnvironmentArgument,
    phase: Annotated[list[str] | None, typer.Option("--phase", metavar="NAME", help="A phase (rls, 06); repeat for several.")] = None,
    deployment: DeploymentOption = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--set", "-p", metavar="NAME=VALUE", help="A parameter of the notebook, for this run.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Let the named phases act: 03 removes test records, 08 walks the journey. Needs --phase.")
    ] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up the last run; what came to its end and was measured is not done again.")
    ] = False,
    day: Annotated[
        bool,
        typer.Option("--day", help="Simulate the 24 hours after a deployment on the embedded target: every monitoring run, one by one."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="How the phases ended as JSON, and nothing else, on standard output.")] = False,
) -> None:
    """Runs the phases of the runbook and archives their reports. Exit: 0 passed, 1 failed, 2 usage, 3 held, 4 unmeasured."""
    given = _parameters(parameter or [])
    if day:
        if phase or given or apply or resume or as_json:
            raise UsageError(
                "--day runs the monitoring phase at every slot of the schedule: leave --phase, --set, --apply, --resume and --json out"
            )
        raise typer.Exit(_day(environment, deployment))
    if resume:
        if phase or given or apply:
            raise UsageError("--resume takes phases and parameters from the run that was cut off: leave --phase, --set and --apply out")
        raise typer.Exit(_resume(environment, deployment, confirm, as_json))
    if apply:
        if not phase:
            raise UsageError("--apply needs --phase: name the phases that may act")
        name = confirmed(environment, confirm)
        if name != environment:
            raise UsageError(f"--confirm {name}: expected the environment's name, {environment}; nothing was changed")
        given |= {"apply": True, "confirm": name}
    raise typer.Exit(run_phases(environment, phase or [], deployment, given, as_json=as_json))


def _day(environment: str, deployment: str) -> int:
    from opsnb.local import target
    from opsnb.verdicts import gate
    from opsnb.watching import show, timeline
    from opsnb.watching.simulated import Day

    root = find_root()
    found = Day.open(environment, root=root, deployment=deployment)
    autostart(environment, root)
    if not deployment:
        with err.status("a day of logs is written"):
            rows = target.day(root)
        out.print(f"{rows:,} rows of logs behind the present; what is asked of the database is of the present")
    with err.status("") as status:
        for slot, tick in found.run(lambda slot: status.update(f"{slot.key}, {slot.due:%a %H:%M} UTC")):
            for line in show.tick_lines(tick, len(found.schedule)):
                out.print(f"{slot.due:%a %H:%M} UTC  {line}", soft_wrap=True)
    watch, now = found.watch(), clock.now()
    result = watch.judged(now)
    out.print(show.heading(found.deployment.id, watch.table(now), now), soft_wrap=True)
    out.print(f"[bold]{result.verdict}[/] {escape(result.summary)}", soft_wrap=True)
    out.print(escape(str(timeline.write(watch, now))), soft_wrap=True)
    return gate([result.verdict]).exit_code


def _resume(environment: str, deployment: str, confirm: str, as_json: bool) -> int:
    from opsnb.config import settings
    from opsnb.evidence import deployments
    from opsnb.execution import orders
    from opsnb.execution.workers import Workers

    root = find_root()
    reports = settings().reports_folder(root)
    if not deployment:
        newest = deployments.newest_open(reports, environment)
        if newest is None:
            raise UsageError(f"The environment {environment} has no open deployment in {reports}: there is nothing to resume")
        deployment = newest.id
    opened = deployments.require_open(deployments.find(reports, environment, deployment))
    with orders.taken_up(opened) as order, Workers() as workers:
        done = orders.through(opened, order)
        err.print(
            f"resuming the run of {order.started_at:%Y-%m-%d %H:%M:%S} UTC: {len(done)} of {len(order.phases)} phases came to their end"
        )
        if order.acts and (name := confirmed(environment, confirm)) != environment:
            raise UsageError(f"--confirm {name}: expected the environment's name, {environment}; nothing was changed")
        return _run_with(workers, environment, root, list(order.phases), deployment, dict(order.parameters), order, as_json=as_json)


def run_phases(environment: str, phases: list[str], deployment: str, parameters: dict[str, Any], *, as_json: bool = False) -> int:
    """Runs *phases* with a progress bar and prints how they ended; the exit code."""
    from opsnb.execution.workers import Workers

    root = find_root()
    with Workers() as workers:  # they import beside us
        return _run_with(workers, environment, root, phases, deployment, parameters, as_json=as_json)


def _run_with(
    workers: Workers, environment: str, root: Path, phases: list[str], deployment: str, parameters: dict[str, Any],
    order: Order | None = None, *, as_json: bool = False,
) -> int:  # fmt: skip
    from opsnb.board.places import boards_now
    from opsnb.execution import plan, progress, runner
    from opsnb.verdicts import Gate

    waves = plan.waves(phases)
    runner.require_possible(environment, phases=phases, deployment=deployment, parameters=parameters, root=root)
    autostart(environment, root)
    try:
        names = [name for wave in waves for name in wave]
        with progress.phases(err, names, lambda: boards_now(root, environment) if "window" in names else ()) as report:
            opened, ends = runner.run(
                environment, phases=phases, deployment=deployment, parameters=parameters, root=root, progress=report, workers=workers,
                order=order,
            )  # fmt: skip
    except KeyboardInterrupt:
        err.print(f"stopped: what ran left its reports, what had not begun was not run; opsnb run {environment} --resume takes it up")
        return errors.EXIT_STOPPED
    gate = runner.joined(ends)
    if as_json:
        typer.echo(json.dumps(_said(opened, ends, gate), indent=1, ensure_ascii=False))
        return gate.exit_code
    out.print(progress.table(ends))
    style = GATE_STYLES[gate]
    out.print(f"[bold {style}]{gate}[/] (exit {gate.exit_code}): {GATE_REASONS[gate]}")
    if gate is Gate.UNMEASURED:
        out.print(f"opsnb run {environment} --resume asks again what could not be measured, and nothing else.")
    out.print(f"deployment {escape(opened.id)}")
    out.print(escape(str(opened.folder / "index.html")), soft_wrap=True)
    return gate.exit_code


def _said(opened: Deployment, ends: Sequence[PhaseEnd], gate: Gate) -> dict[str, Any]:
    """How the phases ended, for scripts; what each check said is in the deployment's results.json."""
    return {
        "schema_version": 1, "environment": opened.environment, "deployment": opened.id, "folder": str(opened.folder), "gate": str(gate),
        "exit_code": gate.exit_code,
        "phases": [
            {
                "phase": end.phase, "gate": str(end.gate), "seconds": round(end.seconds, 2), "sentence": end.sentence,
                "report": str(end.folder / "report.html"),
            }
            for end in ends
        ],
    }  # fmt: skip


def _parameters(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; values are read as JSON where they are JSON, else as text."""
    given: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise UsageError(f"--set {pair}: expected NAME=VALUE")
        if name in {"environment", "deployment", "apply", "confirm"}:
            raise UsageError(f"--set {name}: this parameter has an option or a command of its own")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    return given


@app.command()
def lab() -> None:
    """Opens JupyterLab on the notebooks."""
    root = find_root()
    command = [sys.executable, "-m", "jupyter", "lab", "--notebook-dir", str(root / "notebooks")]
    raise typer.Exit(subprocess.call(command, env=child_environment(OPSNB_HOME=str(root))))  # noqa: S603


@app.command()
def demo() -> None:
    """The main job on the embedded target: start it, remove the test records, run every phase."""
    from opsnb.local import target

    root = find_root()
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("opsnb local up", lambda: target.up(root)),
        ("opsnb local reset", lambda: target.reset(root)),
        ("opsnb local fault leftover_test_data", lambda: target.fault(root, "leftover_test_data")),
        ("opsnb cleanup local", lambda: cleanup("local")),
        ("opsnb cleanup local --apply --confirm local", lambda: cleanup("local", apply=True, confirm="local")),
    ]
    for command, step in steps:
        out.print(f"[bold]$ {command}[/]")
        step()
    out.print("The embedded target stays up: explore with `opsnb lab`, stop it with `opsnb local down`.")
    out.print("[bold]$ opsnb run local[/]")
    code = run_phases("local", [], "", {})
    # held is how a deployment ends whose attestations and 24 hours are still open
    raise typer.Exit(0 if code in (errors.EXIT_PASSED, errors.EXIT_HELD) else code)
