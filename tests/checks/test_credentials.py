"""Values the operator knows: compared by digest, judged by shape, never shown."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from opsnb.checks import credentials

PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def account(**changes: Any) -> str:
    said = {"type": "service_account", "project_id": "clinic", "private_key": PEM, "client_email": "a@b.c", "token_uri": "https://x"}
    return json.dumps({**said, **changes})


@pytest.mark.parametrize(
    ("name", "value", "kind", "finding"),
    [
        ("KEY", account(), "service account", "well-formed"),
        ("KEY", account(project_id="other"), "service account", "it is of another project"),
        ("KEY", account(private_key=PEM.replace("\n", "\\n")), "service account", "its private key cannot be read"),
        ("KEY", account(client_email=""), "service account", "it lacks client_email"),
        ("KEY", account(type="authorized_user"), "service account", "its type is not service_account"),
        ("KEY", account()[:-5], "service account", "it begins like JSON and is none"),
        ("TRANSCRIBE_ROLE_ARN", "arn:aws:iam::123456789012:role/transcribe", "role ARN", "well-formed"),
        ("TRANSCRIBE_ROLE_ARN", "arn:aws:iam::1234:role/transcribe", "role ARN", "it is not of the form"),
        ("TRANSCRIBE_ROLE_ARN", "arn:aws:iam::123456789012:user/me", "role ARN", "it is not of the form"),
        ("OPENEHR_URL", "https://ehr.example.org/rest", "URL", "well-formed"),
        ("OPENEHR_URL", "http://127.0.0.1:8080/", "URL", "well-formed"),
        ("OPENEHR_URL", "http://ehr.example.org/", "URL", "it is not https"),
        ("OPENEHR_URL", "ehr.example.org", "URL", "it is no URL"),
        ("OPENEHR_URL", "https://[::1", "URL", "it is no URL"),
        ("OPENEHR_URL", "https://me:hunter2@ehr.example.org/", "URL", "it has a password in it"),
        ("AWS_REGION", "eu-central-1\n", "text", "it has spaces or a line's end around it"),
        ("AWS_REGION", "", "text", "it is empty"),
    ],
)
def test_a_value_has_the_shape_of_its_kind(name: str, value: str, kind: str, finding: str) -> None:
    row = credentials.shape_of(name, value, project_id="clinic")
    assert row["kind"] == kind
    assert row["finding"].startswith(finding)
    assert "hunter2" not in json.dumps(row)


def test_the_platform_has_the_same_value_or_the_check_fails() -> None:
    """Other, missing, the same."""
    values = pd.DataFrame([credentials.shape_of("AWS_REGION", "eu-central-1")])
    same = values[["name", "digest"]]
    assert credentials.known_values(values, same).verdict == "PASS"
    other = credentials.known_values(values, same.assign(digest="0" * 64))
    assert (other.verdict, other.measured) == ("FAIL", 0)
    assert "another value" in other.summary
    assert "not set" in credentials.known_values(values, same[:0]).summary
    malformed = pd.DataFrame([credentials.shape_of("X_URL", "nowhere")])
    assert credentials.known_values(malformed, malformed[["name", "digest"]]).verdict == "FAIL"
    assert credentials.known_values(values[:0], same).verdict == "INCONCLUSIVE"
    assert same["digest"][0] not in str(other.table)
