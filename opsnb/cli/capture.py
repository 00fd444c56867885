"""``opsnb schema capture``, ``opsnb functions capture``: what later runs compare with, written beside the release."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from opsnb.cli.shared import EnvironmentArgument, app, autostart, out
from opsnb.config import find_root, load_environment, load_release, require_references
from opsnb.errors import UsageError

schema_app = typer.Typer(help="The database's catalogue: what it was when it was looked at.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")
functions_app = typer.Typer(help="The release's functions: what was reviewed.", no_args_is_help=True)
app.add_typer(functions_app, name="functions")

EverywhereOption = Annotated[
    bool, typer.Option("--everywhere", help="For every environment of the release, not for ENV alone: capture it where it was rehearsed.")
]


@schema_app.command("capture")
def schema_capture(environment: EnvironmentArgument, everywhere: EverywhereOption = False) -> None:
    """Writes the catalogue as it is now, one object a line: the baseline that the schema phase compares with."""
    from opsnb.evidence import baseline
    from opsnb.sources import Doors, catalogue

    root, loaded, release = _opened(environment)
    doors = Doors(loaded, release, phase="capture", root=root)
    try:
        facts = catalogue.read(doors.database)
        place = baseline.path_of(root, release.name, "" if everywhere else loaded.name)
        baseline.write(
            place, facts, environment=loaded.name, release=release.name, captured_at=datetime.now(UTC),
            server_version=str(facts.extra.get("server_version", "")),
        )  # fmt: skip
    finally:
        doors.close()
    out.print(escape(f"{len(facts):,} objects captured: {place.relative_to(root)}"), soft_wrap=True)
    out.print("Read the file before it is kept: what it says is what later runs call right.")


@functions_app.command("capture")
def functions_capture(environment: EnvironmentArgument, everywhere: EverywhereOption = False) -> None:
    """Writes the hashes of the functions that run now, as the sources that were reviewed."""
    from opsnb.evidence import manifest
    from opsnb.sources import Absent, Doors

    root, loaded, release = _opened(environment)
    doors = Doors(loaded, release, phase="capture", root=root)
    try:
        if isinstance(doors.platform, Absent):
            raise UsageError(f"{doors.platform.why}: there are no functions to capture")
        running = doors.platform.functions().table.set_index("slug")
        found: dict[str, Any] = {}
        for slug in release.functions:
            source = doors.platform.function_source(slug).table
            row = running.loc[slug]
            files = dict(zip(source["path"], source["sha256"], strict=True))
            jwt = row["verify_jwt"]
            found[slug] = {
                "version": int(row["version"]), "verify_jwt": None if jwt is None or jwt != jwt else bool(jwt),
                "source_sha256": manifest.source_hash(files.items()), "files": files,
            }  # fmt: skip
    finally:
        doors.close()
    if not found:
        raise UsageError(f"release {release.name}: it names no function, so there is nothing to capture")
    place = manifest.path_of(root, release.name, "" if everywhere else loaded.name)
    manifest.write(place, found, release=release.name, environment=loaded.name, captured_at=datetime.now(UTC))
    out.print(escape(f"{len(found)} functions captured: {place.relative_to(root)}"), soft_wrap=True)


def _opened(environment: str) -> tuple[Path, Any, Any]:
    root = find_root()
    autostart(environment, root)
    loaded = load_environment(environment, root)
    require_references(loaded, root)
    return root, loaded, load_release(loaded.release, root)
