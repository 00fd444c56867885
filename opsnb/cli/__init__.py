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
    keeping,
    local,
    runs,
    sealing,
    walking,
    watching,
    wayback,
    window,
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
    "keeping",
    "local",
    "main",
    "runs",
    "sealing",
    "walking",
    "watching",
    "wayback",
    "window",
]


PANELS = {
    "The first day": ("init", "doctor", "lint"),
    "The runbook": ("run", "lab", "demo", "explain", "fleet", "announce", "window", "cleanup", "journey"),
    "The way back": ("snapshot", "rehearse", "rollback", "functions"),
    "Unattended": ("monitor", "watch", "schedule", "replay", "logs"),
    "What people say, and what is kept": ("status", "attest", "accept", "withdraw", "signoff", "verify", "keygen", "history", "retention"),
    "What is compared with, and the embedded target": ("schema", "local"),
}
"""How ``opsnb --help`` shows the commands."""
_ORDER = [name for names in PANELS.values() for name in names]


def _name(name: object, callback: object) -> str:
    return str(name or getattr(callback, "__name__", ""))


def _arrange() -> None:
    panel_of = {name: panel for panel, names in PANELS.items() for name in names}
    for command in app.registered_commands:
        command.rich_help_panel = panel_of[_name(command.name, command.callback)]
    for group in app.registered_groups:
        group.rich_help_panel = panel_of[_name(group.name, None)]
    app.registered_commands.sort(key=lambda command: _ORDER.index(_name(command.name, command.callback)))


_arrange()


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
    except KeyboardInterrupt:  # before a command had begun
        err.print("stopped")
        raise SystemExit(errors.EXIT_STOPPED) from None
    finally:
        # the command has ended: a Ctrl-C while Python puts its things away must not change how
        for late in (signal.SIGINT, signal.SIGTERM):
            signal.signal(late, signal.SIG_IGN)
