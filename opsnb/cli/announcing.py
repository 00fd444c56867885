"""``opsnb announce``: the release's messages about its window, planned and sent."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, confirmed, out
from opsnb.config import find_root


@app.command()
def announce(
    environment: EnvironmentArgument,
    message: Annotated[str, typer.Option("--message", metavar="NAME", help="A message of the release's announcements.")] = "window_begins",
    apply: Annotated[bool, typer.Option("--apply", help="Send; without it the message is printed and nothing is sent.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    deployment: DeploymentOption = "",
) -> None:
    """Prints a message of the release about its window and, with --apply, sends it to the environment's addresses."""
    from opsnb.actions.announce import Announcement

    root = find_root()
    if apply and not sys.stdin.isatty():
        confirm = confirmed(environment, confirm)
    autostart(environment, root)
    announcement = Announcement.open(environment, root=root, deployment=deployment)
    planned = announcement.plan(message)
    out.print(f"[bold]{escape(planned.title)}[/]")
    out.print(escape(planned.body))
    out.print(escape(f"To: {', '.join(planned.places) or 'nobody: the environment names no address (notify)'}"))
    if not apply:
        out.print("Nothing was sent.")
        return
    sent = announcement.apply(planned, confirm=confirmed(environment, confirm))
    out.print(escape(f"Delivered to {len(sent)} of {len(sent)} addresses; filed with {announcement.deployment.id}."))
