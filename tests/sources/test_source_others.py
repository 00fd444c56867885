"""Metrics, the identity provider, openEHR and AWS."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from servers import silent

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout
from opsnb.facts import Facts
from opsnb.sources.aws import Aws
from opsnb.sources.firebase import TOKEN_COLUMNS, Firebase
from opsnb.sources.metrics import Metrics, parse
from opsnb.sources.openehr import OpenEhr

SAMPLE = Path(__file__).parents[3] / "shared" / "supabase" / "metrics-sample.txt"
ISSUER, AUDIENCE, SUBJECT = "https://securetoken.google.com/p", "p", "s" * 28


# ── metrics ──


def metrics(response: httpx.Response) -> Metrics:
    return Metrics(
        "http://m.test/x", user="service_role", password=SecretStr("hunter2"), transport=httpx.MockTransport(lambda request: response)
    )


def test_samples_are_read_tolerantly() -> None:
    """NaN, infinity, repeated labels, timestamps, braces in a label; what is no sample is passed over."""
    text = '# HELP a b\na 1\nb{x="1",x="2"} NaN 1700000000000\nc{path="/{id}",q="\\"}"} +Inf\nnot a sample at all\n\nd{x="1"} 1e3\n'
    table = parse(text)
    assert table["name"].tolist() == ["a", "b", "c", "d"]
    assert math.isnan(table["value"].iloc[1])
    assert table["value"].iloc[3] == 1000.0
    assert json.loads(table["labels"].iloc[1]) == {"x": "2"}
    assert json.loads(table["labels"].iloc[2])["path"] == "/{id}"


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the sample of the platform's metrics is not beside this checkout")
def test_the_platforms_own_sample_is_read_whole() -> None:
    """Every line that is no comment is a sample; the series that the platform sends twice come once."""
    text = SAMPLE.read_text(encoding="utf-8")
    series = {line.rsplit(" ", 1)[0] for line in text.splitlines() if line.strip() and not line.startswith("#")}
    table = parse(text)
    assert len(table) == len(series) > 200
    assert table["value"].notna().all(), "none of them with two values"


@pytest.mark.parametrize("response", [httpx.Response(200, text="<html>\n</html>"), httpx.Response(200, text=""), httpx.Response(401)])
def test_metrics_that_are_none(response: httpx.Response) -> None:
    """Never an empty table that looks like a quiet server."""
    facts = metrics(response).samples()
    assert isinstance(facts.error, SourceError)
    assert "hunter2" not in str(facts.error)


# ── the identity provider ──


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def stranger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def keys(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "RS256"}]}


def token(key: Any, *, kid: str = "k1", algorithm: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "iat": now - 10,
        "exp": now + 600,
        "auth_time": now - 10,
        "role": "authenticated",
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def provider(body: Any, given: str | None) -> Firebase:
    return Firebase(
        "http://keys.test/jwks", issuer=ISSUER, audience=AUDIENCE, token=None if given is None else SecretStr(given),
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json=body)),
    )  # fmt: skip


def test_a_good_token_is_valid_and_stays_secret(key: rsa.RSAPrivateKey) -> None:
    """Its claims as far as they are nobody's secret; of the subject only the length."""
    given = token(key)
    door = provider(keys(key), given)
    facts = door.token()
    row = facts.table.iloc[0]
    assert tuple(facts.table.columns) == TOKEN_COLUMNS
    assert bool(row["valid"])
    assert (row["reason"], row["kid"], row["issuer"], row["role"], row["subject_length"]) == ("", "k1", ISSUER, "authenticated", 28)
    assert 590 < row["expires_in_s"] <= 600
    kept = facts.table.to_csv() + facts.question + repr(door) + repr(vars(door))
    assert given not in kept
    assert SUBJECT not in kept
    assert door.jwks().table["kid"].tolist() == ["k1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": 1_600_000_000}, "it has expired"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_100}, "it is not valid yet"),
        ({"aud": "another"}, "it is for another project"),
        ({"iss": "https://elsewhere"}, "it is from another issuer"),
        ({"exp": None}, "it lacks one of"),
        ({"sub": None}, "it lacks one of"),
        ({"sub": ""}, "its subject is no text"),
        ({"sub": "s" * 129}, "its subject is no text"),
        ({"auth_time": 4_000_000_000}, "yet to sign in"),
        ({"kid": "k2"}, "its key is not in the provider's key set"),
    ],
)
def test_a_bad_token_says_why(key: rsa.RSAPrivateKey, changes: dict[str, Any], reason: str) -> None:
    """One row, not valid, with the reason and no claim in it."""
    row = provider(keys(key), token(key, **changes)).token().table.iloc[0]
    assert not bool(row["valid"])
    assert reason in row["reason"]


def test_a_forged_token_is_not_valid(key: rsa.RSAPrivateKey, stranger: rsa.RSAPrivateKey) -> None:
    """Another key, another algorithm, no signature, no token at all."""
    forged = {
        "its signature is not the provider's": token(stranger),
        "it is not signed with RS256": token("x" * 64, algorithm="HS256"),
        "it is not a JWT": "hunter2",
    }
    for reason, given in forged.items():
        facts = provider(keys(key), given).token()
        assert not bool(facts.table["valid"].iloc[0])
        assert facts.table["reason"].iloc[0] == reason
    unsigned = provider(keys(key), jwt.encode({"sub": "s"}, None, algorithm="none", headers={"kid": "k1"})).token()
    assert not bool(unsigned.table["valid"].iloc[0])


def test_no_token_is_no_row(key: rsa.RSAPrivateKey) -> None:
    """And no key set is needed for that."""
    facts = provider({}, None).token()
    assert facts.ok
    assert len(facts) == 0


@pytest.mark.parametrize(
    "body", [{}, {"keys": [{}]}, {"keys": "x"}, [], {"keys": [{"kid": "k1", "kty": "RSA", "n": "x"}]}, {"keys": [{"kid": "k1"}]}]
)
def test_a_key_set_that_is_none_is_nonsense(key: rsa.RSAPrivateKey, body: Any) -> None:
    """Not a verdict on the token."""
    facts = provider(body, token(key)).token()
    assert isinstance(facts.error, SourceNonsense)


# ── doors a release may ask for ──


@pytest.mark.parametrize(
    ("status", "location", "elsewhere"),
    [
        (200, None, False),
        (401, "http://other.test/", False),
        (302, "/login", False),
        (302, "http://ehr.test/login", False),
        (302, "http://other.test/rest", True),
        (307, "https://ehr.test/rest/status", True),
        (301, "http://ehr.test:8080/rest", True),
        (302, "//other.test", True),
        (302, "http://[", True),
        (503, None, False),
    ],
)
def test_openehr_answers_and_is_not_followed(status: int, location: str | None, elsewhere: bool) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url}")
        return httpx.Response(status, headers={} if location is None else {"location": location})

    row = OpenEhr("http://ehr.test/rest", transport=httpx.MockTransport(answer)).reachable("status").table.iloc[0]
    assert (row["status"], bool(row["elsewhere"])) == (status, elsewhere)
    assert asked == ["GET http://ehr.test/rest/status"]


@pytest.mark.parametrize(
    ("kind", "body", "page"),
    [
        ("application/json", b"[]", False),
        ("application/json", b'[{"template_id": "cut', False),
        ("text/html; charset=utf-8", b"sign in", True),
        ("application/json", b"\xef\xbb\xbf\n <!DOCTYPE html><title>parked</title>", True),
        ("text/plain", b"<HTML>", True),
        ("", b"", False),
    ],
)
def test_a_web_page_is_no_openehr_server(kind: str, body: bytes, page: bool) -> None:
    """By what it says it is, or by how it begins."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-type": kind} if kind else {}, content=body))
    assert bool(OpenEhr("http://ehr.test", transport=transport).reachable().table.iloc[0]["page"]) is page


def test_openehr_that_is_not_there(closed_port: int) -> None:
    """An error, not an answer."""
    assert isinstance(OpenEhr(f"http://127.0.0.1:{closed_port}").reachable().error, SourceError)
    with silent() as port:
        assert isinstance(OpenEhr(f"http://127.0.0.1:{port}", timeout_s=0.3).reachable().error, SourceTimeout)


ROLE = "arn:aws:iam::123456789012:role/functions/transcribe"


def finding(facts: Facts) -> tuple[bool, str]:
    row = facts.table.iloc[0]
    assert "123456789012" not in f"{facts.table.to_csv()} {facts.question} {facts!r}", "the account is nobody's business"
    return bool(row["ok"]), str(row["finding"])


def test_a_role_that_is_none_is_said_without_being_shown() -> None:
    """Its account number is nobody's business."""
    facts = Aws("eu-central-1").role(SecretStr("arn:aws:iam::hunter2"))
    assert finding(facts) == (False, "it is not of the form arn:aws:iam::<account>:role/<name>")
    assert "hunter2" not in f"{facts!r} {facts.question}"
    assert finding(Aws("eu-central-1").role(SecretStr(ROLE), ask="shape")) == (True, "well-formed")


def test_without_boto3_aws_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    for ask in ("get_role", "assume_role"):
        error = Aws("eu-central-1").role(SecretStr(ROLE), ask=ask).error
        assert "install opsnb with the extra `aws`" in str(error)


class Pretended:
    """AWS as moto pretends it; skips where boto3 or moto are not installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
        self.moto = pytest.importorskip("moto", reason="moto, which pretends AWS, is not installed")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """boto3's client for IAM of an AWS that moto pretends, with nothing in it."""
    moto = Pretended(monkeypatch).moto
    with moto.mock_aws():
        import boto3

        yield boto3.client("iam", region_name="eu-central-1")


def test_a_role_is_there_or_not(pretended: Any) -> None:
    """Made, found, told from one of another account or at another path, taken away, missed."""
    door = Aws("eu-central-1")
    assert finding(door.role(SecretStr(ROLE))) == (False, "there is no such role")
    pretended.create_role(RoleName="transcribe", Path="/functions/", AssumeRolePolicyDocument="{}")
    assert finding(door.role(SecretStr(ROLE))) == (True, "it is there")
    assert finding(door.role(SecretStr(ROLE.replace("functions/", "")))) == (False, "the role of that name stands at another path")
    foreign = door.role(SecretStr(ROLE.replace("123456789012", "210987654321"))).error
    assert isinstance(foreign, SourceDenied) and "another account than these credentials" in str(foreign), (
        "a namesake of ours proves nothing"
    )
    assert "210987654321" not in str(foreign)
    pretended.delete_role(RoleName="transcribe")
    assert finding(door.role(SecretStr(ROLE))) == (False, "there is no such role")


def test_a_role_is_assumed_or_refused(pretended: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the shortest time, allowed nothing; a caller without any right is refused, and may not look it up either."""
    from moto.core import set_initial_no_auth_action_count

    pretended.create_role(RoleName="transcribe", Path="/functions/", AssumeRolePolicyDocument="{}")
    assert finding(Aws("eu-central-1").role(SecretStr(ROLE), ask="assume_role")) == (True, "it can be assumed")
    pretended.create_user(UserName="nobody")
    key = pretended.create_access_key(UserName="nobody")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])

    @set_initial_no_auth_action_count(0)
    def as_nobody() -> None:
        refused = Aws("eu-central-1").role(SecretStr(ROLE), ask="assume_role")
        assert finding(refused) == (False, "AWS does not let these credentials assume it, or it is not there")
        assert isinstance(Aws("eu-central-1").role(SecretStr(ROLE)).error, SourceError)

    as_nobody()


def test_aws_without_credentials_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "AWS could not be asked (NoCredentialsError)" in str(Aws("eu-central-1").role(SecretStr(ROLE)).error)
