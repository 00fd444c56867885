"""Keys that sign: Ed25519 and ECDSA in PEM, read where they stand and never shown. A key is named by the SHA-256 of its public half."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from opsnb.errors import UsageError
from opsnb.evidence.safe import unwritable

CURVES = ("secp256r1", "secp384r1")
_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True)
class PublicKey:
    """The public half. `fingerprint`: SHA-256 of the DER form, as ``openssl pkey -pubin -outform DER | sha256sum`` gives it."""

    pem: str
    fingerprint: str
    key: SSlibKey = field(repr=False)


@dataclass(frozen=True)
class PrivateKey:
    """A key that can sign; it never shows itself."""

    public: PublicKey
    signer: CryptoSigner = field(repr=False)


def private_key(pem: str, *, passphrase: str = "", what: str = "--key") -> PrivateKey:
    """The key in *pem* (PKCS 8). UsageError, which repeats nothing of it, where it is none of the two kinds, or the passphrase is wrong."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase.encode() or None)
    except TypeError:
        wrong = (
            "is not encrypted, so it needs no passphrase" if passphrase else "is encrypted: name its passphrase with --passphrase env:NAME"
        )
        raise UsageError(f"{what}: the key {wrong}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"{what}: expected a private key in PEM (Ed25519 or ECDSA) as `opsnb keygen` writes it; or the passphrase is wrong"
        ) from None
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise UsageError(f"{what}: expected an Ed25519 or ECDSA key, found one of another kind")
    public = _public(key.public_key(), what)
    return PrivateKey(public, CryptoSigner(key, public.key))


def public_key(pem: str, *, what: str = "--key") -> PublicKey:
    """The public key in *pem*; UsageError where it is none of the two kinds."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{what}: expected a public key in PEM (Ed25519 or ECDSA)") from None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise UsageError(f"{what}: expected an Ed25519 or ECDSA key, found one of another kind")
    return _public(key, what)


def generate(path: Path) -> PublicKey:
    """Writes a new Ed25519 key to *path*, readable by its owner only, and its public half to *path*.pub. Never overwrites."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = _public(key.public_key(), str(path))
    beside = path.with_name(path.name + ".pub")
    for each in (path, beside):
        if each.exists():
            raise UsageError(f"{each} exists; a key is never overwritten. Name another file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for each, content, mode in ((path, secret, 0o600), (beside, public.pem.encode(), 0o644)):
            descriptor = os.open(each, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return public


def _public(key: Ed25519PublicKey | EllipticCurvePublicKey, what: str) -> PublicKey:
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name not in CURVES:
        raise UsageError(f"{what}: expected one of the curves {', '.join(CURVES)}, found {key.curve.name}")
    fingerprint = hashlib.sha256(key.public_bytes(serialization.Encoding.DER, _SPKI)).hexdigest()
    return PublicKey(key.public_bytes(_PEM, _SPKI).decode(), fingerprint, SSlibKey.from_crypto(key, keyid=fingerprint))
