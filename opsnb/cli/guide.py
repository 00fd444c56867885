"""``opsnb lint``: what in a runbook cannot work, cannot fail, or contradicts itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from opsnb.cli.shared import app, autostart, out
from opsnb.config import find_root

SEVERITIES = {"error": ("✘", "bold red"), "warning": ("▲", "yellow"), "note": ("–", "dim")}
KINDS: tuple[Literal["check", "action", "attestation", "impossible"], ...] = ("check", "action", "attestation", "impossible")


@app.command("lint")
def lint_command(
    guide: Annotated[Path, typer.Argument(metavar="GUIDE.md", help="A runbook in Markdown.")],
    env: Annotated[str, typer.Option("--env", metavar="ENV", help="Its SQL is prepared there, never run.")] = "",
    boxes: Annotated[bool, typer.Option("--boxes", help="Every box as well: check, action, attestation or impossible.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Reads a runbook: commands that do not exist, SQL that does not prepare, checks that cannot fail, limits that differ.

    Exit: 0 nothing found, 1 findings, 2 usage.
    """
    from opsnb.evidence.safe import printable
    from opsnb.guide import grammar
    from opsnb.guide.reading import judge

    root = None
    if env:
        root = find_root()
        autostart(env, root)
    judged = judge(guide, environment=env, root=root)
    if as_json:
        typer.echo(json.dumps(judged.for_machines(), indent=1, ensure_ascii=False))
        raise typer.Exit(int(bool(judged.findings)))
    table = Table("line", "", "what stands there", "what is wrong with it", box=None, pad_edge=False, padding=(0, 1))
    table.columns[0].justify = "right"
    for finding in judged.findings:
        shape, style = SEVERITIES[finding.severity]
        said = Text(printable(finding.sentence))
        if finding.instead:
            said.append(f"\n→ {printable(finding.instead)}", style="dim")
        what = Text.assemble((f"{finding.rule}\n", "dim"), printable(finding.text))
        table.add_row(str(finding.line), Text(shape, style=style), what, said)
    if judged.findings:
        out.print(table)
    if boxes:
        shown = Table("line", "kind", "box", "why", box=None, pad_edge=False, padding=(0, 1))
        for box in judged.boxes:
            shown.add_row(str(box.line), box.kind, Text(printable(box.text)), Text(box.why, style="dim"))
        out.print(shown)
    kinds = Counter(box.kind for box in judged.boxes)
    severities = Counter(finding.severity for finding in judged.findings)
    asked = f"prepared on {env}" if env else "read, not shown to a server (--env)"
    out.print(f"{judged.commands} commands (grammar of the client, version {grammar.version()}), {judged.statements} statements ({asked}), "
              f"{len(judged.boxes)} boxes: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)}.", soft_wrap=True)  # fmt: skip
    out.print(f"{severities['error']} errors, {severities['warning']} warnings.", style="bold")
    raise typer.Exit(int(bool(judged.findings)))
