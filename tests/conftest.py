"""One project home and one embedded target for every test that needs them.

`home` is a temporary project (parameters copied, notebooks and the clinic's sources linked), `target` the same with its target up.
Both live as long as the session: a test that spoils files makes a home of its own with `harness.make_home`, and one that breaks the
target resets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Ended, make_home, run_opsnb


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("a session") / "a home")


@pytest.fixture(scope="session")
def target(home: Path) -> Iterator[Path]:
    """The session's home with its target up; yields the home."""
    from opsnb.local import target as embedded

    embedded.up(home)
    yield home
    embedded.down(home)


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process finds the session's home, and nothing of whoever runs the tests."""
    for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS", "OPSNB_LOCAL_AUTOSTART"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPSNB_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def opsnb(home: Path) -> Callable[..., Ended]:
    """``opsnb("run", "local")`` in a process of its own, in the session's home; answers code, out and err."""

    def call(*words: str, root: Path = home, timeout_s: float = 120, **environment: str) -> Ended:
        return run_opsnb(*words, root=root, timeout_s=timeout_s, **environment)

    return call
