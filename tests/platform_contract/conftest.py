"""The published description, and one local platform for all tests of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_description import Description, description

from opsnb.local import target


@pytest.fixture(scope="session")
def described() -> Description:
    return description()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("contract target")
    target.up(root)
    yield root
    target.down(root)


@pytest.fixture(scope="session")
def told(root: Path) -> dict[str, Any]:
    return target.status(root)
