"""``opsnb journey``: the way a user takes, walked through the public doors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from opsnb import errors
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, confirmed, err, out
from opsnb.cli.steps import steps
from opsnb.config import find_root
from opsnb.evidence.safe import printable


@app.command()
def journey(
    environment: EnvironmentArgument,
    apply: Annotated[bool, typer.Option("--apply", help="Walk it; without it the steps are printed and nothing is asked.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    clean: Annotated[bool, typer.Option("--clean", help="Remove what a journey left that was killed.")] = False,
    deployment: DeploymentOption = "",
) -> None:
    """Walks the release's journey with synthetic people through the public doors, twice and at once, and removes every trace of it.

    Exit: 0 walked or planned, 1 a step went wrong.
    """
    from opsnb.actions.journey import Journey

    root = find_root()
    if apply and not sys.stdin.isatty():
        confirm = confirmed(environment, confirm)
    autostart(environment, root)
    action = Journey.open(environment, root=root, deployment=deployment)
    if clean:
        if not apply:
            out.print("What a killed journey left would be removed. Nothing was changed; give --apply.")
            return
        removed = action.clean(confirm=confirmed(environment, confirm))
        out.print(f"{sum(removed.values())} rows removed." if removed else "Nothing is left of any journey.")
        return
    if not apply:
        table = Table("step", "what", box=None, pad_edge=False)
        for step, what in action.plan():
            table.add_row(Text(printable(step)), Text(printable(what)))
        out.print(table)
        out.print("Nothing was asked.")
        return
    name = confirmed(environment, confirm)
    with steps(err, "journey", root=root, environment=environment) as told:
        record = action.apply(confirm=name, progress=told)
    table = Table("", "step", "status", "took", "what went wrong", box=None, pad_edge=False)
    for row in record["steps"]:
        mark = Text("✕", style="bold red") if row["wrong"] else Text("✓", style="green")
        table.add_row(
            mark, Text(printable(row["step"])), ", ".join(map(str, row["status"])), f"{row['seconds']:.2f} s", "; ".join(row["wrong"])
        )
    out.print(table)
    bad = sum(bool(row["wrong"]) for row in record["steps"])
    if record["broken_off"]:
        out.print(Text(printable(record["broken_off"]), style="bold red"))
    removed = sum(record["removed"].values())
    out.print(f"{len(record['steps']) - bad} of {len(action.spec.steps)} steps went well; {removed} rows removed, none left.")
    raise typer.Exit(errors.EXIT_FAILED if bad or record["broken_off"] else errors.EXIT_PASSED)
