"""docs/add-a-check.md is followed to the letter, in a copy of the project: the check is there, its test passes, its page shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from harness import REPOSITORY, process_environment

pytestmark = pytest.mark.target
PAGE = REPOSITORY / "docs" / "add-a-check.md"


def blocks() -> list[str]:
    return re.findall(r"^```(?:sql|python)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture
def copy(target: Path, tmp_path: Path) -> Path:
    """The project in a folder of its own, beside the session's target."""
    root = tmp_path / "a copy"
    for name in ("opsnb", "parameters", "notebooks", "tests"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    (root / ".opsnb").symlink_to(target / ".opsnb")
    return root


def python(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = process_environment(root, PYTHONPATH=str(root))
    return subprocess.run([sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_the_page_works(copy: Path) -> None:
    statement, function, test, line = blocks()
    (copy / "opsnb" / "sql" / "postgres" / "unused_indexes.sql").write_text(statement, encoding="utf-8")
    with (copy / "opsnb" / "checks" / "storage.py").open("a", encoding="utf-8") as module:
        module.write(f"\n\n{function}")
    path = copy / "tests" / "checks" / "test_unused_indexes.py"
    path.write_text(test, encoding="utf-8")
    assert len(function.splitlines()) <= 20
    ended = python(
        copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(copy), str(path)
    )
    assert ended.returncode == 0 and "1 passed" in ended.stdout, ended.stdout[-3000:] + ended.stderr[-2000:]

    notebook = copy / "notebooks" / "08_verify.ipynb"
    made = nbformat.read(notebook, 4)
    (last,) = (number for number, cell in enumerate(made.cells) if cell.source.strip() == "ops.finish()")
    made.cells.insert(last - 1, nbformat.v4.new_code_cell(line.strip()))
    nbformat.write(made, notebook)
    python(copy, "-c", "from opsnb.cli import main; import sys; sys.argv[1:] = ['run', 'local', '--phase', 'verify']; main()")
    told = json.loads(next(copy.glob("reports/local/*/verify/*/results.json")).read_text(encoding="utf-8"))
    (found,) = (each for each in told["results"] if each["id"] == "storage.unused_indexes")
    assert found["verdict"] in ("PASS", "FAIL") and "pg_stat_user_indexes" in found["question"]
    said = python(copy, "-c", "from opsnb.cli import main; import sys; sys.argv[1:] = ['explain', 'storage.unused_indexes']; main()")
    assert "No large index is never used" in said.stdout
