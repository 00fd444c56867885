"""``opsnb attest``, ``accept``, ``withdraw`` and ``status``: what named persons say of a deployment, and what is open."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from opsnb.cli.shared import app, out
from opsnb.config import Release, SaidOfItem, find_root, load_release, read_statements, settings
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.safe import printable
from opsnb.runbook import ITEMS, PHASES

if TYPE_CHECKING:
    from opsnb.evidence.attestations import Meaning, Planned

DeploymentArgument = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="A deployment's identifier, or an environment: its newest open deployment.")
]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so: the printed name.")]
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help="In which role.")]
STYLES = {"PASS": "green", "attested": "green", "WARN": "yellow", "FAIL": "bold red", "ERROR": "magenta", "INCONCLUSIVE": "cyan"}


@app.command()
def attest(
    deployment: DeploymentArgument,
    item: Annotated[str, typer.Argument(metavar="[ITEM]", help="An item of the runbook, POST-4.2 for example.")] = "",
    by: ByOption = "",
    role: RoleOption = "",
    statement: Annotated[str, typer.Option("--statement", metavar="TEXT", help="What was done or seen, in words.")] = "",
    meaning: Annotated[str, typer.Option("--meaning", metavar="M", help="performed, reviewed, approved or refused.")] = "approved",
    document: Annotated[Path | None, typer.Option("--document", metavar="FILE", help="A document to file with it.")] = None,
    expires: Annotated[str, typer.Option("--expires", metavar="DATE", help="The last day it holds, 2026-12-31 for example.")] = "",
    evidence: Annotated[str, typer.Option("--evidence", metavar="DIGEST", help="What was looked at, as `opsnb status` shows it.")] = "",
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Many statements at once: YAML.")] = None,
) -> None:
    """Files the statement of a named person about an item that no program can see. At a terminal, what is missing is asked for.

    Nothing is ever overwritten.
    """
    from opsnb.evidence import attestations

    root = find_root()
    found = _deployment(deployment, root)
    release = load_release(found.release, root)
    if file is not None:
        if item:
            raise UsageError("--file holds the items; name none beside it")
        said, folder = read_statements(file), file.parent
    else:
        if not (item and by and role and statement) and sys.stdin.isatty():
            from opsnb.evidence import form

            asked = attestations.Planned(
                item, by, role, statement, _meaning(meaning), document, release.attestations.get(item), _day(expires), evidence
            )
            _file(found, [form.filled_in(found, asked, input, rules=release.attestations)])
            return
        said, folder = (_one(item, by, role, statement, meaning, expires, evidence),), Path()
    plan = [
        attestations.Planned(each.item, each.by, each.role, each.statement, each.meaning,
                             document if file is None else folder / each.document if each.document else None,
                             release.attestations.get(each.item), each.expires, each.evidence)
        for each in said
    ]  # fmt: skip
    _file(found, plan)


def _file(found: Deployment, plan: Sequence[Planned]) -> None:
    from opsnb.evidence import attestations

    for entry in attestations.attest_all(found, plan):
        out.print(escape(f"{entry.data['about']}: {entry.data['meaning']} by {entry.data['by']} (statement {entry.number})"))
    _after(found)


@app.command()
def accept(
    deployment: DeploymentArgument,
    check: Annotated[str, typer.Argument(metavar="CHECK", help="A check of the newest runs, pool.used for example.")],
    by: ByOption,
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why the risk is taken.")],
    expires: Annotated[str, typer.Option("--expires", metavar="DATE", help="The last day it is taken.")],
) -> None:
    """Accepts an INCONCLUSIVE or WARN, or a FAIL the release allows, as it is: the check keeps its verdict, the gate counts a warning."""
    from opsnb.evidence import attestations

    root = find_root()
    found = _deployment(deployment, root)
    release: Release = load_release(found.release, root)
    day = _day(expires)
    if day is None:
        raise UsageError("--expires: expected a day, 2026-12-31 for example")
    entry = attestations.accept(found, check, by=by, role=role, reason=reason, expires=day, fails=release.acceptable_failures)
    out.print(escape(f"{check} ({entry.data['evidence']}) accepted by {entry.data['by']} until {day} (statement {entry.number})"))
    _after(found)


@app.command()
def withdraw(
    deployment: DeploymentArgument,
    number: Annotated[int, typer.Argument(metavar="STATEMENT", help="The statement's number, as `opsnb status` shows it.")],
    by: ByOption,
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it no longer holds.")],
) -> None:
    """Takes a statement back, by another one that says why."""
    from opsnb.evidence import attestations

    found = _deployment(deployment, find_root())
    attestations.withdraw(found, number, by=by, role=role, reason=reason)
    out.print(f"statement {number} is withdrawn")
    _after(found)


@app.command()
def status(
    deployment: DeploymentArgument,
    everything: Annotated[bool, typer.Option("--all", help="Settled items as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What is open in a deployment, who can close it, and what persons said. Exit: 0 passed, 1 failed, 3 held, 4 unmeasured."""
    from opsnb.evidence import attestations
    from opsnb.evidence.display import SHAPES
    from opsnb.evidence.state import state_of

    found = _deployment(deployment, find_root())
    state = state_of(found)
    if as_json:
        typer.echo(json.dumps(state.for_machines(), indent=1, ensure_ascii=False))
        raise typer.Exit(state.gate.gate.exit_code)
    out.print(Text.assemble((found.id, "bold"), f"  {SHAPES[str(state.gate.gate)]} {state.gate.gate}"))
    out.print(Text(printable(state.gate.reason)))
    shown = [item for item in state.items if everything or item.is_open]
    if shown:
        table = Table("item", "state", "phase", "closed by" if not everything else "closed by, or what was said", box=None, pad_edge=False)
        for item in shown:
            mark = Text(f"{SHAPES.get(item.verdict, '')} {item.verdict}", style=STYLES.get(item.verdict, ""))
            table.add_row(item.id, mark, item.phase, Text(printable(item.closes or item.said)))
        out.print(table)
    settled = sum(not item.is_open for item in state.items)
    out.print(f"{len(state.items) - settled} open, {settled} settled of {len(state.items)} items.")
    if state.said.statements:
        table = Table("no.", "at (UTC)", "about", "meaning", "by", "state", box=None, pad_edge=False)
        for each in state.said.statements:
            by = f"{each.by}, {each.entry.data['role']}"
            table.add_row(str(each.entry.number), each.entry.at, each.item, each.meaning, Text(printable(by)), each.state)
        out.print(table)
    evidence = {phase: attestations.evidence_of(found, phase, state.runs)[:16] for phase in PHASES if phase in state.runs}
    out.print(Text("evidence: " + ", ".join(f"{phase} {digest}" for phase, digest in evidence.items()), style="dim"), soft_wrap=True)
    raise typer.Exit(state.gate.gate.exit_code)


def _after(deployment: Deployment) -> None:
    """Renders the pages anew and says where the deployment stands."""
    from opsnb.evidence import index
    from opsnb.evidence.state import state_of

    index.write_index(deployment)
    state = state_of(deployment)
    waiting = sum(item.is_open for item in state.items)
    out.print(Text(f"{deployment.id}: {state.gate.gate}, {waiting} items open"))


def _deployment(name: str, root: Path) -> Deployment:
    return deployments.named(settings().reports_folder(root), name)


def _one(item: str, by: str, role: str, statement: str, meaning: str, expires: str, evidence: str) -> SaidOfItem:
    """The one statement of the options. It is judged as those of a file are."""
    if item not in ITEMS:
        raise UsageError(f"{item or 'ITEM'} is no item of the runbook; `opsnb status` lists those that are open")
    return SaidOfItem(
        item=item, by=_given(by, "--by"), role=_given(role, "--role"), statement=_given(statement, "--statement"),
        meaning=_meaning(meaning), expires=_day(expires), evidence=evidence,
    )  # fmt: skip


def _meaning(text: str) -> Meaning:
    from opsnb.evidence import attestations

    if text not in attestations.MEANINGS:
        raise UsageError(f"--meaning {text}: expected one of {', '.join(attestations.MEANINGS)}")
    return text


def _given(text: str, what: str) -> str:
    if not text.strip():
        raise UsageError(f"{what} is missing")
    return text


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None  # noqa: DTZ007  (a day, not a moment)
    except ValueError:
        raise UsageError(f"--expires {text}: expected a day, 2026-12-31 for example") from None
