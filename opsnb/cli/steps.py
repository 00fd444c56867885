"""What a person sees while an action runs: its step, how long it has run, and how long it may take, from the time before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from opsnb.evidence.display import seconds_text
from opsnb.evidence.safe import write_atomic

MEMORY = Path(".opsnb") / "durations.json"


class Left(ProgressColumn):
    """What is left of *before* seconds; nothing where there was no time before."""

    def __init__(self, before: float | None) -> None:
        super().__init__()
        self._before = before

    def render(self, task: Task) -> Text:
        """``about 8.0 s left``."""
        if self._before is None or task.elapsed is None:
            return Text("")
        left = self._before - task.elapsed
        said = f"about {seconds_text(max(left, 0.1))} left" if left > 0 else f"longer than the {seconds_text(self._before)} of last time"
        return Text(said, style="dim")


@contextmanager
def steps(console: Console, what: str, *, root: Path, environment: str) -> Iterator[Callable[[str], None]]:
    """Shows the steps of *what*; yields what is called with each. How long it took is remembered where it came to its end."""
    key = f"{what} {environment}"
    began = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), Left(known(root).get(key)))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda step: bar.update(task, description=f"{what}: {escape(step)}")
    with suppress(OSError):  # a memory that cannot be kept is no reason to fail
        write_atomic(root / MEMORY, json.dumps({**known(root), key: round(time.monotonic() - began, 2)}, indent=1) + "\n")


def known(root: Path) -> dict[str, float]:
    """Action and environment → seconds of its last whole run; nothing where that cannot be read."""
    try:
        said = json.loads((root / MEMORY).read_text(encoding="utf-8"))
        return {str(key): float(seconds) for key, seconds in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
