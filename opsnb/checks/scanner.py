"""Finds credentials written into source files. Says where and of which kind; the value never leaves this module."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from opsnb.checks.tables import findings

COLUMNS = ("path", "line", "kind")
_PLAIN = (
    ("platform access token", re.compile(r"\bsbp_[A-Za-z0-9_]{32,}")),
    ("platform secret key", re.compile(r"\bsb_secret_[A-Za-z0-9_-]{20,}")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])")),
    ("Google OAuth secret", re.compile(r"\bGOCSPX-[0-9A-Za-z_-]{28}")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}")),
    ("Stripe key", re.compile(r"\b[sr]k_live_[A-Za-z0-9]{20,}")),
    ("SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}")),
)
_AWS_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
_AWS_SECRET = re.compile(r"""(?i)aws.{0,20}secret.{0,20}?["'`:=\s]([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])""")
# the header alone is not a key: code that strips it from one is common. 40 characters of base64 have to follow.
_PRIVATE_KEY = re.compile(r"""-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\\[nr]|[\s"'`+,\\])*[A-Za-z0-9+/]{40}""")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.(eyJ[A-Za-z0-9_-]{8,})\.[A-Za-z0-9_-]{20,}")
_DSN = re.compile(r"""\b[a-z][a-z0-9+]{2,20}://([^\s:/@"'`]+):([^\s/@"'`]+)@([^\s/:?"'`]+)""")
_SERVICE_ACCOUNT = re.compile(r"""\\?["']?type\\?["']?\s*:\s*\\?["']service_account\\?["']""")
_SERVICE_KEY_ID = re.compile(r"""private_key_id\\?["']?\s*:\s*\\?["'][0-9a-f]{40}\\?["']""")
_ASSIGNED = re.compile(
    r"""(?i)(?:api_?-?key|access_?-?key|secret|passw(?:or)?d|auth_?-?token|private_?-?key)\w*["']?\s*(?::\s*string\s*)?[:=]\s*["'`]([^\s"'`]{16,})["'`]"""
)
_WORDS = re.compile(r"[a-z]+(?:[-_./:][a-z]+\d?)+")
_UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# what documentation writes in place of a value, or code in place of a literal
_SAMPLE = re.compile(r"(?i)[\[<{$*%]|example|your|changeme|placeholder|redacted|dummy|sample|xxx|\.\.\.|^(?:env|process|deno)\.")
_HERE = re.compile(r"(?i)^(?:localhost|127\.0\.0\.1|\[?::1\]?|host|db|.*\.?example\.(?:com|org|net)|.*\.local(?:host)?)$")
_ENTROPY = 3.5
"""Bits per character: English and identifiers lie below, random text of this length above."""


def scan(files: Mapping[str, bytes]) -> pd.DataFrame:
    """One row per place in *files* (path → content) that holds a credential: path, line, kind; never the value.

    Reading a variable of the environment, a public (anon) key and samples as documentation writes them are no finding.
    """
    found = {
        (path, text.count("\n", 0, place) + 1, kind)
        for path, content in files.items()
        for text in [_text(content)]
        for place, kind in _places(text)
    }
    return findings([dict(zip(COLUMNS, row, strict=True)) for row in sorted(found)], COLUMNS)


def _text(content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return content.decode(encoding, errors="replace")


def _places(text: str) -> Iterator[tuple[int, str]]:
    for kind, pattern in _PLAIN:
        yield from ((match.start(), kind) for match in pattern.finditer(text) if not _is_sample(match[0]))
    for match in _AWS_ID.finditer(text):
        if not match[0].endswith("EXAMPLE"):
            yield match.start(), "AWS access key id"
    for match in _AWS_SECRET.finditer(text):
        if "EXAMPLE" not in match[1] and _entropy(match[1]) >= _ENTROPY:
            yield match.start(1), "AWS secret access key"
    for match in _PRIVATE_KEY.finditer(text):
        yield match.start(), "private key"
    for match in _JWT.finditer(text):
        if kind := _jwt_kind(match[1]):
            yield match.start(), kind
    for match in _DSN.finditer(text):
        user, password, host = match.groups()
        if not _is_sample(password) and not _is_sample(user) and not _HERE.match(host):
            yield match.start(), "connection string with a password"
    for match in _SERVICE_ACCOUNT.finditer(text):
        if _SERVICE_KEY_ID.search(text, max(0, match.start() - 4000), match.end() + 4000):
            yield match.start(), "service-account JSON"
    for match in _ASSIGNED.finditer(text):
        if _looks_random(match[1]):
            yield match.start(1), "assigned secret"


def _jwt_kind(payload: str) -> str:
    """What a token is good for, by its claims; '' for a public key and for the sample everybody copies."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return ""
    if not isinstance(claims, dict) or claims.get("role") == "anon":
        return ""
    if claims.get("role") in ("service_role", "supabase_admin", "postgres"):
        return "service-role key (JWT)"
    return "" if claims.get("sub") == "1234567890" else "signed token (JWT)"


def _is_sample(text: str) -> bool:
    return bool(_SAMPLE.search(text)) or len(set(text.rpartition("_")[2])) < 4


def _looks_random(text: str) -> bool:
    """Whether a literal is a value somebody generated, and not a sentence, a name, an address or a sample."""
    mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    named = _UUID.fullmatch(text) or _WORDS.fullmatch(text)
    return mixed and "://" not in text and not named and not _is_sample(text) and _entropy(text) >= _ENTROPY


def _entropy(text: str) -> float:
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
