"""The board in a terminal: a table that is redrawn; without a terminal, a line when something happened."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from opsnb.board.state import COUNTED, LOST, WATCHING, Board


def shown(board: Board) -> RenderableType:
    """Functions by what they answered, downtime against what is allowed, pools, time left. Said in words and marks, not in colour alone."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("function", overflow="ellipsis", no_wrap=True)
    for name in ("last", "s", "calls", *map(board.named, COUNTED)):
        table.add_column(name, justify="right")
    table.add_column("lately", no_wrap=True, overflow="crop")
    for line in board.lines:
        style = "" if not line.calls else "red" if line.lately.endswith(LOST) else "green"
        counts = (f"[bold red]{count}[/]" if count else "0" for count in line.counts)
        lately = Text(line.lately)
        lately.highlight_regex(f"{LOST}+", "red")
        table.add_row(escape(line.function), Text(line.status, style), f"{line.seconds:.2f}", str(line.calls), *counts, lately)
    return Group(Text(board.heading, style="bold red" if board.troubled else "bold" if board.state == WATCHING else ""), table)


class Lines:
    """For output that is no terminal: what is worth a line of a log, at once when counts move, else twice a minute."""

    EVERY_S = 30.0

    def __init__(self) -> None:
        self._counted: tuple[object, ...] = ()
        self._left_s: float | None = None

    def of(self, board: Board) -> str:
        """The line to print now; '' for none."""
        counted = (*(board.total(what) for what in COUNTED), board.state)
        due = self._left_s is None or self._left_s - board.left_s >= self.EVERY_S
        if counted == self._counted and not due:
            return ""
        self._counted, self._left_s = counted, board.left_s
        return board.heading
