"""What a stranger reaches and what callers can write, on a real server: break it, see it, mend it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from conftest import NOTES, Server
from pydantic import SecretStr

from opsnb.checks import reach
from opsnb.config import Accepted, AccessSpec, IdentitySpec
from opsnb.errors import SourceAbsent
from opsnb.facts import Facts
from opsnb.sources.postgres import Postgres
from opsnb.sources.reaching import REACHED, strangers, writes

IDENTITY = IdentitySpec(
    project_id="p", issuer="https://securetoken.google.com/p", subject_column="clinic.people.uid", role_column="kind", id_column="id"
)
PATIENT, PROVIDER = "00000000-0000-4000-8000-000000000010", "00000000-0000-4000-8000-000000000001"
OWN = "provider_id = clinic.my_id()"
NOBODY = {"anon": "none", "stranger": "none", "patient": "none", "provider": "none"}
AUTHOR = {**NOBODY, "provider": "provider_id = %(user_id)s"}
TODAY = date(2026, 11, 23)
_numbers = itertools.count()
Made = Callable[..., str]


@pytest.fixture
def table(admin: psycopg.Connection[Any]) -> Any:
    """Makes a table of notes which their providers read and write, and says its name; it is gone afterwards."""
    made = []

    def make(*also: str, policy: str = OWN, grants: str = "select, insert, update, delete") -> str:
        name = f"written_{next(_numbers)}"
        made.append(name)
        admin.execute(NOTES.format(name=name).encode())
        admin.execute(f"grant {grants} on clinic.{name} to authenticated".encode())
        admin.execute(f"create policy own on clinic.{name} to authenticated using ({policy}) with check ({policy})".encode())
        for text in also:
            admin.execute(text.format(name=f"clinic.{name}").encode())
        return f"clinic.{name}"

    yield make
    for name in made:
        admin.execute(f"drop table clinic.{name} cascade".encode())


def tried(server: Server, name: str, **verbs: dict[str, str]) -> Facts:
    said = {"select": AUTHOR, "insert": AUTHOR, "update": AUTHOR, "delete": AUTHOR, **verbs}
    with Postgres(SecretStr(server.superuser), phase="tests") as door:
        return writes(
            door, access={name: AccessSpec.model_validate(said)}, identity=IDENTITY, known={"patient": PATIENT, "provider": PROVIDER}
        )


def judged(server: Server, name: str, **verbs: dict[str, str]) -> Any:
    facts = tried(server, name, **verbs)
    assert facts.error is None
    declared = {"insert": AUTHOR, "update": AUTHOR, "delete": AUTHOR, **verbs}
    return reach.writes(facts, table=name, verbs=declared)


def fingerprint(admin: psycopg.Connection[Any], name: str) -> Any:
    return admin.execute(f"select count(*), md5(string_agg(t::text, '|' order by id)) from {name} t".encode()).fetchone()


def test_rights_that_hold_leave_no_trace(server: Server, table: Made, admin: psycopg.Connection[Any]) -> None:
    """Every caller is tried with each verb; not a row is another afterwards, and nothing waits for a lock."""
    name = table()
    before = fingerprint(admin, name)
    result = judged(server, name)
    assert result.verdict == "PASS", result.summary
    assert fingerprint(admin, name) == before
    assert set(result.table["verb"]) == {"insert", "update", "delete"}
    assert set(result.table["identity"]) == {"anon", "stranger", "patient", "another patient", "provider", "another provider"}
    assert PATIENT not in result.table.to_csv() + result.summary


@pytest.mark.parametrize(
    ("verb", "hole"),
    [
        ("update", "create policy hole on {name} for update to authenticated using (true)"),
        ("delete", "create policy hole on {name} for delete to authenticated using (true)"),
        ("insert", "create policy hole on {name} for insert to authenticated with check (true)"),
    ],
)
def test_a_hole_for_one_verb_is_found_and_mended(server: Server, table: Made, admin: psycopg.Connection[Any], verb: str, hole: str) -> None:
    """Reading is as it should be: only trying to write shows it. A policy for updating without one for reading reaches nothing by key."""
    name = table(hole, "create policy seen on {name} for select to authenticated using (true)")
    result = judged(server, name)
    assert result.verdict == "FAIL"
    leaks = result.table[result.table["leaked"].fillna(0) > 0]
    assert set(leaks["verb"]) == {verb}
    assert {"stranger", "patient", "provider"} <= set(leaks["identity"])
    admin.execute(f"drop policy hole on {name}".encode())
    assert judged(server, name).verdict == "PASS"


def test_a_missing_right_is_found(server: Server, table: Made, admin: psycopg.Connection[Any]) -> None:
    """A grant that was forgotten, for one verb."""
    name = table(grants="select, insert, update")
    result = judged(server, name)
    assert result.verdict == "FAIL"
    assert "could not write" in result.summary
    assert set(result.table[result.table["missing"].fillna(0) > 0]["verb"]) == {"delete"}
    admin.execute(f"grant delete on {name} to authenticated".encode())
    assert judged(server, name).verdict == "PASS"


def test_a_policy_that_raises_is_a_failure_in_words(server: Server, table: Made) -> None:
    """Never "no rows"."""
    result = judged(server, table(policy="provider_id = clinic.me()::uuid"))
    assert result.verdict == "FAIL"
    assert "22P02" in result.summary


def test_a_constraint_refuses_after_the_policies(server: Server, table: Made) -> None:
    """A row that somebody refers to cannot be deleted, and its author may delete it all the same: the policies let it through."""
    name = table("create table {name}_child (note bigint references {name}); insert into {name}_child select id from {name}")
    assert judged(server, name).verdict == "PASS"


def test_a_table_whose_trigger_calls_out_is_not_tried(server: Server, table: Made, admin: psycopg.Connection[Any]) -> None:
    """A roll-back does not undo an HTTP call."""
    admin.execute(
        "create or replace function clinic.tell() returns trigger language plpgsql as "
        "$$ begin perform net.http_post('http://x'); return new; end $$"
    )
    result = judged(server, table("create trigger tell before update on {name} for each row execute function clinic.tell()"))
    assert result.verdict == "ERROR"
    assert "calls out" in result.summary


def test_who_owns_nothing_proves_nothing(server: Server, table: Made) -> None:
    name = table("delete from {name}")
    assert judged(server, name).verdict == "INCONCLUSIVE"


def asked(server: Server, **options: Any) -> Facts:
    with Postgres(server.dsn(), phase="tests", statement_timeout_ms=5000) as door:
        return strangers(door, schemas=["clinic"], identity=IDENTITY, **options)


def leaks(facts: Facts, **options: Any) -> dict[str, str]:
    """Object → severity of what is no note."""
    result = reach.stranger(facts, today=TODAY, **options)
    assert result.table is not None
    return {row["object"]: row["severity"] for row in result.table.to_dict("records")[::-1] if row["severity"] != "note"}


@pytest.mark.parametrize(
    ("make", "unmake", "name", "severity"),
    [
        ("alter table {t} disable row level security", "alter table {t} enable row level security", "{t}", "error"),
        ("create policy p on {t} for select to public using (true); grant select on {t} to anon", "drop policy p on {t}", "{t}", "error"),
        ("create policy p on {t} for select to authenticated using (clinic.my_id() is null)", "drop policy p on {t}", "{t}", "error"),
        ("create policy p on {t} to authenticated using (clinic.me()::uuid = patient_id)", "drop policy p on {t}", "{t}", "error"),
        ("create view {t}_v as select id from {t}; grant select on {t}_v to authenticated", "drop view {t}_v", "{t}_v", "error"),
        (
            "create materialized view {t}_m as select id from {t}; grant select on {t}_m to anon",
            "drop materialized view {t}_m", "{t}_m", "error",
        ),
        (
            "create function {t}_f() returns setof bigint language sql stable security definer as 'select id from {t}'",
            "drop function {t}_f()", "{t}_f()", "error",
        ),
        (
            "create function {t}_w() returns void language sql volatile security definer as 'delete from {t}'",
            "drop function {t}_w()", "{t}_w()", "error",
        ),
        (
            "create function {t}_s() returns void language sql volatile security definer as 'delete from {t}'; "
            "revoke execute on function {t}_s() from public; grant execute on function {t}_s() to authenticated",
            "drop function {t}_s()", "{t}_s()", "warning",
        ),
    ],
)  # fmt: skip
def test_what_a_stranger_reaches_is_a_leak(
    server: Server, table: Made, admin: psycopg.Connection[Any], make: str, unmake: str, name: str, severity: str
) -> None:
    """Each hole is found under its name, and gone when it is mended."""
    t = table()
    assert t not in leaks(asked(server))
    admin.execute(make.format(t=t).encode())
    assert leaks(asked(server)).get(name.format(t=t)) == severity
    admin.execute(unmake.format(t=t).encode())
    assert name.format(t=t) not in leaks(asked(server))


def test_stored_files_are_asked_for_too(admin: psycopg.Connection[Any], server: Server) -> None:
    """A policy that asks for the bucket only, and a bucket that is public: each found under its name, and gone when mended."""
    admin.execute(
        "create schema storage; grant usage on schema storage to anon, authenticated; "
        "create table storage.buckets (id text primary key, public boolean); "
        "create table storage.objects (id uuid primary key default gen_random_uuid(), bucket_id text, name text); "
        "alter table storage.objects enable row level security; alter table storage.buckets enable row level security; "
        "grant all on storage.objects, storage.buckets to anon, authenticated; "
        "insert into storage.buckets values ('letters', false), ('empty', true); insert into storage.objects (bucket_id) values ('letters')"
    )
    try:
        assert not {name for name in leaks(asked(server)) if name.startswith("storage")}
        admin.execute("create policy p on storage.objects for select to authenticated using (bucket_id = 'letters')")
        assert leaks(asked(server))["storage.objects"] == "error"
        admin.execute("drop policy p on storage.objects")
        assert "storage.objects" not in leaks(asked(server))
        admin.execute("update storage.buckets set public = true where id = 'letters'")
        assert leaks(asked(server))["storage.letters"] == "error"
        assert "storage.letters" not in leaks(asked(server), public=["storage.letters"])
        admin.execute("update storage.buckets set public = false where id = 'letters'")
        assert not {name for name in leaks(asked(server)) if name.startswith("storage")}
    finally:
        admin.execute("drop schema storage cascade")


def test_partitioned_tables_are_asked_by_their_parent(admin: psycopg.Connection[Any], server: Server, table: Made) -> None:
    """A partition that can be reached by its own name is a finding of the lint; here the parent's policies decide."""
    t = table()
    admin.execute(
        f"create table {t}_p (id bigint) partition by range (id); create table {t}_p1 partition of {t}_p default; "
        f"insert into {t}_p values (1); grant select on {t}_p to anon"
    )
    assert leaks(asked(server))[f"{t}_p"] == "error"
    admin.execute(f"alter table {t}_p enable row level security")
    assert f"{t}_p" not in leaks(asked(server))
    admin.execute(f"drop table {t}_p")


def test_public_and_accepted_objects(server: Server, table: Made) -> None:
    """Declared public: a note. Accepted: a warning, until it expires."""
    t = table("create policy p on {name} for select to authenticated using (true)")
    facts = asked(server)
    assert tuple(facts.table.columns) == REACHED
    assert leaks(facts)[t] == "error"
    assert t not in leaks(facts, public=[t])
    meant = Accepted(object=t, owner="DBA", reason="until the migration", expires=TODAY)
    assert leaks(facts, accepted=[meant])[t] == "warning"
    assert leaks(facts, accepted=[meant.model_copy(update={"expires": date(2026, 11, 22)})])[t] == "error"


def test_what_the_budget_cut_is_no_pass(server: Server, table: Made) -> None:
    table()
    assert reach.stranger(asked(server, budget_s=0.0), today=TODAY).verdict == "ERROR"


def test_a_server_without_the_roles_of_an_api(server: Server) -> None:
    """A plain PostgreSQL: the question does not apply."""
    facts = asked(server, api_roles=["nobody_here"])
    assert isinstance(facts.error, SourceAbsent)
    assert reach.stranger(facts, today=TODAY).verdict == "NOT_APPLICABLE"
