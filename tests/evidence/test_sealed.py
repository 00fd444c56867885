"""Kept files: only the holder of the key opens them, and nothing lies there in plain."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from pyrage import x25519

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence.sealed import read_sealed, require_recipient, seal, sealed_state, write_sealed

PLAIN = b"Anna-has-measles " * 20_000


@pytest.fixture
def key() -> x25519.Identity:
    return x25519.Identity.generate()


def sealed_file(folder: Path, key: x25519.Identity) -> tuple[Path, str]:
    sealed = seal(folder / "kept.age", PLAIN, f" {key.to_public()}\n")
    write_sealed(sealed)
    return sealed.path, sealed.sha256


def test_it_opens_with_its_key_alone(tmp_path: Path, key: x25519.Identity) -> None:
    path, sha256 = sealed_file(tmp_path, key)
    assert PLAIN[:16] not in path.read_bytes() and path.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert read_sealed(path, str(key), sha256=sha256) == PLAIN
    other = x25519.Identity.generate()
    assert read_sealed(path, f"# a key file\n{other}\n\n  {key}  \n") == PLAIN, "several keys, comments"
    with pytest.raises(ActionRefused, match="encrypted to another key") as caught:
        read_sealed(path, str(other))
    assert str(other) not in str(caught.value)


def test_no_plaintext_touches_the_disk(tmp_path: Path, key: x25519.Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the encrypted bytes is given to the system to write."""
    written: list[bytes] = []
    fdopen = os.fdopen

    def watched(descriptor: int, mode: str) -> object:
        stream = fdopen(descriptor, mode)
        write = stream.write

        class Watching:
            def __enter__(self) -> Watching:
                return self

            def __exit__(self, *given: object) -> None:
                stream.close()

            def write(self, content: bytes) -> None:
                written.append(content)
                write(content)

            flush, fileno = stream.flush, stream.fileno

        return Watching()

    monkeypatch.setattr("opsnb.evidence.safe.os.fdopen", watched)
    path, _ = sealed_file(tmp_path, key)
    monkeypatch.undo()
    assert written == [path.read_bytes()] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("spoil", ["cut", "cut at a block", "a bit", "the header", "empty", "no age file"])
def test_a_spoilt_file(tmp_path: Path, key: x25519.Identity, spoil: str) -> None:
    path, sha256 = sealed_file(tmp_path, key)
    content = path.read_bytes()
    spoilt = {
        "cut": content[:-3], "cut at a block": content[:65_552 + 216], "a bit": content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
        "the header": content.replace(b"X25519", b"X25518"), "empty": b"", "no age file": b"hello\n",
    }[spoil]  # fmt: skip
    path.write_bytes(spoilt)
    assert sealed_state(path, sha256) == "changed"
    with pytest.raises(ActionRefused, match="SHA-256 differs"):
        read_sealed(path, str(key), sha256=sha256)
    with pytest.raises(ActionRefused, match="cannot be opened"):
        read_sealed(path, str(key))


def test_a_file_that_is_gone(tmp_path: Path, key: x25519.Identity) -> None:
    path, sha256 = sealed_file(tmp_path, key)
    assert sealed_state(path, sha256) == "kept"
    path.unlink()
    assert sealed_state(path, sha256) == "missing"
    with pytest.raises(ActionRefused, match="No such file"):
        read_sealed(path, str(key), sha256=sha256)


@pytest.mark.parametrize("wrong", ["", "age1nonsense", "ssh-ed25519 AAAA", "secret"])
def test_a_recipient_that_is_none(tmp_path: Path, key: x25519.Identity, wrong: str) -> None:
    """An identity given by mistake is not repeated."""
    for given in (wrong, str(key)):
        with pytest.raises(UsageError, match="no age public key") as caught:
            require_recipient(given)
        assert str(key) not in str(caught.value)
    with pytest.raises(UsageError, match="no age identity"):
        read_sealed(tmp_path / "nothing", wrong)
