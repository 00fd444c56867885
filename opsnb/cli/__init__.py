"""The command line. One module per group of commands; `main` is what ``opsnb`` runs."""

from __future__ import annotations

import signal

from rich.markup import escape

from opsnb import errors
from opsnb.cli import (
    announcing,
    attesting,
    capture,
    cleaning,
    collecting,
    firstday,
    fleet,
    guide,
    local,
    runs,
    sealing,
    walking,
    watching,
    wayback,
)
from opsnb.cli.shared import app, err
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, UsageError

__all__ = [
    "announcing",
    "app",
    "attesting",
    "capture",
    "cleaning",
    "collecting",
    "firstday",
    "fleet",
    "guide",
    "local",
    "main",
    "runs",
    "sealing",
    "walking",
    "watching",
    "wayback",
]


def main() -> None:
    """The entry point: an error of ours is one sentence, never a traceback."""
    # a scheduler's stop leaves what Ctrl-C leaves: reports, and no process behind
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except UsageError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_USAGE) from None
    except (ActionRefused, ActionFailed) as error:
        err.print(f"[bold red]{type(error).__name__}:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_FAILED) from None
    except OpsnbError as error:
        err.print(f"[bold magenta]{type(error).__name__}:[/] {escape(str(error))}", soft_wrap=True)
        raise SystemExit(errors.EXIT_UNMEASURED) from None
    except KeyboardInterrupt:
        err.print("stopped")
        raise SystemExit(errors.EXIT_STOPPED) from None
