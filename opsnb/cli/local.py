"""``opsnb local …``: the embedded target."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

from opsnb.cli.shared import app, err, out
from opsnb.config import find_root

local_app = typer.Typer(help="The embedded target: real PostgreSQL, a platform, functions.", no_args_is_help=True)
app.add_typer(local_app, name="local")


@local_app.command("up")
def local_up(port: Annotated[int | None, typer.Option("--port", help="The platform's port; a free one by default.")] = None) -> None:
    """Starts the embedded target; does nothing where it is up."""
    from opsnb.local import target

    with err.status("starting the embedded target"):
        state = target.up(find_root(), port=port)
    out.print(escape(f"up at {state['platform_url']}"))


@local_app.command("down")
def local_down() -> None:
    """Stops the embedded target."""
    from opsnb.local import target

    target.down(find_root())
    out.print("down")


@local_app.command("status")
def local_status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs; shows the local target's own credentials.")] = False,
) -> None:
    """Says whether the embedded target runs and how to reach it."""
    from opsnb.local import target

    state = target.status(find_root())
    if as_json:
        print(json.dumps(state, indent=2))
        return
    for key, value in state.items():
        if key not in {"dsn", "access_token"}:
            out.print(f"{key:14} {escape(str(value))}")


@local_app.command("fault")
def local_fault(name: Annotated[str, typer.Argument(help="A fault; `list` names them.")]) -> None:
    """Breaks the embedded target in one named way; `opsnb local reset` mends it."""
    from opsnb.local import faults, target

    if name == "list":
        for fault in faults.FAULTS.values():
            out.print(f"{fault.name:22} {escape(fault.sentence)}")
        return
    target.fault(find_root(), name)
    out.print(escape(f"{name}: {faults.FAULTS[name].sentence}"))


@local_app.command("reset")
def local_reset() -> None:
    """Restores the embedded target: database, functions, secrets, logs and statistics."""
    from opsnb.local import target

    with err.status("restoring the embedded target"):
        target.reset(find_root())
    out.print("reset")
