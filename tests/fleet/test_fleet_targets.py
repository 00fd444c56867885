"""Real targets, some of them sick: the others end undisturbed, the worst comes first, and what was killed is resumed once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from fleet_desk import GLOB, Fleet, left_of, run_fleet
from harness import process_environment

pytestmark = pytest.mark.slow


@contextmanager
def closed_port() -> Iterator[int]:
    """A port nobody listens at."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


def runs_of(fleet: Fleet, target: str) -> list[Path]:
    """The archived runs of the schema phase of *target*."""
    return sorted((fleet.reports / target).glob("*/schema/*/results.json"))


def test_sick_targets_disturb_nobody(fleet: Fleet, new_database: Callable[[], str]) -> None:
    """One closed, one silent, one unreadable, one that lacks a column: each says why, the two sound ones are as ever, worst first."""
    for name in ("fleet-a", "fleet-b"):
        fleet.add(name, new_database())
    lacking = new_database()
    with psycopg.connect(lacking) as connection:
        connection.execute("alter table shop.orders drop column customer")
    fleet.add("fleet-lacking", lacking)
    fleet.write("fleet-wrong", "release: shop\npostgres: {dsn: file:dsn-x, lock_timeout: 1}\n")
    with closed_port() as closed, silent_port() as silent:
        fleet.add("fleet-closed", f"postgresql://nobody@127.0.0.1:{closed}/x")
        fleet.add("fleet-silent", f"postgresql://nobody@127.0.0.1:{silent}/x")
        ended = run_fleet(fleet, "--workers", "2", "--json")
    assert ended.code == 1, ended.err
    said = json.loads(ended.out)
    by_name = {target["environment"]: target for target in said["targets"]}
    assert [target["environment"] for target in said["targets"]][0:2] == ["fleet-lacking", "fleet-wrong"]
    assert {name: target["word"] for name, target in by_name.items()} == {
        "fleet-lacking": "failed", "fleet-wrong": "ERROR", "fleet-closed": "unmeasured", "fleet-silent": "unmeasured",
        "fleet-a": "held", "fleet-b": "held",
    }  # fmt: skip
    assert {target["environment"] for target in said["targets"][-2:]} == {"fleet-a", "fleet-b"}
    assert "fleet-wrong.yaml" in by_name["fleet-wrong"]["error"] and "lock_timeout" in by_name["fleet-wrong"]["error"]
    assert by_name["fleet-lacking"]["counts"]["FAIL"] >= 1
    page = (fleet.reports / "fleet" / said["run"] / "index.html").read_text()
    for target in by_name.values():
        if target["deployment"]:
            assert f"../../{target['environment']}/{target['deployment']}/index.html" in page
            assert (fleet.reports / target["environment"] / target["deployment"] / "index.html").is_file()

    with psycopg.connect(lacking) as connection:  # mended: better than before; one more target is new; one is gone
        connection.execute("alter table shop.orders add column customer text not null")
    for name in ("fleet-closed", "fleet-silent", "fleet-wrong", "fleet-b"):
        (fleet.root / "parameters" / "environments" / f"{name}.yaml").unlink()
    fleet.add("fleet-c", new_database())
    ended = run_fleet(fleet)
    assert ended.code == 3, ended.out + ended.err
    again = json.loads((Path(ended.last_line).parent / "results.json").read_text())
    assert {target["environment"]: target["trend"] for target in again["targets"]} == {
        "fleet-a": "same", "fleet-c": "new", "fleet-lacking": "better",
    }  # fmt: skip
    assert again["gone"] == ["fleet-b", "fleet-closed", "fleet-silent", "fleet-wrong"]


def test_a_target_that_takes_too_long_is_stopped(fleet: Fleet, new_database: Callable[[], str]) -> None:
    """A target beyond its time-out becomes an ERROR row and leaves no process; the others end as ever."""
    fleet.add("fleet-a", new_database())
    with silent_port() as silent:
        fleet.add("fleet-silent", f"postgresql://nobody@127.0.0.1:{silent}/x")
        slow = (fleet.root / "parameters" / "environments" / "fleet-silent.yaml").read_text()
        fleet.write("fleet-silent", slow.replace("connect_timeout_s: 2", "connect_timeout_s: 250"))
        ended = run_fleet(fleet, "--workers", "2", "--timeout", "0.4", "--json")
    said = {target["environment"]: target for target in json.loads(ended.out)["targets"]}
    assert ended.code == 4
    assert said["fleet-a"]["word"] == "held"
    assert said["fleet-silent"]["word"] == "ERROR" and "time-out of 24 s" in said["fleet-silent"]["error"]
    assert said["fleet-silent"]["seconds"] < 24 + 15
    assert not left_of(fleet.root)


def test_killed_and_resumed(fleet: Fleet, new_database: Callable[[], str]) -> None:
    """The whole fleet is killed after its first target: --resume runs the rest, and what had ended is not run again."""
    names = ["fleet-a", "fleet-b", "fleet-c"]
    for name in names:
        fleet.add(name, new_database())
    command = [str(Path(sys.executable).with_name("opsnb")), "fleet", "run", GLOB, "--phase", "schema", "--workers", "1"]
    process = subprocess.Popen(command, cwd=fleet.root, env=process_environment(fleet.root), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    deadline = time.monotonic() + 120
    while not (ended_first := [path.stem for path in fleet.reports.glob("fleet/*/targets/*.json")]):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(ended_first) == 1
    deadline = time.monotonic() + 20
    while left := left_of(fleet.root):  # the target at work ends with its fleet
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    ended = run_fleet(fleet, "--resume", "--json")
    assert ended.code == 3, ended.err
    assert "1 of 3 targets have finished, 2 to run" in ended.err
    said = json.loads(ended.out)
    assert len(list(fleet.reports.glob("fleet/*/results.json"))) == 1
    assert {target["environment"] for target in said["targets"]} == set(names)
    assert len(runs_of(fleet, ended_first[0])) == 1
    for name in names:
        assert len(list((fleet.reports / name).glob("*/deployment.json"))) == 1
    before = {name: len(runs_of(fleet, name)) for name in names}
    assert run_fleet(fleet, "--resume").code == 3
    assert {name: len(runs_of(fleet, name)) for name in names} == before


def test_stopped_by_its_operator(fleet: Fleet, new_database: Callable[[], str]) -> None:
    """A scheduler's stop ends the targets at work within seconds, leaves a page that says so, and --resume runs the rest."""
    for name in ("fleet-a", "fleet-b"):
        fleet.add(name, new_database())
    command = [str(Path(sys.executable).with_name("opsnb")), "fleet", "run", GLOB, "--phase", "schema", "--workers", "1"]
    process = subprocess.Popen(command, cwd=fleet.root, env=process_environment(fleet.root), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((fleet.reports / "fleet-a").glob("*/schema/*/journal.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    began = time.monotonic()
    process.terminate()
    _, complaint = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 130 and "--resume runs the rest" in complaint
    assert not left_of(fleet.root)
    said = json.loads(next(fleet.reports.glob("fleet/*/results.json")).read_text())
    assert said["gate"] == "unmeasured" and [target["word"] for target in said["targets"]] == ["ERROR"] and said["not_run"] == ["fleet-b"]
    assert "was stopped before this target had ended" in said["targets"][0]["error"]
    ended = run_fleet(fleet, "--resume", "--json")
    assert ended.code == 3 and "0 of 2 targets have finished" in ended.err
    assert {target["word"] for target in json.loads(ended.out)["targets"]} == {"held"}
