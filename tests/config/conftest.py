"""A project of its own for every test of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from config_project import REPOSITORY, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("OPSNB_HOME", "OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS", "OPSNB_LOCAL_AUTOSTART"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "a project"
    shutil.copytree(REPOSITORY / "parameters", root / "parameters")
    return Project(root)
