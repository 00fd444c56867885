"""Reading phases take nothing stronger than AccessShareLock.

Another session holds every table in EXCLUSIVE mode meanwhile. That mode lets AccessShareLock through and nothing else, so a statement that
wanted more would wait, run into the lock time-out and leave an ERROR: the verdicts would differ.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from harness import REPOSITORY, run_cells, verdicts

from opsnb.runbook import NOTEBOOKS

pytestmark = pytest.mark.target

READING = ("snapshot", "cleanup", "schema", "rls")
TABLES = """
select format('%I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname in ('public', 'private', 'auth', 'storage', 'supabase_migrations')
"""


def write_dsn(home: Path) -> str:
    return (home / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()


@contextmanager
def held(home: Path) -> Iterator[set[str]]:
    """Every table is held in EXCLUSIVE mode; yields the lock modes seen on relations in sessions of opsnb."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        with psycopg.connect(write_dsn(home), autocommit=True) as connection:
            while not done.wait(0.005):
                rows = connection.execute(
                    "select distinct l.mode from pg_locks l join pg_stat_activity a using (pid) "
                    "where l.locktype = 'relation' and a.application_name like 'opsnb/%'"
                )
                seen.update(mode for (mode,) in rows)

    with psycopg.connect(write_dsn(home)) as holding:
        tables = [name for (name,) in holding.execute(TABLES)]
        assert len(tables) > 20
        holding.execute(f"lock table {', '.join(tables)} in exclusive mode".encode())
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield seen
        finally:
            done.set()
            watcher.join()


@pytest.mark.parametrize("phase", READING)
def test_a_reading_phase_waits_for_nobody(target: Path, at_home: Path, phase: str) -> None:
    """The same verdicts with every table held as without, and AccessShareLock is all that was seen."""
    notebook = REPOSITORY / "notebooks" / f"{NOTEBOOKS[phase]}.ipynb"
    assert json.loads(notebook.read_text())["cells"]
    said = (target / "parameters" / "environments" / "local.yaml").read_text()
    assert said.count("write_probes: true") == 1
    (target / "parameters" / "environments" / "reading.yaml").write_text(said.replace("write_probes: true", "write_probes: false"))
    free = verdicts(run_cells(notebook, environment="reading"))
    with held(target) as seen:
        beside = verdicts(run_cells(notebook, environment="reading"))
    assert beside == free
    assert "ERROR" not in beside.values()
    assert seen <= {"AccessShareLock"}
    assert seen
