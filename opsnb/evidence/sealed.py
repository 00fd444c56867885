"""Kept files that only the holder of a key can open: age encryption, in memory. Plaintext never reaches the disk.

The key to encrypt with is public (``age1…``); the identity that opens a file again (``AGE-SECRET-KEY-1…``) is asked for by an undo alone.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pyrage

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence.safe import unwritable, write_atomic

_SECRET = "AGE-SECRET-KEY-"  # noqa: S105  (how such a line begins)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


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


def require_pair(identity: str, recipient: str) -> None:
    """UsageError where *identity* holds no age identity, or none that opens what is encrypted to *recipient*; neither is repeated."""
    if recipient.strip() not in {str(key.to_public()) for key in _identities(identity)}:
        raise UsageError("encryption.identity does not belong to encryption.recipient: what is encrypted could not be opened with it")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def seal(path: Path, data: bytes, recipient: str) -> Sealed:
    """*data* encrypted to *recipient*, for `path`; nothing is written yet."""
    key = pyrage.x25519.Recipient.from_str(require_recipient(recipient))
    content = bytes(pyrage.encrypt(data, [key]))
    return Sealed(path, hashlib.sha256(content).hexdigest(), content)


def seal_file(plain: Path, place: Path, recipient: str) -> tuple[str, str]:
    """Encrypts the file *plain* to *place*, in pieces, synced; (SHA-256 of the plain file, SHA-256 of the encrypted one)."""
    key = pyrage.x25519.Recipient.from_str(require_recipient(recipient))
    try:
        with (
            plain.open("rb") as reader,
            os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writer,
        ):
            source, target = _Hashed(reader), _Hashed(writer)
            pyrage.encrypt_io(source, target, [key])
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        raise unwritable(place.parent, error) from error
    return source.digest.hexdigest(), target.digest.hexdigest()


def open_file(place: Path, plain: Path, identity: str) -> str:
    """Decrypts the file *place* to the new file *plain*, readable by its owner only; SHA-256 of what it held.

    ActionRefused where it is damaged or *identity* is not the key it was encrypted to; what was written by then is removed.
    """
    keys = _identities(identity)
    try:
        with (
            place.open("rb") as reader,
            os.fdopen(os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writer,
        ):
            target = _Hashed(writer)
            pyrage.decrypt_io(reader, target, keys)
    except FileNotFoundError:
        raise ActionRefused(f"{place.name}: it is gone from {place.parent}") from None
    except pyrage.DecryptError:
        plain.unlink(missing_ok=True)
        raise ActionRefused(f"{place.name}: it is damaged, or this key is not the one it was encrypted to") from None
    except OSError as error:
        plain.unlink(missing_ok=True)
        if isinstance(error, UnicodeError) or error.errno is None:
            raise ActionRefused(f"{place.name}: it is damaged, or this key is not the one it was encrypted to") from None
        raise unwritable(plain.parent, error) from error
    return target.digest.hexdigest()


def _identities(identity: str) -> list[pyrage.x25519.Identity]:
    lines = [line.strip() for line in identity.splitlines()]
    try:
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_SECRET)]
    except pyrage.IdentityError:
        keys = []
    if not keys:
        raise UsageError("encryption.identity leads to no age identity: expected a line AGE-SECRET-KEY-1…, as `age-keygen` writes it")
    return keys


class _Hashed:
    """A file that hashes what passes through."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


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
    keys = _identities(identity)
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
