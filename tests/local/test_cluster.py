"""The embedded cluster: made, started, stopped and repaired."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from opsnb.local import cluster as module
from opsnb.local.cluster import SUPERUSER, Cluster, ClusterError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")


def processes(cluster: Cluster) -> list[int]:
    """Every process that works in the cluster's data folder, found without the cluster's own help."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == cluster.data.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def ask(cluster: Cluster, query: str) -> object:
    with psycopg.connect(cluster.dsn(SUPERUSER, "template1"), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that was made and never started; copied by every test."""
    folder = tmp_path_factory.mktemp("a cluster") / "pg"
    assert Cluster(folder).initdb()
    return folder


@pytest.fixture
def cluster(made: Path, tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "with a space" / "pg"
    folder.parent.mkdir()
    copy(made, folder)
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()
    assert processes(cluster) == []


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def test_it_starts_answers_and_stops(cluster: Cluster) -> None:
    assert not cluster.initdb()
    port = cluster.start()
    assert cluster.running()
    assert cluster.port == port
    assert cluster.start() == port  # again: nothing happens
    assert str(ask(cluster, "show server_version")).startswith("18")
    assert ask(cluster, "show wal_level") == "replica"
    assert ask(cluster, "show track_io_timing") == "on"
    cluster.stop()
    assert not cluster.running()
    assert processes(cluster) == []
    cluster.stop()  # again: nothing happens


def test_it_is_quick(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    started = time.perf_counter()
    cluster.start()
    assert time.perf_counter() - started < 5  # usually 0.1 s; machines that run tests are busy


def test_what_is_secret_is_private(cluster: Cluster) -> None:
    cluster.start()
    assert cluster.data.stat().st_mode & 0o777 == 0o700
    assert cluster.log.stat().st_mode & 0o777 == 0o700
    assert (cluster.folder / "passwords.json").stat().st_mode & 0o777 == 0o600
    assert not (cluster.folder / "superuser-password").exists()
    assert Cluster(cluster.folder).password("postgres") == cluster.password("postgres")
    assert urlsplit(cluster.dsn("postgres")).hostname == "127.0.0.1"


def test_it_listens_on_this_machine_only_and_asks_for_the_password(cluster: Cluster) -> None:
    cluster.start()
    assert ask(cluster, "show listen_addresses") == "127.0.0.1"
    assert ask(cluster, "show unix_socket_directories") == ""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=cluster.port, user=SUPERUSER, password="wrong", dbname="template1")


@as_root
def test_started_by_root_the_server_is_somebody_else(cluster: Cluster) -> None:
    cluster.start()
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in processes(cluster)} | {cluster.data.stat().st_uid}
    assert 0 not in owners


@as_root
@pytest.mark.parametrize(("mode", "capable"), [(0o711, False), (0o700, True)])
def test_started_by_root_the_server_has_no_more_rights_than_it_needs(made: Path, mode: int, capable: bool) -> None:
    outside = Path(tempfile.mkdtemp(prefix="opsnb cluster "))
    try:
        copy(made, outside / "pg")
        outside.chmod(mode)
        cluster = Cluster(outside / "pg")
        cluster.start()
        status = Path(f"/proc/{postmaster(cluster)}/status").read_text()
        held = int(status.partition("CapEff:")[2].split()[0], 16)
        programs_reachable = module._reachable(module.binaries(), (65534, 65534))
        assert held == (1 << 2 if capable or not programs_reachable else 0)  # CAP_DAC_READ_SEARCH and nothing else
        assert ask(cluster, "select 1") == 1
        cluster.stop()
    finally:
        Cluster(outside / "pg").stop()
        shutil.rmtree(outside)


def test_a_killed_postmaster_is_repaired(cluster: Cluster) -> None:
    cluster.start()
    ask(cluster, "create table kept as select 42 as answer")
    busy = psycopg.connect(cluster.dsn(SUPERUSER, "template1"), autocommit=True)
    try:
        # A backend in a long computation does not notice that its postmaster is gone, and holds the shared memory.
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000) a")
        time.sleep(0.2)
        os.kill(postmaster(cluster), signal.SIGKILL)
        time.sleep(0.2)
        assert not cluster.running()
        assert processes(cluster)
        later = Cluster(cluster.folder)
        later.start()
        assert ask(later, "select answer from kept") == 42
        later.stop()
    finally:
        busy.close()


def test_a_server_somebody_left_running_is_replaced(cluster: Cluster) -> None:
    cluster.start()
    first = postmaster(cluster)
    later = Cluster(cluster.folder)
    assert later.running()
    port = later.start()
    assert postmaster(cluster) != first
    assert port == cluster.port
    assert first not in processes(cluster)
    later.stop()


def test_a_lock_file_that_names_a_living_stranger_does_not_stop_it_nor_the_stranger(cluster: Cluster) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (cluster.data / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster.data}\n1\n5432\n\n127.0.0.1\n1 1\nready   \n")
        assert not cluster.running()
        cluster.start()
        assert ask(cluster, "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_clusters_do_not_meet(cluster: Cluster, made: Path, tmp_path: Path) -> None:
    copy(made, tmp_path / "other")
    other = Cluster(tmp_path / "other")
    try:
        assert other.start() != cluster.start()
        cluster.stop()
        assert other.running()
        assert ask(other, "select 1") == 1
    finally:
        other.stop()


def test_it_comes_back_on_its_port_and_on_another_where_that_is_taken(cluster: Cluster) -> None:
    first = cluster.start()
    cluster.stop()
    assert cluster.start() == first
    cluster.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert cluster.start() != first
        cluster.stop()
        with pytest.raises(ClusterError, match=rf"port {first} .* taken"):
            cluster.start(first)
        assert not cluster.running()


def test_an_interrupted_making_is_made_anew(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "pg")
    (cluster.folder / "data.making" / "base").mkdir(parents=True)
    (cluster.folder / "data.making" / "PG_VERSION").write_text("18\n")
    assert cluster.initdb()
    cluster.start()
    assert ask(cluster, "select 1") == 1
    cluster.stop()


def test_a_cluster_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(tmp_path / "pg")
    monkeypatch.setattr(module, "SUPERUSER", "pg_reserved")  # names that begin with pg_ are the system's
    monkeypatch.setattr(module, "LOGINS", ("pg_reserved",))
    with pytest.raises(ClusterError, match=r"could not be made: .*pg_reserved"):
        cluster.initdb()
    assert not cluster.data.exists()


def test_a_broken_cluster_says_where_to_look_and_leaves_nothing_running(cluster: Cluster) -> None:
    (cluster.data / "global" / "pg_control").unlink()
    with pytest.raises(ClusterError, match=r"did not start; its own words are in .*log"):
        cluster.start()
    assert "pg_control" in "".join(file.read_text() for file in cluster.log.iterdir())
    assert processes(cluster) == []


def test_errors_of_the_operator_are_sentences(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "pg")
    with pytest.raises(ClusterError, match="no cluster to start"):
        cluster.start()
    with pytest.raises(ClusterError, match="never started"):
        cluster.dsn("postgres")
    with pytest.raises(ClusterError, match="nobody_known cannot log in"):
        cluster.password("nobody_known")
    with pytest.raises(ClusterError, match="no program pg_nothing"):
        cluster.binary("pg_nothing")
    assert not cluster.running()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pg").write_text("a file, no folder")
    with pytest.raises(ClusterError, match="cannot be written"):
        Cluster(tmp_path / "pg").initdb()


@as_root
def test_root_starts_what_an_ordinary_user_made_as_that_user(cluster: Cluster) -> None:
    for path in (cluster.folder, *cluster.folder.rglob("*")):
        os.chown(path, 12345, 12345)
    cluster.start()
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes(cluster)} == {12345}
    assert ask(cluster, "select 1") == 1


def test_programs_of_the_same_version_are_at_hand(cluster: Cluster) -> None:
    for name in ("pg_dump", "pg_restore", "pg_basebackup"):
        said = subprocess.run([str(cluster.binary(name)), "--version"], check=True, capture_output=True, text=True).stdout
        assert " 18" in said


def test_the_log_is_json_and_holds_no_statement(cluster: Cluster) -> None:
    cluster.start()
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(cluster, "select * from missing_table where note = 'words of a patient'")
    cluster.stop()
    lines = [json.loads(line) for file in cluster.log.glob("postgres-*.json") for line in file.read_text().splitlines()]
    errors = [line for line in lines if line.get("error_severity") == "ERROR"]
    assert [line["state_code"] for line in errors] == ["42P01"]
    assert "words of a patient" not in json.dumps(lines)
    assert not any("statement" in line for line in lines)


def test_old_logs_go(cluster: Cluster) -> None:
    for day in range(1, 31):
        (cluster.log / f"postgres-202601{day:02}T000000.json").write_text("{}\n")
    cluster.start()
    cluster.stop()
    left = sorted(file.name for file in cluster.log.glob("postgres-*.json"))
    assert len(left) == module.LOGS_KEPT + 1
    assert left[0] == "postgres-20260123T000000.json"
