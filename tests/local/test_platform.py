"""The management API of the running target, against its published description where that is present."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from opsnb.local import target
from opsnb.local.answers import RateLimits
from opsnb.local.store import MAGIC, pack, unpack

pytestmark = pytest.mark.target

REF = "localclinicopsnbdemo"
PROJECT = f"/v1/projects/{REF}"
SLUGS = {"create-context-snapshot": 11, "generate-soap-draft-v2": 13, "get-patient-history": 3, "update-patient-medical-record": 4}
HELLO = b"Deno.serve(() => Response.json({ hello: true }));\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("platform target")
    target.up(root)
    yield root
    target.down(root)


@pytest.fixture(scope="module")
def api(root: Path) -> Iterator[httpx.Client]:
    told = target.status(root)
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    with httpx.Client(base_url=told["platform_url"], headers=headers, timeout=30, trust_env=False) as client:
        yield client


# -- shapes


def description() -> dict[str, Any]:
    for folder in Path(__file__).resolve().parents:
        found = folder.parent / "shared" / "supabase" / "management-api.json"
        if found.is_file():
            return json.loads(found.read_bytes())
    pytest.skip("the published description (shared/supabase/management-api.json) is not beside this checkout")


def schema_of(described: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any] | None:
    """The JSON Schema of an answer; None where the description gives it no body. Fails where it does not list the status."""

    def plain(node: Any) -> Any:
        # OpenAPI 3.0 → JSON Schema: nullable, boolean exclusiveMinimum
        if isinstance(node, list):
            return [plain(one) for one in node]
        if not isinstance(node, dict):
            return node
        made = {key: plain(value) for key, value in node.items() if key not in ("nullable", "exclusiveMinimum")}
        if "$ref" in made:
            made["$ref"] = made["$ref"].replace("#/components/schemas/", "#/$defs/")
        if node.get("exclusiveMinimum") is True:
            made["exclusiveMinimum"] = made.pop("minimum")
        return {"anyOf": [{"type": "null"}, made]} if node.get("nullable") is True else made

    answers = described["paths"][path][method.lower()]["responses"]
    assert str(status) in answers, f"{method} {path} answered {status}, which is not described"
    content = answers[str(status)].get("content", {}).get("application/json")
    return {**plain(content["schema"]), "$defs": plain(described["components"]["schemas"])} if content else None


READS = [
    ("/v1/projects", {}),
    ("/v1/projects/{ref}", {}),
    ("/v1/projects/{ref}/health", {"services": ["db", "rest", "auth", "pooler", "storage"]}),
    ("/v1/projects/{ref}/api-keys", {}),
    ("/v1/projects/{ref}/api-keys", {"reveal": "true"}),
    ("/v1/projects/{ref}/secrets", {}),
    ("/v1/projects/{ref}/postgrest", {}),
    ("/v1/projects/{ref}/ssl-enforcement", {}),
    ("/v1/projects/{ref}/network-restrictions", {}),
    ("/v1/projects/{ref}/readonly", {}),
    ("/v1/projects/{ref}/billing/addons", {}),
    ("/v1/projects/{ref}/config/auth/third-party-auth", {}),
    ("/v1/projects/{ref}/config/disk", {}),
    ("/v1/projects/{ref}/config/disk/util", {}),
    ("/v1/projects/{ref}/config/disk/autoscale", {}),
    ("/v1/projects/{ref}/config/database/pooler", {}),
    ("/v1/projects/{ref}/config/database/pgbouncer", {}),
    ("/v1/projects/{ref}/config/database/postgres", {}),
    ("/v1/projects/{ref}/database/backups", {}),
    ("/v1/projects/{ref}/functions", {}),
    ("/v1/projects/{ref}/functions/{function_slug}", {}),
    ("/v1/projects/{ref}/analytics/endpoints/logs", {"sql": "select count() as n from logs"}),
    ("/v1/projects/{ref}/analytics/endpoints/logs", {"sql": "selec"}),
]


@pytest.mark.parametrize(("path", "query"), READS)
def test_every_reading_operation_has_the_described_shape(api: httpx.Client, path: str, query: dict[str, Any]) -> None:
    described = description()
    answer = api.get(path.format(ref=REF, function_slug="get-patient-history"), params=query)
    assert answer.status_code == 200, answer.text
    schema = schema_of(described, "GET", path, 200)
    assert schema is not None
    jsonschema.validate(answer.json(), schema)
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= answer.headers.keys()


def test_one_integration_and_statistics_of_one_function_have_the_described_shape(api: httpx.Client) -> None:
    described = description()
    [integration] = api.get(f"{PROJECT}/config/auth/third-party-auth").json()
    path = "/v1/projects/{ref}/config/auth/third-party-auth/{tpa_id}"
    answer = api.get(path.format(ref=REF, tpa_id=integration["id"]))
    assert answer.json() == integration
    jsonschema.validate(answer.json(), schema_of(described, "GET", path, 200))
    path = "/v1/projects/{ref}/analytics/endpoints/functions.combined-stats"
    function_id = api.get(f"{PROJECT}/functions/get-patient-history").json()["id"]
    answer = api.get(path.format(ref=REF), params={"interval": "1hr", "function_id": function_id})
    jsonschema.validate(answer.json(), schema_of(described, "GET", path, 200))
    assert "error" not in answer.json()


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", "Basic abc"])
def test_without_the_access_token_nothing_is_told(api: httpx.Client, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": token}
    for path in (f"{PROJECT}/secrets", "/v1/projects", "/local/health"):
        answer = httpx.get(api.base_url.join(path), headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert httpx.post(api.base_url.join("/local/shutdown"), headers=headers, trust_env=False).status_code == 401


def test_an_unknown_project_is_404_and_an_operation_that_is_not_here_501(api: httpx.Client) -> None:
    assert api.get("/v1/projects/abcdefghijklmnopqrst/functions").status_code == 404
    answer = api.get(f"{PROJECT}/config/auth")
    assert answer.status_code == 501
    assert "does not have the operation GET" in answer.json()["message"]


def test_the_rate_limit_counts_each_endpoint_by_itself() -> None:
    limits = RateLimits(default=2, by_operation={"logs": 1})
    first, headers = limits.take("functions")
    assert first and headers == {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "60"}
    assert limits.take("functions")[0]
    allowed, headers = limits.take("functions")
    assert not allowed and headers["x-ratelimit-remaining"] == "0" and 0 < int(headers["x-ratelimit-reset"]) <= 60
    assert limits.take("logs")[0] and not limits.take("logs")[0]


def test_too_many_requests_are_429_with_the_seconds_to_wait(api: httpx.Client) -> None:
    # an endpoint only one other test of this module asks, once
    answers = [api.get(f"{PROJECT}/config/disk/autoscale") for _ in range(121)]
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers if answer.status_code == 200]
    assert 119 <= len(left) <= 120 and left == list(range(len(left) - 1, -1, -1))
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["x-ratelimit-reset"]) <= 60


# -- functions


def test_the_seeded_functions_have_the_release_s_versions(api: httpx.Client) -> None:
    listed = api.get(f"{PROJECT}/functions").json()
    assert {one["slug"]: one["version"] for one in listed} == SLUGS
    assert {one["status"] for one in listed} == {"ACTIVE"}
    day_ago = (time.time() - 24 * 3600) * 1000
    assert all(day_ago < one["updated_at"] < time.time() * 1000 for one in listed)


def parts_of(answer: httpx.Response) -> tuple[dict[str, Any], dict[str, bytes]]:
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.HTTP)
    metadata, files = {}, {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        if part.get_param("name", header="content-disposition") == "metadata":
            metadata = json.loads(content)
        else:
            files[part["Supabase-Path"]] = content
    return metadata, files


def deploy(api: httpx.Client, slug: str, files: dict[str, bytes], entrypoint: str = "index.ts", **query: Any) -> httpx.Response:
    uploads = [("file", (path, content, "application/typescript")) for path, content in files.items()]
    metadata = json.dumps({"entrypoint_path": entrypoint, "verify_jwt": False, "name": "Hello"})
    return api.post(f"{PROJECT}/functions/deploy", params={"slug": slug, **query}, data={"metadata": metadata}, files=uploads)


def test_a_deployed_function_comes_back_in_both_forms_and_goes_again(api: httpx.Client) -> None:
    described = description()
    files = {"hello/index.ts": HELLO, "_shared/a b.ts": b"export {};\r\n\r\n"}
    first = deploy(api, "hello", files, "hello/index.ts")
    assert first.status_code == 201, first.text
    jsonschema.validate(first.json(), schema_of(described, "POST", "/v1/projects/{ref}/functions/deploy", 201))
    assert (first.json()["version"], first.json()["verify_jwt"]) == (1, False)

    metadata, back = parts_of(api.get(f"{PROJECT}/functions/hello/body", headers={"Accept": "multipart/form-data"}))
    assert metadata == {"deno2_entrypoint_path": "hello/index.ts"}
    assert back == files
    bundle = api.get(f"{PROJECT}/functions/hello/body").content
    assert bundle.startswith(MAGIC) and unpack(bundle) == files
    assert hashlib.sha256(bundle).hexdigest() == first.json()["ezbr_sha256"]

    second = deploy(api, "hello", {"index.ts": HELLO}).json()
    assert (second["id"], second["version"], second["created_at"]) == (first.json()["id"], 2, first.json()["created_at"])
    query = {"ezbr_sha256": hashlib.sha256(bundle).hexdigest(), "entrypoint_path": "hello/index.ts", "verify_jwt": "true"}
    third = api.patch(
        f"{PROJECT}/functions/hello", params=query, content=bundle, headers={"Content-Type": "application/vnd.denoland.eszip"}
    )
    assert third.status_code == 200, third.text
    jsonschema.validate(third.json(), schema_of(described, "PATCH", "/v1/projects/{ref}/functions/{function_slug}", 200))
    assert (third.json()["version"], third.json()["verify_jwt"], third.json()["ezbr_sha256"]) == (3, True, first.json()["ezbr_sha256"])
    assert api.delete(f"{PROJECT}/functions/hello").status_code == 200
    assert api.get(f"{PROJECT}/functions/hello").status_code == 404


def test_prepared_bundles_are_activated_together_or_not_at_all(api: httpx.Client) -> None:
    described = description()
    made = [deploy(api, slug, {"index.ts": HELLO + slug.encode()}, bundleOnly="true").json() for slug in ("bulk-a", "bulk-b")]
    assert api.get(f"{PROJECT}/functions/bulk-a").status_code == 404
    wrong = [made[0], {**made[1], "ezbr_sha256": "0" * 64}]
    assert api.put(f"{PROJECT}/functions", json=wrong).status_code == 400
    assert api.get(f"{PROJECT}/functions/bulk-a").status_code == 404
    answer = api.put(f"{PROJECT}/functions", json=made)
    assert answer.status_code == 200, answer.text
    jsonschema.validate(answer.json(), schema_of(described, "PUT", "/v1/projects/{ref}/functions", 200))
    assert unpack(api.get(f"{PROJECT}/functions/bulk-b/body").content) == {"index.ts": HELLO + b"bulk-b"}
    for slug in ("bulk-a", "bulk-b"):
        assert api.delete(f"{PROJECT}/functions/{slug}").status_code == 200


@pytest.mark.parametrize(
    ("slug", "files", "entrypoint"),
    [
        ("bad/slug", {"index.ts": HELLO}, "index.ts"),
        ("bad", {"../index.ts": HELLO}, "../index.ts"),
        ("bad", {"/etc/index.ts": HELLO}, "index.ts"),
        ("bad", {"index.ts": HELLO}, "other.ts"),
        ("bad", {}, "index.ts"),
    ],
)
def test_uploads_that_leave_their_folder_are_refused(api: httpx.Client, slug: str, files: dict[str, bytes], entrypoint: str) -> None:
    assert deploy(api, slug, files, entrypoint).status_code in (400, 404)
    assert {one["slug"] for one in api.get(f"{PROJECT}/functions").json()} == SLUGS.keys()


@pytest.mark.parametrize("bundle", [b"", b"EZBR", b"EZBR" + b"x" * 50, b"plain", pack({"other.ts": HELLO})])
def test_a_bundle_that_is_none_is_refused(api: httpx.Client, bundle: bytes) -> None:
    before = api.get(f"{PROJECT}/functions/get-patient-history").json()
    headers = {"Content-Type": "application/vnd.denoland.eszip"}
    assert api.patch(f"{PROJECT}/functions/get-patient-history", content=bundle, headers=headers).status_code == 400
    assert api.get(f"{PROJECT}/functions/get-patient-history").json() == before


# -- secrets


def test_secrets_are_listed_by_digest_and_can_be_set_and_unset(api: httpx.Client) -> None:
    listed = {one["name"]: one["value"] for one in api.get(f"{PROJECT}/secrets").json()}
    assert listed["FIREBASE_PROJECT_ID"] == hashlib.sha256(b"medzen-bf20e").hexdigest()
    assert listed["AWS_REGION"] == hashlib.sha256(b"eu-central-1").hexdigest()
    created = api.post(f"{PROJECT}/secrets", json=[{"name": "FOO", "value": "bär"}])
    assert (created.status_code, created.content) == (201, b"")
    listed = {one["name"]: one["value"] for one in api.get(f"{PROJECT}/secrets").json()}
    assert listed["FOO"] == hashlib.sha256("bär".encode()).hexdigest()
    assert api.request("DELETE", f"{PROJECT}/secrets", json=["FOO"]).status_code == 200
    assert "FOO" not in {one["name"] for one in api.get(f"{PROJECT}/secrets").json()}
    assert api.post(f"{PROJECT}/secrets", json=[{"name": "SUPABASE_URL", "value": "x"}]).status_code == 400


def test_keys_are_masked_unless_revealed(api: httpx.Client, root: Path) -> None:
    service_key = (root / ".opsnb/local/run/service_key").read_text().strip()
    assert service_key not in api.get(f"{PROJECT}/api-keys").text
    assert service_key in api.get(f"{PROJECT}/api-keys", params={"reveal": "true"}).text
    assert "jwt_secret" not in api.get(f"{PROJECT}/postgrest").json()


# -- the database


def run(api: httpx.Client, sql: str, path: str = "query", **body: Any) -> httpx.Response:
    return api.post(f"{PROJECT}/database/{path}", json={"query": sql, **body})


def test_sql_runs_for_real(api: httpx.Client) -> None:
    answer = run(api, "select 1 as n, 9007199254740993 as big, '2026-01-02T03:04:05Z'::timestamptz at time zone 'utc' as t, 1.50 as x")
    assert answer.status_code == 201, answer.text
    assert answer.json() == [{"n": 1, "big": 9007199254740993, "t": "2026-01-02 03:04:05", "x": "1.50"}]
    assert run(api, "select current_user as who").json() == [{"who": "postgres"}]
    assert run(api, "select current_user as who", "query/read-only").json() == [{"who": "supabase_read_only_user"}]
    assert run(api, "select current_user as who", read_only=True).json() == [{"who": "supabase_read_only_user"}]
    assert run(api, "select $1::int + 1 as n", parameters=[41]).json() == [{"n": 42}]
    assert run(api, "select '{\"a\": [1]}'::jsonb as j, null as z, array[1,2] as a").json() == [{"j": {"a": [1]}, "z": None, "a": [1, 2]}]


def test_several_statements_give_the_rows_of_the_last_that_has_any(api: httpx.Client) -> None:
    assert run(api, "create table public.several(n int); insert into public.several values (7)").json() == []
    assert run(api, "select n from public.several; drop table public.several").json() == [{"n": 7}]


def test_sql_that_fails_says_why_and_the_reader_cannot_write(api: httpx.Client) -> None:
    answer = run(api, "select * from public.nothing_here")
    assert answer.status_code == 400
    assert "42P01" in answer.json()["message"] and "nothing_here" in answer.json()["message"]
    assert run(api, "create table public.no(n int)", "query/read-only").status_code == 400
    assert run(api, "").status_code == 400


# -- logs


def ask(api: httpx.Client, sql: str, **window: str) -> httpx.Response:
    return api.get(f"{PROJECT}/analytics/endpoints/logs", params={"sql": sql, **window})


def test_an_error_of_postgres_is_in_the_logs_with_its_code_and_role(api: httpx.Client) -> None:
    run(api, "select * from public.logged_mistake")
    sql = """select log_attributes['parsed.error_severity'] as severity, log_attributes['parsed.sql_state_code'] as code,
             log_attributes['parsed.user_name'] as role, timestamp from logs
             where source = 'postgres_logs' and event_message like '%logged_mistake%' limit 10"""
    deadline = time.monotonic() + 10
    rows: list[dict[str, Any]] = []
    while not rows and time.monotonic() < deadline:
        rows = ask(api, sql).json()["result"]
    assert [(row["severity"], row["code"], row["role"]) for row in rows] == [("ERROR", "42P01", "postgres")]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", rows[0]["timestamp"])


def test_what_is_wrong_with_the_sql_arrives_with_status_200(api: httpx.Client) -> None:
    for sql in ("selec", "select * from logs", "select file('/etc/passwd')", "select 1; select 2"):
        answer = ask(api, sql)
        assert answer.status_code == 200 and answer.json()["error"] and answer.json()["result"] == []


def test_windows_longer_than_a_day_or_that_are_no_dates_are_refused(api: httpx.Client) -> None:
    now = datetime.now(UTC)

    def day(hours: float) -> str:
        return (now - timedelta(hours=hours)).isoformat()

    sql = "select count() as n from logs"
    assert ask(api, sql, iso_timestamp_start=day(24), iso_timestamp_end=day(0)).status_code == 200
    assert ask(api, sql, iso_timestamp_start=day(24.1), iso_timestamp_end=day(0)).status_code == 400
    assert ask(api, sql, iso_timestamp_start=day(0), iso_timestamp_end=day(1)).status_code == 400
    assert ask(api, sql, iso_timestamp_start="yesterday").status_code == 400


# -- metrics, identity, health


def test_metrics_are_prometheus_text_with_real_numbers(api: httpx.Client, root: Path) -> None:
    told = target.status(root)
    password = (root / ".opsnb/local/run/metrics_password").read_text().strip()
    assert httpx.get(told["metrics_url"], trust_env=False).status_code == 401
    assert httpx.get(told["metrics_url"], auth=("service_role", "wrong"), trust_env=False).status_code == 401
    answer = httpx.get(told["metrics_url"], auth=("service_role", password), trust_env=False)
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {}
    families = set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in families, f"{name} is there twice"
            families.add(name)
        elif not line.startswith("#"):
            found = re.fullmatch(r"([a-z_A-Z0-9]+)\{(.*)\} (-?[0-9.e+]+|NaN)", line)
            assert found, line
            samples.setdefault(found[1], []).append(float(found[3]))
    [size] = run(api, "select pg_database_size('postgres') as n").json()
    assert any(abs(value - size["n"]) < 1e6 for value in samples["pg_database_size_bytes"])
    assert samples["pg_up"] == [1]
    assert samples["max_connections_connection_count"] == [float(run(api, "show max_connections").json()[0]["max_connections"])]
    assert samples["pgrst_db_pool_max"] == [15]
    assert 0 <= samples["pgrst_db_pool_available"][0] <= 15
    assert samples["node_memory_MemAvailable_bytes"][0] > 1e6 and samples["node_load1"][0] >= 0


def test_the_resolved_keys_are_those_that_are_served_and_sign_the_provider_s_token(api: httpx.Client, root: Path) -> None:
    import jwt

    [integration] = api.get(f"{PROJECT}/config/auth/third-party-auth").json()
    served = httpx.get(integration["jwks_url"], trust_env=False)
    assert served.json() == integration["resolved_jwks"]
    assert "max-age" in served.headers["cache-control"]
    token = (root / ".opsnb/local/run/provider_token").read_text().strip()
    key = jwt.PyJWK(served.json()["keys"][0])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="medzen-bf20e", issuer=integration["oidc_issuer_url"])
    assert claims["role"] == "authenticated" and len(claims["sub"]) == 28


def test_health_names_what_is_there_and_what_is_not(api: httpx.Client) -> None:
    told = api.get(f"{PROJECT}/health", params=[("services", "db"), ("services", "rest"), ("services", "storage")]).json()
    assert {one["name"]: one["status"] for one in told} == {"db": "ACTIVE_HEALTHY", "rest": "ACTIVE_HEALTHY", "storage": "UNHEALTHY"}
    assert api.get(f"{PROJECT}/health").status_code == 400
    assert api.get(f"{PROJECT}/health", params={"services": "nonsense"}).status_code == 400
