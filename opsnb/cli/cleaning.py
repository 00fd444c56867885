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
    undo: Annotated[
        str, typer.Option("--undo", metavar="RECORD", help="Plan to put back what a cleanup deleted: its record, or `newest`.")
    ] = "",
    deployment: DeploymentOption = "",
) -> None:
    """Plans the removal of the release's test records and, with --apply, removes them in one transaction; --undo puts them back."""
    from opsnb.actions import cleanup as action
    from opsnb.execution import progress

    root = find_root()
    if apply and (confirm or not sys.stdin.isatty()):
        action.require_confirmed(environment, confirmed(environment, confirm))
    autostart(environment, root)
    if undo:
        undoing = action.Undo.open(environment, root=root, record="" if undo == "newest" else undo, deployment=deployment)
        back = undoing.plan()
        out.print(progress.frame(back.table, "What would be put back"))
        if not apply:
            out.print(escape(f"{back.sentence} Nothing was changed."))
            return
        undoing.apply(back, confirm=confirmed(environment, confirm))
        out.print(escape(undoing.sentence))
        return
    with action.Cleanup.open(environment, deployment=deployment, root=root) as cleaning:
        planned = cleaning.plan()
        out.print(progress.frame(planned.table, "Test records of the release, in the order of their deletion"))
        for line in [*planned.tree_lines, *planned.warnings]:
            out.print(escape(line), soft_wrap=True, highlight=False)
        if not apply:
            out.print(escape(f"{planned.sentence} Nothing was changed."))
            if (planned.rows or planned.changes) and not planned.blocked_by:
                out.print(escape(f"To delete them: opsnb cleanup {environment} --apply"))
            return
        cleaning.apply(planned, confirm=confirmed(environment, confirm))
        out.print(escape(cleaning.sentence))
