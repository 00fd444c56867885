"""Point-in-time recovery of a bare embedded cluster: to the second, again, after a crash, and back where it fails."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from opsnb.local import recovery
from opsnb.local.cluster import SUPERUSER, Cluster, ClusterError
from opsnb.local.recovery import Backups, NotRestorable

DATABASE = "template1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster with a base backup and an empty table, stopped; copied by every test."""
    folder = tmp_path_factory.mktemp("a way back") / "pg"
    cluster = Cluster(folder)
    cluster.initdb()
    cluster.start()
    ask(cluster, "create table marks (n int)")
    Backups(cluster).take()
    cluster.stop()
    return folder


@pytest.fixture
def cluster(made: Path, tmp_path: Path) -> Iterator[Cluster]:
    subprocess.run(["cp", "-a", str(made), str(tmp_path / "pg")], check=True)
    cluster = Cluster(tmp_path / "pg")
    cluster.start()
    yield cluster
    cluster.stop()


def ask(cluster: Cluster, query: str) -> list[object]:
    with psycopg.connect(cluster.dsn(SUPERUSER, DATABASE), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def marks(cluster: Cluster) -> list[object]:
    return ask(cluster, "select n from marks order by n")


def mark(cluster: Cluster, number: int) -> int:
    """Writes *number* and returns a second by which it was written, and after which nothing was yet."""
    ask(cluster, f"insert into marks values ({number})")
    return next_second()


def next_second() -> int:
    second = int(time.time()) + 1
    time.sleep(second - time.time() + 0.05)
    return second


def reached(backups: Backups, second: int) -> None:
    deadline = time.monotonic() + 20
    while (window := backups.window()) is None or window[1] < second:
        assert time.monotonic() < deadline, window
        time.sleep(0.05)


def switch(cluster: Cluster) -> None:
    ask(cluster, "select pg_current_xact_id()::text")
    ask(cluster, "select pg_switch_wal()::text")


def test_there_is_no_way_back_before_the_first_base_backup(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "pg")
    cluster.initdb()
    cluster.start()
    try:
        backups = Backups(cluster)
        assert backups.window() is None
        assert backups.bases() == []
        assert backups.due()
        switch(cluster)
        assert not cluster.archive.exists()  # nothing would need it
        with pytest.raises(NotRestorable, match="no backup"):
            backups.restore(int(time.time()))
        base = backups.take()
        assert backups.window() == (base.at, base.at)
        assert not backups.due()
    finally:
        cluster.stop()


def test_the_latest_restorable_second_follows_what_is_written_and_stands_still_otherwise(cluster: Cluster) -> None:
    backups = Backups(cluster)
    switch(cluster)
    backups._wait_until_archived(int(time.time()))
    before = backups.window()
    time.sleep(6)
    assert backups.window() == before
    second = mark(cluster, 1)
    mark(cluster, 2)
    reached(backups, second)  # by itself


def test_it_goes_back_to_the_second_and_again_to_others(cluster: Cluster) -> None:
    backups = Backups(cluster)
    one = mark(cluster, 1)
    two = mark(cluster, 2)
    ask(cluster, "drop table marks")
    switch(cluster)
    reached(backups, two)
    backups.restore(two)
    assert marks(cluster) == [1, 2]
    assert ask(cluster, "select pg_is_in_recovery()") == [False]
    assert ask(cluster, "select name from pg_settings where setting <> '' and name ~ '^(recovery_target_time|restore_command)$'") == []
    three = mark(cluster, 3)
    switch(cluster)
    reached(backups, three)
    backups.restore(one)
    assert marks(cluster) == [1]
    four = mark(cluster, 4)
    mark(cluster, 5)
    switch(cluster)
    reached(backups, four)
    backups.restore(four)
    assert marks(cluster) == [1, 4]  # 2 and 3 were undone
    backups.restore(three)
    assert marks(cluster) == [1]  # at that second they had not been written any more
    assert sorted(path.name for path in cluster.folder.iterdir() if path.name.startswith("data")) == ["data"]


def test_a_backup_of_what_was_undone_is_not_used(cluster: Cluster) -> None:
    backups = Backups(cluster)
    one = mark(cluster, 1)
    mark(cluster, 2)
    later = backups.take()
    backups.restore(one)
    assert later not in backups.bases()
    three = mark(cluster, 3)
    switch(cluster)
    reached(backups, three)
    assert three > later.at
    backups.restore(three)
    assert marks(cluster) == [1, 3]


def test_outside_the_window_nothing_is_touched(cluster: Cluster) -> None:
    backups = Backups(cluster)
    window = backups.window()
    assert window is not None
    with psycopg.connect(cluster.dsn(SUPERUSER, DATABASE)) as connection:
        for wrong in (0, window[0] - 1, window[1] + 3600):
            with pytest.raises(NotRestorable, match=f"from {window[0]} to"):
                backups.restore(wrong)
        connection.execute("select 1")


def test_a_crashed_server_goes_back_too(cluster: Cluster) -> None:
    backups = Backups(cluster)
    one = mark(cluster, 1)
    mark(cluster, 2)
    switch(cluster)
    reached(backups, one)
    os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    backups.restore(one)
    assert marks(cluster) == [1]


def test_a_server_whose_files_are_ruined_goes_back(cluster: Cluster) -> None:
    backups = Backups(cluster)
    one = mark(cluster, 1)
    mark(cluster, 2)
    switch(cluster)
    reached(backups, one)
    cluster.stop()
    os.truncate(cluster.data / "global" / "pg_control", 100)
    with pytest.raises(ClusterError):
        cluster.start()
    backups.restore(one)
    assert marks(cluster) == [1]


@pytest.mark.parametrize("ruined", ["base", "log"])
def test_a_recovery_that_fails_leaves_everything_as_it_was(cluster: Cluster, ruined: str) -> None:
    backups = Backups(cluster)
    one = mark(cluster, 1)
    switch(cluster)
    two = mark(cluster, 2)
    switch(cluster)
    reached(backups, two)
    if ruined == "base":
        (backups.bases()[0].folder / "PG_VERSION").write_text("15\n")
    else:
        first = sorted((cluster.archive / "wal").glob("*0000????.gz"))[0]
        first.write_bytes(first.read_bytes()[:-40])
    archived = {path.name for path in (cluster.archive / "wal").iterdir()}
    with pytest.raises(ClusterError):
        backups.restore(one)
    assert marks(cluster) == [1, 2]
    assert sorted(path.name for path in cluster.folder.iterdir() if path.name.startswith("data")) == ["data"]
    assert not {path.name for path in (cluster.archive / "wal").iterdir() if "history" in path.name} - archived
    assert mark(cluster, 3)


def test_old_backups_and_the_log_before_them_go(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SEGMENTS_A_BASE", 3)
    monkeypatch.setattr(recovery, "BASES_KEPT", 2)
    backups = Backups(cluster)
    taken = backups.bases()
    assert not backups.due()
    for number in range(3):
        second = mark(cluster, number)
        taken.append(backups.take())
    assert [base.at for base in backups.bases()] == [base.at for base in taken[-recovery.BASES_KEPT :]]
    for _ in range(5):
        switch(cluster)
    backups._wait_until_archived(int(time.time()))
    assert backups.due()
    window = backups.window()
    assert window is not None
    assert window[0] == taken[-recovery.BASES_KEPT].at
    backups.restore(taken[-recovery.BASES_KEPT].at)
    assert marks(cluster) == [0, 1]
    assert second > window[0]


def test_a_cluster_made_anew_has_no_archive_of_the_old_one(cluster: Cluster) -> None:
    cluster.stop()
    (cluster.data / "PG_VERSION").unlink()
    subprocess.run(["rm", "-r", str(cluster.data)], check=True)
    assert cluster.initdb()
    assert Backups(cluster).bases() == []


RESTORE = """
import sys
from pathlib import Path
from opsnb.local.cluster import Cluster
from opsnb.local.recovery import Backups
print("go", flush=True)
Backups(Cluster(Path(sys.argv[1]))).restore(int(sys.argv[2]))
print("done", flush=True)
"""


@pytest.mark.campaign
def test_killed_at_any_moment_it_is_either_as_before_or_taken_back(cluster: Cluster) -> None:
    one = mark(cluster, 1)
    mark(cluster, 2)
    switch(cluster)
    reached(Backups(cluster), one)
    luck, seen = random.Random(5), set()
    for _ in range(7):
        process = subprocess.Popen([sys.executable, "-c", RESTORE, str(cluster.folder), str(one)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(luck.uniform(0, 1.0))
        process.kill()
        process.wait()
        said = process.stdout.read()
        process.stdout.close()
        Backups(cluster).mend()
        cluster.start()
        found = tuple(marks(cluster))
        assert found in ((1, 2), (1,))
        assert found == (1,) or not said
        seen.add(found)
        assert sorted(path.name for path in cluster.folder.iterdir() if path.name.startswith("data")) == ["data"]
        if found == (1,):
            mark(cluster, 2)
    assert len(seen) == 2, "every attempt ended at the same side: the moments are badly chosen"
