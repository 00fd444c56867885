"""Kept files that only the holder of a key can open: age encryption, in memory. Plaintext never reaches the disk.

The key to encrypt with is public (``age1…``); the identity that opens a file again (``AGE-SECRET-KEY-1…``) is asked for by an undo alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence.safe import write_atomic

_SECRET = "AGE-SECRET-KEY-"  # noqa: S105  (how such a line begins)


@dataclass(frozen=True)
class Sealed:
    """One encrypted file. `sha256` is that of its encrypted `content`."""

    path: Path
    sha256: str
    content: bytes = field(repr=False)


def require_recipient(recipient: str) -> str:
    """*recipient*, where it is an age public key; else UsageError, which does not repeat it."""
    try:
        pyrage.x25519.Recipient.from_str(recipient.strip())
    except pyrage.RecipientError:
        raise UsageError("encryption.recipient is no age public key: expected age1…, as `age-keygen` prints it") from None
    return recipient.strip()


def seal(path: Path, data: bytes, recipient: str) -> Sealed:
    """*data* encrypted to *recipient*, for `path`; nothing is written yet."""
    key = pyrage.x25519.Recipient.from_str(require_recipient(recipient))
    content = bytes(pyrage.encrypt(data, [key]))
    return Sealed(path, hashlib.sha256(content).hexdigest(), content)


def write_sealed(sealed: Sealed) -> None:
    """Writes the encrypted file whole or not at all, readable by its owner only; synced when this returns."""
    write_atomic(sealed.path, sealed.content, mode=0o600)


def sealed_state(path: Path, sha256: str) -> str:
    """``kept`` where the file is as it was written, ``changed`` where it is not, ``missing`` where it is gone."""
    try:
        content = path.read_bytes()
    except OSError:
        return "missing"
    return "kept" if hashlib.sha256(content).hexdigest() == sha256 else "changed"


def read_sealed(path: Path, identity: str, *, sha256: str = "") -> bytes:
    """What *path* holds. ActionRefused where it is gone, changed, cut short, or *identity* is not the key it was encrypted to.

    *identity* is the text of an age key file: lines that begin with # are comments. UsageError where there is no key in it.
    """
    lines = [line.strip() for line in identity.splitlines()]
    try:
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_SECRET)]
    except pyrage.IdentityError:
        keys = []
    if not keys:
        raise UsageError("encryption.identity leads to no age identity: expected a line AGE-SECRET-KEY-1…, as `age-keygen` writes it")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ActionRefused(f"{path} cannot be read ({error.strerror or type(error).__name__}). Nothing was changed.") from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ActionRefused(f"{path.name} is not the file that was written: its SHA-256 differs from its record's. Nothing was changed.")
    try:
        return bytes(pyrage.decrypt(content, keys))
    except pyrage.DecryptError as error:
        wrong_key = "no matching" in str(error).lower()
        why = "it was encrypted to another key" if wrong_key else "it was changed or cut short"
        raise ActionRefused(f"{path.name} cannot be opened: {why}. Nothing was changed.") from None
