"""``opsnb cleanup``: the release's test records, planned and removed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, confirmed, out
from opsnb.config import find_root


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
        action.require_confirmed(environment, confirmed(environment, confirm))
    autostart(environment, root)
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
        cleaning.apply(planned, confirm=confirmed(environment, confirm))
        out.print(escape(cleaning.sentence))
