"""The seal of a deployment: who signed, and the SHA-256 of every archived file, in DSSE envelopes around in-toto statements.

``signoff.intoto.jsonl`` holds two envelopes a signer, one a line: a statement about every file (our predicate), and a test result in the
terms of in-toto, so that other tools can read the verdict. Each statement names the line before it: none can be taken out or moved.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Signature

from opsnb.errors import OpsnbError
from opsnb.evidence.keys import PrivateKey, PublicKey

FILE_NAME = "signoff.intoto.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SIGNOFF = "urn:opsnb:predicate:signoff:v1"
REWRITTEN = ("index.html", "results.json", "signoff.html", "record.jsonl", "deployment.json")
"""Files that a further signature writes anew; the newest signature covers them, earlier ones what they were."""
NOTHING = hashlib.sha256(b"").hexdigest()


class SealBroken(OpsnbError):
    """The bundle is not as it was written; names the line."""


@dataclass(frozen=True)
class Digest:
    """One archived file: its path in the deployment's folder, SHA-256, and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Sealed:
    """One envelope of a bundle, its signature verified with the key it names. `predicate` and `subject` are its statement's."""

    number: int
    kind: str
    subject: Sequence[Mapping[str, Any]]
    predicate: Mapping[str, Any]
    key: str
    line: str


def digests(folder: Path) -> list[Digest]:
    """Every file under *folder* but the bundle, in the order of their names. A link is digested as what it is: a link."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == FILE_NAME or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            target = f"link to {path.readlink()}".encode()
            found.append(Digest(name, hashlib.sha256(target).hexdigest(), len(target)))
            continue
        with path.open("rb") as file:
            found.append(Digest(name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size))
    return sorted(found, key=lambda each: each.name)


def chained(files: Iterable[Digest]) -> str:
    """One digest for all of them: each is hashed with the digest of those before it."""
    value = NOTHING
    for each in files:
        value = hashlib.sha256(f"{value} {each.sha256} {each.size} {each.name}".encode()).hexdigest()
    return value


def line_digest(line: str) -> str:
    """What the next statement calls this line of a bundle."""
    return hashlib.sha256(line.encode()).hexdigest()


def envelopes(
    files: Sequence[Digest], signoff: Mapping[str, Any], results: Mapping[str, Sequence[str]], outcome: str, key: PrivateKey, last: str
) -> list[str]:
    """The two lines of one signature. *signoff*: what is signed beside the files; *results*: checks passed, warned, failed; *last*: the
    bundle's last line, or nothing.
    """
    chain = chained(files)
    predicate = {**signoff, "chain": chain, "publicKey": key.public.pem, "sizes": {each.name: each.size for each in files}}
    subject = [{"name": each.name, "digest": {"sha256": each.sha256}} for each in files]
    first = _signed(SIGNOFF, subject, {**predicate, "previous": line_digest(last) if last else NOTHING}, key)
    tests = {
        "result": outcome, "configuration": [{"name": FILE_NAME, "digest": {"sha256": line_digest(first)}}],
        "passedTests": list(results["passed"]), "warnedTests": list(results["warned"]), "failedTests": list(results["failed"]),
    }  # fmt: skip
    second = _signed(TEST_RESULT, [{"name": str(signoff["deployment"]), "digest": {"sha256": chain}}], tests, key)
    return [first, second]


def read(folder: Path) -> list[Sealed]:
    """The envelopes of the bundle in *folder*, in order, each with a valid signature; SealBroken where one is not as it was written.

    That the signatures are valid says that nothing changed since; whether the keys are those of the persons named is another question.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes().decode("ascii")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise SealBroken(f"{path.name}: it cannot be read as text.") from None
    if not content.endswith("\n"):
        raise SealBroken(f"{path.name}: its end is missing.")
    found: list[Sealed] = []
    keys: dict[str, PublicKey] = {}
    for number, line in enumerate(content[:-1].split("\n"), start=1):
        found.append(_opened(line, number, found, keys))
    if len(found) % 2:
        raise SealBroken(f"{path.name}, line {len(found)}: the test result that belongs to this signature is missing.")
    return found


def _opened(line: str, number: int, before: Sequence[Sealed], keys: dict[str, PublicKey]) -> Sealed:
    from opsnb.evidence.keys import public_key

    where = f"{FILE_NAME}, line {number}"
    try:
        said = json.loads(line)
        payload = base64.b64decode(said["payload"], validate=True)
        statement = json.loads(payload)
        kind, subject, predicate = statement["predicateType"], statement["subject"], statement["predicate"]
        if len(said["signatures"]) != 1 or said["payloadType"] != PAYLOAD_TYPE or statement["_type"] != STATEMENT:
            raise KeyError
        keyid = str(said["signatures"][0]["keyid"])
        if kind == SIGNOFF:
            key = public_key(predicate["publicKey"])
            keys[key.fingerprint] = key
        if kind not in (SIGNOFF, TEST_RESULT) or (kind == SIGNOFF) != (number % 2 == 1) or keyid not in keys:
            raise KeyError
        signature = base64.b64decode(said["signatures"][0]["sig"], validate=True)
        envelope = Envelope(payload, PAYLOAD_TYPE, {keyid: Signature(keyid, signature.hex())})
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error, OpsnbError):
        raise SealBroken(f"{where}: it is no signature of a sign-off; it was changed after it was written.") from None
    if _written(envelope) != line:
        raise SealBroken(f"{where}: it was changed after it was written.")
    try:
        envelope.verify([keys[keyid].key], 1)
    except VerificationError:
        raise SealBroken(f"{where}: its signature does not fit what it signs; it was changed after it was written.") from None
    if kind == SIGNOFF:
        previous = line_digest(before[-1].line) if before else NOTHING
        if predicate["previous"] != previous:
            raise SealBroken(f"{where}: it does not follow the line before it: one was removed, put in or moved.")
    elif predicate["configuration"][0]["digest"]["sha256"] != line_digest(before[-1].line) or keyid != before[-1].key:
        raise SealBroken(f"{where}: this test result belongs to another signature.")
    return Sealed(number, kind, subject, predicate, keyid, line)


def _signed(kind: str, subject: Sequence[Mapping[str, Any]], predicate: Mapping[str, Any], key: PrivateKey) -> str:
    statement = {"_type": STATEMENT, "subject": list(subject), "predicateType": kind, "predicate": dict(predicate)}
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    return _written(envelope)


def _written(envelope: Envelope) -> str:
    """The one way an envelope is written."""
    return json.dumps(envelope.to_dict(), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
