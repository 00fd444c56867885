"""The way back with kill -9 at random moments: whatever was damaged is as at T0, what was written since is listed, nothing is done twice.

``python -m tests.campaigns.rollbacks [TURNS] [NOTES] [--point-in-time]``: 100 turns and 10,000 notes by default. Each turn drops a table,
empties a record in twenty, deploys a wrong function and writes new rows; then it begins a rollback, kills it up to three times and gives it
again until it has ended. Must hold, each time: every row of the tables that the clinic's own traffic leaves alone is as at T0, no record is
empty, the function is the archived one by hash, every new row is in an export.

With ``--point-in-time`` the platform takes the whole project back instead: each turn has a snapshot of its own, the damage also alters a
table (rows alone could not be put back), and the server's timeline must have risen by one for each rollback begun: asked for once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness import REPOSITORY, make_home, process_environment, run_opsnb

from opsnb.actions.rollback import read_journal
from opsnb.evidence import deployments, sealed
from opsnb.sources import backup
from opsnb.sources.deploying import Deploying

TURNS, NOTES, SEED, KILLS = 100, 10_000, 20261124, 3
FUNCTION = "get-patient-history"
STILL = ("public.soap_notes", "public.appointments", "public.soap_subjective_symptoms", "public.soap_plan_medication", "public.users")
DAMAGE = """
drop table public.soap_subjective_symptoms cascade;
update public.patient_profiles set cumulative_medical_record = '{{}}' where id in (
    select id from public.patient_profiles order by id limit (select greatest(1, count(*) / 20) from public.patient_profiles));
update public.soap_notes set signed_at = signed_at + interval '1 second' where id in (
    select id from public.soap_notes where status = 'signed' order by id limit 50);
insert into public.soap_plan_medication (soap_note_id, name) select id, 'turn {turn}' from public.soap_notes order by id limit 3;
"""
ALTERED = "alter table public.app_settings add column turn_{turn} text"
FILL = (
    """create temporary table pair as select row_number() over () - 1 as number, patient_id, provider_id
    from (select distinct patient_id, provider_id from public.appointments) each""",
    """insert into public.appointments (id, patient_id, provider_id, starts_at, ends_at, status)
    select md5('a' || i)::uuid, patient_id, provider_id, now() - i * interval '1 minute', now(), 'completed'
    from generate_series(1, {more}) i join pair on number = i % (select count(*) from pair)""",
    "analyze public.appointments",  # else each note's appointment is looked up by the plan for the few there were
    """insert into public.soap_notes (id, appointment_id, patient_id, provider_id, status, signed_at)
    select md5('n' || i)::uuid, md5('a' || i)::uuid, patient_id, provider_id, 'signed', now()
    from generate_series(1, {more}) i join pair on number = i % (select count(*) from pair)""",
    "analyze",
)


@dataclass
class Turn:
    """One turn: when it was killed, how often the command was given again, and whatever was wrong."""

    killed_s: list[float] = field(default_factory=list)
    again: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Clinic:
    """The target, its snapshot, what it held then, and the way back that is walked."""

    root: Path
    then: dict[str, Any]
    point: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The command of the way back."""
        return ("rollback", "local", "--apply", *(("--point-in-time",) if self.point else ()), "--confirm", "local")

    @property
    def timeline(self) -> int:
        """The server's own: a restore to a point in time raises it by one."""
        return backup.timeline(SecretStr(said(self.root, "write_dsn")))

    @property
    def begun(self) -> int:
        """How many rollbacks were begun; one that is given again after a kill goes on and is not counted twice."""
        return sum(event["event"] == "begun" for event in read_journal(self.deployment))

    @property
    def deployment(self) -> deployments.Deployment:
        """The one that has the snapshot."""
        return deployments.named(self.root / "reports", "local")

    def exported(self, word: str) -> int:
        """How many lines of all exports hold *word*."""
        identity = said(self.root, "age_identity")
        files = (self.deployment.folder / "actions").glob("*-rows-since-T0.jsonl.age")
        return sum(line.count(word.encode()) for path in files for line in sealed.read_sealed(path, identity).splitlines())


def said(root: Path, name: str) -> str:
    """What the embedded target wrote of itself."""
    return (root / ".opsnb" / "local" / "run" / name).read_text().strip()


def state(root: Path) -> dict[str, Any]:
    """Fingerprints of the tables nobody else writes, how many records are empty, the function's source."""
    found: dict[str, Any] = {}
    with psycopg.connect(said(root, "write_dsn")) as connection:
        for table in STILL:
            asked = f"select count(*), sum(hashtextextended(r::text, 0)::numeric) from {table} as r"
            found[table] = connection.execute(asked.encode()).fetchone()
        empty = connection.execute("select count(*) from public.patient_profiles where cumulative_medical_record = '{}'").fetchone()
        found["empty records"] = empty
    return found


def begin(root: Path, notes: int, point: bool = False) -> Clinic:
    """Fills the clinic, keeps its functions, takes the snapshot."""
    with psycopg.connect(said(root, "write_dsn"), autocommit=True) as connection:
        (there,) = connection.execute("select count(*) from public.soap_notes").fetchone() or (0,)
        if notes > there:
            for statement in FILL:
                connection.execute(statement.format(more=notes - there).encode())
    for words in (("functions", "archive", "local"), ("snapshot", "local"), ("rehearse", "local")):
        ended = run_opsnb(*words, root=root, timeout_s=1800)
        assert ended.code == 0, ended
    return Clinic(root, state(root), point)


def again(clinic: Clinic) -> Clinic:
    """A snapshot of this turn: a point in time is left behind by the restore to it."""
    ended = run_opsnb("snapshot", "local", root=clinic.root, timeout_s=1800)
    assert ended.code == 0, ended
    return Clinic(clinic.root, state(clinic.root), clinic.point)


def damage(clinic: Clinic, turn: int) -> None:
    """Everything at once, and a function that is not the one that was archived."""
    with psycopg.connect(said(clinic.root, "write_dsn"), autocommit=True) as connection:
        connection.execute(DAMAGE.format(turn=turn).encode())
        if clinic.point:
            connection.execute(ALTERED.format(turn=turn).encode())
    deploying = Deploying(said(clinic.root, "platform_url"), "localclinicopsnbdemo", SecretStr(said(clinic.root, "access_token")))
    try:
        source = f"Deno.serve(() => new Response('turn {turn}'));\n".encode()
        deploying.deploy(FUNCTION, {"index.ts": source}, entrypoint="index.ts", verify_jwt=False)
    finally:
        deploying.close()


def walk(clinic: Clinic, dice: random.Random, longest_s: float, number: int) -> Turn:
    """One turn."""
    if clinic.point:
        clinic = again(clinic)
    turn, began, timeline, before = Turn(), time.monotonic(), clinic.timeline, clinic.begun
    damage(clinic, number)
    words = [str(Path(sys.executable).with_name("opsnb")), *clinic.words]
    for _ in range(dice.randint(1, KILLS)):
        child = subprocess.Popen(
            words, cwd=clinic.root, env=process_environment(clinic.root), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        at_s = dice.uniform(0.2, longest_s)
        time.sleep(at_s)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            turn.killed_s.append(round(at_s, 2))
        child.wait()
    while turn.again < 5:
        ended = run_opsnb(*clinic.words, root=clinic.root, timeout_s=1800)
        turn.again += 1
        if ended.code == 0:
            break
        turn.wrong.append(f"given again, it ended with {ended.code}: {ended.err.strip()[-160:]}") if turn.again == 5 else None
    turn.seconds = time.monotonic() - began
    now = state(clinic.root)
    turn.wrong += [f"{what} is {now[what]}, was {was}" for what, was in clinic.then.items() if now[what] != was]
    events = read_journal(clinic.deployment)
    rollbacks = clinic.begun - before  # one that had ended before it was to be killed is followed by another
    if clinic.timeline != timeline + (rollbacks if clinic.point else 0):
        turn.wrong.append(f"the server's timeline went from {timeline} to {clinic.timeline} in {rollbacks} rollbacks")
    if events[-1]["event"] != "ended":
        turn.wrong.append("the journal does not end")
    if clinic.exported(f'"turn {number}"') < 3:
        turn.wrong.append("new rows are in no export")
    turn.wrong += _function(clinic, number)
    return turn


def _function(clinic: Clinic, number: int) -> list[str]:
    """Whether the function is the archived one: deployed again, and by its own answer."""
    live = hashlib.sha256(f"turn {number}".encode()).hexdigest()
    ended = run_opsnb("run", "local", "--phase", "rollback", root=clinic.root, timeout_s=300)
    told = sorted(clinic.deployment.folder.glob("rollback/*/results.json"))[-1].read_text(encoding="utf-8")
    verdicts = {each["id"]: each["verdict"] for each in json.loads(told)["results"]}
    asked = ("rollback.functions_as_before", "rollback.rows_listed", "rollback.rows_put_back")
    wrong = [f"{check} is {verdicts.get(check)}" for check in asked if verdicts.get(check) != "PASS"]
    return wrong if live not in ended.out else [*wrong, "the wrong function answers"]


def main(turns: int = TURNS, notes: int = NOTES, point: bool = False) -> int:
    """Prints the table; 1 where anything was wrong."""
    dice = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="opsnb-wayback-", ignore_cleanup_errors=True) as folder:
        root = make_home(Path(folder) / "home")
        assert run_opsnb("local", "up", root=root, timeout_s=300).code == 0
        try:
            clinic = begin(root, notes, point)
            first = walk(clinic, random.Random(1), 0.3, 0)
            found = []
            for number in range(1, turns + 1):
                found.append(walk(clinic, dice, max(2.0, first.seconds * 0.8), number))
                said_ = "; ".join(found[-1].wrong) or "as at T0"
                killed = ", ".join(map(str, found[-1].killed_s)) or "never"
                times = f"given again {found[-1].again} times, {found[-1].seconds:.0f} s"
                print(f"{number:3} killed at {killed} s, {times}: {said_}", flush=True)
        finally:
            run_opsnb("local", "down", root=root)
    kills, good = sum(len(turn.killed_s) for turn in found), sum(not turn.wrong for turn in found)
    way = "to a point in time" if point else "from the snapshot"
    held = f"{clinic.then['public.soap_notes'][0]:,} notes"
    print(f"\nthe way back {way}: {good} of {len(found)} turns as at T0, {kills} kills (seed {SEED}), {held}")
    return int(good < len(found))


if __name__ == "__main__":
    assert REPOSITORY.is_dir()
    asked = argparse.ArgumentParser(prog="python -m tests.campaigns.rollbacks", description="The way back with kill -9 at random moments.")
    asked.add_argument("turns", type=int, nargs="?", default=TURNS)
    asked.add_argument("notes", type=int, nargs="?", default=NOTES)
    asked.add_argument("--point-in-time", action="store_true")
    given = asked.parse_args()
    raise SystemExit(main(given.turns, given.notes, given.point_in_time))
