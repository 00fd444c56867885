"""Who the local platform believes: a token issuer of Firebase's shape, and the project's own keys.

The keys are made once, kept in one file readable by its owner, and belong to this machine only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from opsnb.local.store import write_private

PROJECT_REF = "localclinicopsnbdemo"
FIREBASE_PROJECT = "medzen-bf20e"
PROVIDER_UID = "SyntheticProvider00000000002"
"""The provider as whom the probes call."""
ISSUER = f"https://securetoken.google.com/{FIREBASE_PROJECT}"
TEN_YEARS_S = 10 * 365 * 24 * 3600
CLOCK_SKEW_S = 5


class TokenRefused(Exception):
    """A token is not one this platform accepts; the text names the rule, never the token."""


class Identity:
    """Keys and tokens of the local project, under *folder*.

    `access_token` opens the management API, `anon_key` and `service_key` are the project's legacy JWTs,
    `publishable_key` and `secret_key` their successors.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = folder / "identity.json"
        if not kept.exists():
            write_private(kept, json.dumps(_new_keys(), indent=1).encode())
        keys = json.loads(kept.read_bytes())
        self.access_token: str = keys["access_token"]
        self.jwt_secret: str = keys["jwt_secret"]
        self.anon_key: str = keys["anon_key"]
        self.service_key: str = keys["service_key"]
        self.publishable_key: str = keys["publishable_key"]
        self.secret_key: str = keys["secret_key"]
        self.created_at: int = keys["created_at"]
        self._private = cast(rsa.RSAPrivateKey, serialization.load_pem_private_key(keys["private_key"].encode(), password=None))
        self._public = self._private.public_key()
        self.key_id = _key_id(self._public)

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id, "n": key["n"], "e": key["e"]}]}

    def issue(
        self, subject: str, *, role: str | None = "authenticated", lifetime_s: float = 3600, now: float | None = None,
        audience: str = FIREBASE_PROJECT,
    ) -> str:  # fmt: skip
        """An ID token as Firebase makes them, for *subject* (a Firebase uid). *now* is epoch seconds.

        With ``role=None`` the custom claim is absent, as it is until Firebase's hook has run.
        """
        moment = int(time.time() if now is None else now)
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "auth_time": moment,
            "user_id": subject,
            "sub": subject,
            "iat": moment,
            "exp": moment + int(lifetime_s),
            "firebase": {"identities": {}, "sign_in_provider": "custom"},
        }
        if role is not None:
            claims["role"] = role
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self.key_id})

    def verify_third_party(self, token: str) -> dict[str, Any]:
        """The claims of an ID token of the Firebase project; raises TokenRefused.

        Holds Firebase's rules: RS256, a known key, issuer, audience, not expired, issued and signed in
        in the past, a subject that is not empty.
        """
        try:
            if jwt.get_unverified_header(token).get("kid") != self.key_id:
                raise TokenRefused("signed with an unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                audience=FIREBASE_PROJECT,
                issuer=ISSUER,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss", "auth_time"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(_reason(error)) from None
        if not claims["sub"] or not isinstance(claims["sub"], str):
            raise TokenRefused("without a subject")
        if not isinstance(claims["auth_time"], int) or claims["auth_time"] > time.time() + CLOCK_SKEW_S:
            raise TokenRefused("signed in in the future")
        return claims

    def verify_legacy(self, token: str) -> dict[str, Any]:
        """The claims of a JWT signed with the project's secret (``anon_key``, ``service_key``); raises TokenRefused."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self.jwt_secret, algorithms=["HS256"], leeway=CLOCK_SKEW_S, options={"require": ["exp"], "verify_aud": False}
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(_reason(error)) from None
        return claims

    def is_access_token(self, token: str) -> bool:
        """Whether *token* opens the management API."""
        return secrets.compare_digest(token.encode(), self.access_token.encode())

    def is_service_key(self, key: str) -> bool:
        """Whether *key* is one of the two keys of the service role."""
        given = key.encode()
        return secrets.compare_digest(given, self.service_key.encode()) | secrets.compare_digest(given, self.secret_key.encode())


def _new_keys() -> dict[str, Any]:
    now = int(time.time())
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwt_secret = secrets.token_urlsafe(48)

    def legacy(role: str) -> str:
        claims = {"iss": "supabase", "ref": PROJECT_REF, "role": role, "iat": now, "exp": now + TEN_YEARS_S}
        return jwt.encode(claims, jwt_secret, algorithm="HS256")

    return {
        "created_at": now,
        "access_token": f"sbp_{secrets.token_hex(20)}",
        "jwt_secret": jwt_secret,
        "anon_key": legacy("anon"),
        "service_key": legacy("service_role"),
        "publishable_key": f"sb_publishable_{secrets.token_urlsafe(24)}",
        "secret_key": f"sb_secret_{secrets.token_urlsafe(24)}",
        "private_key": private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }


def _key_id(public: rsa.RSAPublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest())[:27].decode()


def _reason(error: jwt.PyJWTError) -> str:
    """A rule's name for the library's exception, whose own text may quote the token."""
    match error:
        case jwt.ExpiredSignatureError():
            return "expired"
        case jwt.ImmatureSignatureError():
            return "issued in the future"
        case jwt.InvalidAudienceError():
            return "meant for another project"
        case jwt.InvalidIssuerError():
            return "issued by somebody else"
        case jwt.MissingRequiredClaimError():
            return "without a required claim"
        case jwt.InvalidAlgorithmError():
            return "signed with an algorithm that is not accepted"
        case jwt.InvalidSignatureError():
            return "with a wrong signature"
        case _:
            return "malformed"
