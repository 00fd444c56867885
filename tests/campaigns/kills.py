"""kill -9 of a kernel, the runner, Postgres or the platform at random moments of a run that acts: what does the archive say afterwards?

``python -m tests.campaigns.kills [N]``, 50 by default. Each turn plants the release's test records, begins a run that removes them, kills
one process, brings the target up again and resumes until nothing is left to resume. Must hold: no notebook claims what its journal did not
see, no results claim a run that did not end, the records are removed exactly once, and the verdicts are those of an undisturbed run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import make_home, process_environment, run_opsnb

from opsnb.evidence.agreement import disagreement
from opsnb.evidence.results import read_run

TURNS, SEED = 50, 20260117
PHASES = ("functions", "environment", "schema", "cleanup")
RUN = ("run", "local", *(word for phase in PHASES for word in ("--phase", phase)), "--apply", "--confirm", "local")
VICTIMS = ("kernel", "runner", "postgres", "platform")
Verdicts = dict[str, str]


@dataclass
class Turn:
    """One kill: of what, how far into the run, and whatever was wrong afterwards."""

    victim: str
    at_s: float
    died: bool
    resumed: int = 0
    wrong: list[str] = field(default_factory=list)


def campaign(turns: int = TURNS) -> list[Turn]:
    """Every turn in a home of its own, on one embedded target."""
    dice = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="opsnb-kills-") as folder:
        first = make_home(Path(folder) / "target")
        with _up(first):
            expected, seconds = _undisturbed(first, Path(folder) / "undisturbed")
            found = []
            for number in range(turns):
                home = _home(first, Path(folder) / f"turn {number}")
                found.append(_turn(home, VICTIMS[number % len(VICTIMS)], dice.uniform(0.3, seconds), expected))
                said = "; ".join(found[-1].wrong) or "as it must be"
                print(f"{number + 1:3} {found[-1].victim:9} at {found[-1].at_s:4.1f} s, resumed {found[-1].resumed}: {said}", flush=True)
            return found


def main(turns: int = TURNS) -> int:
    """Prints the table; 1 where anything was wrong."""
    found = campaign(turns)
    print(f"\nkill -9 at {len(found)} random moments (n = {len(found)}, seed {SEED})\n")
    print("| killed | times | hit a living process | resumed | wrong |\n|---|---|---|---|---|")
    for victim in VICTIMS:
        of = [turn for turn in found if turn.victim == victim]
        print(
            f"| {victim} | {len(of)} | {sum(turn.died for turn in of)} | {sum(turn.resumed for turn in of)} "
            f"| {sum(bool(turn.wrong) for turn in of)} |"
        )
    for what, times in Counter(why for turn in found for why in turn.wrong).items():
        print(f"- {times} × {what}")
    return int(any(turn.wrong for turn in found))


@contextmanager
def _up(home: Path) -> Iterator[None]:
    started = run_opsnb("local", "up", root=home, timeout_s=300)
    assert started.code == 0, started
    try:
        yield
    finally:
        run_opsnb("local", "down", root=home)


def _home(first: Path, root: Path) -> Path:
    """A home with an archive of its own that shares the target."""
    home = make_home(root)
    (home / ".opsnb").symlink_to(first / ".opsnb")
    return home


def _undisturbed(first: Path, root: Path) -> tuple[Verdicts, float]:
    home = _home(first, root)
    _plant(home)
    began = time.monotonic()
    ended = run_opsnb(*RUN, root=home)
    seconds = time.monotonic() - began
    assert ended.code in (0, 3) and _test_records(home) == 0, ended
    return _verdicts(home), seconds


def _turn(home: Path, victim: str, at_s: float, expected: Verdicts) -> Turn:
    _plant(home)
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("opsnb")), *RUN], cwd=home, env=process_environment(home), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(at_s)
    turn = Turn(victim, at_s, _kill(home, victim, running))
    running.wait(timeout=180)
    if run_opsnb("local", "up", root=home, timeout_s=300).code != 0:
        turn.wrong.append("the target did not come up again")
    turn.wrong += _lies(home)
    while turn.resumed < 4:
        ended = run_opsnb("run", "local", "--resume", "--confirm", "local", root=home, timeout_s=180)
        if ended.code == 2:
            break
        turn.resumed += 1
    if "nothing to resume" not in ended.err and not (turn.resumed == 0 and "no open deployment" in ended.err):
        turn.wrong.append(f"resume ended with {ended.code}: {ended.err.strip()[-200:]}")
    if turn.resumed == 0 and not list(home.glob("reports/local/*/orders/*.ended.json")):
        run_opsnb(*RUN, root=home)  # killed before it had set out to do anything
    turn.wrong += _lies(home)
    turn.wrong += [
        f"{check} is {was}, undisturbed {expected.get(check)}" for check, was in _verdicts(home).items() if was != expected.get(check)
    ]
    if set(_verdicts(home)) != set(expected):
        turn.wrong.append("checks are missing")
    if _test_records(home) != 0:
        turn.wrong.append("test records are left")
    if (records := _removals(home)) != 1:
        turn.wrong.append(f"the test records were removed {records} times")
    return turn


def _kill(home: Path, victim: str, running: subprocess.Popen[bytes]) -> bool:
    """Whether there was such a process to kill."""
    match victim:
        case "runner":
            pids = [running.pid] if running.poll() is None else []
        case "kernel":  # any process of the run but the runner: what forks, a worker, a kernel
            pids = _descendants(running.pid)
        case "postgres":
            pids = [int((home / ".opsnb" / "local" / "pg" / "data" / "postmaster.pid").read_text().split()[0])]
        case _:
            pids = [int(json.loads((home / ".opsnb" / "local" / "run" / "daemon.json").read_text())["pid"])]
    for pid in pids[-1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(pids)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def _runs(home: Path) -> list[Path]:
    return sorted(path for phase in PHASES for path in home.glob(f"reports/local/*/{phase}/*") if path.is_dir())


def _lies(home: Path) -> list[str]:
    """What the archive claims and did not happen."""
    found = []
    for folder in _runs(home):
        if said := disagreement(folder):
            found.append(f"{folder.parent.name}: {said}")
        run = read_run(folder)
        if not run.damaged and not run.data["unfinished"]:
            journal = (folder / "journal.jsonl").read_text(encoding="utf-8")
            ran = sum(json.loads(line)["event"] == "cell_end" for line in journal.splitlines() if line.endswith("}"))
            if ran < 3:
                found.append(f"{folder.parent.name}: results of a notebook of which {ran} cells ended")
    return found


def _verdicts(home: Path) -> Verdicts:
    """phase/check → verdict of the newest run of each phase."""
    newest = {folder.parent.name: folder for folder in _runs(home)}
    return {f"{phase}/{result.id}": str(result.verdict) for phase, folder in newest.items() for result in read_run(folder).results}


def _removals(home: Path) -> int:
    """Records of clean-ups that removed something."""
    records = [json.loads(path.read_text()) for path in home.glob("reports/local/*/actions/*-cleanup.json")]
    return sum(bool(record) for record in records)


def _connect(home: Path) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect((home / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip())


def _test_records(home: Path) -> int:
    """How many of the release's test users there are."""
    with _connect(home) as connection:
        users = ["805148ca-76b5-48b2-88e7-0ebfd13bc580", "cb184de2-68c6-4fa7-98dc-885d6e5c244e"]
        row = connection.execute("select count(*) from public.users where id = any(%s::uuid[])", [users]).fetchone()
        assert row is not None
        return row[0]


def _plant(home: Path) -> None:
    """The release's test records, as somebody leaves them behind."""
    ended = run_opsnb("local", "fault", "leftover_test_data", root=home)
    assert ended.code == 0 and _test_records(home) == 2, ended


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS))
