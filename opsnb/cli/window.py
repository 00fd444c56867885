"""``opsnb window``: the deployment window, watched live; looked on at from elsewhere; ended early."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.live import Live

from opsnb import errors
from opsnb.cli.runs import run_phases
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, err, out
from opsnb.config import find_root, load_environment
from opsnb.errors import ActionRefused, UsageError


@app.command()
def window(
    environment: EnvironmentArgument,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long to watch; else as the environment says.")] = None,
    look: Annotated[bool, typer.Option("--look", help="Only look on at the window that is watched elsewhere, until it ends.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the window that is watched elsewhere, early; its verdict says so.")] = False,
    deployment: DeploymentOption = "",
) -> None:
    """Runs phase 07 with its live board. Ctrl-C ends the window early, and it is judged as what it was; a second one stops the run."""
    root = find_root()
    load_environment(environment, root)
    if seconds is not None and (look or stop):
        raise UsageError("--seconds is for a window that is watched here: leave it out with --look and --stop")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds {seconds:g}: expected a number of seconds above 0")
    if stop:
        _stop(root, environment)
    elif look:
        raise typer.Exit(_look(root, environment))
    else:
        with _first_interrupt_ends(root, environment):
            code = run_phases(environment, ["window"], deployment, {} if seconds is None else {"probe_seconds": seconds})
        raise typer.Exit(code)


def _stop(root: Path, environment: str) -> None:
    from opsnb.board.places import under_way

    found = under_way(root, environment)
    if not found:
        raise ActionRefused(f"No window of {environment} is watched now: there is nothing to end.")
    for place in found:
        place.ask_to_stop()
    out.print("The window ends now; its verdict will say that it was cut short.")


def _look(root: Path, environment: str) -> int:
    from rich.console import Group

    from opsnb.board import terminal
    from opsnb.board.places import boards_now

    boards, lines = boards_now(root, environment), terminal.Lines()
    if not boards:
        out.print(f"No window of {environment} is watched now.", soft_wrap=True)
        return errors.EXIT_HELD
    newest = boards
    screen = (
        Live(get_renderable=lambda: Group(*map(terminal.shown, newest)), console=out, refresh_per_second=2) if out.is_terminal else None
    )
    with screen or nullcontext():
        while boards:
            newest = boards
            for board in () if screen else boards:
                if line := lines.of(board):
                    out.print(line, soft_wrap=True, markup=False)
            time.sleep(1.0)
            boards = boards_now(root, environment)
    out.print("The watch has ended; its verdict stands in the report of phase 07.")
    return errors.EXIT_PASSED


@contextmanager
def _first_interrupt_ends(root: Path, environment: str) -> Iterator[None]:
    """The first Ctrl-C asks the watch to end, where one is under way; the next one, or one before, stops the run."""
    from opsnb.board.places import under_way

    before = signal.getsignal(signal.SIGINT)

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        places = under_way(root, environment)
        if not places:
            raise KeyboardInterrupt
        for place in places:
            place.ask_to_stop()
        err.print("the window ends early, and is judged as what it was; Ctrl-C once more stops the run")

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
