"""The documents say what is there: every check, every notebook, every command, every link."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import documents
import pytest
from typer.testing import CliRunner

import opsnb.checks  # noqa: F401  (registers every check)
from opsnb.cli import app
from opsnb.config import load_release
from opsnb.local.faults import FAULTS
from opsnb.runbook import ITEMS, NOTEBOOKS
from opsnb.verdicts import CHECKS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "reports" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_pages_about_checks_are_what_the_code_says() -> None:
    """The list, a page per check and the coverage are written from the checks, notebooks and items themselves."""
    there = {
        path: path.read_text(encoding="utf-8")
        for path in [*(ROOT / "docs" / "checks").glob("*.md"), *map((ROOT / "docs").joinpath, ("checks.md", "coverage.md"))]
    }
    assert there == documents.pages(), "run: python tests/documents.py"


def test_every_check_is_judged_and_says_what_failing_does() -> None:
    """None that no notebook asks; none that leaves the reader with a word alone."""
    assert set(documents.judged_in()) == set(CHECKS)
    told = {check.id: check.harm for check in CHECKS.values()}
    assert not [each for each, harm in told.items() if len(harm) < 40] and len(set(told.values())) == len(told)


def test_every_item_is_closed_by_something() -> None:
    """Also those that a release's tables answer."""
    rows = [line for line in documents.coverage_page().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(ITEMS) and not [row for row in rows if not row.split(" | ")[3].strip(" |")]


def test_every_automated_item_has_a_check() -> None:
    """No item of the runbook that claims to be automated is answered by nothing: the checks name it, or the release does."""
    release = load_release("patient-history", ROOT)
    named = {item for check in CHECKS.values() for item in check.items}
    named |= {item for table in release.schema_.tables.values() for item in (*table.items, *table.column_items)}
    missing = [item.id for item in ITEMS.values() if item.automated and item.id not in named]
    assert not missing


def test_every_named_item_exists() -> None:
    """No check answers an item the runbook does not have."""
    assert {item for check in CHECKS.values() for item in check.items} <= set(ITEMS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page exists."""
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"


def test_every_notebook_is_in_the_readme() -> None:
    """The README's table has the twelve, and no other."""
    assert set(re.findall(r"`(\d\d_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8"))) == set(NOTEBOOKS.values())


def commands() -> list[str]:
    """Every ``opsnb …`` line of a page, without its comment."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```\w*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found += [line.split("#")[0].strip() for line in block.splitlines() if line.startswith("opsnb ")]
    return sorted(set(found))


GROUPS = {group.name for group in app.registered_groups}


@pytest.mark.parametrize("command", commands())
def test_documented_commands_exist(command: str) -> None:
    """The command line knows every command and option a page shows."""
    words = command.split()[1:]
    path = [word for word in words if not word.startswith("-")]
    group = path[:2] if path[0] in GROUPS else [path[0]]
    answer = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert answer.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in answer.output
    if group == ["local", "fault"]:
        assert words[2] in {*FAULTS, "list"}


def test_make_targets_of_the_pages_exist() -> None:
    """Every ``make …`` a page names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"^make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_public_names_are_exactly_those_listed() -> None:
    """`opsnb.__all__` is what a notebook can use, and all of it can be had."""
    program = "import opsnb; print(all(hasattr(opsnb, name) for name in opsnb.__all__), set(opsnb.__all__) <= set(dir(opsnb)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "True"]
