"""The way back on a real PostgreSQL: whatever was damaged is as at T0 afterwards, what was written since is kept, kills change nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pyrage
import pytest
from clusters import bare
from harness import make_home, process_environment

from opsnb.actions.rollback import Rollback, read_journal
from opsnb.actions.rollback.journal import Journal, held
from opsnb.actions.snapshot import Snapshot
from opsnb.errors import ActionFailed, ActionRefused, UsageError
from opsnb.evidence import deployments, sealed
from opsnb.sources import backup

NOTES = """
create table public.things (id uuid primary key default gen_random_uuid(), owner uuid, n int not null, body jsonb,
    at timestamptz default now(), twice int generated always as (n * 2) stored);
create table public.parts (thing uuid references public.things on delete cascade, no int generated always as identity, text text,
    primary key (thing, no));
create table public.loose (word text, n int);
create index things_n on public.things (n);
create function private.stamp() returns trigger language plpgsql as 'begin new.at := now(); return new; end';
create trigger stamp before update on public.things for each row execute function private.stamp();
alter table public.things enable row level security;
alter table public.things force row level security;
create policy own on public.things for select to authenticated using (owner = auth.uid());
grant select on public.things to authenticated;
insert into public.things (owner, n, body) select gen_random_uuid(), n, jsonb_build_object('allergies', n) from generate_series(1, 400) n;
insert into public.parts (thing, text) select id, 'part of ' || n from public.things, generate_series(1, 2) k;
insert into public.loose select 'w' || n % 7, n % 3 from generate_series(1, 60) n;
insert into public.app_settings values ('feature', 'true', 'x') on conflict do nothing;
"""
DAMAGE = {
    "mangled": "update public.things set body = '{}' where n % 20 = 0",
    "dropped": "drop table public.parts cascade",
    "dropped with its children": "drop table public.things cascade",
    "deleted": "delete from public.things where n % 10 = 3",
    "without a key": "delete from public.loose where n = 1; insert into public.loose values ('new', 9), ('new', 9)",
    "new rows": "insert into public.things (owner, n, body) select gen_random_uuid(), 1000 + g, '{}' from generate_series(1, 9) g",
    "rls off": "alter table public.things disable row level security",
    "policy gone": "drop policy own on public.things",
    "index and trigger gone": "drop index public.things_n; drop trigger stamp on public.things",
    "the feature's own table gone": "drop table public.app_settings cascade",
    "all at once": "update public.things set body = null where n < 50; delete from public.things where n > 350; "
                   "drop table public.parts cascade; delete from public.loose; drop policy own on public.things; "
                   "insert into public.things (n) values (7), (8)",
}  # fmt: skip
OWNED = """do $$ declare r record; begin
    for r in select oid::regclass c from pg_class where relkind in ('r', 'v')
        and relnamespace in ('public'::regnamespace, 'private'::regnamespace)
    loop execute format('alter table %s owner to plain_owner', r.c); end loop; end $$"""
TABLES = ("public.things", "public.parts", "public.loose")
FLAGS = "select relrowsecurity, relforcerowsecurity, relacl::text from pg_class where oid = 'public.things'::regclass"
WITHOUT = "select string_agg(md5(r::text), '' order by md5(r::text)) from {} as r"


class Desk:
    def __init__(self, root: Path, dsn: str) -> None:
        self.root, self.dsn = root, dsn
        self.identity = str(pyrage.x25519.Identity.generate())
        keys = root / "keys"
        keys.mkdir()
        (keys / "dsn").write_text(dsn)
        (keys / "identity").write_text(self.identity + "\n")
        (keys / "recipient").write_text(str(pyrage.x25519.Identity.from_str(self.identity).to_public()))
        (root / "parameters" / "environments" / "desk.yaml").write_text(
            "release: desk\npostgres: { dsn: file:keys/dsn, write_dsn: file:keys/dsn }\n"
            "encryption: { recipient: file:keys/recipient, identity: file:keys/identity }\n"
        )
        (root / "parameters" / "releases" / "desk.yaml").write_text(
            "title: Desk\nschema: { schemas: [public], tables: {} }\nactions: { rollback: { switch: { table: public.app_settings, "
            "set: { value: 'false' }, where: { key: feature } } } }\n"
        )

    def do(self, sql: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for each in sql.split("; "):
                connection.execute(each)  # type: ignore[arg-type]

    def state(self) -> dict[str, Any]:
        """Every row of the three tables, and what stands in the catalogue about them."""
        with psycopg.connect(self.dsn) as connection:
            rows = {
                table: connection.execute(WITHOUT.format(table)).fetchone() for table in ("public.things", "public.parts", "public.loose")
            }
            flags = connection.execute(
                "select relrowsecurity, relforcerowsecurity, relacl::text from pg_class where oid = 'public.things'::regclass"
            )
            names = connection.execute("select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid::regclass::text in "
                                       "('things', 'parts', 'public.things', 'public.parts') order by 1").fetchall()  # fmt: skip
            objects = connection.execute("select polname from pg_policy where polrelid = 'public.things'::regclass").fetchall()
            triggers = connection.execute("select tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2").fetchall()
            return {**rows, "flags": flags.fetchall(), "names": names, "policies": objects, "triggers": triggers}

    def take(self) -> None:
        Snapshot.open("desk", root=self.root).take()

    def back(self) -> Rollback:
        action = Rollback.open("desk", root=self.root)
        action.apply(confirm="desk", why="a test")
        return action

    @property
    def deployment(self) -> deployments.Deployment:
        return deployments.named(self.root / "reports", "desk")


@pytest.fixture(params=["superuser", "owner"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Once with a role that may hold triggers off, once with one that owns the tables and no more."""
    for name in ("OPSNB_REPORTS", "OPSNB_RUN_DIR", "OPSNB_JOURNAL"):
        monkeypatch.delenv(name, raising=False)
    with bare(18).fresh(supabase=True, clinic=True) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(NOTES)  # type: ignore[arg-type]
            if request.param == "owner":
                connection.execute("drop role if exists plain_owner")
                connection.execute("create role plain_owner login bypassrls")
                connection.execute("grant pg_read_all_data to plain_owner with inherit true")
                connection.execute(OWNED)
                connection.execute("grant all on schema public, private, auth to plain_owner")
                connection.execute("grant execute on all functions in schema private to plain_owner")
        made = Desk(make_home(tmp_path / "a home"), dsn)
        if request.param == "owner":
            (made.root / "keys" / "dsn").write_text(
                dsn.replace("user=postgres", "user=plain_owner").replace("//postgres@", "//plain_owner@")
            )
        yield made
        if request.param == "owner":
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("drop owned by plain_owner cascade")


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_damaged_is_as_it_was(desk: Desk, damage: str) -> None:
    desk.take()
    before = desk.state()
    desk.do(DAMAGE[damage])
    desk.back()
    assert desk.state() == before
    events = [event["event"] for event in read_journal(desk.deployment)]
    assert events[0] == "begun" and events[-1] == "ended"


def test_identity_columns_go_on_where_they_stood(desk: Desk) -> None:
    desk.take()
    desk.do(DAMAGE["dropped"])
    desk.back()
    desk.do("insert into public.parts (thing, text) select id, 'more' from public.things limit 1")
    with psycopg.connect(desk.dsn) as connection:
        assert connection.execute("select max(no) from public.parts").fetchone() == (801,)


def test_what_was_written_since_is_kept_encrypted(desk: Desk) -> None:
    desk.take()
    desk.do('insert into public.things (n, body) values (77777, \'{"said": "Quilliana"}\'); update public.things set n = -5 where n = 5')
    planned = Rollback.open("desk", root=desk.root).plan()
    assert planned.lost == {"public.things": 2} and planned.back == {"public.things": 1}
    desk.back()
    exports = sorted((desk.deployment.folder / "actions").glob("*-rows-since-T0.jsonl.age"))
    assert len(exports) == 1 and b"Quilliana" not in exports[0].read_bytes()
    rows = [json.loads(line) for line in sealed.read_sealed(exports[0], desk.identity).splitlines()]
    assert {row["row"]["n"] for row in rows} == {77777, -5}
    assert all(row["table"] == "public.things" for row in rows)
    everything = b"".join(path.read_bytes() for path in desk.deployment.folder.rglob("*") if path.is_file())
    assert b"Quilliana" not in everything


def test_killed_after_the_commit_the_lost_rows_are_still_listed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was exported before the process was killed stands in the step that finds everything as it was."""
    desk.take()
    desk.do(DAMAGE["new rows"])
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "write", lambda self, event, **said: stop(event, said) or write(self, event, **said))
        with pytest.raises(KeyboardInterrupt):
            desk.back()
    desk.back()
    done = next(event for event in read_journal(desk.deployment) if event["event"] == "done" and event["step"] == "rows")
    assert done["rows"]["public.things"]["gone"] == 9 and (desk.deployment.folder / done["export"]).is_file()


write = Journal.write


def stop(event: str, said: dict[str, Any]) -> None:
    if event == "done" and said["step"] == "rows":
        raise KeyboardInterrupt


def test_rows_committed_while_the_tables_were_waited_for(desk: Desk) -> None:
    """They are there when the tables are held, so they are exported and go like all others."""
    desk.take()
    before = desk.state()
    desk.do(DAMAGE["mangled"])
    with psycopg.connect(desk.dsn) as holder:
        holder.execute("insert into public.things (owner, n, body) values (gen_random_uuid(), 5555, '{}')")
        ended = Timer(1.0, holder.commit)
        with rewound(ended):
            desk.back()
    assert desk.state() == before
    done = next(event for event in read_journal(desk.deployment) if event["event"] == "done" and event["step"] == "rows")
    assert done["rows"]["public.things"]["gone"] == 1


@contextmanager
def rewound(commit: Timer) -> Iterator[None]:
    """Commits a moment after the tables are asked for."""
    asked = backup.rewinding

    @contextmanager
    def later(*arguments: Any, **options: Any) -> Iterator[Any]:
        if options.get("write"):
            commit.start()
        with asked(*arguments, **options) as both:
            yield both

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "rewinding", later)
        yield


def test_a_plan_changes_nothing(desk: Desk) -> None:
    desk.take()
    desk.do(DAMAGE["all at once"])
    with psycopg.connect(desk.dsn) as connection:
        before = connection.execute("select count(*), sum(n) from public.things").fetchone()
    plan = Rollback.open("desk", root=desk.root).plan()
    assert plan.gone and plan.lost and plan.back
    with psycopg.connect(desk.dsn) as connection:
        assert connection.execute("select count(*), sum(n) from public.things").fetchone() == before
    assert read_journal(desk.deployment) == []


def test_refused_before_anything_is_changed(desk: Desk) -> None:
    with pytest.raises(UsageError, match="No deployment"):
        desk.back()
    desk.take()
    desk.do("alter table public.things add column more text")
    before = desk.state()
    with pytest.raises(ActionRefused, match="were changed since T0"):
        desk.back()
    with pytest.raises(UsageError, match="expected the environment's name"):
        Rollback.open("desk", root=desk.root).apply(confirm="other")
    with held(desk.deployment), pytest.raises(ActionRefused, match="is running right now"):
        desk.back()
    assert desk.state() == before and read_journal(desk.deployment) == []


def test_a_table_somebody_holds_is_not_waited_for_long(desk: Desk) -> None:
    desk.take()
    desk.do(DAMAGE["mangled"])
    before = desk.state()
    with psycopg.connect(desk.dsn) as holder:
        holder.execute("lock table public.things in row exclusive mode")
        with pytest.raises(Exception, match="nothing was changed"):
            desk.back()
    assert desk.state() == before
    desk.back()
    assert desk.state() != before


WALK = """
import sys
from pathlib import Path
from opsnb.actions.rollback import Rollback
print("walking", flush=True)
Rollback.open("desk", root=Path(sys.argv[1])).apply(confirm="desk")
"""


def killed(desk: Desk, times: int, dice: random.Random) -> None:
    desk.take()
    before = desk.state()
    for _ in range(times):
        desk.do(DAMAGE["all at once"] if "parts" in str(before) else DAMAGE["mangled"])
        for _ in range(3):
            child = subprocess.Popen([sys.executable, "-c", WALK, str(desk.root)], stdout=subprocess.PIPE, text=True,
                                     env=process_environment(desk.root))  # fmt: skip
            assert child.stdout is not None and child.stdout.readline().strip() == "walking"
            time.sleep(dice.uniform(0.3, 3.0))
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
        desk.back()
        assert desk.state() == before
    ends = [event for event in read_journal(desk.deployment) if event["event"] == "ended"]
    assert len(ends) >= times
    assert not list(Path(tempfile.gettempdir()).glob(f"opsnb-*-{child.pid}-*"))  # no dump stays open, no server runs on
    exported = sum(len(sealed.read_sealed(path, desk.identity).splitlines()) for path in
                   (desk.deployment.folder / "actions").glob("*-rows-since-T0.jsonl.age"))  # fmt: skip
    assert exported >= times * 2  # whatever was committed was exported before


@pytest.mark.campaign
def test_killed_at_random_moments(desk: Desk) -> None:
    killed(desk, 2, random.Random(5))


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_killed_a_hundred_times(desk: Desk) -> None:
    killed(desk, 34, random.Random(11))


def test_a_failed_step_is_named_and_gone_on_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.take()
    before = desk.state()
    desk.do(DAMAGE["mangled"])
    with monkeypatch.context() as broken:
        broken.setattr(Rollback, "_compare", lambda *_: (_ for _ in ()).throw(ActionFailed("the comparison broke off")))
        with pytest.raises(ActionFailed):
            desk.back()
    assert read_journal(desk.deployment)[-1] == {**read_journal(desk.deployment)[-1], "event": "failed", "why": "the comparison broke off"}
    desk.do(DAMAGE["deleted"])  # and more went wrong meanwhile
    desk.back()
    assert desk.state() == before
    done = [event["step"] for event in read_journal(desk.deployment) if event["event"] == "done"]
    assert done.count("feature") == 1
