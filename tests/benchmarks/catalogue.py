"""Drift on a large catalogue against ``pg_dump --schema-only`` of it: 10,000 tables, 100,000 columns, 20,000 distinct policies, one run.

``python -m tests.benchmarks.catalogue``. Ratios, not seconds: both ways run in turn on the same server, so a busy machine slows both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from clusters import Bare, bare
from kept import keep

from opsnb.checks import drift, lint
from opsnb.evidence import baseline
from opsnb.facts import Facts
from opsnb.sources import catalogue, openings
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import Verdict

N = 5
TABLES = 10_000
A_PIECE = 500  # tables made in one transaction
DRIFT_LIMIT, LINT_LIMIT = 0.6, 3.0
_TABLE = """
create table public.t_%1$s (id uuid primary key default gen_random_uuid(), owner_id uuid not null, name text, note text default '',
    kind text not null default 'a', amount numeric(10, 2), flag boolean default false, at timestamptz default now(), doc jsonb,
    n_%1$s integer);
alter table public.t_%1$s enable row level security;
grant select, insert, update on public.t_%1$s to authenticated;
create policy "own rows %1$s" on public.t_%1$s for select to authenticated using (owner_id = auth.uid() and n_%1$s > %1$s);
create policy "own writes %1$s" on public.t_%1$s for update to authenticated
    using (owner_id = (select auth.uid()) or kind = 'k%1$s') with check (owner_id = (select auth.uid()) and amount < %1$s)
"""

Lint = Callable[[str], None]
"""Reads and lints every policy of the database at a DSN."""


@contextmanager
def large(cluster: Bare, tables: int = TABLES) -> Iterator[str]:
    """A database with *tables* tables of ten columns and two policies each, none like another; its DSN."""
    with cluster.fresh(supabase=True) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for first in range(0, tables, A_PIECE):
                last = min(first + A_PIECE, tables) - 1
                loop = f"do $$ begin for i in {first}..{last} loop execute format($q${_TABLE}$q$, i); end loop; end $$"
                connection.execute(loop.encode())
            connection.execute("vacuum analyze")
        yield dsn


def measure(*, n: int = N, tables: int = TABLES, linting: Lint | None = None) -> list[dict[str, Any]]:
    """One row per figure: what, seconds (median of *n*), ratio (to pg_dump), limit (of the ratio, where there is one)."""
    cluster = bare(18)
    taken: dict[str, list[float]] = {}
    with large(cluster, tables) as dsn, tempfile.TemporaryDirectory() as scratch, Postgres(SecretStr(dsn), phase="bench") as db:
        dump = [str(cluster.program("pg_dump")), "--schema-only", "--file", str(Path(scratch) / "dump.sql"), dsn]
        path = Path(scratch) / "bench.baseline.jsonl"
        first = catalogue.read(db)
        stamp = datetime.now(UTC)
        baseline.write(path, first, environment="bench", release="bench", captured_at=stamp, server_version="18")
        for _ in range(n):
            _timed(taken, "pg_dump --schema-only", lambda: subprocess.run(dump, check=True, capture_output=True))
            now = _timed(taken, "read the catalogue", lambda: catalogue.read(db))
            captured = _timed(taken, "read the baseline's file", lambda: baseline.read(path))
            _timed(taken, "judge drift", lambda now=now, captured=captured: _judged(now, captured, tables))
            if linting is not None:
                _timed(taken, "lint every policy", lambda: linting(dsn))
    parts = ("read the catalogue", "read the baseline's file", "judge drift")
    taken["read and judge drift"] = [sum(times) for times in zip(taken[parts[0]], taken[parts[2]], strict=True)]
    taken["the same, with the baseline's file"] = [sum(times) for times in zip(*(taken[part] for part in parts), strict=True)]
    limits = {"read and judge drift": DRIFT_LIMIT, "lint every policy": LINT_LIMIT}
    whole = statistics.median(taken["pg_dump --schema-only"])
    return [
        {"what": what, "seconds": statistics.median(times), "ratio": statistics.median(times) / whole, "limit": limits.get(what)}
        for what, times in taken.items()
    ]


def _timed(taken: dict[str, list[float]], what: str, task: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    answer = task()
    taken.setdefault(what, []).append(time.perf_counter() - started)
    return answer


def _judged(now: Facts, captured: Facts, tables: int) -> None:
    """What is timed is also right: nothing differs, and every object was looked at."""
    result = drift.none(now, captured, against="the baseline")
    assert result.verdict is Verdict.PASS, result.summary
    assert len(now) > tables * 14


def linted(dsn: str) -> None:
    """Reads what may let a caller in and lints it: every policy asks for `auth.uid()` and a row, none is wide."""
    with Postgres(SecretStr(dsn), phase="bench", statement_timeout_ms=60_000) as door:
        facts = openings.read(door, schemas=["public"], api_roles=["anon", "authenticated"])
        result = lint.no_excess(*facts, select={}, today=datetime.now(UTC).date())
    assert result.table is not None, result.summary


def main() -> int:
    """Prints the figures; exit code 1 where a ratio is over its limit."""
    rows = measure(linting=linted)
    print(f"catalogue of {TABLES:,} tables, {TABLES * 10:,} columns, {TABLES * 2:,} policies, PostgreSQL 18, n = {N}, medians")
    for row in rows:
        limit = f"  (at most {row['limit']:g})" if row["limit"] else ""
        print(f"  {row['what']:36} {row['seconds']:6.2f} s   {row['ratio']:5.2f} x pg_dump{limit}")
    keep({f"catalogue: {row['what']} / pg_dump": (row["ratio"], row["limit"]) for row in rows if row["limit"]}, n=N)
    return int(any(row["limit"] is not None and row["ratio"] > row["limit"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
