"""Imports run one way, and each door has one keeper."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "opsnb"

# a room may import from itself and from the rooms named here
MAY_IMPORT = {
    "errors": set(),
    "facts": {"errors"},
    "verdicts": {"errors", "facts"},
    "config": {"errors", "facts", "verdicts"},
    "runbook": {"errors", "facts", "verdicts", "config"},
    "sources": {"errors", "facts", "verdicts", "config", "sql"},
    "checks": {"errors", "facts", "verdicts", "config"},
    "charts": {"errors", "facts", "verdicts", "config"},
    "evidence": {"errors", "facts", "verdicts", "config", "runbook", "charts"},
    "actions": {"errors", "facts", "verdicts", "config", "runbook", "charts", "checks", "sources", "evidence"},
    "phase": {"errors", "facts", "verdicts", "config", "runbook", "charts", "checks", "sources", "evidence", "actions"},
    "execution": {"errors", "facts", "verdicts", "config", "runbook", "charts", "checks", "sources", "evidence", "actions", "phase", "local"},
    "local": {"errors"},
    "cli": None,
    "__init__": None,
}
ONE_KEEPER = {"psycopg": {"sources", "local"}, "httpx": {"sources", "local"}, "papermill": {"execution"}, "typer": {"cli"}}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            if node.module == "opsnb":
                yield from (f"opsnb.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda value: str(value.relative_to(PACKAGE)) if isinstance(value, Path) else "")
def test_imports_run_one_way(room: str, path: Path) -> None:
    """No module imports a room that stands after its own."""
    allowed = MAY_IMPORT[room]
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "opsnb" and rest and allowed is not None:
            other = rest.split(".")[0]
            assert other == room or other in allowed, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("library", ONE_KEEPER)
def test_one_door_per_library(library: str) -> None:
    """A driver is imported by its keeper alone."""
    keepers = {room for room, path in modules() for name in imported(path) if name.split(".")[0] == library}
    assert keepers <= ONE_KEEPER[library]
    assert keepers, f"{library} is not imported at all: the rule has nothing to hold"


def test_only_config_reads_the_process_environment() -> None:
    """os.environ and os.getenv appear in opsnb/config alone."""
    readers = set()
    for room, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and isinstance(node.value, ast.Name) and node.value.id == "os":
                readers.add(room)
    assert readers == {"config"}


def test_modules_can_be_read_in_one_sitting() -> None:
    """No module is longer than 400 lines."""
    long = {str(path.relative_to(PACKAGE)): count for _, path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert not long
