"""``opsnb monitor``, ``opsnb watch``, ``opsnb schedule``: the 24 hours after a deployment, unattended."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.markup import escape

from opsnb import errors
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, err, out
from opsnb.config import clock, find_root, load_alerts, load_environment, settings
from opsnb.errors import OpsnbError, UsageError
from opsnb.evidence import deployments
from opsnb.evidence.safe import jsonable

if TYPE_CHECKING:
    from opsnb.watching.service import Watch

NotifyOption = Annotated[
    bool,
    typer.Option(
        "--notify", help="Tell the environment's on_call addresses what the alerts say, and its dead man's switch that this lives."
    ),
]


@app.command()
def monitor(
    environment: EnvironmentArgument,
    deployment: DeploymentOption = "",
    due: Annotated[bool, typer.Option("--due", help="Only say whether a run is due: exit 0 where one is, 3 where none is.")] = False,
    notify: NotifyOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing where nothing was due.")] = False,
    slots: Annotated[bool, typer.Option("--slots", help="Only show the slots and what became of them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --slots: one JSON object a slot.")] = False,
) -> None:
    """Does the monitoring run that is due now, if one is, and ends: for any scheduler. Exit: that of the run; 0 where none is due."""
    from opsnb.watching import show, telling, timeline
    from opsnb.watching.plan import decide
    from opsnb.watching.service import known_environment, open_watch

    root = find_root()
    watch = open_watch(environment, root=root, deployment=deployment)
    if watch is None:
        if not quiet:
            out.print(_nothing_open(environment, deployment), soft_wrap=True)
        if notify and (trouble := telling.beat(known_environment(environment, root), well=True, root=root)):
            err.print(f"[red]✉[/] {escape(trouble)}", soft_wrap=True)
        raise typer.Exit(errors.EXIT_HELD if due else errors.EXIT_PASSED)
    now = clock.now()
    if slots and as_json:
        for row in watch.table(now).to_dict("records"):
            typer.echo(json.dumps(jsonable(row), ensure_ascii=False))
        raise typer.Exit(errors.EXIT_PASSED)
    if slots:
        out.print(show.live(watch.deployment.id, watch.table(now), now))
        raise typer.Exit(errors.EXIT_PASSED)
    if due:
        slot = decide(now, watch.desk.schedule, watch.desk.settled()).run
        out.print(f"{slot.key} is due since {slot.due:%H:%M} UTC" if slot else "nothing is due")
        raise typer.Exit(errors.EXIT_PASSED if slot else errors.EXIT_HELD)
    if decide(now, watch.desk.schedule, watch.desk.settled()).run is not None:
        autostart(environment, root)
    try:
        with err.status("looking at the schedule"):
            tick = watch.desk.tick()
    except (OpsnbError, OSError):
        if notify:
            _told(watch, False, root)
        raise
    lines, now = list(show.tick_lines(tick, len(watch.desk.schedule))), clock.now()
    page = None if tick.busy else timeline.write(watch, now)
    if notify and not tick.busy:
        lines += _told(watch, tick.well, root)
    for line in lines:
        out.print(line, soft_wrap=True)
    if lines or not quiet:
        out.print(show.heading(watch.deployment.id, watch.table(now), now), soft_wrap=True)
        if page is not None:
            out.print(escape(str(page)), soft_wrap=True)
    raise typer.Exit(tick.done.gate.exit_code if tick.done else errors.EXIT_PASSED)


@app.command()
def watch(environment: EnvironmentArgument, deployment: DeploymentOption = "", notify: NotifyOption = False) -> None:
    """Stays and does every monitoring run when it is due, until the schedule has ended. Ctrl-C ends it; begun again, it goes on."""
    from opsnb.verdicts import gate
    from opsnb.watching import follow, show, timeline
    from opsnb.watching.desk import Tick
    from opsnb.watching.service import open_watch

    root = find_root()
    status = ""
    found = open_watch(environment, root=root, deployment=deployment, began=lambda slot: update(f"{slot.key} is being run"))
    if found is None:
        out.print(_nothing_open(environment, deployment))
        raise typer.Exit(errors.EXIT_PASSED)
    autostart(environment, root)

    def update(now_doing: str = "") -> None:
        nonlocal status
        status = now_doing
        if screen is not None:
            screen.refresh()

    def ticked(tick: Tick) -> None:
        if screen is None:
            for line in show.tick_lines(tick, len(found.desk.schedule)):
                out.print(f"{clock.now():%Y-%m-%d %H:%M:%S} UTC {line}", soft_wrap=True)
        if tick.busy is None:
            timeline.write(found, clock.now())
            for line in _told(found, tick.well, root) if notify else []:
                out.print(line, soft_wrap=True)
        update(f"{tick.busy} is at it" if tick.busy else "")

    def shown() -> object:
        now = clock.now()
        return show.live(found.deployment.id, found.table(now), now, status=status)

    screen = Live(get_renderable=shown, console=out, refresh_per_second=0.5) if out.is_terminal else None  # type: ignore[arg-type]
    if screen is None:
        out.print(shown())
    try:
        with screen or nullcontext():
            follow.follow(
                found.desk, ticked=ticked, failed=lambda error: err.print(f"[red]not run:[/] {escape(str(error))}", soft_wrap=True)
            )
    except KeyboardInterrupt:
        err.print(f"stopped: begun again, opsnb watch {escape(environment)} goes on where it was")
        raise typer.Exit(errors.EXIT_STOPPED) from None
    result = found.judged(clock.now())
    out.print(f"[bold]{result.verdict}[/] {escape(result.summary)}", soft_wrap=True)
    out.print(escape(str(timeline.write(found, clock.now()))), soft_wrap=True)
    raise typer.Exit(gate([result.verdict]).exit_code)


@app.command()
def schedule(
    environment: EnvironmentArgument,
    scheduler: Annotated[str, typer.Option("--for", metavar="SCHEDULER", help="cron, systemd, kubernetes, airflow or github.")],
    into: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Write the files there; else they are printed.")] = None,
) -> None:
    """Prints what makes a scheduler call opsnb monitor ENV; nothing is installed."""
    from opsnb.watching import scheduling

    files = scheduling.files(environment, scheduler, root=find_root())
    for name, content in files.items():
        if into is None:
            if len(files) > 1:
                print(f"# ── {name} ──")
            print(content, end="")
        else:
            out.print(escape(str(scheduling.write(into / name, content))), soft_wrap=True)


@app.command()
def replay(
    environment: EnvironmentArgument,
    rules: Annotated[Path, typer.Option("--rules", metavar="FILE", help="Rules to try: YAML, as `alerts` of a release.")],
    deployment: DeploymentOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a notification.")] = False,
) -> None:
    """Tells what rules of alerts would have said over a deployment's archived runs. Nothing is asked, nothing is sent."""
    from opsnb.watching import show, telling
    from opsnb.watching.service import require_known_checks

    root = find_root()
    said = load_alerts(rules)
    require_known_checks(said, str(rules), "rules")
    reports = settings().reports_folder(root)
    load_environment(environment, root)
    known = deployments.all_deployments(reports, environment)
    if not known:
        raise UsageError(f"the environment {environment} has no deployment in {reports}: there is nothing to replay")
    chosen = deployments.find(reports, environment, deployment) if deployment else known[0]
    told, slots = telling.replay(chosen, said)
    if as_json:
        for notice in told:
            typer.echo(json.dumps(jsonable(asdict(notice)), ensure_ascii=False))
        return
    out.print(show.replayed(told))
    out.print(f"{len(told)} notifications over {slots} slots of {escape(chosen.id)}; nothing was sent.", soft_wrap=True)


def _told(watch: Watch, well: bool, root: Path) -> list[str]:
    """What people were told, and the dead man's switch; a line each, as markup."""
    from opsnb.watching import telling

    try:
        lines = [f"[yellow]✉[/] {escape(line)}" for line in telling.tell(watch, root=root, now=clock.now())]
    except OpsnbError as error:  # the run counts whatever became of its message, which is kept
        lines = [f"[red]✉[/] {escape(str(error))}"]
    trouble = telling.beat(watch.environment, well=well, root=root)
    return [*lines, f"[red]✉[/] {escape(trouble)}"] if trouble else lines


def _nothing_open(environment: str, deployment: str) -> str:
    if deployment:
        return f"The deployment {escape(deployment)} is closed: nothing is due."
    return f"No deployment into {escape(environment)} is open: nothing is due. One is opened by opsnb run {escape(environment)}."
