"""The proofs of access on a large clinic: 20 tables of 1,000,000 rows, six identities, four verbs, the embedded clinic's own policies.

``python -m tests.benchmarks.proofs [ROWS]``. Must hold: every cell asked and decided, under 60 s in all, no statement over 2 s.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from clusters import Bare, bare
from kept import keep

from opsnb.checks import access, reach
from opsnb.config import AccessSpec, find_root, load_release
from opsnb.sources import impersonation, reaching
from opsnb.sources.postgres import Postgres

ROWS = 1_000_000
BUSY = 1000
"""Providers who have all the appointments between them: a thousand rows each, as a busy one has."""
LIMIT_S, STATEMENT_LIMIT_S = 60.0, 2.0


def _id(kind: int, number: str = "i") -> str:
    return f"md5('{kind}/' || {number})::uuid"


PATIENT, PROVIDER, APPOINTMENT, NOTE = 1, 2, 3, 4
_DOCTOR = _id(PROVIDER, f"1 + i % {BUSY}")
_WHO = f"{_id(PATIENT)}, {_DOCTOR}"
_DRAFT = f"i / {BUSY} % 20 = 0"
FILLED = {
    "users (id, firebase_uid, email, full_name, role)": (
        f"{_id(PATIENT)}, 'patient' || i, 'a' || i, 'A', 'patient'",
        f"{_id(PROVIDER)}, 'provider' || i, 'b' || i, 'B', 'provider'",
    ),
    "patient_profiles (user_id, medical_record_number, date_of_birth)": (f"{_id(PATIENT)}, 'r' || i, '1980-01-01'",),
    "medical_provider_profiles (user_id, display_name, specialty, licence_number)": (f"{_id(PROVIDER)}, 'B', 's', 'l' || i",),
    "appointments (id, patient_id, provider_id, starts_at, ends_at, status)": (
        f"{_id(APPOINTMENT)}, {_WHO}, now(), now() + interval '1 hour', 'completed'",
    ),
    "video_call_sessions (appointment_id, room_name)": (f"{_id(APPOINTMENT)}, 'r' || i",),
    "soap_notes (id, appointment_id, patient_id, provider_id, status, signed_at)": (
        f"{_id(NOTE)}, {_id(APPOINTMENT)}, {_WHO}, case when {_DRAFT} then 'draft' else 'signed' end, "
        f"case when not {_DRAFT} then now() end",
    ),
    "context_snapshots (appointment_id, patient_id, provider_id, context)": (f"{_id(APPOINTMENT)}, {_WHO}, '{{}}'",),
    "app_settings (key, value)": ("'k' || i, '1'",),
    "soap_assessment_differential_diagnosis (soap_note_id, diagnosis)": (f"{_id(NOTE)}, 'd'",),
    "soap_assessment_problem_list (soap_note_id, problem)": (f"{_id(NOTE)}, 'p'",),
    "soap_objective_lab_results (soap_note_id, test_name, value, unit)": (f"{_id(NOTE)}, 't', 1, 'u'",),
    "soap_objective_physical_exam (soap_note_id, body_system, finding)": (f"{_id(NOTE)}, 'b', 'f'",),
    "soap_objective_vital_signs (soap_note_id)": (_id(NOTE),),
    "soap_plan_follow_up (soap_note_id, instruction)": (f"{_id(NOTE)}, 'i'",),
    "soap_plan_investigation (soap_note_id, investigation)": (f"{_id(NOTE)}, 'i'",),
    "soap_plan_medication (soap_note_id, name)": (f"{_id(NOTE)}, 'n'",),
    "soap_subjective_allergies (soap_note_id, allergen)": (f"{_id(NOTE)}, 'a'",),
    "soap_subjective_medical_history (soap_note_id, event, kind)": (f"{_id(NOTE)}, 'e', 'illness'",),
    "soap_subjective_social_history (soap_note_id)": (_id(NOTE),),
    "soap_subjective_symptoms (soap_note_id, symptom)": (f"{_id(NOTE)}, 's'",),
}


@contextmanager
def clinic(cluster: Bare, rows: int) -> Iterator[str]:
    """The embedded clinic with *rows* rows in each of its 20 tables (two kinds of users: twice as many); its DSN."""
    with cluster.fresh(clinic=True) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")  # no triggers, no look-ups of foreign keys
            for table, kinds in FILLED.items():
                for values in kinds:
                    connection.execute(f"insert into public.{table} select {values} from generate_series(1, {rows}) i".encode())
            connection.execute("vacuum analyze")
        yield dsn


def measure(rows: int = ROWS) -> dict[str, Any]:
    """Seconds of the three proofs, of the slowest statement, and how many cells there were and how many were decided."""
    release = load_release("patient-history", find_root())
    assert release.identity is not None
    filled = {table.partition(" ")[0] for table in FILLED}  # stored files are the platform's table, not the clinic's
    declared = {table: said for table, said in release.access.items() if table in filled}
    assert len(declared) == len(FILLED) == 20
    log = bare(18).folder / "log"
    with clinic(bare(18), rows) as dsn, psycopg.connect(dsn, autocommit=True) as server:
        server.execute("alter system set log_min_duration_statement = 20")
        server.execute("select pg_reload_conf()")
        said_before = log.stat().st_size
        known = {"patient": str(_at(server, PATIENT)), "provider": str(_at(server, PROVIDER))}
        reading = Postgres(SecretStr(dsn.replace("postgres@", "opsnb_reader@")), phase="rls")
        writing = Postgres(SecretStr(dsn), phase="rls")
        with reading, writing:
            began = time.perf_counter()
            seen = impersonation.matrix(reading, access=declared, identity=release.identity, known=known)
            read = time.perf_counter()
            wrote = reaching.writes(writing, access=declared, identity=release.identity, known=known)
            written = time.perf_counter()
            reached = reaching.strangers(reading, schemas=["public"], identity=release.identity, api_roles=release.api_roles)
            ended = time.perf_counter()
        slow = re.findall(r"duration: ([\d.]+) ms  (?:statement|execute [^:]*): (.*)", log.read_text(errors="replace")[said_before:])
        slowest = max(((float(ms) / 1000, text) for ms, text in slow), default=(0.0, ""))
    for facts in (seen, wrote, reached):
        if facts.error is not None:
            raise SystemExit(str(facts.error))
    verdicts = _judged(declared, seen.answer, wrote.answer, reached.answer)
    cells = [table for table in (seen.answer, wrote.answer, reached.answer) if table is not None]
    return {
        "rows": rows, "seconds": {"select": read - began, "insert, update, delete": written - read, "stranger": ended - written},
        "slowest_s": slowest[0], "slowest": slowest[1],
        "cells": sum(map(len, cells)), "asked": sum(int((table["sqlstate"] != impersonation.NOT_ASKED).sum()) for table in cells),
        "callers": sorted(set(cells[0]["identity"])), "verdicts": verdicts,
    }  # fmt: skip


def _at(server: psycopg.Connection[Any], kind: int) -> Any:
    found = server.execute(f"select {_id(kind, '7')}".encode()).fetchone()
    assert found is not None
    return found[0]


def _judged(declared: Mapping[str, AccessSpec], seen: Any, wrote: Any, reached: Any) -> Counter[str]:
    found = [access.matrix(seen, table=table, select=said.select) for table, said in declared.items()]
    found += [reach.writes(wrote, table=table, verbs=said.verbs) for table, said in declared.items()]
    for outcome in found:
        if outcome.verdict != "PASS":
            print(" ", outcome.verdict, outcome.summary)
    return Counter(str(outcome.verdict) for outcome in found)


def main() -> int:
    """Prints what was measured; exit code 1 where it does not hold."""
    told = measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
    total = sum(told["seconds"].values())
    print(f"proofs of access: {len(FILLED)} tables of {told['rows']:,} rows, {len(told['callers'])} identities, 4 verbs, one run")
    for what, seconds in told["seconds"].items():
        print(f"  {what:24} {seconds:6.2f} s")
    print(f"  together                 {total:6.2f} s (limit {LIMIT_S:g})")
    print(f"  slowest statement        {told['slowest_s']:6.2f} s (limit {STATEMENT_LIMIT_S:g}): {' '.join(told['slowest'].split())[:110]}")
    print(f"  cells asked              {told['asked']} of {told['cells']}; verdicts {dict(told['verdicts'])}")
    keep({"proofs: seconds": (total, LIMIT_S), "proofs: slowest statement, seconds": (told["slowest_s"], STATEMENT_LIMIT_S)}, n=1)
    return int(total > LIMIT_S or told["slowest_s"] > STATEMENT_LIMIT_S or told["asked"] < told["cells"])


if __name__ == "__main__":
    raise SystemExit(main())
