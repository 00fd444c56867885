"""The command line: ``opsnb run ENV``, ``opsnb cleanup ENV``, ``opsnb local …``, ``opsnb lab``, ``opsnb demo``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from opsnb import errors
from opsnb.config import child_environment, find_root, load_environment, load_release, settings
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, UsageError
from opsnb.verdicts import Gate

app = typer.Typer(
    help="A deployment runbook you can run: notebooks that check a Postgres or Supabase deployment and archive the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
local_app = typer.Typer(help="The embedded target: real PostgreSQL, a platform, functions.", no_args_is_help=True)
app.add_typer(local_app, name="local")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EnvironmentArgument = Annotated[str, typer.Argument(metavar="ENV", help="An environment: the name of a file in parameters/environments.")]
DeploymentOption = Annotated[str, typer.Option("--deployment", metavar="ID", help="A deployment; the newest open one by default.")]

GATE_STYLES = {Gate.PASSED: "green", Gate.HELD: "yellow", Gate.UNMEASURED: "magenta", Gate.FAILED: "red"}
GATE_REASONS = {
    Gate.PASSED: "every check passed and nothing is open.",
    Gate.HELD: "nothing failed; checks are inconclusive or attestations are open, and a person decides.",
    Gate.UNMEASURED: "something could not be measured.",
    Gate.FAILED: "at least one check failed.",
}


@app.command()
def run(
    environment: EnvironmentArgument,
    phase: Annotated[list[str] | None, typer.Option("--phase", metavar="NAME", help="A phase (rls, 06); repeat for several.")] = None,
    deployment: DeploymentOption = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--set", "-p", metavar="NAME=VALUE", help="A parameter of the notebook, for this run.")
    ] = None,
) -> None:
    """Runs the phases of the runbook and archives their reports. Exit: 0 passed, 1 failed, 2 usage, 3 held, 4 unmeasured."""
    raise typer.Exit(_run(environment, phase or [], deployment, _parameters(parameter or [])))


def _run(environment: str, phases: list[str], deployment: str, parameters: dict[str, Any]) -> int:
    from opsnb.execution import plan, progress, runner

    root = find_root()
    waves = plan.waves(phases)
    runner.require_possible(environment, phases=phases, deployment=deployment, parameters=parameters, root=root)
    _autostart(environment, root)
    try:
        with progress.phases(err, [name for wave in waves for name in wave]) as report:
            opened, ends = runner.run(
                environment, phases=phases, deployment=deployment, parameters=parameters, root=root, progress=report
            )  # fmt: skip
    except KeyboardInterrupt:
        err.print("stopped: what ran left its reports, what had not begun was not run")
        return errors.EXIT_STOPPED
    gate = runner.joined(ends)
    out.print(progress.table(ends))
    style = GATE_STYLES[gate]
    out.print(f"[bold {style}]{gate}[/] (exit {gate.exit_code}): {GATE_REASONS[gate]}")
    out.print(f"deployment {escape(opened.id)}")
    out.print(escape(str(opened.folder / "index.html")), soft_wrap=True)
    return gate.exit_code


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


def _autostart(environment_name: str, root: Path) -> None:
    """Starts the embedded target where the environment is one and nobody said not to."""
    environment = load_environment(environment_name, root)
    load_release(environment.release, root)  # a mistake in it is told before anything is started
    if environment.autostart != "local" or not settings().local_autostart:
        return
    from opsnb.local import target

    with err.status("starting the embedded target"):
        target.up(root)


@app.command()
def cleanup(
    environment: EnvironmentArgument,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without it the plan is printed and nothing changes.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    deployment: DeploymentOption = "",
) -> None:
    """Plans the removal of the release's test records and, with --apply, removes them in one transaction."""
    from opsnb.actions import cleanup as action
    from opsnb.execution import progress

    root = find_root()
    if apply and (confirm or not sys.stdin.isatty()):
        action.require_confirmed(environment, _confirmed(environment, confirm))
    _autostart(environment, root)
    with action.Cleanup.open(environment, deployment=deployment, root=root) as cleaning:
        planned = cleaning.plan()
        out.print(progress.frame(planned.table, "Test records of the release, in the order of their deletion"))
        if not apply:
            out.print(escape(f"{planned.sentence} Nothing was changed."))
            if planned.rows:
                out.print(escape(f"To delete them: opsnb cleanup {environment} --apply"))
            return
        if not planned.rows:
            out.print(escape(planned.sentence))
            return
        cleaning.apply(planned, confirm=_confirmed(environment, confirm))
        out.print(escape(cleaning.sentence))


def _confirmed(environment: str, confirm: str) -> str:
    """The name the operator gave, typed or as --confirm."""
    if confirm:
        return confirm
    if not sys.stdin.isatty():
        raise UsageError(f"--apply needs the environment's name: nobody can type it here, so give --confirm {environment}")
    return str(typer.prompt(f"This changes {environment}. Type its name to go on"))


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
    code = _run("local", [], "", {})
    # held is how a deployment ends whose attestations and 24 hours are still open
    raise typer.Exit(0 if code in (errors.EXIT_PASSED, errors.EXIT_HELD) else code)


@local_app.command("up")
def local_up(port: Annotated[int | None, typer.Option("--port", help="The platform's port; a free one by default.")] = None) -> None:
    """Starts the embedded target; does nothing where it is up."""
    from opsnb.local import target

    with err.status("starting the embedded target"):
        state = target.up(find_root(), port=port)
    out.print(escape(f"up at {state['platform_url']}"))


@local_app.command("down")
def local_down() -> None:
    """Stops the embedded target."""
    from opsnb.local import target

    target.down(find_root())
    out.print("down")


@local_app.command("status")
def local_status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs; shows the local target's own credentials.")] = False,
) -> None:
    """Says whether the embedded target runs and how to reach it."""
    from opsnb.local import target

    state = target.status(find_root())
    if as_json:
        print(json.dumps(state, indent=2))
        return
    for key, value in state.items():
        if key not in {"dsn", "access_token"}:
            out.print(f"{key:14} {escape(str(value))}")


@local_app.command("fault")
def local_fault(name: Annotated[str, typer.Argument(help="A fault; `list` names them.")]) -> None:
    """Breaks the embedded target in one named way; `opsnb local reset` mends it."""
    from opsnb.local import faults, target

    if name == "list":
        for fault in faults.FAULTS.values():
            out.print(f"{fault.name:22} {escape(fault.sentence)}")
        return
    target.fault(find_root(), name)
    out.print(escape(f"{name}: {faults.FAULTS[name].sentence}"))


@local_app.command("reset")
def local_reset() -> None:
    """Restores the embedded target: database, functions, secrets, logs and statistics."""
    from opsnb.local import target

    with err.status("restoring the embedded target"):
        target.reset(find_root())
    out.print("reset")


def main() -> None:
    """The entry point: an error of ours is one sentence, never a traceback."""
    # a scheduler's stop leaves what Ctrl-C leaves: reports, and no process behind
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except UsageError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_USAGE) from None
    except (ActionRefused, ActionFailed) as error:
        err.print(f"[bold red]{type(error).__name__}:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_FAILED) from None
    except OpsnbError as error:
        err.print(f"[bold magenta]{type(error).__name__}:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_UNMEASURED) from None
    except KeyboardInterrupt:
        err.print("stopped")
        raise SystemExit(errors.EXIT_STOPPED) from None
