"""An openEHR server and a role of AWS: what answered, and that it is what the functions have in their variables."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd
import pytest

from opsnb.checks import outside

URL, ROLE = "https://ehr.test/rest", "arn:aws:iam::123456789012:role/transcribe"


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def secrets(**values: str) -> pd.DataFrame:
    return pd.DataFrame([(name, digest(value)) for name, value in values.items()], columns=["name", "digest"])


def reached(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{"status": 200, "seconds": 0.1, "elsewhere": False, "page": False, "digest": digest(URL), **changes}])


@pytest.mark.parametrize(
    ("changes", "variables", "verdict", "said"),
    [
        ({}, {"EHR": URL}, "PASS", "answers 200 in 0.10 s, at the address that EHR holds"),
        ({"status": 401}, {"EHR": URL}, "PASS", "answers 401"),
        ({"status": 404}, {"EHR": URL}, "FAIL", "answers 404; expected 200 or 401"),
        ({"status": 302, "elsewhere": True}, {"EHR": URL}, "FAIL", "sends its callers to another server"),
        ({"elsewhere": True}, {"EHR": URL}, "FAIL", "sends its callers to another server"),
        ({"page": True}, {"EHR": URL}, "FAIL", "answers 200 with a web page"),
        ({"status": 401, "page": True}, {"EHR": URL}, "PASS", "answers 401"),
        ({}, {"EHR": "https://old.test"}, "FAIL", "but EHR holds another value"),
        ({}, {}, "FAIL", "but EHR is not set"),
    ],
)
def test_openehr(changes: dict[str, Any], variables: dict[str, str], verdict: str, said: str) -> None:
    result = outside.openehr(reached(**changes), secrets(**variables), variable="EHR", statuses=(401, 200))
    assert (str(result.verdict), said in result.summary) == (verdict, True), result.summary
    assert result.table is not None
    assert digest(URL) not in result.table.to_csv()


@pytest.mark.parametrize(
    ("ok", "variables", "verdict", "said"),
    [
        (True, {"ROLE": ROLE}, "PASS", "The role that ROLE holds: it is there (iam get-role)."),
        (False, {"ROLE": ROLE}, "FAIL", "The role: there is no such role."),
        (True, {"ROLE": ROLE + "x"}, "FAIL", "is not the functions': ROLE holds another value on the platform"),
        (True, {}, "FAIL", "ROLE is not set on the platform"),
    ],
)
def test_role(ok: bool, variables: dict[str, str], verdict: str, said: str) -> None:
    finding = "it is there" if ok else "there is no such role"
    found = pd.DataFrame([{"asked": "iam get-role", "ok": ok, "finding": finding, "digest": digest(ROLE)}])
    result = outside.aws_role(found, secrets(**variables), variable="ROLE")
    assert (str(result.verdict), said in result.summary) == (verdict, True), result.summary
    assert result.table is not None
    assert digest(ROLE) not in result.table.to_csv()


def test_what_was_not_asked_never_passes() -> None:
    assert str(outside.openehr(reached()[:0], secrets(EHR=URL), variable="EHR", statuses=[200]).verdict) == "INCONCLUSIVE"
    assert str(outside.aws_role(pd.DataFrame(), secrets(ROLE=ROLE), variable="ROLE").verdict) == "INCONCLUSIVE"
    assert str(outside.openehr(reached(status=None), secrets(EHR=URL), variable="EHR", statuses=[200]).verdict) == "ERROR"
