"""``opsnb explain``, ``history`` and ``retention``: what is asked, what changed since the deployment before, how long evidence is kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from opsnb.cli.attesting import STYLES, ByOption, RoleOption
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, confirmed, out
from opsnb.config import find_root, load_environment, settings
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.safe import printable
from opsnb.evidence.tables import size_text


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A check or an item of the runbook: access.no_excess, S6-5.")],
) -> None:
    """Says what a check or an item is about: what it decides, against which limits, and what to do when it does not pass."""
    import opsnb.checks  # noqa: F401  (registers every check)
    from opsnb.evidence import explaining

    out.print(Text(explaining.explain(name).text), soft_wrap=True)


@app.command()
def history(
    environment: EnvironmentArgument,
    deployment: DeploymentOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="Instead: every figure of its runs, as a table.")
    ] = None,
) -> None:
    """Compares a deployment with the earlier ones of its release: what is new or worse, what is mended, which checks got slower."""
    from opsnb.evidence import measured
    from opsnb.evidence.history import compare

    reports = settings().reports_folder(find_root())
    found = deployments.find(reports, environment, deployment) if deployment else deployments.named(reports, environment)
    if parquet is not None:
        out.print(Text(str(measured.write(found, parquet))), soft_wrap=True)
        return
    told = compare(found)
    if as_json:
        print(json.dumps(_json(found.id, told), indent=1))
        return
    out.print(Text(f"{found.id}: {told.sentence}"))
    changes = [*told.worse, *told.mended, *told.no_longer_judged]
    if changes:
        table = Table("was", "now", "check", "finding", box=None, pad_edge=False)
        for each in changes:
            was, now = each.was or "not judged", each.now or "not judged"
            words = Text(printable(f"{each.phase}/{each.check}")), Text(printable(each.summary))
            table.add_row(Text(was, style=STYLES.get(was, "dim")), Text(now, style=STYLES.get(now, "dim")), *words)
        out.print(table)
    if told.slower:
        table = Table("took", "median before", "n", "times", "check", box=None, pad_edge=False)
        for slow in told.slower:
            table.add_row(
                f"{slow.seconds:.2f} s", f"{slow.median_s:.2f} s", str(slow.n), f"{slow.ratio:.1f}", Text(f"{slow.phase}/{slow.check}")
            )
        out.print(table)


@app.command()
def retention(
    environment: EnvironmentArgument,
    hold: Annotated[str, typer.Option("--hold", metavar="DEPLOYMENT", help="Keep this deployment however old it gets.")] = "",
    release: Annotated[str, typer.Option("--release-hold", metavar="DEPLOYMENT", help="End its hold.")] = "",
    by: ByOption = "",
    role: RoleOption = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is held, or no longer.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Remove; without it the plan is printed and nothing changes.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", metavar="ENV", help="The environment's name, where nobody types it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The plan, for scripts.")] = False,
) -> None:
    """Plans what is removed from the archive when its time is over (`retention_years`, six by default); --apply removes it."""
    from opsnb.evidence import index, retention

    root = find_root()
    years = load_environment(environment, root).retention_years
    reports, now = settings().reports_folder(root), datetime.now(UTC)
    if sum((bool(hold), bool(release), apply)) > 1:
        raise UsageError("--hold, --release-hold and --apply: one at a time")
    if hold or release:
        said = retention.hold if hold else retention.release
        entry = said(reports, environment, hold or release, by=by, role=role, reason=reason, now=now)
        out.print(Text(f"{hold or release}: {entry.kind} by {printable(by)}, number {entry.number} of the environment's record"))
        return
    if apply:
        name = confirmed(environment, confirm)
        if name != environment:
            raise UsageError(f"--confirm {name}: expected the environment's name, {environment}; nothing was changed")
        gone = retention.remove(reports, environment, years=years, by=by, role=role, now=now)
        if gone:
            index.render_environment_index(reports, environment)
        out.print(f"{len(gone)} deployments removed, {size_text(sum(gone.values()))}; record.jsonl says which, and who.")
        return
    planned = retention.plan(reports, environment, years=years, now=now)
    if as_json:
        print(json.dumps([_planned(kept) for kept in planned], indent=1))
        return
    table = Table("deployment", "size", "sealed", "what becomes of it", box=None, pad_edge=False)
    for kept in planned:
        fate = (
            Text(f"removed: its {years:g} years ended on {kept.due:%Y-%m-%d}", style="bold red") if kept.goes else Text(printable(kept.why))
        )
        table.add_row(kept.deployment.id, size_text(kept.bytes), "yes" if kept.sealed else "no", fate)
    out.print(table)
    number = sum(kept.goes for kept in planned)
    out.print(f"{number} of {len(planned)} would be removed" + ("; --apply removes them." if number else "."))


def _json(name: str, told: Any) -> dict[str, Any]:
    return {
        "deployment": name, "compared_with": told.before.id if told.before else None, "sentence": told.sentence,
        **{key: [asdict(each) for each in getattr(told, key)] for key in ("worse", "mended", "no_longer_judged", "slower")},
    }  # fmt: skip


def _planned(kept: Any) -> dict[str, Any]:
    return {
        "deployment": kept.deployment.id, "goes": kept.goes, "why": kept.why, "due": kept.due.isoformat(), "files": kept.files,
        "bytes": kept.bytes, "sealed": kept.sealed,
    }  # fmt: skip
