"""Collecting from the real local platform: every line once, also past the row cap and after kills; no patient in what is kept."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from harness import Ended, process_environment

from opsnb.checks import collected as checks
from opsnb.collecting import collect as collecting
from opsnb.collecting.archive import Archive
from opsnb.errors import ActionRefused
from opsnb.sources import Doors
from opsnb.sources import logs as door
from opsnb.verdicts import Verdict

pytestmark = pytest.mark.target
COLLECT = """
import sys, time
from pathlib import Path
from opsnb.collecting import archive
was = archive._whole
def slow(path, write):
    print(path.name, flush=True)
    time.sleep(0.05)
    was(path, write)
archive._whole = slow
sys.argv = ["opsnb", "logs", "collect", "local", "--hours", "2"]
from opsnb import cli
cli.main()
"""


def collect(doors: Doors, folder: Path, until: datetime) -> int:
    since = until - timedelta(hours=2)
    return collecting.collect(doors.logs, Archive(folder), names={}, events=["merge_soap", "ERROR"], since=since, until=until)  # type: ignore[arg-type]


def ids(folder: Path) -> list[str]:
    return sorted(str(each) for path in folder.rglob("*.parquet") for each in pd.read_parquet(path)["id"])


def test_every_line_is_kept_once(doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lines, whatever the row cap: over 300 calls and as many lines in half an hour, eighty at a time."""
    until = datetime.now(UTC) - timedelta(seconds=5)
    kept = collect(doors, tmp_path / "whole", until)
    whole = ids(tmp_path / "whole")
    assert kept == len(whole) == len(set(whole)) > 300
    with monkeypatch.context() as capped:
        capped.setattr(door, "MOST_ROWS", 80)
        capped.setattr(door, "MOST_PIECES", 2000)
        good = doors.logs._platform.analytics  # type: ignore[union-attr]
        capped.setattr(doors.logs._platform, "analytics", lambda sql, *ends: good(sql, *ends)[:80])  # type: ignore[union-attr]
        collect(doors, tmp_path / "pieces", until)
    collect(doors, tmp_path / "again", until)
    pieces, again = ids(tmp_path / "pieces"), ids(tmp_path / "again")
    assert len(pieces) == len(set(pieces))
    assert set(whole) <= set(pieces) <= set(again)  # the target may still be writing its half hour of traffic: late lines


def test_nothing_of_a_patient_is_kept(doors: Doors, tmp_path: Path, target: Path) -> None:
    collect(doors, tmp_path / "lines", datetime.now(UTC))
    table = collecting.read(tmp_path / "lines")
    assert len(table) and (table["text"] != "").any()
    dsn = (target / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()
    with psycopg.connect(dsn) as connection:
        people = connection.execute("select id::text, email, firebase_uid from public.users").fetchall()
    secret = {str(value) for row in people for value in row if value}
    text = "\n".join(table["text"].astype(str))
    assert not [value for value in secret if value in text]
    assert (table["events"].astype(str).str.contains("merge_soap")).any()


def test_killed_collectors_lose_and_double_nothing(target: Path, opsnb: Callable[..., Ended]) -> None:
    folder = collecting.folder_of(target, "local")
    dice = random.Random(3)
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", COLLECT], stdout=subprocess.PIPE, text=True, env=process_environment(target))
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(dice.uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    ended = opsnb("logs", "collect", "local", "--hours", "2")
    assert ended.code == 0, ended
    found = ids(folder)
    assert len(found) == len(set(found)) > 600
    assert opsnb("logs", "search", "local", "merge_soap").code == 0
    assert opsnb("logs", "search", "local", "no such words").code == 1
    assert not list(folder.rglob("*.part")) or opsnb("logs", "collect", "local").code == 0


def test_two_collectors_at_once_are_one(doors: Doors, tmp_path: Path) -> None:
    with collecting._alone(tmp_path / "x"), pytest.raises(ActionRefused, match="collecting these logs right now"):
        collect(doors, tmp_path / "x", datetime.now(UTC))


def test_old_hours_are_named_before_they_go(tmp_path: Path) -> None:
    for hour in ("date=2026-01-01/hour=03", "date=2026-01-01/hour=04"):
        (tmp_path / hour).mkdir(parents=True)
    old = collecting.prunable(tmp_path, before=datetime(2026, 1, 1, 4, 30, tzinfo=UTC))
    assert [path.name for path in old] == ["hour=03"]


@pytest.mark.parametrize(
    ("minutes", "rows", "verdict"),
    [(5, [("", 10), ("ERROR", 2)], Verdict.PASS), (90, [("", 10)], Verdict.FAIL), (None, [("", 10)], Verdict.INCONCLUSIVE),
     (5, [], Verdict.INCONCLUSIVE)],
)  # fmt: skip
def test_the_check(minutes: float | None, rows: list[tuple[str, int]], verdict: Verdict) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    until = None if minutes is None else now - timedelta(minutes=minutes)
    assert checks.complete(pd.DataFrame(rows, columns=["event", "lines"]), until=until, now=now, lag_minutes=60).verdict is verdict
