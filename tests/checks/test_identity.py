"""Checks of the identity provider and of a token of its."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opsnb.checks import identity
from opsnb.verdicts import Verdict

ISSUER = "https://securetoken.google.com/demo"
KEYS = pd.DataFrame({"kid": ["k1", "k2"]})


def configured(issuer: str = ISSUER, kids: Any = "k1, k2") -> pd.DataFrame:
    return pd.DataFrame({"id": ["1"], "type": ["firebase"], "oidc_issuer_url": [issuer], "jwks_url": ["u"], "kids": [kids]})


@pytest.mark.parametrize(
    ("table", "keys", "verdict"),
    [
        (configured(), KEYS, Verdict.PASS),
        (configured(kids=["k1", "k2", "k3"]), KEYS, Verdict.PASS),
        (configured(kids="k1"), KEYS, Verdict.WARN),
        (configured(kids="old"), KEYS, Verdict.FAIL),
        (configured(kids=""), KEYS, Verdict.FAIL),
        (configured(kids=None), KEYS, Verdict.FAIL),
        (configured(ISSUER + "/"), KEYS, Verdict.FAIL),
        (configured().iloc[:0], KEYS, Verdict.FAIL),
        (configured(), KEYS.iloc[:0], Verdict.INCONCLUSIVE),
        (configured().drop(columns="kids"), KEYS, Verdict.ERROR),
    ],
)
def test_provider(table: pd.DataFrame, keys: pd.DataFrame, verdict: Verdict) -> None:
    assert identity.provider(table, keys, issuer=ISSUER).verdict is verdict


def test_a_closing_slash_is_pointed_out() -> None:
    assert "a closing slash only" in identity.provider(configured(ISSUER + "/"), KEYS, issuer=ISSUER).summary


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.PASS),
        ({"valid": False, "reason": "it has expired", "expires_in_s": -600.0}, Verdict.INCONCLUSIVE),
        ({"valid": False, "reason": "it does not verify (InvalidSignatureError)", "expires_in_s": -600.0}, Verdict.FAIL),
        ({"valid": False, "reason": "it does not verify (InvalidSignatureError)"}, Verdict.FAIL),
        ({"valid": False, "reason": "it has expired", "expires_in_s": -600.0, "role": None}, Verdict.FAIL),
        ({"role": None}, Verdict.FAIL),
        ({"role": "anon"}, Verdict.FAIL),
        ({"audience": "another"}, Verdict.FAIL),
        ({"issuer": None}, Verdict.FAIL),
        ({"kid": "strange"}, Verdict.FAIL),
        ({"subject_length": 36}, Verdict.FAIL),
        ({"expires_in_s": None}, Verdict.FAIL),
        ({"valid": None}, Verdict.ERROR),
    ],
)
def test_credentials(changes: dict[str, Any], verdict: Verdict) -> None:
    good = {
        "valid": True,
        "reason": "",
        "kid": "k1",
        "issuer": ISSUER,
        "audience": "demo",
        "role": "authenticated",
        "subject_length": 28,
        "expires_in_s": 900.0,
    }
    result = identity.credentials(pd.DataFrame([good | changes]), KEYS, issuer=ISSUER, audience="demo")
    assert result.verdict is verdict, result.summary


def test_no_token_tries_nothing() -> None:
    assert identity.credentials(pd.DataFrame(), KEYS, issuer=ISSUER, audience="demo").verdict is Verdict.INCONCLUSIVE
