"""The REST door against a real server: PostgREST's conventions, and the caller's role in every transaction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from opsnb.local import database, rest_sql
from opsnb.local.cluster import Cluster
from opsnb.local.identity import Identity
from opsnb.local.logbook import LogBook
from opsnb.local.rest import RestDoor
from opsnb.local.rest_sql import NotUnderstood, parse

PATIENT, PROVIDER, APPOINTMENT, NOTE = (f"5e000000-0000-4000-8000-00000000000{n}" for n in range(1, 5))
PATIENT_UID, PROVIDER_UID = "SyntheticPatient000000000001", "SyntheticProvider00000000002"

# A table of our own beside the clinic's: rows may come and go, and every API role may try.
TABLES = """
create table public.things (
  id int primary key, name text unique, price numeric(10, 2), tags jsonb, "order" text, at timestamptz default now());
grant all on public.things to anon, authenticated, service_role;
create function public.add(a int, b int default 1) returns int language sql stable as 'select a + b';
create function public.nothing() returns void language sql volatile as 'select';
create function public.numbers(up_to int) returns setof int language sql stable as 'select generate_series(1, up_to)';
create function public.refuse(state text) returns int language plpgsql volatile as
  $$ begin raise exception 'said with a secret' using errcode = state, detail = 'why', hint = 'what to do'; end $$;
create function public.whoami() returns json language sql stable as
  $$ select json_build_object('role', current_user, 'sub', current_setting('request.jwt.claims')::json ->> 'sub',
     'method', current_setting('request.method'), 'timeout', current_setting('statement_timeout')) $$;
create function public.twice(a int) returns int language sql stable as 'select 1';
create function public.twice(a int, b int default 2) returns int language sql stable as 'select 2';
"""
ROWS = """
truncate public.things;
insert into public.things (id, name, price, tags, "order", at) values
  (1, 'alpha', 1.50, '{"a": [1]}', 'x', '2026-01-01T00:00:00Z'), (2, 'beta, gamma', 20, null, 'y', '2026-01-02T00:00:00Z'),
  (3, null, null, '[]', 'z', '2026-01-03T00:00:00Z');
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("rest") / "pg")
    cluster.initdb()
    cluster.start()
    database.build(cluster)
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute(TABLES)
    yield cluster
    cluster.stop()


class Desk:
    """A door over the clinic. `client` comes with the anon key and nothing else."""

    def __init__(self, folder: Path, client: httpx.AsyncClient, door: RestDoor, identity: Identity) -> None:
        self.folder, self.client, self.door, self.identity = folder, client, door, identity

    async def ask(self, method: str, path: str, *, uid: str = "", key: str = "", **options: Any) -> httpx.Response:
        token = self.identity.issue(uid) if uid else key
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        return await self.client.request(method, f"/rest/v1/{path}", headers=headers, **options)

    def log(self, source: str) -> list[dict[str, Any]]:
        path = self.folder / "logs" / f"{source}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def run(cluster: Cluster, tmp_path: Path) -> Callable[..., None]:
    def run(scenario: Callable[[Desk], Awaitable[None]], **options: Any) -> None:
        async def whole() -> None:
            identity, logbook = Identity(tmp_path), LogBook(tmp_path / "logs")
            door = RestDoor(cluster.dsn("authenticator"), identity, logbook, **options)
            await door.open()
            transport = httpx.ASGITransport(Starlette(routes=door.routes()))
            async with httpx.AsyncClient(transport=transport, base_url="http://clinic", headers={"apikey": identity.anon_key}) as client:
                try:
                    await scenario(Desk(tmp_path, client, door, identity))
                finally:
                    await door.close()
                    logbook.close()

        with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute(ROWS)
        asyncio.run(whole())

    return run


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("id=eq.2", [2]), ("id=neq.2", [1, 3]), ("id=gt.1&id=lt.3", [2]), ("id=gte.2", [2, 3]), ("id=lte.1", [1]),
        ("name=is.null", [3]),
        ("name=not.is.null", [1, 2]),
        ("name=is.not_null", [1, 2]),
        ("id=in.(1,3)", [1, 3]),
        ("id=not.in.(1,3)", [2]),
        ('name=in.("beta, gamma",alpha)', [1, 2]),
        ("id=in.()", []),
        ("name=like.*a", [1, 2]),
        ("name=ilike.ALPHA", [1]),
        ("name=eq.null", []),
        ("at=gt.2026-01-01T12:00:00Z", [2, 3]), ("order=id.desc", [3, 2, 1]), ("order=name.desc.nullslast,id", [2, 1, 3]),
        ("limit=1&offset=1", [2]), ("limit=0", []), ("offset=9", []), ("name=eq.'; drop table things; --", []), ("price=eq.20", [2]),
    ],
)  # fmt: skip
def test_filters_and_order(run, query, ids):
    async def scenario(desk: Desk) -> None:
        order = "" if "order=" in query else "&order=id"
        answer = await desk.ask("GET", f"things?select=id&{query}{order}")
        assert answer.status_code == 200, answer.text
        assert [row["id"] for row in answer.json()] == ids

    run(scenario)


def test_columns_keep_their_types_and_take_aliases(run):
    async def scenario(desk: Desk) -> None:
        answer = await desk.ask("GET", "things?id=eq.1&select=label:name,price,tags,order")
        assert answer.json() == [{"label": "alpha", "price": 1.5, "tags": {"a": [1]}, "order": "x"}]
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert len((await desk.ask("GET", "things?id=eq.1")).json()[0]) == 6

    run(scenario)


def test_ranges_and_counts(run):
    async def scenario(desk: Desk) -> None:
        exact = {"prefer": "count=exact"}
        told = []
        for path in ("things?limit=2", "things", "things?id=eq.9", "things?limit=1&offset=2", "things?offset=4"):
            answer = await desk.ask("GET", path, headers=exact)
            told.append((answer.status_code, answer.headers.get("content-range")))
        assert told == [(206, "0-1/3"), (200, "0-2/3"), (200, "*/0"), (200, "2-2/3"), (416, None)]
        assert (await desk.ask("GET", "things?limit=2")).headers["content-range"] == "0-1/*"
        head = await desk.ask("HEAD", "things", headers=exact)
        assert (head.status_code, head.content, head.headers["content-range"]) == (200, b"", "0-2/3")

    run(scenario)


def test_one_object_is_asked_for_by_its_media_type(run):
    async def scenario(desk: Desk) -> None:
        single = {"accept": "application/vnd.pgrst.object+json"}
        assert (await desk.ask("GET", "things?id=eq.1&select=id", headers=single)).json() == {"id": 1}
        for path, n in (("things?id=eq.9", 0), ("things", 3)):
            answer = await desk.ask("GET", path, headers=single)
            told = answer.json()
            assert (answer.status_code, told["code"], told["details"]) == (406, "PGRST116", f"The result contains {n} rows")

    run(scenario)


def test_rows_are_inserted_changed_and_deleted(run):
    async def scenario(desk: Desk) -> None:
        full = {"prefer": "return=representation"}
        made = await desk.ask("POST", "things?select=id,tags", json={"id": 10, "tags": {"b": None}}, headers=full)
        assert (made.status_code, made.json()) == (201, [{"id": 10, "tags": {"b": None}}])
        quiet = await desk.ask("POST", "things", json=[{"id": 11, "order": "%s"}, {"id": 12, "order": "b"}])
        assert (quiet.status_code, quiet.content) == (201, b"")
        changed = await desk.ask("PATCH", "things?id=eq.11", json={"name": "new", "price": "9.99"}, headers=full)
        assert [(row["id"], row["name"], row["price"], row["order"]) for row in changed.json()] == [(11, "new", 9.99, "%s")]
        assert len(changed.json()[0]) == 6
        assert (await desk.ask("PATCH", "things?id=eq.11&select=id", json={"name": "newer"}, headers=full)).json() == [{"id": 11}]
        assert (await desk.ask("PATCH", "things?id=eq.99", json={"name": "x"})).status_code == 204
        gone = await desk.ask("DELETE", "things?id=gte.10", headers={"prefer": "return=minimal, count=exact"})
        assert (gone.status_code, gone.headers["content-range"]) == (204, "0-2/3")
        assert len((await desk.ask("GET", "things")).json()) == 3

    run(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "nowhere", None, 404, "42P01"),
        ("GET", "things?select=nope", None, 400, "42703"),
        ("GET", "things?id=eq.x", None, 400, "22P02"),
        ("GET", "things?id=1", None, 400, "PGRST100"), ("GET", "things?id=between.1", None, 400, "PGRST100"),
        ("GET", "things?select=id,users(id)", None, 400, "PGRST100"), ("GET", 'things?select="id"', None, 400, "PGRST100"),
        ("GET", "things?or=(id.eq.1)", None, 400, "PGRST100"), ("GET", "things?limit=-1", None, 416, "PGRST103"),
        ("GET", "things?order=id.sideways", None, 400, "PGRST100"), ("GET", "pg_catalog.pg_authid", None, 400, "PGRST100"),
        ("DELETE", "things", None, 400, "21000"),
        ("PATCH", "things", {"name": "x"}, 400, "21000"),
        ("DELETE", "things?select=id", None, 400, "21000"),
        ("PATCH", "things?id=eq.1", [], 400, "PGRST102"), ("PATCH", "things?id=eq.1", {}, 400, "PGRST102"),
        ("POST", "things", [{"id": 5}, {"name": "x"}], 400, "PGRST102"), ("POST", "things", "text", 400, "PGRST102"),
        ("POST", "things", {"id": 1}, 409, "23505"),
        ("POST", "things", {"name": "no id"}, 400, "23502"),
        ("POST", "things", {"id": "x"}, 400, "22P02"),
        ("PUT", "things?id=eq.1", {"id": 1}, 405, "PGRST117"),
        ("POST", "rpc/none", {}, 404, "PGRST202"), ("POST", "rpc/add", {"c": 1}, 404, "PGRST202"), ("POST", "rpc/add", {}, 404, "PGRST202"),
        ("POST", "rpc/twice", {"a": 1}, 300, "PGRST203"),
        ("POST", "rpc/add", [1], 400, "PGRST102"),
        ("GET", "rpc/add?a=1", None, 405, "PGRST117"),
        ("POST", "rpc/refuse", {"state": "P0001"}, 400, "P0001"), ("POST", "rpc/refuse", {"state": "PT418"}, 418, "PT418"),
        ("POST", "rpc/refuse", {"state": "55000"}, 500, "55000"), ("POST", "rpc/refuse", {"state": "42501"}, 401, "42501"),
    ],
)  # fmt: skip
def test_errors_have_postgrests_codes(run, method, path, body, status, code):
    async def scenario(desk: Desk) -> None:
        answer = await desk.ask(method, path, **({} if body is None else {"json": body}))
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json().keys() == {"code", "message", "details", "hint"}
        assert len((await desk.ask("GET", "things")).json()) == 3, "a refused request changed something"

    run(scenario)


def test_the_caller_gets_the_databases_words_and_the_log_does_not(run):
    async def scenario(desk: Desk) -> None:
        answer = await desk.ask("POST", "rpc/refuse", json={"state": "P0001"})
        assert answer.json() == {"code": "P0001", "message": "said with a secret", "details": "why", "hint": "what to do"}
        await desk.ask("GET", "things?name=eq.Jane&id=eq.Doe")
        kept = "".join(path.read_text() for path in (desk.folder / "logs").iterdir())
        assert not any(word in kept for word in ("secret", "why", "Jane", "Doe"))
        assert [row["event_message"] for row in desk.log("postgrest_logs")] == ["P0001 RaiseException", "22P02 InvalidTextRepresentation"]
        told = [row["log_attributes"] for row in desk.log("edge_logs")]
        assert [(row["request.method"], row["request.path"], row["response.status_code"]) for row in told] == [
            ("POST", "/rest/v1/rpc/refuse", "400"), ("GET", "/rest/v1/things", "400"),
        ]  # fmt: skip

    run(scenario)


def test_routines_are_called_with_named_arguments(run):
    async def scenario(desk: Desk) -> None:
        calls = {"add": [{"a": 2, "b": 3}, {"a": 2}], "numbers": [{"up_to": 3}, {"up_to": 0}]}
        told = [(await desk.ask("POST", f"rpc/{name}", json=body)).json() for name, bodies in calls.items() for body in bodies]
        assert told == [5, 3, [1, 2, 3], []]
        assert (await desk.ask("POST", "rpc/nothing")).status_code == 204

    run(scenario)


def test_role_and_claims_are_the_callers(run):
    async def scenario(desk: Desk) -> None:
        told = [
            (await desk.ask("POST", "rpc/whoami", **caller)).json()
            for caller in ({}, {"uid": PROVIDER_UID}, {"key": desk.identity.service_key}, {"key": desk.identity.publishable_key})
        ]
        assert [(row["role"], row["sub"]) for row in told] == [
            ("anon", None), ("authenticated", PROVIDER_UID), ("service_role", None), ("anon", None),
        ]  # fmt: skip
        assert [row["timeout"] for row in told] == ["3s", "8s", "8s", "3s"]
        without_role = desk.identity.issue(PROVIDER_UID, role=None)
        assert (await desk.ask("POST", "rpc/whoami", key=without_role)).json()["role"] == "anon"
        stronger = desk.identity.issue(PROVIDER_UID, role="postgres")
        assert (await desk.ask("POST", "rpc/whoami", key=stronger)).status_code in (401, 403)
        # nothing of a caller stays in the connection
        assert (await desk.ask("POST", "rpc/whoami")).json()["sub"] is None

    run(scenario, pool_size=2)


def test_who_has_no_key_or_a_wrong_token_stays_outside(run):
    async def scenario(desk: Desk) -> None:
        expired = desk.identity.issue(PROVIDER_UID, lifetime_s=-60)
        told = [await desk.ask("GET", "things", key=key) for key in ("nonsense", expired)]
        assert [(answer.status_code, answer.json()["code"]) for answer in told] == [(401, "PGRST301"), (401, "PGRST303")]
        assert (await desk.ask("GET", "things", headers={"apikey": "wrong"})).json()["message"] == "Invalid API key"
        del desk.client.headers["apikey"]
        answer = await desk.ask("GET", "things")
        assert (answer.status_code, answer.json()["message"]) == (401, "No API key found in request")

    run(scenario)


def test_row_level_security_decides(run):
    async def scenario(desk: Desk) -> None:
        callers: dict[str, dict[str, str]] = {
            "anon": {}, "stranger": {"uid": "Stranger"}, "patient": {"uid": PATIENT_UID}, "provider": {"uid": PROVIDER_UID},
        }  # fmt: skip
        seen = {}
        for name, caller in callers.items():
            answer = await desk.ask("GET", f"patient_profiles?user_id=eq.{PATIENT}&select=user_id", **caller)
            seen[name] = len(answer.json()) if answer.status_code == 200 else answer.status_code
        assert seen == {"anon": 0, "stranger": 0, "patient": 1, "provider": 1}
        told = {}
        for name, caller in callers.items():
            answer = await desk.ask("POST", "rpc/merge_soap_into_cumulative_record", json={"p_soap_note_id": NOTE}, **caller)
            told[name] = answer.status_code
        assert told == {"anon": 401, "stranger": 403, "patient": 403, "provider": 200}
        row = {"appointment_id": APPOINTMENT, "patient_id": PATIENT, "provider_id": PROVIDER, "context": {}}
        assert (await desk.ask("POST", "context_snapshots", json=row, uid=PATIENT_UID)).status_code == 403
        assert (await desk.ask("POST", "context_snapshots", json=row, uid=PROVIDER_UID)).status_code == 201

    run(scenario)


def test_an_exhausted_pool_answers_504_and_recovers(run):
    async def scenario(desk: Desk) -> None:
        taken = [await desk.door.pool.getconn() for _ in range(2)]
        answer = await desk.ask("GET", "things")
        assert (answer.status_code, answer.json()["code"]) == (504, "PGRST003")
        for connection in taken:
            await desk.door.pool.putconn(connection)
        assert (await desk.ask("GET", "things")).status_code == 200

    run(scenario, pool_size=2, pool_timeout_s=0.3)


def test_connections_that_were_cut_are_replaced(run, cluster):
    async def scenario(desk: Desk) -> None:
        await asyncio.gather(*(desk.ask("GET", "things") for _ in range(5)))
        with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'")
        told = await asyncio.gather(*(desk.ask("GET", "things") for _ in range(5)))
        assert [answer.status_code for answer in told] == [200] * 5

    run(scenario)


def test_a_statement_that_takes_too_long_is_ended(run, cluster):
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create or replace function public.slow() returns int language sql as 'select 1 from pg_sleep(30)'")

    async def scenario(desk: Desk) -> None:
        answer = await desk.ask("POST", "rpc/slow")
        assert (answer.status_code, answer.json()["code"]) == (500, "57014")

    run(scenario)


@pytest.mark.parametrize("name", ['x"; drop table users; --', "a b", "a.b", "", "ä", "x" * 64])
def test_names_outside_the_dialect_are_refused(name):
    for parameters in ([(name, "eq.1")], [("select", f"id,{name}")], [("order", f"{name},id")]):
        if name == "a.b" and parameters[0][0] == "order":
            continue  # a modifier, refused as one above
        with pytest.raises(NotUnderstood):
            parse("things", parameters)
    with pytest.raises(NotUnderstood):
        rest_sql.insert(parse("things", []), {name: 1}, returning=False)
