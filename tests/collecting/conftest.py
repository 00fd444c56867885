"""The doors of the session's target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsnb.config import load_environment, load_release
from opsnb.sources import Doors


@pytest.fixture
def doors(target: Path, at_home: Path) -> Iterator[Doors]:
    assert target == at_home
    environment = load_environment("local", target)
    made = Doors(environment, load_release(environment.release, target), phase="test", root=target)
    yield made
    made.close()
