"""What Ctrl-C (or a scheduler's SIGTERM) leaves of a command, in a sentence; exit code 130, as shells have it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from opsnb import errors

LEFT = {
    "snapshot": "a snapshot that was not finished counts for nothing and is not readable by anyone; take it again",
    "rehearse": "the scratch server and its copy are gone; the snapshot is as it was",
    "rollback": "what was done is kept in its journal: the same command with --apply goes on where it was",
    "cleanup": "it is one transaction, all of it or nothing: opsnb cleanup plans what is left",
    "journey": "its traces were removed as far as it got; the next journey removes what is left first",
    "logs": "what was collected is kept; the next one goes on where it was",
    "init": "no file was written half",
    "local": "opsnb local status says whether the target is up; opsnb local down ends it",
    "demo": "opsnb local status says whether the target is up; opsnb local down ends it",
}
"""Command → what is true of it wherever it was stopped."""


class Stoppable(TyperGroup):
    """The application: whatever is stopped says what is left of it."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; typer alone would say "Aborted" and exit as if a check had failed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from opsnb.cli.shared import err

            left = LEFT.get(ctx.invoked_subcommand or "", "nothing goes on behind it, and no file was written half")
            err.print(f"stopped: {left}", soft_wrap=True)
            raise typer.Exit(errors.EXIT_STOPPED) from None
