"""``opsnb fleet run``: the phases for many environments."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.markup import escape

from opsnb import errors
from opsnb.cli.runs import GATE_STYLES
from opsnb.cli.shared import app, err, out
from opsnb.config import find_root
from opsnb.errors import UsageError

fleet_app = typer.Typer(help="Many environments at once: each in a process of its own, one page over all.", no_args_is_help=True)
app.add_typer(fleet_app, name="fleet")


@fleet_app.callback()
def group() -> None:
    """Many environments at once: each in a process of its own, one page over all."""


@fleet_app.command("run")
def fleet_run(
    globs: Annotated[list[str], typer.Argument(metavar="GLOB…", help="Environments: a glob of their files or of their names.")],
    phase: Annotated[list[str] | None, typer.Option("--phase", metavar="NAME", help="A phase (rls, 06); repeat for several.")] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=256, help="Targets at a time; by default one a processor, 4 at most.")
    ] = min(4, os.cpu_count() or 1),
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="MINUTES", help="A target that takes longer is stopped and becomes an ERROR.")
    ] = 60,
    dask: Annotated[str, typer.Option("--dask", metavar="ADDRESS", help="Run them on the workers of this Dask scheduler.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest fleet run of these targets and phases.")] = False,
    reports: Annotated[
        str, typer.Option("--reports", metavar="URL", help="Copy the archive there as well (s3://bucket/prefix, file:///folder).")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The roll-up as JSON, and nothing else, on standard output.")] = False,
) -> None:
    """Runs phases for many environments; they only read. Exit: the worst: 0 passed, 1 failed, 2 usage, 3 held, 4 unmeasured."""
    from opsnb.fleet import run as running
    from opsnb.fleet import show
    from opsnb.fleet.executors import Dask, Local
    from opsnb.fleet.rollup import to_dict

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: expected minutes, more than 0")
    root = find_root()
    targets, phases = running.targets_of(globs, root), running.phases_of(phase or [])
    executor = Dask(dask) if dask else Local(workers)
    run = running.prepare(targets, phases, root, resume=resume, reports_url=reports)
    todo = running.unfinished(run)
    if resume:
        err.print(f"fleet run {run.id}: {len(targets) - len(todo)} of {len(targets)} targets have finished, {len(todo)} to run")
    try:
        with show.targets(err, len(todo)) as progress:
            rollup = running.execute(run, executor, root=root, timeout_s=timeout * 60, reports_url=reports, progress=progress)
    except KeyboardInterrupt:
        err.print("stopped: what ended is kept; the same command with --resume runs the rest")
        err.print(escape(str(running.page_of(run))), soft_wrap=True)
        raise typer.Exit(errors.EXIT_STOPPED) from None
    if as_json:
        typer.echo(running.as_json(to_dict(rollup)))
        raise typer.Exit(rollup.gate.exit_code)
    out.print(show.table(rollup))
    if len(phases) > 1 or any(row.end.word != "passed" for row in rollup.rows):
        out.print(show.LEGEND, style="dim")
    out.print(show.reasons(rollup))
    out.print(f"[bold {GATE_STYLES[rollup.gate]}]{rollup.gate}[/] (exit {rollup.gate.exit_code}): {escape(rollup.reason)}")
    if rollup.gone:
        out.print(f"in the run before, and not in this one: {escape(', '.join(rollup.gone))}")
    out.print(escape(str(running.page_of(run))), soft_wrap=True)
    raise typer.Exit(rollup.gate.exit_code)
