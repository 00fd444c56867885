"""``opsnb snapshot``, ``rehearse`` and ``functions archive``: something to come back to, and the proof that it can be."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from opsnb import errors
from opsnb.cli.capture import functions_app
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, autostart, confirmed, err, out
from opsnb.cli.steps import steps
from opsnb.config import find_root, load_environment, load_release, require_references, settings
from opsnb.evidence.safe import printable


@app.command()
def snapshot(environment: EnvironmentArgument, deployment: DeploymentOption = "") -> None:
    """Takes a snapshot to come back to: a consistent, encrypted dump, counts and fingerprints of the same moment, what no backup covers.

    It holds a transaction open for as long as pg_dump reads, and AccessShareLock on the tables of the release's schemas.
    """
    from opsnb.actions.snapshot import Snapshot
    from opsnb.evidence.display import seconds_text

    root = find_root()
    autostart(environment, root)
    action = Snapshot.open(environment, root=root, deployment=deployment)
    with steps(err, "snapshot", root=root, environment=environment) as told:
        kept = action.take(told)
    tables = list(kept.tables.values())
    rows = sum(int(each["rows"] or 0) for each in tables)
    size = sum(int(each["bytes"]) for each in kept.data["files"].values())
    seconds = kept.data["seconds"]
    out.print(Text(f"T0 {kept.data['at']} of {kept.data['database']}, PostgreSQL {kept.data['server']['version']}"))
    out.print(f"{len(tables)} tables, {rows:,} rows, {size / 2**20:,.1f} MB encrypted; dumped in {seconds_text(seconds['dump'])}, "
              f"encrypted in {seconds_text(seconds['encrypt'])}")  # fmt: skip
    for each in tables:
        if each["fingerprint"] is None:
            out.print(Text(f"  {each['table']}: fingerprint {each['why']}", style="yellow"))
    out.print(Text(_restorable(kept.data["restorable"])), soft_wrap=True)
    out.print(Text(_not_covered(kept.data["not_covered"])), soft_wrap=True)
    out.print(str(kept.folder), soft_wrap=True)
    out.print(Text(f"It counts once it was restored: opsnb rehearse {environment}", style="dim"))


@app.command()
def rehearse(environment: EnvironmentArgument, deployment: DeploymentOption = "") -> None:
    """Restores the newest snapshot into a scratch server, compares everything with T0, and times every step.

    Exit: 0 whole, 1 something differs or could not be restored.
    """
    from opsnb.actions.snapshot import Rehearsal
    from opsnb.evidence.display import seconds_text

    root = find_root()
    autostart(environment, root)
    action = Rehearsal.open(environment, root=root, deployment=deployment)
    with steps(err, "rehearsal", root=root, environment=environment) as told:
        found = action.run(told)
    table = Table("step", "took", box=None, pad_edge=False)
    for step, seconds in found["seconds"].items():
        table.add_row(step, seconds_text(seconds))
    table.add_row("all", seconds_text(sum(found["seconds"].values())), style="bold")
    out.print(table)
    equal = sum(each["state"] == "equal" for each in found["tables"])
    rows = sum(int(each["restored"] or 0) for each in found["tables"])
    out.print(f"{equal} of {len(found['tables'])} tables are equal to T0 ({rows:,} rows)")
    for each in found["tables"]:
        if each["state"] != "equal":
            out.print(Text(f"  {each['table']}: {each['state']} ({each['rows']} rows then, {each['restored']} restored)", style="red"))
    for name in found["not_restored"]:
        out.print(Text(f"  not restored: {printable(name)}", style="red"))
    for each in found["catalogue"][:20]:
        out.print(Text(f"  catalogue: {each['kind']} {printable(each['object'])} {each['change']}", style="red"))
    function = found["function"]
    if function["same"] is None:
        out.print(Text(f"no function was deployed again: {function['why']}", style="dim"))
    elif function["same"]:
        left = "; it could not be removed again: remove it by hand" if function["left"] else ""
        out.print(f"{function['function']} was deployed under a name of its own in {seconds_text(function['seconds'])}, "
                  f"the same by hash{left}", soft_wrap=True)  # fmt: skip
    else:
        out.print(Text(f"  {function['function']} was not deployed as archived: {printable(function['why'])}", style="red"))
    out.print(Text("The snapshot can be restored." if found["whole"] else "The snapshot cannot be restored whole.", style="bold"))
    raise typer.Exit(errors.EXIT_PASSED if found["whole"] else errors.EXIT_FAILED)


@functions_app.command("archive")
def functions_archive(
    environment: EnvironmentArgument,
    deployment: Annotated[str, typer.Option("--deployment", metavar="ID", help="A deployment; the newest open one by default.")] = "",
) -> None:
    """Keeps sources, bundle, settings and hash of every function that runs now. Run it before deploying: the platform keeps no history."""
    from opsnb.actions import functions_archive as action
    from opsnb.evidence import deployments
    from opsnb.sources import Doors

    root = find_root()
    autostart(environment, root)
    loaded = load_environment(environment, root)
    require_references(loaded, root)
    release = load_release(loaded.release, root)
    now = datetime.now(UTC)
    found = deployments.find_or_open(settings().reports_folder(root), loaded.name, release.name, identifier=deployment, now=now)
    doors = Doors(loaded, release, phase="archive", root=root)
    try:
        place = action.archive(doors, found)
    finally:
        doors.close()
    table = Table("function", "version", "verify_jwt", "files", "source", box=None, pad_edge=False)
    kept = action.archived(settings().reports_folder(root), environment).table
    for row in kept[kept["place"] == str(place)].itertuples(index=False):
        table.add_row(str(row.slug), str(row.version), str(row.verify_jwt), str(row.files), str(row.sha256)[:16])
    out.print(table)
    out.print(str(place), soft_wrap=True)


@app.command()
def rollback(
    environment: EnvironmentArgument,
    apply: Annotated[bool, typer.Option("--apply", help="Walk the way back; without it the plan is printed and nothing changes.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    point: Annotated[
        bool, typer.Option("--point-in-time", help="Let the platform take the whole project back to T0 first: every write since is lost.")
    ] = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why it is taken back; kept with the deployment.")] = "",
    deployment: DeploymentOption = "",
) -> None:
    """Plans the way back to the newest snapshot and, with --apply, walks it. Killed, it goes on where it was when it is given again.

    Rows written since the snapshot are exported, encrypted, before they go. Exit: 0 done or planned, 1 a step could not be done.
    """
    from opsnb.actions.rollback import Rollback
    from opsnb.evidence.display import seconds_text
    from opsnb.execution import progress

    root = find_root()
    if apply and (confirm or not sys.stdin.isatty()):
        confirm = confirmed(environment, confirm)
    autostart(environment, root)
    action = Rollback.open(environment, root=root, deployment=deployment, point=point)
    with steps(err, "looking at what differs from the snapshot", root=root, environment=environment) as told:
        planned = action.plan(told)
    out.print(progress.frame(planned.table, f"The way back to the snapshot {planned.snapshot}"))
    for table in sorted({*planned.lost, *planned.back}):
        lost, back = planned.lost.get(table, 0), planned.back.get(table, 0)
        out.print(Text(f"  {table}: {lost:,} rows written since would be lost (exported first), {back:,} come back"))
    for name in planned.gone:
        out.print(Text(f"  gone: {printable(name)}"))
    in_the_way = "other than it was" if action.point else "other than it was, and in the way"
    for name in planned.changed:
        out.print(Text(f"  {in_the_way}: {printable(name)}", style="red"))
    if not apply:
        out.print("Nothing was changed.")
        out.print(Text(f"To walk it: opsnb rollback {environment} --apply{' --point-in-time' if point else ''}", style="dim"))
        return
    confirm = confirmed(environment, confirm)
    with steps(err, "rollback", root=root, environment=environment) as told:
        action.apply(confirm=confirm, why=why, progress=told)
    for step, seconds in action.seconds.items():
        out.print(f"{step}: {seconds_text(seconds)}")
    out.print(Text(f"Taken back in {seconds_text(sum(action.seconds.values()))}. Prove access again: opsnb run {environment} --phase rls "
                   "--phase verify --phase rollback"), soft_wrap=True)  # fmt: skip


def _restorable(said: dict[str, Any]) -> str:
    """The platform's own way back, in a sentence."""
    state = said["point_in_time"]
    if state == "enabled":
        window = f"point in time from {said['earliest']} to {said['latest']}"
        return f"The platform can restore a {window}" + ("." if said["passed"] else ": not yet T0.")
    if state == "not enabled":
        newest = said["newest_backup"]
        return "The platform cannot go back to a point in time" + (
            f"; its newest backup is of {newest}." if newest else " and has no backup."
        )
    return f"What the platform could restore is not known: {said.get('why', state)}."


def _not_covered(said: dict[str, Any]) -> str:
    """What no backup holds, in a sentence."""
    functions, secrets, roles = said["functions"], said["secrets"], said["roles"]
    parts = [
        f"{len(functions)} functions (opsnb functions archive)" if functions is not None else "functions",
        f"the values of {secrets} variables" if secrets is not None else "values of variables",
        "files in storage",
        f"passwords of {len(roles)} roles" if roles is not None else "passwords of roles",
    ]
    return f"Not in this or any other backup: {', '.join(parts)}."
