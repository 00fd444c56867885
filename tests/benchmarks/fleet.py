"""200 targets, databases of one cluster, on a Dask cluster of two workers, against the seconds their phases take one after the other.

``python -m tests.benchmarks.fleet``. The phases' own seconds are measured alone, one target at a time on the same machine, over a
sample of the targets; perfect would be their sum halved. What starting a process, opening a deployment, its index and the cluster cost
comes on top, and is what the limit bounds. Then a worker is killed in the middle of a run: every target ends all the same.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fleet"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import psycopg
from clusters import bare
from fleet_desk import SCHEMA, Fleet
from harness import Ended, make_home, process_environment, run_opsnb
from kept import keep

TARGETS, SAMPLE = 200, 20
PHASES = ("schema", "rls", "monitor")
LIMIT = 1.3


@contextmanager
def targets(number: int) -> Iterator[Fleet]:
    """A project with so many targets, each a database of its own on one server."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fleet = Fleet(make_home(Path(folder) / "home"))
        cluster = bare(18)
        for each in range(number):
            dsn = stack.enter_context(cluster.fresh())
            with psycopg.connect(dsn) as connection:
                connection.execute(SCHEMA.encode())
            fleet.add(f"fleet-{each:03d}", dsn)
        yield fleet


@contextmanager
def cluster_of_two(fleet: Fleet) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, one target at a time each; its address and the workers."""
    address = fleet.root / "scheduler.json"
    environment = process_environment(fleet.root)
    words = [("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")]
    words += [("dask_worker", "--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--no-nanny")] * 2
    running = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", "--scheduler-file", str(address), *more], env=environment,
                         cwd=fleet.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, *more in words
    ]  # fmt: skip
    try:
        ends = time.monotonic() + 60
        while not address.is_file():
            assert time.monotonic() < ends
            time.sleep(0.1)
        time.sleep(5)  # the workers join; they are no part of what is measured
        yield json.loads(address.read_text())["address"], running[1:]
    finally:
        for process in running:
            process.kill()  # a worker whose scheduler is gone looks for it a while
        for process in running:
            process.wait(30)


def run(fleet: Fleet, pattern: str, *words: str, phases: Sequence[str] = PHASES) -> dict[str, Any]:
    """One fleet run of the targets that *pattern* means; its roll-up."""
    named = [word for phase in phases for word in ("--phase", phase)]
    ended: Ended = run_opsnb("fleet", "run", pattern, *named, "--json", *words, root=fleet.root, timeout_s=3600)
    assert ended.code in (0, 3), (ended.code, ended.err[-2000:])
    told: dict[str, Any] = json.loads(ended.out)
    return told


def whole(told: dict[str, Any], number: int) -> None:
    """What is timed is also right: every target ended, with every phase, and none was refused."""
    assert len(told["targets"]) == number
    for target in told["targets"]:
        assert not target["error"] and set(target["phases"]) == set(PHASES), target


def measure(number: int = TARGETS, sample: int = SAMPLE) -> dict[str, float]:
    """alone_s (phases of one target, median of *sample*), perfect_s, cluster_s, ratio; and how many targets a killed worker left over."""
    with targets(number) as fleet:
        # one phase at a time: within a target those that do not depend on each other run side by side
        alone: dict[str, float] = {}
        for phase in PHASES:
            for target in run(fleet, f"fleet-0[0-{sample // 10 - 1}]?", "--workers", "1", phases=[phase])["targets"]:
                alone[target["environment"]] = alone.get(target["environment"], 0) + target["phases"][phase]["seconds"]
        seconds = list(alone.values())
        shutil.rmtree(fleet.reports)
        with cluster_of_two(fleet) as (address, _):
            began = time.perf_counter()
            whole(run(fleet, "fleet-*", "--dask", address), number)
            took = time.perf_counter() - began
        shutil.rmtree(fleet.reports)
        with cluster_of_two(fleet) as (address, workers):
            command = ["opsnb", "fleet", "run", "fleet-0[01]?", "--json", "--dask", address]
            command += [word for phase in PHASES for word in ("--phase", phase)]
            one = subprocess.Popen(
                [str(Path(sys.executable).with_name(command[0])), *command[1:]], cwd=fleet.root, env=process_environment(fleet.root),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            while not list(fleet.reports.glob("fleet/*/targets/*.json")):
                time.sleep(0.1)
            os.kill(workers[0].pid, signal.SIGKILL)
            out, _ = one.communicate(timeout=1800)
            whole(json.loads(out), min(20, number))
    perfect = statistics.mean(seconds) * number / 2
    return {"alone_s": statistics.median(seconds), "perfect_s": perfect, "cluster_s": took, "ratio": took / perfect, "sample": len(seconds)}


def main() -> int:
    """Prints the figures; exit code 1 where the ratio is over its limit."""
    told = measure()
    print(f"{TARGETS} targets, phases {', '.join(PHASES)}, Dask cluster of two workers, n = 1")
    print(f"  phases of one target alone     {told['alone_s']:6.2f} s (median of {told['sample']:.0f})")
    print(f"  all of them, halved            {told['perfect_s']:6.1f} s")
    print(f"  on the cluster                 {told['cluster_s']:6.1f} s   {told['ratio']:.2f} x (at most {LIMIT:g})")
    print("  a worker killed in the middle: every target ended")
    keep({"fleet: cluster / phases halved": (told["ratio"], LIMIT)}, n=1)
    return int(told["ratio"] > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
