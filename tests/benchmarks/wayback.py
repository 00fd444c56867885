"""The way back beside the bare programs: a snapshot taken, opened and restored, and a whole rehearsal, against pg_dump and pg_restore -j2.

``python -m tests.benchmarks.wayback [ROWS]``: so many rows in each of the clinic's 20 tables. Must hold: dumping and restoring with hashing
and encryption takes at most 1.25 times what the bare programs take, snapshot and whole rehearsal with its comparisons at most
twice. Each side is measured in turn, N times, on one server. Ours compresses less than pg_dump does by itself, so the
ratio to a pg_dump that compresses as little is told as well.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pyrage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from clusters import bare
from harness import make_home
from kept import keep
from proofs import clinic

from opsnb.actions.snapshot import Rehearsal, Snapshot
from opsnb.evidence import deployments
from opsnb.sources import backup
from opsnb.sources.backup.client import COMPRESSION

ROWS, N = 100_000, 3
AS_LITTLE = f"pg_dump -j2 --compress={COMPRESSION}"
LIMIT, REHEARSAL_LIMIT = 1.25, 2.0


def home(folder: Path, dsn: str) -> Path:
    """A project of its own whose environment `desk` is the database at *dsn*."""
    root = make_home(folder / "home")
    identity = pyrage.x25519.Identity.generate()
    (root / "keys").mkdir()
    for name, value in (("dsn", dsn), ("identity", str(identity)), ("recipient", str(identity.to_public()))):
        (root / "keys" / name).write_text(value + "\n")
    (root / "parameters" / "environments" / "desk.yaml").write_text(
        "release: desk\npostgres: { dsn: file:keys/dsn, write_dsn: file:keys/dsn }\n"
        "encryption: { recipient: file:keys/recipient, identity: file:keys/identity }\nbackup: { table_timeout_s: 600 }\n"
    )
    (root / "parameters" / "releases" / "desk.yaml").write_text("title: Desk\nschema: { schemas: [public], tables: {} }\n")
    return root


def plain(dsn: str, folder: Path) -> dict[str, float]:
    """Seconds of the bare programs: dumped into *folder*, restored into a database beside the first."""
    programs = backup.find_programs(18, with_server=True)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop database if exists plain with (force)")
        connection.execute("create database plain template template0")
        beside = psycopg.conninfo.make_conninfo(dsn, dbname="plain")
        for earlier in folder.parent.glob(f"{folder.name}*"):
            shutil.rmtree(earlier)
        seconds = {}
        for name, words in (
            ("pg_dump -j2", ["pg_dump", "-Fd", "-j2", "--schema=public", "-f", str(folder), dsn]),
            (AS_LITTLE, ["pg_dump", "-Fd", "-j2", f"--compress={COMPRESSION}", "--schema=public", "-f", f"{folder}-light", dsn]),
            ("pg_restore -j2", ["pg_restore", "-j2", "--no-owner", "--no-privileges", "-d", beside, str(folder)]),
        ):
            began = time.perf_counter()
            # what the schema leans on is not there in the plain copy: the rows are what is measured
            subprocess.run([str(programs.folder / words[0]), *words[1:]], stderr=subprocess.DEVNULL, check=words[0] == "pg_dump")
            seconds[name] = time.perf_counter() - began
        connection.execute("drop database plain with (force)")
    return seconds


def ours(root: Path) -> dict[str, float]:
    """Seconds of each step of a snapshot and of its rehearsal."""
    kept = Snapshot.open("desk", root=root).take()
    action = Rehearsal.open("desk", root=root)
    found = action.run()
    if not found["whole"]:
        raise SystemExit(f"the rehearsal is not whole: {found['differing'] or found['not_restored'] or found['catalogue']}")
    seconds = {f"snapshot: {name}": value for name, value in kept.data["seconds"].items() if name != "restorable"}
    seconds |= {f"rehearsal: {name}": value for name, value in found["seconds"].items()}
    shutil.rmtree(deployments.named(root / "reports", "desk").folder)
    return seconds


def main() -> int:
    """Prints every part and both ratios; 1 where one is over its limit."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="opsnb-wayback-") as folder, clinic(bare(18), rows) as dsn:
        root = home(Path(folder), dsn)
        with psycopg.connect(dsn) as connection:
            (size,) = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
        turns = [(plain(dsn, Path(folder) / "plain"), ours(root)) for _ in range(N)]
    bare_parts = {name: statistics.median(turn[0][name] for turn in turns) for name in turns[0][0]}
    parts = {name: statistics.median(turn[1][name] for turn in turns) for name in turns[0][1]}
    way = [name for name in parts if name.startswith("snapshot") or name in ("rehearsal: decrypt", "rehearsal: restore")]
    ratios = [
        statistics.median(sum(mine[name] for name in names) / (theirs[dump] + theirs["pg_restore -j2"]) for theirs, mine in turns)
        for names, dump in ((way, "pg_dump -j2"), (list(parts), "pg_dump -j2"), (way, AS_LITTLE), (list(parts), AS_LITTLE))
    ]
    print(f"the way back: 20 tables of {rows:,} rows, {size / 2**20:,.0f} MB, medians of {N}")
    for name, seconds in {**bare_parts, **parts}.items():
        print(f"  {name:32} {seconds:6.2f} s")
    print(f"  dumped, encrypted, opened, restored {ratios[0]:5.2f} x (limit {LIMIT:g})")
    print(f"  snapshot and whole rehearsal        {ratios[1]:5.2f} x (limit {REHEARSAL_LIMIT:g})")
    print(f"  beside a pg_dump that compresses as little: {ratios[2]:.2f} x and {ratios[3]:.2f} x")
    keep({"way back: dump and restore": (ratios[0], LIMIT), "way back: rehearsal": (ratios[1], REHEARSAL_LIMIT)}, n=N)
    return int(ratios[0] > LIMIT or ratios[1] > REHEARSAL_LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
