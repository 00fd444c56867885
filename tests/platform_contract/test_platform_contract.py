"""Both sides of the management API against its published description: what the client asks, and what the local platform answers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from line_recorder import recording
from platform_description import BEYOND, Description, Exchange, Operation
from pydantic import SecretStr

from opsnb.facts import Facts
from opsnb.local import management
from opsnb.sources.deploying import Deploying
from opsnb.sources.logs import Logs
from opsnb.sources.supabase import Supabase

pytestmark = pytest.mark.target

REF = "localclinicopsnbdemo"
HELLO = {"hello/index.ts": b"Deno.serve(() => Response.json({ hello: true }));\n"}
NOT_A_QUESTION = ("analytics", "close")
"""Of the client's methods: the log queries' common part, asked through `Logs` below; and the end."""
READING: dict[str, Callable[[Supabase], Facts]] = {
    name: (lambda client, name=name: getattr(client, name)())  # type: ignore[misc]
    for name in ("project", "health", "functions", "secrets", "api_key_names", "third_party_auth", "backups", "disk", "disk_util", "pooler",
                 "pgbouncer", "postgres_config")
} | {
    "function_source": lambda client: client.function_source("get-patient-history"),
    "function_bundle": lambda client: client.function_bundle("get-patient-history"),
}  # fmt: skip


@pytest.fixture(scope="module")
def asked(told: dict[str, Any]) -> list[Exchange]:
    """Everything the client can ask, asked once of the local platform."""
    token = SecretStr(told["access_token"])
    with recording(told["platform_url"]) as (url, kept):
        reading, changing = Supabase(url, REF, token), Deploying(url, REF, token)
        failed = {name: str(facts.error) for name, ask in READING.items() if not (facts := ask(reading)).ok}
        now = datetime.now(UTC)
        logs = Logs(reading).query("function_calls", now - timedelta(minutes=30), now, slow_ms=1000.0)
        assert (failed, logs.error) == ({}, None)
        changing.deploy("hello", HELLO, entrypoint="hello/index.ts", verify_jwt=False, import_map="")
        changing.deploy("hello", {**HELLO, "deno.json": b"{}"}, entrypoint="hello/index.ts", verify_jwt=True, import_map="deno.json")
        changing.delete("hello")
        with pytest.raises(Exception, match="400"):
            changing.restore_to(datetime(2001, 1, 1, tzinfo=UTC))
        reading.close()
        changing.close()
    return kept


def test_every_question_of_the_client_is_among_those_asked() -> None:
    """A method added to the client is added here, or nothing holds it to the description."""
    known = {name for name, _ in inspect.getmembers(Supabase, inspect.isfunction) if not name.startswith("_")}
    assert known == READING.keys() | set(NOT_A_QUESTION)
    assert {name for name, _ in inspect.getmembers(Deploying, inspect.isfunction) if not name.startswith("_")} == {
        "deploy", "delete", "restore_to", "close"
    }  # fmt: skip


def test_every_request_of_the_client_is_as_described(described: Description, asked: list[Exchange]) -> None:
    assert len(asked) == len(READING) + 5
    assert [wrong for one in asked for wrong in described.wrong_request(one)] == []


def test_every_answer_to_the_client_is_as_described(described: Description, asked: list[Exchange]) -> None:
    assert [wrong for one in asked for wrong in described.wrong_answer(one)] == []


def test_the_client_sends_its_token_in_a_header_and_nowhere_else(asked: list[Exchange], told: dict[str, Any]) -> None:
    token = told["access_token"]
    for one in asked:
        assert one.headers["authorization"] == f"Bearer {token}"
        others = [value for name, value in one.headers.items() if name != "authorization"]
        assert token not in one.target and token.encode() not in one.body and token not in "".join(others)


# -- the local platform, asked by others


def local_operations() -> list[tuple[str, str]]:
    """Method and path of every route of the local platform but the last, which answers for what is not here."""
    return [(method, route.path) for route in management.routes()[:-1] for method in sorted(route.methods - {"HEAD"})]  # type: ignore[attr-defined]


def test_the_local_platform_has_no_operation_of_its_own(described: Description) -> None:
    known = {(each.method, each.template) for each in described.operations}
    assert [each for each in local_operations() if each not in known] == []


def request_of(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """A good request for *operation*."""
    path = operation.template.format(ref=REF, function_slug="get-patient-history", tpa_id=ids["tpa"])
    given: dict[str, Any] = {
        "health": {"params": [("services", "db"), ("services", "auth"), ("services", "storage")]},
        "logs": {"params": {"sql": "select id, timestamp, event_message from logs limit 5"}},
        "functions.combined-stats": {"params": {"interval": "1hr", "function_id": ids["function"]}},
        "query": {"json": {"query": "select 1 as n, null as nothing, now() as at"}},
        "read-only": {"json": {"query": "select 1 as n"}},
        "restore-pitr": {"json": {"recovery_time_target_unix": 1_000_000_000}},
        "deploy": {"params": {"slug": "made"}, "files": [
            ("metadata", (None, json.dumps({"entrypoint_path": "index.ts"}), "application/json")),
            ("file", ("index.ts", HELLO["hello/index.ts"])),
        ]},
    }.get(path.rpartition("/")[2], {})  # fmt: skip
    if path.endswith("/secrets") and operation.method != "GET":
        given = {"json": [{"name": "MADE", "value": "here"}] if operation.method == "POST" else ["MADE"]}
    if operation.method == "PATCH":
        given = {"json": {"verify_jwt": True}}
    if operation.method == "PUT":
        given = {"json": [{"id": ids["function"], "slug": "get-patient-history", "name": "x", "status": "ACTIVE", "version": 9}]}
    if operation.template.endswith("{function_slug}") and operation.method == "DELETE":
        path = path.replace("get-patient-history", "update-patient-medical-record")
    return {"method": operation.method, "url": path, **given}


@pytest.fixture(scope="module")
def answered(described: Description, told: dict[str, Any]) -> dict[str, list[Exchange]]:
    """Every operation of the local platform, each asked well, without a token, and about a project that is not there."""
    kept: dict[str, list[Exchange]] = {}
    headers = {"authorization": f"Bearer {told['access_token']}"}
    with recording(told["platform_url"]) as (url, said), httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        project = f"/v1/projects/{REF}"
        ids = {
            "tpa": client.get(f"{project}/config/auth/third-party-auth", headers=headers).json()[0]["id"],
            "function": client.get(f"{project}/functions/get-patient-history", headers=headers).json()["id"],
        }
        templates = set(local_operations())
        for operation in [each for each in described.operations if (each.method, each.template) in templates]:
            before = len(said)
            asking = request_of(operation, ids)
            client.request(**asking, headers=headers)
            client.request(**asking)
            if "{ref}" in operation.template:
                client.request(**{**asking, "url": asking["url"].replace(REF, "abcdefghijklmnopqrst")}, headers=headers)
            kept[operation.name] = said[before:]
    return kept


@pytest.mark.parametrize("operation", [f"{method} {path}" for method, path in local_operations()])
def test_every_operation_of_the_local_platform_answers_as_described(
    described: Description, answered: dict[str, list[Exchange]], operation: str
) -> None:
    said = answered[operation]
    good = 400 if operation.endswith("restore-pitr") else 200
    assert said[0].status == good or 200 <= said[0].status < 300, said[0].answer[:300]
    assert [one.status for one in said[1:]] == [401, 404][: len(said) - 1]
    assert [wrong for one in said for wrong in described.wrong_request(one)] == []
    assert [wrong for one in said for wrong in described.wrong_answer(one)] == []


def test_what_the_local_platform_does_not_have_it_says(described: Description, told: dict[str, Any]) -> None:
    """An operation of the description that is not here is 501 with a sentence: an answer is never made up."""
    known = set(local_operations())
    headers = {"authorization": f"Bearer {told['access_token']}"}
    lacking = [each for each in described.operations if (each.method, each.template) not in known]
    with recording(told["platform_url"]) as (url, said), httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for operation in lacking:
            path = operation.template.format(ref=REF, slug="local-clinic", version="1", tpa_id="x")
            client.request(operation.method, path, headers=headers, json={} if operation.method == "POST" else None)
    assert {one.status for one in said} == {501} and len(said) == len(lacking) > 5
    assert [wrong for one in said for wrong in described.wrong_answer(one)] == []
    assert 501 in BEYOND


# -- the measure itself


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({"target": f"/v1/projects/{REF}/functionz"}, "no such operation"),
        ({"method": "POST"}, "no such operation"),
        ({"target": "/v1/projects/short/health?services=db"}, "too short"),
        ({"target": f"/v1/projects/{REF}/health"}, "services is required"),
        ({"target": f"/v1/projects/{REF}/health?services=db&colour=red"}, "no query parameter colour"),
        ({"target": f"/v1/projects/{REF}/health?services=fax"}, "'fax' is not one of"),
        ({"target": f"/v1/projects/{REF}/health?services=db&timeout_ms=soon"}, "not of type 'integer'"),
        ({"body": b"{}"}, "no body is expected"),
    ],
)
def test_a_request_that_is_not_described_is_found(described: Description, change: dict[str, Any], sign: str) -> None:
    good = {"method": "GET", "target": f"/v1/projects/{REF}/health?services=db", "headers": {}, "body": b""}
    answer = {"status": 200, "answer_headers": {}, "answer": b"[]"}
    assert list(described.wrong_request(Exchange(**good, **answer))) == []
    assert any(sign in wrong for wrong in described.wrong_request(Exchange(**{**good, **change}, **answer)))


@pytest.mark.parametrize(
    ("status", "kind", "body", "sign"),
    [
        (200, "application/json", {}, "not of type 'array'"),
        (200, "application/json", [{"name": "db", "healthy": True}], "'status' is a required property"),
        (200, "application/json", [{"name": "db", "healthy": "yes", "status": "ACTIVE_HEALTHY"}], "not of type 'boolean'"),
        (200, "text/html", [], "expected application/json"),
        (418, "application/json", {"message": "tea"}, "418 is not described"),
        (403, "application/json", {"error": "no"}, "'message' is a required property"),
        (429, "application/json", {"message": "slow"}, "X-RateLimit-Reset is no number"),
    ],
)
def test_an_answer_that_is_not_described_is_found(described: Description, status: int, kind: str, body: Any, sign: str) -> None:
    one = Exchange(
        "GET", f"/v1/projects/{REF}/health?services=db", {}, b"", status, {"content-type": kind}, json.dumps(body).encode()
    )  # fmt: skip
    found = list(described.wrong_answer(one))
    assert any(sign in wrong for wrong in found), found
