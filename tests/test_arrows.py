"""Imports run one way, and each door has one keeper."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "opsnb"

# each room may import from itself and from those above it
LAYERS = (
    {"errors"},
    {"facts"},
    {"verdicts"},
    {"config", "runbook"},
    {"sources", "checks", "charts"},
    {"evidence"},
    {"actions", "board", "collecting", "guide"},
    {"questions"},
    {"phase"},
    {"execution", "local"},
    {"watching", "firstday"},
    {"fleet"},
    {"cli", "__init__"},
)
NEVER = {
    ("checks", "sources"),
    ("charts", "sources"),
    ("checks", "charts"),
    ("charts", "checks"),
    ("evidence", "sources"),
    ("evidence", "checks"),
}
LOCAL_MAY_IMPORT = {"errors"}


def allowed(room: str) -> set[str]:
    """The rooms that *room* may import from."""
    if room == "local":
        return LOCAL_MAY_IMPORT
    place = next(place for place, layer in enumerate(LAYERS) if room in layer)
    above = set().union(*LAYERS[: place + 1])
    return {other for other in above if (room, other) not in NEVER and (other != "local" or room in ("execution", "cli", "__init__"))}


ONE_KEEPER = {
    "psycopg": {"sources", "local"},
    "httpx": {"sources", "local"},
    "papermill": {"execution"},
    "typer": {"cli"},
    "distributed": {"fleet"},
    "fsspec": {"fleet"},
}


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


@pytest.mark.parametrize(("room", "path"), [pytest.param(room, path, id=str(path.relative_to(PACKAGE))) for room, path in modules()])
def test_imports_run_one_way(room: str, path: Path) -> None:
    """No module imports a room that stands after its own."""
    for name in imported(path):
        top, _, rest = name.partition(".")
        other = rest.split(".")[0]
        if top == "opsnb" and (PACKAGE / other).is_dir() | (PACKAGE / f"{other}.py").is_file() and other:
            assert other == room or other in allowed(room), f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("library", ONE_KEEPER)
def test_one_door_per_library(library: str) -> None:
    """A driver is imported by its keeper alone."""
    keepers = {room for room, path in modules() for name in imported(path) if name.split(".")[0] == library}
    assert keepers <= ONE_KEEPER[library]
    assert keepers, f"{library} is not imported at all: the rule has nothing to hold"


def test_only_config_reads_the_process_environment() -> None:
    """os.environ and os.getenv appear in opsnb/config alone; the embedded target hands its own on to the processes it starts."""
    readers = set()
    for room, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
            if named and isinstance(node.value, ast.Name) and node.value.id == "os":
                readers.add(room)
    assert readers - {"local"} == {"config"}


def test_modules_can_be_read_in_one_sitting() -> None:
    """No module is longer than 400 lines."""
    long = {str(path.relative_to(PACKAGE)): count for _, path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert not long


def test_no_question_hides_another() -> None:
    """Each group of questions has names of its own: of two with one name, a notebook would get the first."""
    from opsnb.questions import Questions
    from opsnb.questions.base import Base

    seen: dict[str, type] = {}
    for group in Questions.__bases__:
        for name in vars(group):
            if not name.startswith("__") and name not in vars(Base):
                assert name not in seen, f"{name} is asked by {group.__name__} and by {seen[name].__name__}"
                seen[name] = group


def test_no_two_test_modules_share_a_name() -> None:
    """Tests import their neighbours by bare name; of two modules with one name a whole run would take the first."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py") if path.name != "conftest.py"]
    doubled = sorted({name for name in names if names.count(name) > 1} - {"__init__.py", "__main__.py"})
    assert not doubled
