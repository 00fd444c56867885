"""The platform's API: fixed columns from real answers, nonsense from anything else, and no secret in either."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceNonsense
from opsnb.facts import Facts
from opsnb.sources.supabase import Supabase

RECORDED = Path(__file__).parents[3] / "shared" / "supabase" / "recorded"
REF = "abcdefghijklmnopqrst"
FUNCTION = {
    "id": "f-1", "slug": "get-history", "name": "get-history", "status": "ACTIVE", "version": 11, "created_at": 1763000000000,
    "updated_at": 1763000123456,
}  # fmt: skip


def platform(answer: Callable[[httpx.Request], httpx.Response]) -> Supabase:
    return Supabase("http://api.test/", REF, SecretStr("sbp_hunter2"), transport=httpx.MockTransport(answer), sleep=lambda seconds: None)


def answering(body: Any, status: int = 200) -> Supabase:
    return platform(lambda request: httpx.Response(status, content=json.dumps(body)))


def test_the_token_goes_into_a_header_and_nowhere_else() -> None:
    """Not into the question, the error or the representation."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    door = platform(answer)
    facts = door.functions()
    assert asked[0].headers["authorization"] == "Bearer sbp_hunter2"
    assert str(asked[0].url) == f"http://api.test/v1/projects/{REF}/functions"
    assert facts.error is not None
    told = "".join(traceback.format_exception(facts.error)) + repr(facts) + repr(door) + repr(vars(door))
    assert "hunter2" not in told


def test_functions_have_utc_times_and_null_is_not_false() -> None:
    """Milliseconds, exactly; a key that is left out is null."""
    table = answering([FUNCTION, {**FUNCTION, "slug": "b", "verify_jwt": False}]).functions().table
    assert table["updated_at"].tolist() == [pd.Timestamp("2025-11-13T02:15:23.456Z")] * 2
    assert pd.isna(table["verify_jwt"].iloc[0])
    assert table["verify_jwt"].iloc[1] == False  # noqa: E712
    assert table["version"].dtype == "Int64"
    assert table["ezbr_sha256"].isna().all()
    empty = answering([]).functions().table
    assert empty.empty
    assert empty.columns.tolist() == table.columns.tolist()
    assert empty.dtypes.tolist() == table.dtypes.tolist()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, "the answer is null"),
        ({}, "the answer is no list"),
        ("functions", "the answer is no list"),
        ([None], None),
        ([["a"]], "an entry of the answer is no object"),
        ([{**FUNCTION, "version": None}], "an entry has no version"),
        ([{**FUNCTION, "version": "v11"}], "version is no integer"),
        ([{**FUNCTION, "version": 11.5}], "version is no integer"),
        ([{**FUNCTION, "version": True}], "version is no integer"),
        ([{**FUNCTION, "verify_jwt": "yes"}], "verify_jwt is no boolean"),
        ([{**FUNCTION, "updated_at": "yesterday"}], "updated_at is no epoch in ms"),
        ([{**FUNCTION, "updated_at": 10**30}], "updated_at is no epoch in ms"),
        ([{**FUNCTION, "slug": {"hunter2": 1}}], "slug is no text"),
    ],
)
def test_unexpected_shapes_are_nonsense(body: Any, expected: str | None) -> None:
    """The operation and the key are named, the value is not."""
    facts = answering(body).functions()
    assert isinstance(facts.error, SourceNonsense)
    assert str(facts.error).startswith(f"GET /v1/projects/{REF}/functions: {expected or ''}")
    assert "hunter2" not in str(facts.error)


@pytest.mark.parametrize(
    "text", ["[NaN]", '[{"slug": "a", "slug": "b"}]', "[1e", '[{"version": -Infinity}]', b"\xff\xfe[\x00]\x00".decode("latin-1")]
)
def test_what_only_looks_like_json_is_nonsense(text: str) -> None:
    """Numbers that JSON does not have, a key that comes twice, another encoding."""
    facts = platform(lambda request: httpx.Response(200, content=text.encode("latin-1"))).functions()
    assert isinstance(facts.error, SourceNonsense) and "not JSON" in str(facts.error)


def test_what_is_one_thing_comes_once() -> None:
    """Nobody knows which of two entries of one function holds."""
    facts = answering([FUNCTION, {**FUNCTION, "version": 12}]).functions()
    assert str(facts.error).endswith("functions: two entries have the same slug")


QUESTIONS = (
    "project", "health", "functions", "secrets", "api_key_names", "third_party_auth", "backups", "disk", "disk_util", "pooler",
    "pgbouncer", "postgres_config",
)  # fmt: skip
NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "status", "database", "version", "backups", "physical_backup_data", "attributes", "metrics", "keys",
                         "kid", "id", "slug", "resolved_jwks", "inserted_at", "size_gb", "value", "updated_at"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
@given(body=NONSENSE)
def test_whatever_is_answered_becomes_facts(question: str, body: Any) -> None:
    """A table or a SourceNonsense, never another exception."""
    facts: Facts = getattr(answering(body), question)()
    assert facts.ok or isinstance(facts.error, SourceNonsense)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_refusal_names_what_is_missing(question: str) -> None:
    """The permission a scoped token lacks."""
    facts: Facts = getattr(answering({"message": "no", "missing_permissions": ["some_read"]}, 403), question)()
    assert isinstance(facts.error, SourceDenied)
    assert "the token lacks some_read" in str(facts.error)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the platform's recorded answers are not beside this checkout")
@pytest.mark.parametrize(
    ("question", "recording", "rows"),
    [
        ("functions", "functions", 0),
        ("secrets", "secrets", 0),
        ("pooler", "config_database_pooler", 1),
        ("backups", "database_backups", 1),
        ("postgres_config", "config_database_postgres", 4),
        ("api_key_names", "api_keys", 4),
    ],
)
def test_recorded_answers_are_understood(question: str, recording: str, rows: int) -> None:
    """What the real platform answered once."""
    said = json.loads((RECORDED / f"GET_v1_projects_{recording}.response.json").read_text())
    facts: Facts = getattr(answering(said["body"], said["status"]), question)()
    assert facts.error is None
    assert len(facts) == rows


def test_no_key_and_no_connection_string_is_kept() -> None:
    """They are dropped as they arrive."""
    keys = answering([{"name": "anon", "type": "legacy", "api_key": "hunter2", "hash": "hunter2", "prefix": "hunter2"}]).api_key_names()
    pools = answering([{"database_type": "PRIMARY", "connection_string": "postgresql://u:hunter2@h", "db_port": 6543}]).pooler()
    for facts in (keys, pools):
        assert len(facts) == 1
        assert "hunter2" not in facts.table.to_csv()


def test_secrets_are_digests() -> None:
    """As the platform tells them, with times in UTC whatever their form."""
    body = [
        {"name": "A", "value": "d1", "updated_at": "2026-01-01T00:00:00Z"},
        {"name": "B", "value": "d2", "updated_at": "2026-01-01 00:00:00"},
    ]
    table = answering(body).secrets().table
    assert table["digest"].tolist() == ["d1", "d2"]
    assert (table["updated_at"] == pd.Timestamp("2026-01-01", tz="UTC")).all()


def test_backups_tell_the_ways_back() -> None:
    """Backups, the window of point-in-time recovery in seconds, and whether that is on."""
    body = {
        "pitr_enabled": True,
        "backups": [{"id": 1, "is_physical_backup": True, "status": "COMPLETED", "inserted_at": "2026-01-01T00:00:00"}],
        "physical_backup_data": {"latest_physical_backup_date_unix": 1763000000},
    }  # fmt: skip
    table = answering(body).backups().table
    assert table["kind"].tolist() == ["physical backup", "point in time, latest", "point-in-time recovery"]
    assert table["status"].tolist() == ["COMPLETED", "restorable", "enabled"]
    assert table["at"].iloc[1] == pd.Timestamp(1763000000, unit="s", tz="UTC")
    assert answering({"backups": []}).backups().table["status"].tolist() == ["not told"]


@pytest.mark.parametrize(
    "keys", [{"keys": [{"kid": "k1"}, {"kid": "k2"}]}, [{"kid": "k1"}, {"kid": "k2"}], '{"keys": [{"kid": "k1"}, {"kid": "k2"}]}']
)
def test_trusted_providers_tell_their_keys(keys: Any) -> None:
    """In each of the forms a key set comes in."""
    table = answering([{"id": "1", "oidc_issuer_url": "https://i", "resolved_jwks": keys}]).third_party_auth().table
    assert table["kids"].tolist() == ["k1, k2"]


# ── sources of functions ──


def multipart(files: dict[str, bytes], boundary: str = "b0undary") -> httpx.Response:
    parts = [b'Content-Disposition: form-data; name="metadata"\r\n\r\n{}']
    for path, content in files.items():
        name = path.rpartition("/")[2]
        parts.append(f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nSupabase-Path: {path}\r\n\r\n'.encode() + content)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts) + b"--%s--\r\n" % boundary.encode()
    return httpx.Response(200, content=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"})


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}\.ts", fullmatch=True), st.binary(max_size=60), max_size=4))
def test_sources_come_byte_for_byte_with_their_folders(files: dict[str, bytes]) -> None:
    """Whatever bytes they are; sizes and hashes in the table, contents beside it."""
    facts = platform(lambda request: multipart(files)).function_source("get-history")
    assert facts.error is None
    assert facts.extra["files"] == files
    rows = {row["path"]: (row["bytes"], row["sha256"]) for row in facts.table.to_dict("records")}
    assert rows == {path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items()}


def test_sources_that_are_none() -> None:
    """Not deployed, not multipart, cut off."""
    missing = answering({"message": "no"}, 404).function_source("get-history")
    assert "404" in str(missing.error)
    assert "get-history is not deployed" in str(missing.error)
    assert missing.extra["files"] == {}
    eszip = platform(lambda request: httpx.Response(200, content=b"EZBR", headers={"content-type": "application/octet-stream"}))
    assert "expected multipart/form-data, answered application/octet-stream" in str(eszip.function_source("x").error)
    whole = multipart({"a.ts": b"x" * 100})
    cut = httpx.Response(200, content=whole.content[:-60], headers=whole.headers)
    assert isinstance(platform(lambda request: cut).function_source("x").error, SourceNonsense)


def test_a_slug_is_one_step_of_the_path() -> None:
    """Nothing in it leads elsewhere."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(404)

    platform(answer).function_source("../secrets?x")
    assert asked == [f"/v1/projects/{REF}/functions/..%2Fsecrets%3Fx/body"]


# ── logs ──


@pytest.mark.parametrize(
    ("body", "status", "sign"),
    [
        ({"error": "code: 62 near 'Anna'"}, 200, "refused the query"),
        ({"result": None}, 200, "the answer has no result"),
        ({"result": [1]}, 200, "an entry of result is no object"),
        ([], 200, "the answer is no object"),
        ({}, 404, "answers no ClickHouse SQL, and the older endpoint logs.all is not used"),
    ],
)
def test_logs_that_do_not_answer(body: Any, status: int, sign: str) -> None:
    """An error may come with 200; its text may quote a line of the log."""
    with pytest.raises(SourceError) as caught:
        answering(body, status).analytics("select 1", "a", "b")
    assert sign in str(caught.value)
    assert caught.value.source == "logs"
    assert "Anna" not in str(caught.value)
