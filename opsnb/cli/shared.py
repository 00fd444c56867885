"""What every command needs: the application, its consoles, common options, and the operator's confirmation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from opsnb.cli.stopping import Stoppable
from opsnb.config import load_environment, load_release, settings
from opsnb.errors import UsageError

app = typer.Typer(
    cls=Stoppable,
    help="A deployment runbook you can run: notebooks that check a Postgres or Supabase deployment and archive the evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EnvironmentArgument = Annotated[str, typer.Argument(metavar="ENV", help="An environment: the name of a file in parameters/environments.")]
DeploymentOption = Annotated[str, typer.Option("--deployment", metavar="ID", help="A deployment; the newest open one by default.")]


def autostart(environment_name: str, root: Path) -> None:
    """Starts the embedded target where the environment is one and nobody said not to."""
    environment = load_environment(environment_name, root)
    load_release(environment.release, root)  # a mistake in it is told before anything is started
    if environment.autostart != "local" or not settings().local_autostart:
        return
    from opsnb.local import target

    with err.status("starting the embedded target"):
        target.up(root)


def confirmed(environment: str, confirm: str) -> str:
    """The name the operator gave, typed or as --confirm."""
    if confirm:
        return confirm
    if not sys.stdin.isatty():
        raise UsageError(f"--apply needs the environment's name: nobody can type it here, so give --confirm {environment}")
    return str(typer.prompt(f"This changes {environment}. Type its name to go on"))
