"""The gateway: who gets in, what an answer looks like, and what the logs say about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from opsnb.local.gateway import Gateway
from opsnb.local.identity import Identity
from opsnb.local.logbook import LogBook
from opsnb.local.store import FunctionStore

BASE = "http://127.0.0.1:59999"
ECHO = """
Deno.serve(async (request) => {
  console.log("echoing");
  const headers = Object.fromEntries(request.headers);
  return Response.json({ url: request.url, method: request.method, headers, body: await request.text() }, {
    headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-own", "yes"]],
  });
});"""


class Desk:
    """A gateway without a database behind it. `client` calls it as *anon* does."""

    def __init__(self, folder: Path, client: httpx.AsyncClient, gateway: Gateway, store: FunctionStore, identity: Identity) -> None:
        self.folder, self.client, self.gateway, self.store, self.identity = folder, client, gateway, store, identity

    def deploy(self, source: str, slug: str = "f", **options: Any) -> None:
        self.store.deploy(slug, {"index.ts": source.encode()}, "index.ts", **options)

    async def call(self, slug: str = "f", **options: Any) -> httpx.Response:
        return await self.client.post(f"/functions/v1/{slug}", **options)

    def logs(self, source: str) -> list[dict[str, Any]]:
        path = self.folder / "logs" / f"{source}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def answers(self) -> list[dict[str, str]]:
        return [row["log_attributes"] for row in self.logs("function_edge_logs")]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def run(scenario: Callable[[Desk], Awaitable[None]], **options: Any) -> None:
        async def whole() -> None:
            identity, store, logbook = Identity(tmp_path), FunctionStore(tmp_path), LogBook(tmp_path / "logs")
            gateway = Gateway(tmp_path, store, identity, logbook, BASE, **options)
            await gateway.open()
            transport = httpx.ASGITransport(Starlette(routes=gateway.routes()))
            headers = {"authorization": f"Bearer {identity.anon_key}"}
            async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
                try:
                    await scenario(Desk(tmp_path, client, gateway, store, identity))
                finally:
                    await gateway.close()
                    logbook.close()

        asyncio.run(whole())

    return run


def test_a_request_reaches_the_function_as_it_was_sent(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO)
        forged = {"x-sb-execution-id": "forged", "x-opsnb-worker-key": "forged", "x-firebase-token": "theirs"}
        answer = await desk.client.put("/functions/v1/f/a%2Fb/c?x=1&y=%20", content=b"\x00body", headers=forged)
        told = answer.json()
        assert answer.status_code == 200
        assert told["url"] == f"{BASE}/f/a%2Fb/c?x=1&y=%20"
        assert (told["method"], told["body"]) == ("PUT", "\x00body")
        assert told["headers"]["x-firebase-token"] == "theirs"
        assert told["headers"]["x-sb-execution-id"] == answer.headers["x-sb-execution-id"] != "forged"
        assert "x-opsnb-worker-key" not in told["headers"]
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert answer.headers["x-own"] == "yes"
        assert "sb-error-code" not in answer.headers

    run(scenario)


def test_an_answer_is_logged_with_what_it_took(run):
    async def scenario(desk: Desk) -> None:
        wait = "await new Promise((r) => setTimeout(r, 120))"
        desk.deploy(f"Deno.serve(async () => {{ {wait}; console.warn('noted'); return new Response('', {{ status: 404 }}); }});")
        answer = await desk.client.post("/functions/v1/f?opsnb_probe=abc", content=b"patient data")
        [told] = desk.answers()
        deployment = desk.store.current("f")
        assert 120 <= float(told.pop("execution_time_ms")) < 5000
        assert told == {
            "function_id": deployment.id, "deployment_id": f"localclinicopsnbdemo_{deployment.id}_1", "version": "1",
            "execution_id": answer.headers["x-sb-execution-id"], "request.method": "POST", "request.pathname": "/functions/v1/f",
            "request.search": "?opsnb_probe=abc", "request.url": f"{BASE}/functions/v1/f?opsnb_probe=abc", "response.status_code": "404",
        }  # fmt: skip
        [said] = [row for row in desk.logs("function_logs") if row["event_message"] == "noted"]
        assert said["severity_text"] == "WARN"
        assert said["log_attributes"]["execution_id"] == told["execution_id"]
        assert said["log_attributes"]["function_id"] == deployment.id
        kept = "".join(path.read_text() for path in (desk.folder / "logs").iterdir())
        assert "patient data" not in kept
        assert desk.identity.anon_key not in kept

    run(scenario)


def hs256(identity: Identity, secret: str = "", **claims: Any) -> str:
    return jwt.encode({"role": "anon", "exp": 4102444800, **claims}, secret or identity.jwt_secret, algorithm="HS256")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (lambda _: None, "UNAUTHORIZED_NO_AUTH_HEADER"),
        (lambda _: "Bearer nonsense", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (lambda _: "Bearer ünsinn", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (lambda identity: identity.anon_key, "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (lambda identity: f"Basic {identity.anon_key}", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (lambda identity: "Bearer " + hs256(identity, "x" * 40), "UNAUTHORIZED_LEGACY_JWT"),
        (lambda identity: "Bearer " + hs256(identity, exp=1), "UNAUTHORIZED_LEGACY_JWT"),
        (lambda identity: "Bearer " + identity.issue("SyntheticProvider00000000002"), "UNAUTHORIZED_ASYMMETRIC_JWT"),
        (lambda identity: "Bearer " + jwt.encode({}, "x" * 64, algorithm="HS512"), "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM"),
        (lambda _: "Bearer " + jwt.encode({}, None, algorithm="none"), "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM"),
    ],
)
def test_the_gateway_refuses_before_the_function(run, authorization, code):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO)
        del desk.client.headers["authorization"]
        given = authorization(desk.identity)
        answer = await desk.call(headers={} if given is None else {"authorization": given.encode()})
        assert (answer.status_code, answer.headers["sb-error-code"], answer.json()["code"]) == (401, code, code)
        assert "x-sb-execution-id" not in answer.headers
        [told] = desk.answers()
        assert (told["execution_id"], told["response.status_code"]) == ("", "401")
        assert told["function_id"]
        assert not desk.gateway.workers.running()

    run(scenario)


@pytest.mark.parametrize("key", ["anon_key", "service_key", "publishable_key", "secret_key"])
def test_the_projects_own_keys_open_it(run, key):
    async def scenario(desk: Desk) -> None:
        desk.deploy("Deno.serve(() => new Response());")
        assert (await desk.call(headers={"authorization": f"Bearer {getattr(desk.identity, key)}"})).status_code == 200

    run(scenario)


def test_verify_jwt_can_be_off_and_a_preflight_needs_no_token(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO, verify_jwt=False)
        desk.deploy(ECHO, "guarded")
        del desk.client.headers["authorization"]
        assert (await desk.call()).status_code == 200
        assert (await desk.client.options("/functions/v1/guarded")).status_code == 200
        assert (await desk.call("guarded")).status_code == 401

    run(scenario)


def test_states_and_methods_the_platform_refuses(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO)
        told = [await desk.call("unknown"), await desk.client.head("/functions/v1/f")]
        for status in ("REMOVED", "THROTTLED"):
            desk.store.set("f", status=status)
            told.append(await desk.call())
        codes = [(answer.status_code, answer.headers["sb-error-code"]) for answer in told]
        assert codes == [(404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED"), (404, "NOT_FOUND"), (429, "RATE_LIMIT_EXCEEDED")]
        assert {answer["execution_id"] for answer in desk.answers()} == {""}

    run(scenario)


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("Deno.serve(() => { throw new Error('secret detail'); });", 500, "EDGE_FUNCTION_ERROR"),
        ("Deno.serve(() => new Response('{}', { status: 502 }));", 502, "EDGE_FUNCTION_ERROR"),
        ("Deno.serve(() => { setTimeout(() => { throw new Error('later'); }); return new Promise(() => {}); });", 500, "WORKER_ERROR"),
        ("Deno.serve(() => { const a = []; for (;;) a.push(new Array(1e5).fill(Math.random())); });", 546, "WORKER_RESOURCE_LIMIT"),
        ("syntax error", 503, "BOOT_ERROR"),
        ("Deno.serve(() => new Promise(() => {}));", 504, "IDLE_TIMEOUT"),
    ],
)
def test_failures_of_a_function_have_the_platforms_codes(run, source, status, code):
    async def scenario(desk: Desk) -> None:
        desk.deploy(source)
        answer = await desk.call()
        assert (answer.status_code, answer.headers["sb-error-code"]) == (status, code)
        assert "detail" not in answer.text
        assert answer.headers["x-sb-execution-id"] == desk.answers()[0]["execution_id"]
        desk.deploy("Deno.serve(() => new Response('mended'));")
        assert (await desk.call()).text == "mended"

    run(scenario, idle_timeout_s=3.0)


def test_what_a_function_throws_is_in_its_log(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy("Deno.serve(() => { throw new Error('boom'); });")
        answer = await desk.call()
        [row] = [row for row in desk.logs("function_logs") if row["log_attributes"]["event_type"] == "UncaughtException"]
        assert "boom" in row["event_message"]
        assert (row["severity_text"], row["log_attributes"]["level"]) == ("ERROR", "error")
        assert row["log_attributes"]["execution_id"] == answer.headers["x-sb-execution-id"]

    run(scenario)


def test_executions_side_by_side_keep_their_own_ids(run):
    async def scenario(desk: Desk) -> None:
        wait = "await new Promise((w) => setTimeout(w, 50))"
        desk.deploy(f"Deno.serve(async (r) => {{ const n = await r.text(); {wait}; console.log(n); return new Response(); }});")
        answers = await asyncio.gather(*(desk.call(content=str(n)) for n in range(12)))
        said = {row["log_attributes"]["execution_id"]: row["event_message"] for row in desk.logs("function_logs")}
        assert [said[answer.headers["x-sb-execution-id"]] for answer in answers] == [str(n) for n in range(12)]

    run(scenario)


def test_a_sound_function_leaves_no_error_in_any_log(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO)
        for _ in range(3):
            await desk.call()
        rows = desk.logs("function_logs") + desk.logs("function_edge_logs")
        assert {row["severity_text"] for row in rows} == {"INFO"}
        assert sorted({row["log_attributes"].get("event_type", "") for row in rows}) == ["", "Boot", "Log"]

    run(scenario)


def test_only_the_daemon_can_move_a_call_in_time(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy(ECHO)
        moment = datetime.now(UTC) - timedelta(minutes=20)
        answer = await desk.gateway.invoke("f", b"{}", {"authorization": f"Bearer {desk.identity.anon_key}"}, moment=moment)
        execution = answer.headers["x-sb-execution-id"]
        await desk.call(headers={"x-sb-execution-id": execution})  # an outsider names it: no effect
        rows = desk.logs("function_edge_logs") + [row for row in desk.logs("function_logs") if row["event_message"] == "echoing"]
        moved, real = [], []
        for row in rows:
            when = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            (moved if row["log_attributes"]["execution_id"] == execution else real).append(when)
        assert len(moved) == len(real) == 2
        assert all(timedelta(0) <= when - moment < timedelta(seconds=10) for when in moved)
        assert all(datetime.now(UTC) - when < timedelta(seconds=10) for when in real)

    run(scenario)


def test_functions_see_secrets_and_what_the_platform_injects(run):
    async def scenario(desk: Desk) -> None:
        desk.store.set_secrets({"AWS_REGION": "eu-central-1"})
        desk.deploy("Deno.serve(() => Response.json(Deno.env.toObject()));")
        assert (await desk.call()).json() == {
            "AWS_REGION": "eu-central-1", "SUPABASE_URL": BASE, "SUPABASE_ANON_KEY": desk.identity.anon_key,
            "SUPABASE_SERVICE_ROLE_KEY": desk.identity.service_key, "SB_REGION": "eu-central-1",
            "FIREBASE_JWKS_URL": f"{BASE}/identity/jwks.json",
        }  # fmt: skip

    run(scenario)


def test_it_can_be_closed_and_opened_again(run):
    async def scenario(desk: Desk) -> None:
        desk.deploy("Deno.serve(() => new Response(String(Deno.pid)));")
        before = (await desk.call()).text
        await desk.gateway.close()
        assert not desk.gateway.workers.running()
        await desk.gateway.open()
        assert (await desk.call()).text != before

    run(scenario)
