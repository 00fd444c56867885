"""``opsnb init`` and ``opsnb doctor``: the first day with a project of one's own."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from opsnb.cli.shared import app, autostart, err, out
from opsnb.config import find_root
from opsnb.errors import UsageError


@app.command("init")
def init_command(
    environment: Annotated[str, typer.Argument(metavar="[ENV]", help="The environment's name: that of the files to write.")] = "",
    dsn: Annotated[str, typer.Option("--dsn", metavar="REF", help="Where the database is: env:NAME or file:PATH.")] = "",
    project_ref: Annotated[str, typer.Option("--project-ref", metavar="REF", help="The platform's project: 20 letters.")] = "",
    token: Annotated[str, typer.Option("--token", metavar="REF", help="The platform's access token: env:NAME or file:PATH.")] = "",
    release: Annotated[str, typer.Option("--release", metavar="NAME", help="The release's name; the environment's by default.")] = "",
    platform_url: Annotated[str, typer.Option("--platform-url", metavar="URL", help="Of the management API, where it is another.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there; the old ones are kept as .bak.")] = False,
    role_sql: Annotated[bool, typer.Option("--role-sql", help="Print the SQL of a role that may only read, for review.")] = False,
) -> None:
    """Looks at a database and project, read-only, and writes an environment and a release file for them, with comments.

    Where there is no project here or above, this folder becomes one.
    """
    if role_sql:
        from opsnb.firstday import roles

        typer.echo(roles.role_sql())
        return
    if not environment or not dsn:
        raise UsageError("opsnb init ENV --dsn env:NAME: expected an environment's name, and a reference to where its database is")
    from opsnb.firstday.begin import begin
    from opsnb.firstday.project import furnish, root_or_here

    root, new = root_or_here()
    with err.status("looking"):
        begun = begin(
            root, environment, dsn=dsn, release=release, project_ref=project_ref, token=token, platform_url=platform_url, force=force
        )
    if notebooks := furnish(root) if new else 0:
        out.print(
            Text.assemble(("a new project in ", "dim"), str(root), (f", with the {notebooks} notebooks of the runbook", "dim")),
            soft_wrap=True,
        )
    found = begun.found
    guarded = sum(table.rls for table in found.tables.values())
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("server", f"PostgreSQL {found.server_version}, as {found.role}")
    table.add_row("schemas", ", ".join(found.schemas) or "none of its own")
    table.add_row("tables", f"{len(found.tables)}, {guarded} with row-level security")
    table.add_row("routines", str(len(found.routines)))
    if project_ref:
        table.add_row("functions", f"{len(found.functions)}, {len(found.secrets)} variables")
    out.print(table)
    for what in found.wanting:
        out.print(Text(f"not looked at: {what}", style="yellow"), soft_wrap=True)
    for file in begun.files:
        out.print(Text.assemble(("wrote ", "dim"), str(file.relative_to(root))), soft_wrap=True)
    out.print(f"{begun.to_confirm} lines are marked `confirm`: read them, they say what later runs call right.")
    out.print(escape(f"Then: opsnb doctor {environment}, and opsnb run {environment}"), style="bold")


@app.command()
def doctor(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="An environment: the name of a file in parameters/environments.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tries every setting of an environment, one by one, and says how to mend what does not work. Exit: 0 well, 1 something is not."""
    from opsnb.firstday.examining import examine
    from opsnb.firstday.finding import STATES

    root = find_root()
    autostart(environment, root)
    findings = []
    with err.status("trying") as status:
        for finding in examine(environment, root):
            findings.append(finding)
            status.update(f"tried {finding.what}")
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_json:
        typer.echo(json.dumps([finding.for_machines() for finding in findings], indent=1, ensure_ascii=False))
        raise typer.Exit(int(bool(broken)))
    table = Table("", "what", "found", box=None, pad_edge=False)
    for finding in findings:
        shape, style = STATES[finding.state]
        said = Text(finding.found)
        if finding.mend:
            said.append(f"\n→ {finding.mend}", style="bold" if finding.state == "broken" else "dim")
        table.add_row(Text(shape, style=style), finding.what, said)
    out.print(table)
    warned = sum(finding.state == "warning" for finding in findings)
    out.print(f"{len(findings)} tried: {len(broken)} do not work, {warned} could be better.")
    raise typer.Exit(int(bool(broken)))
