"""Checks of the variables, and the scanner for credentials in sources."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.checks import environment
from opsnb.verdicts import Verdict

PUBLIC = {"PROJECT": "medzen-bf20e"}
INJECTED = ["SUPABASE_URL"]


def secrets(**values: str) -> pd.DataFrame:
    rows = [(name, hashlib.sha256(value.encode()).hexdigest(), None) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["name", "digest", "updated_at"])


def placeholder(**values: str) -> Any:
    return environment.no_placeholder(secrets(**values), public_values=PUBLIC, injected=INJECTED)


def test_required_set() -> None:
    result = environment.required_set(secrets(A="1", SUPABASE_URL="u"), required=["A", "B", "SUPABASE_URL"], injected=INJECTED)
    assert result.verdict is Verdict.FAIL
    assert "missing: B" in result.summary
    assert result.table is not None
    assert dict(zip(result.table["name"], result.table["state"], strict=True)) == {
        "A": "set",
        "B": "missing",
        "SUPABASE_URL": "by the platform",
    }
    assert environment.required_set(secrets(A="1", B="2"), required=["A", "B"], optional=["C"]).verdict is Verdict.PASS
    assert environment.required_set(secrets(), required=["A"]).verdict is Verdict.FAIL
    assert environment.required_set(secrets(A="1"), required=["SUPABASE_URL"], injected=INJECTED).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[json-format-key]",
        '"[json-format-key]"',
        "changeme\n",
        " TODO ",
        "'xxx'\n",
        "todo",
        "KEY",
        "[KEY]",
        "${KEY}",
        "<your-key>",
        "your-key\r\n",
        "undefined",
    ],
)
def test_placeholders_are_known_by_their_digest(value: str) -> None:
    result = placeholder(KEY=value, OTHER="a real value")
    assert result.verdict is Verdict.FAIL
    assert result.table is not None
    assert result.table["name"].tolist() == ["KEY"]


@given(st.text(st.characters(categories=["L", "N"]), min_size=20))
def test_a_real_value_is_no_placeholder(value: str) -> None:
    assert placeholder(KEY=value).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ("medzen-bf20e", ""),
        ('"medzen-bf20e"', "its value, but with quotes, spaces or a line's end around it"),
        ("medzen-bf20e\n", "its value, but with quotes, spaces or a line's end around it"),
        ("another", "not the public value the release names"),
        ("[if applicable]", "a placeholder"),
    ],
)
def test_public_values(value: str, finding: str) -> None:
    result = placeholder(PROJECT=value)
    assert result.verdict is (Verdict.FAIL if finding else Verdict.PASS)
    assert result.table is not None
    assert not finding or result.table["finding"].tolist() == [finding]


def test_two_names_with_one_value() -> None:
    result = placeholder(A="the same thing", B="the same thing", C="another")
    assert result.verdict is Verdict.FAIL
    assert result.table is not None
    assert sorted(result.table["name"]) == ["A", "B"]
    assert placeholder(PROJECT="medzen-bf20e", KEY="medzen-bf20e").verdict is Verdict.FAIL
    assert placeholder(A="the same thing", SUPABASE_URL="the same thing").verdict is Verdict.PASS


def test_no_digest_reaches_a_result() -> None:
    for result in (
        placeholder(A="x y z", B="todo"),
        placeholder(A="x y z"),
        environment.required_set(secrets(A="x y z"), required=["A", "B"]),
    ):
        text = result.summary + ("" if result.table is None else result.table.to_csv())
        assert not any(digest in text for digest in secrets(A="x y z", B="todo")["digest"])


def test_what_is_no_digest_is_an_error_and_not_shown() -> None:
    result = environment.no_placeholder(pd.DataFrame({"name": ["A"], "digest": ["clear text"]}), public_values={})
    assert result.verdict is Verdict.ERROR
    assert "clear text" not in result.summary
    assert placeholder().verdict is Verdict.INCONCLUSIVE


def jwt(**claims: str) -> str:
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256"}, claims))
        + "."
        + "s" * 43
    )


RANDOM = "Zk3v9Qw7Lm2Xc8Rt5Yb1Np6Hd4Gs0JfA"
# put together here, so that no scanner takes this file for a leak
FOUND = {
    "platform access token": "const t = '" + "sbp_" + "0123456789abcdef" * 2 + "01234567'",
    "platform secret key": "key: " + "sb_secret_" + RANDOM,
    "Google API key": "AI" + "za" + RANDOM + "abc",
    "AWS access key id": "AK" + "IA" + "QWERTYUIOPASDFGH",
    "AWS secret access key": "aws_secret_access_key = '" + RANDOM + "abcdefgh'",
    "private key": "-----BEGIN " + "PRIVATE KEY-----\\n" + RANDOM * 2,
    "service-role key (JWT)": f"const k = '{jwt(role='service_role')}'",
    "signed token (JWT)": f"const k = '{jwt(role='authenticated', sub='abc')}'",
    "connection string with a password": "postgresql://postgres:" + RANDOM + "@aws-0-eu.pooler.supabase.com:5432/postgres",
    "service-account JSON": '{"type": "service_' + 'account", "private_key_id": "' + "0123456789abcdef" * 2 + '01234567"}',
    "assigned secret": f"const apiKey = '{RANDOM}'",
    "GitHub token": "gh" + "p_" + RANDOM + "abcd",
}
CLEAN = [
    "const key = Deno.env.get('SUPABASE_SERVICE_ROLE_KEY') ?? ''",
    "pem.replace('-----BEGIN PRIVATE KEY-----', '').replace('-----END PRIVATE KEY-----', '')",
    f"const anon = '{jwt(role='anon')}'",
    f"// sample: {jwt(sub='1234567890', name='John Doe')}",
    "AKIAIOSFODNN7EXAMPLE",
    "postgresql://postgres:[YOUR-PASSWORD]@db.example.supabase.co:5432/postgres",
    "postgresql://postgres:${password}@db.abc.supabase.co:5432/postgres",
    "postgresql://postgres:postgres@127.0.0.1:54322/postgres",
    "if (creds.type === 'service_account') return creds.private_key",
    "const apiKey = 'your-api-key-goes-here-1'",
    "secret: 'UNAUTHORIZED_INVALID_JWT_FORMAT'",
    "const token_secret = '5e000000-0000-4000-8000-000000000001'",
    "const passwordUrl = 'https://example.org/reset?id=1234567'",
    "sbp_" + "x" * 40,
]


@pytest.mark.parametrize("kind", FOUND)
def test_scanner_finds(kind: str) -> None:
    """Where and of which kind, at the right line, and never the value."""
    table = environment.scan({"f/index.ts": f"import x\n\n{FOUND[kind]}\n".encode()})
    assert (table["path"].tolist(), table["line"].tolist()) == (["f/index.ts"] * len(table), [3] * len(table))
    assert kind in table["kind"].tolist()
    assert RANDOM not in table.to_csv()


@pytest.mark.parametrize("text", CLEAN)
def test_scanner_leaves_samples_and_reads_alone(text: str) -> None:
    assert environment.scan({"f/index.ts": text.encode()}).empty


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=300), max_size=4))
def test_scanner_takes_any_bytes(files: dict[str, bytes]) -> None:
    assert list(environment.scan(files).columns) == ["path", "line", "kind"]


@pytest.mark.parametrize(
    ("others", "verdict", "said"),
    [
        ({"KEY": "two", "TOKEN": "three"}, "PASS", "2 variables compared with staging: none has a value of it"),
        ({"KEY": "one", "TOKEN": "three"}, "FAIL", "1 variable of 2 with a value of staging too: KEY"),
        ({"KEY": "two", "OLD_KEY": "one", "TOKEN": "three"}, "FAIL", "of staging too: KEY"),
        ({"KEY": "one"}, "FAIL", "of staging too: KEY"),
        ({"KEY": "two"}, "INCONCLUSIVE", "not compared with staging: TOKEN"),
        ({}, "INCONCLUSIVE", "not compared with staging: KEY, TOKEN"),
    ],
)
def test_secrets_of_another_environment(others: dict[str, str], verdict: str, said: str) -> None:
    """By digest; names are told, and no digest."""
    result = environment.differ(secrets(KEY="one", TOKEN="ten", FREE="x"), secrets(**others), names=["TOKEN", "KEY"], other="staging")
    assert (str(result.verdict), said in result.summary) == (verdict, True), result.summary
    assert result.table is not None
    assert not any(digest in result.table.to_csv() for digest in secrets(KEY="one", TOKEN="ten")["digest"])


def test_another_environment_that_cannot_be_compared_with() -> None:
    """Nothing was compared, so nothing passes."""
    here, empty = secrets(KEY="one"), secrets().drop(columns="updated_at")
    unread = environment.differ(here, empty, names=["KEY"], other="staging", unread="nothing answers at staging")
    assert (unread.verdict, "nothing answers" in unread.summary) == (Verdict.INCONCLUSIVE, True)
    assert environment.differ(secrets(), secrets(KEY="one"), names=["KEY"]).verdict is Verdict.INCONCLUSIVE
    assert environment.differ(here, secrets(KEY="two"), names=[]).verdict is Verdict.INCONCLUSIVE
    with_nonsense = environment.differ(here, secrets(KEY="two").assign(digest="******"), names=["KEY"])
    assert with_nonsense.verdict is Verdict.ERROR


def test_no_hardcoded() -> None:
    nothing = environment.scan({"a.ts": b"export {}"})
    assert environment.no_hardcoded(nothing, files=1).verdict is Verdict.PASS
    assert environment.no_hardcoded(nothing, files=0).verdict is Verdict.INCONCLUSIVE
    assert environment.no_hardcoded(nothing).verdict is Verdict.ERROR
    assert environment.no_hardcoded(nothing, files=1, names=["a", "b"], scanned=["a"]).verdict is Verdict.INCONCLUSIVE
    found = environment.no_hardcoded(environment.scan({"a.ts": FOUND["Google API key"].encode()}), files=1)
    assert found.verdict is Verdict.FAIL
    assert "a.ts:1 (Google API key)" in found.summary
