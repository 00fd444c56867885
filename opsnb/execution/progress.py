"""What a person sees while phases run, and the table at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from opsnb.board import terminal
from opsnb.board.state import Board
from opsnb.execution.runner import PhaseEnd
from opsnb.execution.runner import Progress as Callback
from opsnb.runbook import notebook_of
from opsnb.verdicts import Gate

MARKS = {
    Gate.PASSED: "[green]✔ passed[/]",
    Gate.HELD: "[yellow]◐ held[/]",
    Gate.UNMEASURED: "[magenta]? unmeasured[/]",
    Gate.FAILED: "[red]✘ failed[/]",
}

WIDEST = max(len(str(gate)) for gate in Gate)


class _WithBoards(Progress):
    """The bar, and under it the boards of the windows that are watched meanwhile."""

    boards: Callable[[], Sequence[Board]] = staticmethod(tuple)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (terminal.shown(board) for board in self.boards())


class _Boards:
    """Looks at the boards once a second; where *console* is no terminal, it prints a line when something happened."""

    def __init__(self, look: Callable[[], Sequence[Board]], console: Console) -> None:
        self.now: Sequence[Board] = ()
        self._look, self._console = look, console
        self._lines = terminal.Lines()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="boards", daemon=True)

    def __enter__(self) -> _Boards:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(1.0):
            self.now = self._look()
            for board in () if self._console.is_terminal else self.now:
                if line := self._lines.of(board):
                    self._console.print(escape(line), soft_wrap=True)


@contextmanager
def phases(console: Console, names: Sequence[str], look: Callable[[], Sequence[Board]] = tuple) -> Iterator[Callback]:
    """A progress bar on *console*; yields the callback that moves it. *look*: the boards of the windows watched now."""
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with _WithBoards(*columns, console=console, transient=True) as bar, _Boards(look, console) as boards:
        bar.boards = lambda: boards.now
        task = bar.add_task("", total=len(names))
        running: list[str] = []

        def report(phase: str, end: PhaseEnd | None) -> None:
            if end is None:
                running.append(phase)
            else:
                running.remove(phase)
                bar.advance(task)
                padding = " " * (WIDEST - len(str(end.gate)))
                bar.console.print(f"{notebook_of(phase):15} {MARKS[end.gate]}{padding} {end.seconds:6.1f} s")
            bar.update(task, description=", ".join(running))

        yield report


def table(ends: Sequence[PhaseEnd]) -> Table:
    """The phases with verdict, time and the sentence that explains the verdict."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    for name in ("phase", "gate", "why"):
        shown.add_column(name, overflow="fold")
    for end in sorted(ends, key=lambda end: notebook_of(end.phase)):
        if end.gate is not Gate.PASSED:
            shown.add_row(notebook_of(end.phase), MARKS[end.gate], escape(end.sentence))
    return shown


def frame(data: pd.DataFrame, title: str) -> Table:
    """A DataFrame as a table of the terminal."""
    shown = Table(title=escape(title), title_justify="left", box=None)
    for column in data.columns:
        shown.add_column(escape(str(column)), justify="right" if pd.api.types.is_numeric_dtype(data[column]) else "left", overflow="fold")
    for row in data.itertuples(index=False):
        shown.add_row(*(escape("" if pd.isna(value) else str(value)) for value in row))
    return shown
