"""The notebooks as notebooks: every cell of every one runs in a kernel, as JupyterLab would run it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import REPOSITORY, make_home, process_environment

from opsnb.local import target
from opsnb.runbook import NOTEBOOKS, PHASES

pytestmark = pytest.mark.target


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A home with a target of its own: what other tests were refused stands in the logs of theirs."""
    root = make_home(tmp_path / "a home")
    target.up(root)
    yield root
    target.down(root)


def test_nbval_passes_on_all_notebooks(root: Path) -> None:
    """`pytest --nbval-lax notebooks`, as two processes with half of the notebooks each: there are two cores."""
    path = root / "parameters" / "environments" / "local.yaml"
    text = path.read_text(encoding="utf-8")
    assert "probe_seconds: 6" in text
    path.write_text(text.replace("probe_seconds: 6", "probe_seconds: 2"), encoding="utf-8")
    # the monitored environment's own files, our configuration of pytest: what anybody types in the repository
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider"]
    halves = [[f"notebooks/{NOTEBOOKS[phase]}.ipynb" for phase in PHASES[half::2]] for half in (0, 1)]
    processes = [
        subprocess.Popen(
            [*command, *half], cwd=REPOSITORY, env=process_environment(root, OPSNB_LOCAL_AUTOSTART="0"), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for half in halves
    ]  # fmt: skip
    for process in processes:
        printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, printed
        assert " passed" in printed and "skipped" not in printed
    phases = {folder.name for folder in (root / "reports" / "local").glob("*/*") if folder.is_dir()}
    assert phases == set(PHASES)
