"""Snapshot and rehearsal on a real PostgreSQL: what was taken can be restored whole, and whatever is wrong with it is said."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pyrage
import pytest
from clusters import bare, programs
from harness import make_home, process_environment
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from opsnb.actions.snapshot import Kept, Rehearsal, Snapshot, newest_kept
from opsnb.checks import backup as checks
from opsnb.errors import ActionRefused, SourceDenied, SourceError, SourceTimeout, UsageError
from opsnb.evidence import baseline, deployments
from opsnb.facts import Facts
from opsnb.questions.archive import ArchiveQuestions
from opsnb.sources import backup
from opsnb.verdicts import Verdict

CANARY = "Quilliana Testperson"
DATA = f"""
create table public.odd ("a b" text, t timestamptz, n numeric, j jsonb, b bytea, f float8, x int[]);
insert into public.odd select '{CANARY} ' || n, now() - n * interval '1 hour', n / 3.0, jsonb_build_object('n', n), decode('00ff', 'hex'),
    sqrt(n), array[n, null] from generate_series(1, 500) n;
create view public.odd_view with (security_invoker) as select "a b" from public.odd;
create policy nobody on public.odd to authenticated using (false);
"""


class Desk:
    """A home with one environment, `desk`, on a database of its own."""

    def __init__(self, root: Path, dsn: str) -> None:
        self.root, self.dsn = root, dsn
        identity = pyrage.x25519.Identity.generate()
        keys = root / "keys"
        keys.mkdir()
        (keys / "dsn").write_text(dsn)
        (keys / "identity").write_text(f"{identity}\n")
        (keys / "recipient").write_text(f"{identity.to_public()}\n")
        self.environment()

    def environment(self, more: str = "") -> None:
        (self.root / "parameters" / "environments" / "desk.yaml").write_text(
            "release: patient-history\npostgres:\n  dsn: file:keys/dsn\n"
            "encryption: { recipient: file:keys/recipient, identity: file:keys/identity }\n" + more
        )

    def take(self) -> Kept:
        return Snapshot.open("desk", root=self.root).take()

    def rehearse(self) -> dict[str, Any]:
        return Rehearsal.open("desk", root=self.root).run()

    @property
    def backups(self) -> list[str]:
        return sorted(path.name for path in self.root.glob("reports/desk/*/backups/*"))

    def judged(self, now: datetime | None = None) -> Any:
        """What phase 01 says of it."""
        questions = ArchiveQuestions.__new__(ArchiveQuestions)
        questions.deployment = deployments.named(self.root / "reports", "desk")
        return checks.restored(questions.snapshots().table, now=now or datetime.now(UTC), age_h=24)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with bare(18).fresh(supabase=True, clinic=True) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(DATA)  # type: ignore[arg-type]
        yield dsn


@pytest.fixture
def desk(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("OPSNB_REPORTS", "OPSNB_RUN_DIR", "OPSNB_JOURNAL"):
        monkeypatch.delenv(name, raising=False)
    return Desk(make_home(tmp_path / "a home"), database)


def test_a_snapshot_can_be_restored_whole(desk: Desk) -> None:
    kept = desk.take()
    assert desk.judged().verdict is Verdict.INCONCLUSIVE  # nobody tried
    assert kept.tables["public.odd"]["rows"] == 500
    assert all(said["fingerprint"] for said in kept.tables.values())
    assert all(path.stat().st_mode & 0o077 == 0 for path in (kept.folder / "dump").iterdir())
    found = desk.rehearse()
    assert found["whole"], found
    assert {each["state"] for each in found["tables"]} == {"equal"}
    assert {"decrypt", "restore", "compare rows", "compare catalogue"} <= set(found["seconds"])
    assert desk.judged().verdict is Verdict.PASS
    assert desk.judged(now=datetime.now(UTC) + timedelta(hours=25)).verdict is Verdict.FAIL
    everything = b"".join(path.read_bytes() for path in desk.root.rglob("*") if path.is_file() and "reports" in path.parts)
    assert CANARY.encode() not in everything
    assert not list(Path(tempfile.gettempdir()).glob(f"opsnb-*-{os.getpid()}-*"))


def test_what_is_restored_otherwise_fails(desk: Desk) -> None:
    """The manifest says one row more, another fingerprint, a table that is not in the dump: each is named, and the check is FAIL."""
    kept = desk.take()
    path = kept.folder / "manifest.json"
    good = json.loads(path.read_text())
    for change, name in (({"fingerprint": "500:1"}, "public.odd"), ({"table": "public.gone"}, "public.gone")):
        said = json.loads(json.dumps(good))
        next(each for each in said["tables"] if each["table"] == "public.odd").update(change)
        path.write_text(json.dumps(said))
        found = desk.rehearse()
        assert not found["whole"] and found["differing"] == [name]
        assert desk.judged().verdict is Verdict.FAIL and name in desk.judged().summary
        time.sleep(1.1)  # a record a second
    path.write_text(json.dumps(good))
    assert desk.rehearse()["whole"]
    assert desk.judged().verdict is Verdict.PASS


def test_an_object_that_did_not_come_back_is_named(desk: Desk) -> None:
    kept = desk.take()
    path = kept.folder / "catalogue.jsonl"
    facts = baseline.read(path)
    rows = facts.table
    lost = (rows["kind"] == "policy") & rows["object"].str.contains("nobody")
    assert lost.sum() == 1
    fewer = Facts("database", "", 0.0, answer=pd.concat([rows[~lost], rows[lost].assign(object="nobody else on public.odd")]))
    baseline.write(path, fewer, environment="desk", release="patient-history", captured_at=datetime.now(UTC), server_version="18")
    manifest = json.loads((kept.folder / "manifest.json").read_text())
    manifest["files"]["catalogue.jsonl"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (kept.folder / "manifest.json").write_text(json.dumps(manifest))
    found = desk.rehearse()
    assert {each["kind"] for each in found["catalogue"]} == {"policy"}
    assert not found["whole"]


def spoilt(kept: Kept, how: str) -> str:
    """Spoils one file of the snapshot; its name."""
    path = sorted((kept.folder / "dump").glob("*.dat*.age"), key=lambda each: each.stat().st_size)[-1]
    content = path.read_bytes()
    if how == "changed":
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "missing":
        path.unlink()
    elif how == "added":
        path = path.with_name("9999.dat.age")
        path.write_bytes(b"x")
    return path.name


@pytest.mark.parametrize("how", ["changed", "truncated", "missing", "added"])
def test_a_spoilt_dump_is_refused_before_anything_is_restored(desk: Desk, how: str) -> None:
    name = spoilt(desk.take(), how)
    with pytest.raises(ActionRefused, match=re.escape(name) + r".*Nothing was changed"):
        desk.rehearse()


def test_wrong_keys_and_damaged_manifests_are_refused(desk: Desk) -> None:
    kept = desk.take()
    identity = desk.root / "keys" / "identity"
    good = identity.read_text()
    for text, error, says in (
        (str(pyrage.x25519.Identity.generate()), ActionRefused, "not the one it was encrypted to"),
        ("nonsense", UsageError, "age identity"),
    ):  # fmt: skip
        identity.write_text(text)
        with pytest.raises(error, match=says) as refused:
            desk.rehearse()
        assert text not in str(refused.value)
    identity.write_text(good)
    for text in ("{", "{}", '{"format": 99}'):
        (kept.folder / "manifest.json").write_text(text)
        with pytest.raises(UsageError, match="manifest"):
            desk.rehearse()


def test_no_key_no_dump(desk: Desk) -> None:
    path = desk.root / "parameters" / "environments" / "desk.yaml"
    path.write_text("release: patient-history\npostgres:\n  dsn: file:keys/dsn\n")
    with pytest.raises(ActionRefused, match=r"encryption\.recipient"):
        desk.take()
    assert desk.backups == []


def test_older_programs_are_refused_in_words(desk: Desk) -> None:
    place = programs(15)
    if place is None:
        pytest.skip("PostgreSQL 15 is not on this machine")
    desk.environment(f"backup: {{ programs: {place} }}\n")
    with pytest.raises(UsageError, match=r"PostgreSQL 18 or newer were not found \(found: 15 in "):
        desk.take()
    assert desk.backups == []


def test_a_role_that_sees_too_little_is_refused(desk: Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as connection:
        connection.execute("drop role if exists weak")
        connection.execute("create role weak login")
    (desk.root / "keys" / "dsn").write_text(desk.dsn.replace("user=postgres", "user=weak").replace("postgres@", "weak@"))
    with pytest.raises(SourceDenied, match="use one with pg_read_all_data and BYPASSRLS"):
        desk.take()
    assert desk.backups == []


def test_a_locked_table_is_not_waited_for(desk: Desk) -> None:
    with psycopg.connect(desk.dsn) as holder:
        holder.execute("lock table public.odd in access exclusive mode")
        with pytest.raises((SourceTimeout, SourceError)):
            desk.take()
    assert desk.backups == []
    assert desk.take().tables["public.odd"]["rows"] == 500


SLOW = """
import resource, sys
from pathlib import Path
if sys.argv[2] == "small disk":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from opsnb.actions.snapshot import taking
if sys.argv[2] == "slow":
    from opsnb.sources import backup
    was = backup.Moment.count
    def slow(self, *args, **named):
        print("counting", flush=True)
        import time; time.sleep(0.2)
        return was(self, *args, **named)
    backup.Moment.count = slow
try:
    taking.Snapshot.open("desk", root=Path(sys.argv[1])).take()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_nothing(desk: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(desk.root), "small disk"],
        capture_output=True,
        text=True,
        env=process_environment(desk.root),
        check=False,
    )
    assert "disk is full" in done.stdout, done
    assert desk.backups == []


def test_a_killed_snapshot_leaves_no_snapshot(desk: Desk) -> None:
    command = [sys.executable, "-c", SLOW, str(desk.root), "slow"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=process_environment(desk.root))
    assert child.stdout is not None
    for _ in range(3):
        assert child.stdout.readline().strip() == "counting"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert [name[0] for name in desk.backups] == ["."]
    with pytest.raises(UsageError, match="no snapshot to rehearse"):
        desk.rehearse()
    kept = desk.take()
    assert desk.backups == [kept.name]


@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.one_of(st.none(), st.text("ab'\\\n☃", max_size=4))), min_size=1, max_size=8),
    pick=st.randoms(use_true_random=False),
)
@settings(max_examples=20, deadline=None)
def test_a_fingerprint_is_of_the_rows_and_not_of_their_order(rows: list[tuple[int, str | None]], pick: Any) -> None:
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table public.t (n int, s text)")

        def fingerprint(content: list[tuple[int, str | None]]) -> str | None:
            connection.execute("truncate public.t")
            for row in content:
                connection.execute("insert into public.t values (%s, %s)", row)
            with backup.moment(SecretStr(dsn), phase="test") as moment:
                return moment.count("public", "t", timeout_s=10).fingerprint

        whole = fingerprint(rows)
        assert fingerprint(pick.sample(rows, len(rows))) == whole
        n, s = rows[0]
        assert fingerprint([(n + 1, s), *rows[1:]]) != whole
        assert fingerprint([(n, "other"), *rows[1:]]) != whole
        assert fingerprint([*rows, rows[0]]) != whole
        assert fingerprint(rows[1:]) != whole


def test_snapshots_of_a_deployment_are_no_runs(desk: Desk) -> None:
    from opsnb.evidence.results import read_runs

    kept = desk.take()
    found = deployments.named(desk.root / "reports", "desk")
    assert read_runs(found) == []
    newest = newest_kept(found)
    assert newest is not None and newest.folder == kept.folder
    shutil.rmtree(kept.folder)
    assert newest_kept(found) is None
