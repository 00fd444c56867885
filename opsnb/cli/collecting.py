"""``opsnb logs``: collects the functions' logs into an archive of one's own, follows and searches them."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from opsnb import errors
from opsnb.cli.shared import EnvironmentArgument, app, autostart, err, out
from opsnb.cli.steps import steps
from opsnb.config import find_root, load_environment, load_release, require_references
from opsnb.errors import UsageError
from opsnb.evidence.safe import printable

if TYPE_CHECKING:
    import pandas as pd

logs_app = typer.Typer(help="The functions' logs: collected, followed, searched. Texts are kept as templates, without names and values.",
                       no_args_is_help=True)  # fmt: skip
app.add_typer(logs_app, name="logs")

SinceOption = Annotated[float, typer.Option("--hours", metavar="N", help="So many hours back.")]
STYLES = {"error": "red", "fatal": "bold red", "warning": "yellow"}
EVERY_S = 5.0


@logs_app.command("collect")
def logs_collect(
    environment: EnvironmentArgument,
    hours: Annotated[float, typer.Option("--hours", metavar="N", help="The first time: so many hours back; then from where it was.")] = 24,
    keep_days: Annotated[float, typer.Option("--keep-days", metavar="N", help="Older hours are listed and, with --apply, removed.")] = 0,
    apply: Annotated[bool, typer.Option("--apply", help="Remove what --keep-days names.")] = False,
) -> None:
    """Keeps every line of the functions' logs: each once, complete across the platform's row cap, also after it was killed."""
    from opsnb.collecting import collect as collecting
    from opsnb.sources.kept_logs import folder_of

    root, kept, mark = _collected(environment, hours)
    folder = folder_of(root, environment)
    out.print(f"{kept:,} new lines; complete up to {mark:%Y-%m-%d %H:%M:%S} UTC, in {folder.relative_to(root)}")
    if keep_days > 0:
        old = collecting.prunable(folder, before=datetime.now(UTC) - timedelta(days=keep_days))
        if old and apply:
            for path in old:
                shutil.rmtree(path)
        out.print(f"{len(old)} hours are older than {keep_days:g} days" + ("; removed." if apply and old else ". Nothing was removed."))


@logs_app.command("search")
def logs_search(
    environment: EnvironmentArgument,
    words: Annotated[str, typer.Argument(metavar="[TEXT]", help="A key event or part of a line, in any case; all without.")] = "",
    hours: SinceOption = 24,
    function: Annotated[str, typer.Option("--function", metavar="NAME", help="Lines of one function.")] = "",
    level: Annotated[str, typer.Option("--level", metavar="LEVEL", help="error, warning, info …")] = "",
    most: Annotated[int, typer.Option("--most", metavar="N", help="How many lines are shown, the newest ones.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Finds lines in the archive, without the platform. Exit: 0 found, 1 nothing found."""
    from opsnb.collecting import collect as collecting
    from opsnb.sources.kept_logs import folder_of

    root = find_root()
    load_environment(environment, root)
    folder = folder_of(root, environment)
    if not folder.is_dir():
        raise UsageError(f"{folder.relative_to(root)}: nothing was collected yet; opsnb logs collect {environment}")
    table = collecting.read(folder, since=datetime.now(UTC) - timedelta(hours=hours))
    found = _matching(table, words, function, level)
    for row in found.tail(most).to_dict("records"):
        if as_json:
            typer.echo(json.dumps({str(name): value for name, value in row.items()}, default=str, ensure_ascii=False))
        else:
            out.print(_line(row), soft_wrap=True)
    if not as_json:
        shown = f", the newest {most} shown" if len(found) > most else ""
        out.print(f"{len(found):,} of {len(table):,} lines of the last {hours:g} hours{shown}")
    raise typer.Exit(errors.EXIT_PASSED if len(found) else errors.EXIT_FAILED)


@logs_app.command("follow")
def logs_follow(
    environment: EnvironmentArgument,
    words: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only lines with it.")] = "",
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", help="End after so many seconds; 0: when you end it.")] = 0,
) -> None:
    """Collects every few seconds and shows what is new, all functions in one terminal. Ctrl-C ends it."""
    from opsnb.collecting import collect as collecting
    from opsnb.sources.kept_logs import folder_of

    ends = time.monotonic() + seconds if seconds else None
    shown: set[str] = set()
    begun = datetime.now(UTC) - timedelta(minutes=1)
    while True:
        root, _, _ = _collected(environment, 0.1)
        table = _matching(collecting.read(folder_of(root, environment), since=begun), words, "", "")
        for row in table[~table["id"].isin(shown)].to_dict("records"):
            out.print(_line(row), soft_wrap=True)
        shown |= set(table["id"])
        if ends is not None and time.monotonic() >= ends:
            return
        time.sleep(EVERY_S if ends is None else min(EVERY_S, max(0.0, ends - time.monotonic())))


@logs_app.command("query")
def logs_query(
    environment: EnvironmentArgument,
    name: Annotated[str, typer.Argument(metavar="STATEMENT", help="One of opsnb/sql/logs, such as function_calls.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the statement, as JSON.")
    ] = None,
    hours: SinceOption = 1,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Its end, ISO 8601 with a zone; now.")] = "",
    archive: Annotated[
        bool, typer.Option("--archive", help="Of the archive alone, without any system; up to where it is complete.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Asks the logs one of the statements the checks use: the platform, your ClickHouse server, or the archive of `logs collect`."""
    from opsnb.sources import Absent, Doors
    from opsnb.sources.kept_logs import complete, folder_of

    root = find_root()
    if not archive:
        autostart(environment, root)
    loaded = load_environment(environment, root)
    end = _moment(until) if until else datetime.now(UTC) - timedelta(seconds=loaded.log_delay_s)
    if archive and not until and (held := complete(folder_of(root, environment))):
        end = held.until
    doors = Doors(loaded, load_release(loaded.release, root), phase="logs", root=root)
    try:
        logs = doors.archived_logs(only_kept=True) if archive else doors.logs
        if isinstance(logs, Absent):
            raise UsageError(f"environment {environment}: it names neither a platform nor logs")
        table = logs.query(name, end - timedelta(hours=hours), end, **dict(map(_setting, settings or ()))).table
    finally:
        doors.close()
    if as_json:
        for row in table.to_dict("records"):
            typer.echo(json.dumps(row, default=str, ensure_ascii=False))
        return
    shown = Table(*table.columns, box=None, header_style="bold")
    for _, cells in table.astype(object).where(table.notna(), "").iterrows():
        shown.add_row(*(Text(printable(_cell(value))) for value in cells))
    out.print(shown)
    out.print(f"{len(table):,} rows, {end - timedelta(hours=hours):%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: expected NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _moment(text: str) -> datetime:
    moment: datetime | None = None
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.tzinfo is None:
        raise UsageError(f"--until {text}: expected a time with its zone, such as 2026-01-31T08:00:00Z")
    return moment.astimezone(UTC)


def _cell(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else f"{value:.1f}" if isinstance(value, float) else str(value)


def _collected(environment: str, hours: float) -> tuple[Path, int, datetime]:
    from opsnb.collecting.collect import bring_up
    from opsnb.sources import Doors

    root = find_root()
    autostart(environment, root)
    loaded = load_environment(environment, root)
    require_references(loaded, root)
    release = load_release(loaded.release, root)
    doors = Doors(loaded, release, phase="logs", root=root)
    until = datetime.now(UTC) - timedelta(seconds=loaded.log_delay_s)
    try:
        with steps(err, "collecting", root=root, environment=environment) as told:
            kept, mark = bring_up(
                doors, until, environment=loaded, release=release, root=root, hours=hours, wait_s=0,
                progress=told,
            )  # fmt: skip
        return root, kept, mark
    finally:
        doors.close()


def _matching(table: pd.DataFrame, words: str, function: str, level: str) -> pd.DataFrame:
    if words:
        in_text = table["text"].astype(str).str.contains(words, case=False, regex=False)
        table = table[in_text | table["events"].astype(str).str.contains(words, case=False, regex=False)]
    if function:
        table = table[table["function"] == function]
    return table[table["level"].astype(str).str.lower() == level.lower()] if level else table


def _line(row: Mapping[Hashable, Any]) -> Text:
    """One archived line for a terminal: what strangers wrote is shown as text."""
    import pandas as pd

    timed = f"{row['status']} in {row['ms']:.0f} ms" if pd.notna(row["ms"]) else ""
    level = str(row["level"] or "")
    return Text.assemble(
        (f"{pd.Timestamp(row['timestamp']):%Y-%m-%d %H:%M:%S}Z ", "dim"), (f"{printable(row['function'])} ", "bold"),
        (f"{printable(level)} ", STYLES.get(level, "")), printable(row["text"] or timed),
        (f"  [{row['events']}]" if row["events"] else "", "cyan"),
    )  # fmt: skip
