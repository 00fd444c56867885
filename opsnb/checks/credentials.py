"""Variables whose value the operator holds too: the platform has the same one, and it has the shape of what it should be.

Values come no further than `shape_of`, which answers a digest and words.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

COLUMNS = ("name", "digest", "kind", "finding")
_SHOWN = ("name", "kind", "ok", "finding")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_ACCOUNT_FIELDS = ("project_id", "private_key", "client_email", "token_uri")
_WELL = "well-formed"


@check(
    "environment.known_values",
    title="Variables hold the values the operator knows",
    items=(),
    harm="The functions talk to another project, region or account than everybody believes.",
    fix="Set the variable to the operator's value (supabase secrets set NAME=...), or correct the operator's reference.",
    empty="INCONCLUSIVE: the environment refers to no value, so none can be compared.",
)
def known_values(values: pd.DataFrame, secrets: pd.DataFrame) -> Outcome:
    """Each value the environment refers to is well-formed, and is the one the platform has, by its SHA-256.

    Tables: `shape_of` of each value, `secrets` of the platform. FAIL: another value is set, none is, or it has not the shape of its kind.
    """
    if values.empty:
        return inconclusive("The environment refers to no value (variable_values), so none can be compared.", limit=0)
    known(values, *COLUMNS)
    remote = dict(zip(known(secrets, "name", "digest")["name"], secrets["digest"], strict=True)) if not secrets.empty else {}
    rows: list[dict[str, Any]] = []
    for each in values.to_dict("records"):
        finding = str(each["finding"])
        if each["name"] not in remote:
            finding = "not set on the platform"
        elif finding == _WELL and remote[each["name"]] != each["digest"]:
            finding = "the platform has another value"
        rows.append({"name": each["name"], "kind": each["kind"], "ok": finding == _WELL, "finding": finding})
    table = findings(sorted(rows, key=lambda row: bool(row["ok"])), _SHOWN)
    wrong = [f"{row['name']} ({row['finding']})" for row in rows if not row["ok"]]
    details: dict[str, Any] = {"table": table, "measured": len(rows) - len(wrong), "limit": len(rows)}
    if wrong:
        return failed(f"{len(wrong)} of {counted(len(rows), 'known value')} are not as they should be: {some(wrong)}.", **details)
    return passed(f"{counted(len(rows), 'variable')} hold exactly the operator's values, each well-formed.", **details)


def shape_of(name: str, value: str, *, project_id: str = "") -> dict[str, str]:
    """One row of COLUMNS about *value*. Its name and first character tell what it should be; *project_id* is the identity provider's."""
    digest = hashlib.sha256(value.encode()).hexdigest()
    if value.strip() != value:
        return {"name": name, "digest": digest, "kind": "text", "finding": "it has spaces or a line's end around it"}
    if value.startswith("{"):
        kind, finding = "service account", _service_account(value, project_id)
    elif name.upper().endswith("ARN"):
        kind = "role ARN"
        finding = _WELL if _ROLE_ARN.fullmatch(value) else "it is not of the form arn:aws:iam::<account>:role/<name>"
    elif name.upper().endswith("URL"):
        kind, finding = "URL", _url(value)
    else:
        kind, finding = "text", _WELL if value else "it is empty"
    return {"name": name, "digest": digest, "kind": kind, "finding": finding}


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, secure = parts.hostname or "", parts.scheme == "https"
    except ValueError:
        return "it is no URL"
    if not host or parts.scheme not in ("http", "https"):
        return "it is no URL of http or https"
    if parts.password:
        return "it has a password in it"
    return _WELL if secure or host in ("localhost", "127.0.0.1", "::1") else "it is not https"


def _service_account(value: str, project_id: str) -> str:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        told = json.loads(value)
    except ValueError:
        return "it begins like JSON and is none"
    missing = [field for field in _ACCOUNT_FIELDS if not isinstance(told.get(field), str) or not told[field]]
    if told.get("type") != "service_account":
        return "its type is not service_account"
    if missing:
        return f"it lacks {some(missing)}"
    if project_id and told["project_id"] != project_id:
        return "it is of another project"
    try:
        load_pem_private_key(told["private_key"].encode(), password=None)
    except Exception:  # the library's own errors are many, and may quote the key
        return "its private key cannot be read; line breaks are often lost on the way"
    return _WELL
