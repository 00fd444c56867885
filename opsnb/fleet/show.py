"""What a person sees in the terminal while a fleet runs, and the roll-up at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from opsnb.evidence.safe import printable
from opsnb.fleet.rollup import BETTER, NEW, SAME, WORSE, Rollup, counts_text
from opsnb.fleet.target import ERROR, TargetEnd
from opsnb.runbook import notebook_of
from opsnb.verdicts import Gate

MARKS = {
    str(Gate.PASSED): ("✔", "green"),
    str(Gate.HELD): ("◐", "yellow"),
    str(Gate.UNMEASURED): ("?", "magenta"),
    str(Gate.FAILED): ("✘", "red"),
    ERROR: ("■", "bold magenta"),
}
TRENDS = {WORSE: "[red]▼ worse[/]", BETTER: "[green]▲ better[/]", SAME: "= same", NEW: "+ new", "": ""}
LEGEND = "✔ passed  ◐ held  ? unmeasured  ✘ failed  ■ ERROR  · not run"


def word(end: TargetEnd) -> str:
    """The word of a target with its shape and colour."""
    mark, style = MARKS[end.word]
    return f"[{style}]{mark} {end.word}[/]"


@contextmanager
def targets(console: Console, count: int) -> Iterator[Callable[[TargetEnd], None]]:
    """A progress bar on *console*; yields the callback that moves it and tells each target that ended."""
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("targets", total=count)

        def report(end: TargetEnd) -> None:
            bar.advance(task)
            padding = " " * (len("? unmeasured") - len(f"? {end.word}"))
            bar.console.print(f"{word(end)}{padding} {end.seconds:6.1f} s  {escape(end.environment)}", soft_wrap=True)

        yield report


def table(rollup: Rollup) -> Table:
    """Targets × phases, worst first: a shape a phase, how many checks need a person, the trend."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("gate", no_wrap=True)
    shown.add_column("target", overflow="fold")
    for phase in rollup.run.phases:
        shown.add_column(notebook_of(phase).partition("_")[0] if len(rollup.run.phases) > 4 else phase, no_wrap=True)
    trends = any(row.trend for row in rollup.rows)
    shown.add_column("to look at", overflow="fold")
    if trends:
        shown.add_column("trend", no_wrap=True)
    shown.add_column("s", justify="right", no_wrap=True)
    for row in rollup.rows:
        ended = {phase.phase: phase.gate for phase in row.end.phases}
        cells = [_cell(ended.get(phase)) for phase in rollup.run.phases]
        trend = [TRENDS[row.trend]] if trends else []
        shown.add_row(word(row.end), escape(row.end.environment), *cells, counts_text(row.end.counts), *trend, f"{row.end.seconds:.1f}")
    for target in rollup.waiting:
        shown.add_row("· not run", escape(target))
    return shown


def reasons(rollup: Rollup) -> Table:
    """Why targets did not pass, a sentence each, worst first, and what they were before; those with one reason share a line."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column("target", overflow="fold", style="bold", max_width=32)
    shown.add_column("why", overflow="fold")
    told: dict[str, list[str]] = {}
    for row in rollup.rows:
        sentences = [row.end.why, f"({row.was})" if row.was else ""]
        if any(sentences):
            told.setdefault(" ".join(filter(None, sentences)), []).append(row.end.environment)
    for sentence, names in told.items():
        shown.add_row(escape(", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")), escape(printable(sentence)))
    return shown


def _cell(gate: str | None) -> str:
    if gate is None:
        return "[dim]·[/]"
    mark, style = MARKS[gate]
    return f"[{style}]{mark}[/]"
