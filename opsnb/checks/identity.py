"""The identity provider is set up and its tokens are good (PRE-2.4, S4-3)."""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, warned

SUBJECT_LENGTH = 28
"""Characters of a Firebase user id."""


@check(
    "identity.provider",
    title="The identity provider is configured and its keys resolve",
    items=("PRE-2.4",),
    harm="Every signed-in caller is refused with 401, or keys of somebody else's project are trusted.",
    fix="Add the provider (Authentication, third-party auth) with exactly this issuer; changed keys arrive within 30 minutes.",
    empty="FAIL: the project trusts no third-party provider.",
)
def provider(configured: pd.DataFrame, keys: pd.DataFrame, *, issuer: str) -> Outcome:
    """The project trusts *issuer*, exactly, and knows the keys the provider signs with now.

    Tables: `third_party_auth` of the platform, the provider's own key set (a column `kid`). A key the platform does not know yet is
    a warning while it knows another one: rotation takes up to 30 minutes to be seen.
    """
    if configured.empty:
        return failed("The project trusts no third-party provider.", limit=issuer)
    known(configured, "oidc_issuer_url")
    table = configured.drop(columns=[column for column in ("custom_jwks", "resolved_jwks") if column in configured])
    entries = configured[configured["oidc_issuer_url"] == issuer]
    details = {"table": table, "limit": issuer}
    if entries.empty:
        near = configured["oidc_issuer_url"].astype(str).str.rstrip("/").str.lower() == issuer.rstrip("/").lower()
        hint = " One differs in letters' case or a closing slash only." if near.any() else ""
        return failed(f"None of {counted(len(configured), 'provider')} has the issuer {issuer}.{hint}", **details)
    if "kids" not in entries:
        raise SourceNonsense("the answer has no column kids")
    resolved = {kid for cell in entries["kids"] for kid in _kids(cell)}
    if not resolved:
        return failed(f"{issuer} is configured, but the platform resolved none of its keys.", **details, measured=0)
    current = {str(kid) for kid in known(keys, "kid")["kid"]} if not keys.empty else set()
    if not current:
        return inconclusive("The provider's own key set is empty, so the platform's keys cannot be compared.", **details)
    strange = sorted(current - resolved)
    if strange == sorted(current):
        return failed(
            f"The platform knows none of the provider's {counted(len(current), 'key')}: every token would be refused.",
            **details,
            measured=0,
        )
    if strange:
        return warned(
            f"The platform does not know {len(strange)} of the provider's {counted(len(current), 'key')} yet.",
            **details,
            measured=len(resolved),
        )
    return passed(f"{issuer} is configured; the platform knows its {counted(len(current), 'key')}.", **details, measured=len(resolved))


@check(
    "identity.credentials",
    title="The identity provider's credentials are valid",
    items=("S4-3",),
    harm="Nobody can sign in to the functions, or tests run with a token that real users would never have.",
    fix="Expired: hand a fresh ID token of a test user. Any other reason: project id, key set or the user's role claim are wrong.",
    empty="INCONCLUSIVE: no token was given, so no credential was tried.",
)
def credentials(token: pd.DataFrame, keys: pd.DataFrame, *, issuer: str, audience: str, role: str = "authenticated") -> Outcome:
    """A real ID token holds: signature, key known, issuer, audience, subject, and the claim `role` that RLS needs.

    Tables: `Firebase.token` (never the token), the provider's key set. An expired token that is right in all else is INCONCLUSIVE:
    it says that the token is old, not that the credentials are wrong.
    """
    if token.empty:
        return inconclusive("No token was given, so no credential was tried.")
    row = known(token, "valid").iloc[0]
    claims = {"issuer": issuer, "audience": audience, "role": role}
    for column in (*claims, "kid", "subject_length", "expires_in_s"):
        if column not in token:
            raise SourceNonsense(f"the answer has no column {column}")
    known_kids = {str(kid) for kid in known(keys, "kid")["kid"]} if not keys.empty else set()
    kid_known = str(row["kid"]) in known_kids
    wrong = [f"{name} is not {wanted}" for name, wanted in claims.items() if pd.isna(row[name]) or row[name] != wanted]
    if not kid_known:
        wrong.append("its key is not in the provider's key set")
    length = row["subject_length"]
    if pd.isna(length) or length != SUBJECT_LENGTH:
        wrong.append(f"its subject is not {SUBJECT_LENGTH} characters long")
    shown = pd.DataFrame([{
        "valid": bool(row["valid"]), "reason": row.get("reason", ""), "key_known": kid_known,
        **{name: row[name] for name in claims}, "subject_length": length, "expires_in_s": row["expires_in_s"],
    }])  # fmt: skip
    expires = row["expires_in_s"]
    expired = pd.notna(expires) and expires <= 0
    if wrong:
        return failed(f"The token is not good: {some(wrong)}.", table=shown)
    if pd.isna(expires):
        return failed("The token does not say when it expires.", table=shown)
    reason = row.get("reason")
    reason = reason if isinstance(reason, str) and reason else "no reason was given"
    # a signature is verified before the time: another reason than the time is never excused by it
    if not bool(row["valid"]) and not (expired and "expired" in reason):
        return failed(f"The token is not good: {reason}.", table=shown)
    if expired:
        summary = f"The token expired {-expires / 60:.0f} minutes ago; in all else it is right. A fresh one would decide."
        return inconclusive(summary, table=shown)
    return passed(f"A token of {issuer} holds for role {role}; it expires in {expires / 60:.0f} minutes.", table=shown)


def _kids(cell: object) -> list[str]:
    """The key ids in a cell that holds a list or a comma-separated text."""
    if cell is None or (isinstance(cell, float) and pd.isna(cell)):
        return []
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(",") if part.strip()]
    return [str(part) for part in cell]  # type: ignore[attr-defined]
