"""Archives on URLs and targets on the workers of a cluster; skipped where the extra is not installed, but for what is said then."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fleet_desk import Fleet, run_fleet
from harness import process_environment

from opsnb.errors import UsageError
from opsnb.fleet import remote
from opsnb.fleet.executors import Dask
from opsnb.fleet.target import Order
from opsnb.fleet.working import Processes, work


@pytest.mark.parametrize("missing", ["fsspec", "distributed"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """What is not installed is told with the command that installs it."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"pip install 'opsnb\[(fleet|dask)\]'"):
        remote.Archive("memory://x") if missing == "fsspec" else Dask("tcp://127.0.0.1:1")


@pytest.mark.parametrize("url", ["nope://x", "/a/folder"])
def test_urls_nobody_can_open(url: str) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(UsageError, match="expected a URL"):
        remote.Archive(url)


def test_copied_as_it_is(tmp_path: Path) -> None:
    """Every file but locks and half-written ones, under the same names; the newest roll-up before is found."""
    fsspec = pytest.importorskip("fsspec")
    (tmp_path / "d" / "schema").mkdir(parents=True)
    (tmp_path / "d" / "schema" / "report.html").write_text("a page")
    (tmp_path / "d" / ".half.tmp").write_text("half")
    archive = remote.Archive("memory://kept/here")
    assert archive.copy(tmp_path / "d", "env/d") == 1
    assert fsspec.filesystem("memory").cat_file("/kept/here/env/d/schema/report.html") == b"a page"
    assert archive.newest_results("20261123") is None
    for name in ("20261121", "20261122", "20261123"):
        archive.write(f"fleet/{name}/results.json", json.dumps({"run": name}).encode())
    assert archive.newest_results("20261123") == {"run": "20261122"}


def test_secrets_of_a_url_are_not_shown(tmp_path: Path) -> None:
    """What stands before an @ may be a password."""
    pytest.importorskip("fsspec")
    (tmp_path / "plain").write_text("a file, no folder")
    archive = remote.Archive(f"file://{tmp_path}/plain/x@y")
    with pytest.raises(UsageError) as told:
        archive.write("z", b"")
    assert "could not be written" in str(told.value) and "plain" not in str(told.value)


def test_an_archive_that_cannot_be_written_stops_before_it_starts(fleet: Fleet, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "plain").write_text("a file, no folder")
    fleet.add("fleet-a", "postgresql://nobody@127.0.0.1:1/x")
    ended = run_fleet(fleet, "--reports", f"file://{tmp_path}/plain/below")
    assert ended.code == 2 and "could not be written" in ended.err
    assert not (fleet.reports / "fleet-a").exists()


def test_a_stopped_fleet_begins_nothing(fleet: Fleet) -> None:
    """A target that was not begun when the fleet was stopped says so."""
    processes = Processes()
    processes.stop()
    end = work(Order("fleet-a", ("schema",), str(fleet.root), 60), processes)
    assert "stopped before this target began" in end.error and not end.finished


@pytest.mark.slow
def test_on_a_cluster(fleet: Fleet, new_database: Callable[[], str], tmp_path: Path) -> None:
    """The workers of a Dask cluster run the targets; the archive elsewhere has their pages and the roll-up."""
    pytest.importorskip("distributed")
    import subprocess

    fleet.add("fleet-a", new_database())
    fleet.add("fleet-b", "postgresql://nobody@127.0.0.1:1/x")
    address = tmp_path / "scheduler.json"
    environment = process_environment(fleet.root)
    words = ("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1"), ("dask_worker", "--nworkers", "1", "--no-dashboard")
    running = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", "--scheduler-file", str(address), *more], env=environment,
                         cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, *more in words
    ]  # fmt: skip
    try:
        until(address.is_file)
        ended = run_fleet(fleet, "--dask", json.loads(address.read_text())["address"], "--reports", f"file://{tmp_path}/kept", "--json")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
    assert ended.code == 4, ended.err
    said = json.loads(ended.out)
    assert {target["environment"]: target["word"] for target in said["targets"]} == {"fleet-a": "held", "fleet-b": "unmeasured"}
    kept = tmp_path / "kept"
    for target in said["targets"]:
        assert (kept / target["environment"] / target["deployment"] / "index.html").is_file()
    assert (kept / "fleet" / said["run"] / "index.html").is_file()


@pytest.mark.slow
def test_in_a_bucket(fleet: Fleet, new_database: Callable[[], str]) -> None:
    """The archive in a bucket holds the deployment, the roll-up and its order; a bucket that is not there stops the run at its start."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        keys = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "x"}
        fleet.add("fleet-a", new_database())
        httpx.put(f"{keys['AWS_ENDPOINT_URL']}/kept").raise_for_status()
        ended = run_fleet(fleet, "--reports", "s3://kept/of/us", "--json", **keys)
        listed = httpx.get(f"{keys['AWS_ENDPOINT_URL']}/kept").text
        refused = run_fleet(
            fleet, "--reports", "s3://no-such-bucket/x", **{**keys, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
        )
    finally:
        server.stop()
    assert ended.code == 3, ended.err
    said = json.loads(ended.out)
    names = re.findall("<Key>(.*?)</Key>", listed)
    folder = f"of/us/fleet-a/{said['targets'][0]['deployment']}"
    assert {f"{folder}/index.html", f"{folder}/deployment.json"} <= set(names)
    assert {f"of/us/fleet/{said['run']}/{name}" for name in ("fleet.json", "results.json", "index.html")} <= set(names)
    assert refused.code == 2 and "could not be written" in refused.err


def until(what: Callable[[], bool], *, seconds: float = 60) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_address_nobody_listens_at(fleet: Fleet) -> None:
    pytest.importorskip("distributed")
    fleet.add("fleet-a", "postgresql://nobody@127.0.0.1:1/x")
    ended = run_fleet(fleet, "--dask", "tcp://127.0.0.1:1", PYTHONWARNINGS=os.environ.get("PYTHONWARNINGS", ""))
    assert ended.code == 2 and "expected the address of a Dask scheduler" in ended.err
    assert not (fleet.reports / "fleet").exists()
