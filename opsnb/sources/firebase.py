"""The door to the identity provider: its keys, and what one token of a test caller is worth. The token never leaves."""

from __future__ import annotations

import time
from typing import Any, TypeGuard

import httpx
import jwt
import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceNonsense
from opsnb.facts import asked
from opsnb.sources.http import Http
from opsnb.sources.shapes import LATEST_S

SOURCE = "firebase"
LONGEST_SUBJECT = 128
_REASONS: tuple[tuple[type[jwt.InvalidTokenError], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet; is this machine's clock right?"),
    (jwt.InvalidAudienceError, "it is for another project (aud)"),
    (jwt.InvalidIssuerError, "it is from another issuer (iss)"),
    (jwt.MissingRequiredClaimError, "it lacks one of exp, iat, aud, iss, sub"),
    (jwt.InvalidAlgorithmError, "it is not signed with RS256"),
    (jwt.InvalidSignatureError, "its signature is not the provider's"),
)
TOKEN_COLUMNS = ("valid", "reason", "kid", "issuer", "audience", "role", "subject_length", "expires_in_s")


class Firebase:
    """The key set at *jwks_url* and, where one is given, the test caller's ID token."""

    def __init__(
        self, jwks_url: str, *, issuer: str, audience: str, token: SecretStr | None = None, timeout_s: float = 10,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = Http(jwks_url, source=SOURCE, timeout_s=timeout_s, transport=transport)
        self._issuer = issuer
        self._audience = audience
        self._token = token

    @asked(SOURCE)
    def jwks(self) -> tuple[str, pd.DataFrame]:
        """One row per signing key: kid, algorithm."""
        rows = [(str(key["kid"]), str(key.get("alg", ""))) for key in self._keys()]
        return "GET the provider's key set", pd.DataFrame(rows, columns=["kid", "algorithm"])

    @asked(SOURCE)
    def token(self) -> tuple[str, pd.DataFrame]:
        """One row about the token: TOKEN_COLUMNS; no row where none was given."""
        question = "the test caller's token, verified against the provider's key set"
        if self._token is None:
            return question, pd.DataFrame(columns=list(TOKEN_COLUMNS))
        table = pd.DataFrame([self._verdict(self._token.get_secret_value())], columns=list(TOKEN_COLUMNS))
        return question, table.astype({"valid": "boolean", "subject_length": "Int64", "expires_in_s": "Float64"})

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _keys(self) -> list[dict[str, Any]]:
        body = self._http.json(self._http.get(""), "GET the provider's key set")
        keys = body.get("keys") if isinstance(body, dict) else None
        if not isinstance(keys, list) or not all(isinstance(key, dict) and key.get("kid") for key in keys):
            raise SourceNonsense("the provider's key set has no `keys` with a `kid` each", source=SOURCE)
        return keys

    def _verdict(self, token: str) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(TOKEN_COLUMNS)
        row |= {"valid": False, "reason": ""}
        try:
            row["kid"] = _text(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, UnicodeError):
            return row | {"reason": "it is not a JWT"}
        expires = claims.get("exp")
        row |= {
            "issuer": _text(claims.get("iss")), "audience": _text(claims.get("aud")), "role": _text(claims.get("role")),
            "subject_length": len(str(claims.get("sub", ""))),
            "expires_in_s": float(expires) - time.time() if _moment(expires) else None,
        }  # fmt: skip
        key = next((key for key in self._keys() if key["kid"] == row["kid"]), None)
        if key is None:
            return row | {"reason": "its key is not in the provider's key set"}
        try:
            public = jwt.PyJWK(key, algorithm="RS256").key
        except jwt.PyJWTError:
            raise SourceNonsense("the token's key in the provider's key set is no RSA key", source=SOURCE) from None
        try:
            jwt.decode(
                token, public, algorithms=["RS256"], audience=self._audience, issuer=self._issuer,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )  # fmt: skip
        except (jwt.InvalidTokenError, OverflowError, TypeError) as error:
            # the class says what is wrong; the text may quote a claim. A time that is no number is none of the library's errors
            return row | {"reason": next((said for kind, said in _REASONS if isinstance(error, kind)), "it does not verify")}
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
            return row | {"reason": f"its subject is no text of 1 to {LONGEST_SUBJECT} characters"}
        signed_in = claims.get("auth_time", 0)
        if not _moment(signed_in) or signed_in > time.time():
            return row | {"reason": "its user is yet to sign in (auth_time); is this machine's clock right?"}
        return row | {"valid": True}


def _moment(claim: Any) -> TypeGuard[float]:
    """Whether a claim is seconds since 1970, before the year 9999."""
    return isinstance(claim, int | float) and not isinstance(claim, bool) and abs(claim) < LATEST_S


def _text(claim: Any) -> str | None:
    """A claim as one text; an audience may be a list."""
    if isinstance(claim, list):
        return ", ".join(map(str, claim))
    return None if claim is None else str(claim)
