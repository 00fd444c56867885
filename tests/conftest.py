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
from hypothesis import HealthCheck, settings

# how long an example takes is the machine's business: a busy one is no failure
settings.register_profile("opsnb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opsnb")

SLOW = frozenset(
    [
        "actions/test_announce.py",
        "actions/test_journey.py",
        "actions/test_rollback.py",
        "actions/test_rollback_point.py",
        "actions/test_snapshot.py",
        "collecting/test_collect.py",
        "execution/test_add_a_check.py",
        "execution/test_full_disk.py",
        "execution/test_no_secret_leaves.py",
        "execution/test_other_environment.py",
        "execution/test_plain_postgres.py",
        "execution/test_resume.py",
        "execution/test_runner.py",
        "execution/test_systems_beside.py",
        "execution/test_target_gone.py",
        "firstday/test_doctor.py",
        "firstday/test_init.py",
        "fleet/test_fleet_targets.py",
        "local/test_recovery.py",
        "local/test_target.py",
        "local/test_traffic.py",
        "local/test_way_back.py",
        "notebooks/test_nbval.py",
        "platform_contract/test_answers_gone_wrong.py",
        "platform_contract/test_changes_once.py",
        "sources/test_source_shape_sql.py",
        "watching/test_simulated_day.py",
        "watching/test_slots_under_fire.py",
        "watching/test_watch_commands.py",
    ]
)
"""Modules that start targets of their own, kill, wait or run everything: `make slow`, and CI. The rest is `make test`."""
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow, and of what runs on every server version all but the newest."""
    for item in items:
        older = any(f"[{version}" in item.name or f"-{version}]" in item.name for version in (15, 16))
        if item.path.is_relative_to(TESTS) and (item.path.relative_to(TESTS).as_posix() in SLOW or (older and "drift" in item.path.parts)):
            item.add_marker(pytest.mark.slow)


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
