"""Whether a sealed folder is what was signed, and who signed it. Needs the folder alone: no network, no parameters, no database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import ledger, seal
from opsnb.evidence.deployments import FILE_NAME as DEPLOYMENT_FILE
from opsnb.evidence.ledger import RecordDamaged
from opsnb.evidence.seal import Digest, SealBroken, Sealed
from opsnb.evidence.sealing import Trusted, require_trusted


class Seal(StrEnum):
    """What a verification comes to."""

    GENUINE = "genuine"  # nothing changed, and every signature is of a trusted person
    INTACT = "intact"  # nothing changed since it was signed; whose keys these are was not said
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the file, the kind (changed, missing, added, signature, record, signer) and a sentence."""

    file: str
    kind: str
    sentence: str


@dataclass(frozen=True)
class Signer:
    """One signature as its statement says it."""

    by: str
    role: str
    meaning: str
    at: str
    key: str
    statement: str


@dataclass(frozen=True)
class Verification:
    """The outcome. `files`: how many were compared; `deployment` and `gate` as they were signed, '' where nothing can be read."""

    seal: Seal
    deployment: str
    gate: str
    files: int
    signers: tuple[Signer, ...]
    findings: tuple[Finding, ...]

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        if self.seal is Seal.BROKEN:
            first = self.findings[0]
            more = f" ({len(self.findings)} findings)" if len(self.findings) > 1 else ""
            return f"Broken: {first.sentence}{more}"
        whole = f"{self.files} files are as they were signed"
        if self.seal is Seal.INTACT:
            return f"Intact: {whole}. Whose keys signed was not established: give --signers FILE or --key FILE."
        return f"Genuine: {whole}, by {', '.join(f'{each.by} ({each.meaning})' for each in self.signers)}."


def verify(place: Path, *, trusted: Sequence[Trusted] = (), keys: Iterable[str] = ()) -> Verification:
    """Verifies the deployment's folder *place*, or one file of it with the bundle beside or above it.

    *trusted*: signers by name; *keys*: fingerprints of public keys that are trusted whoever holds them. UsageError where there is nothing
    that could be verified.
    """
    folder, only = _placed(place)
    try:
        sealed = seal.read(folder)
    except SealBroken as error:
        return Verification(Seal.BROKEN, "", "", 0, (), (Finding(seal.FILE_NAME, "signature", str(error)),))
    signatures = [each for each in sealed if each.kind == seal.SIGNOFF]
    newest = signatures[-1]
    found = list(_same_deployment(folder, signatures, only))
    files = seal.digests(folder) if only is None else _one(folder, only)
    found += _compared(files, newest, only)
    if only is None:
        found += _earlier(signatures)
        found += _record(folder, signatures)
    signers = tuple(_signer(each) for each in signatures)
    accepted = [_accepted(each, trusted, set(keys)) for each in signers]
    found += [finding for finding in accepted if isinstance(finding, Finding)]
    state = Seal.BROKEN if found else Seal.GENUINE if all(each is True for each in accepted) else Seal.INTACT
    gate = str(newest.predicate["gate"])
    return Verification(state, str(newest.predicate["deployment"]), gate, len(files), signers, tuple(found))


def _placed(place: Path) -> tuple[Path, str | None]:
    """The sealed folder, and the one file in it that is asked for; None for all."""
    if place.is_dir() and (place / seal.FILE_NAME).is_file():
        return place, None
    if place.name == seal.FILE_NAME and place.is_file():
        return place.parent, None
    if place.is_file():
        for folder in place.parents:
            if (folder / seal.FILE_NAME).is_file():
                return folder, place.relative_to(folder).as_posix()
    if not place.exists():
        raise UsageError(f"{place}: there is no such file or folder")
    raise UsageError(f"{place} is not sealed: no {seal.FILE_NAME} beside or above it. `opsnb signoff ENV` writes one.")


def _one(folder: Path, name: str) -> list[Digest]:
    content = (folder / name).read_bytes()
    return [Digest(name, hashlib.sha256(content).hexdigest(), len(content))]


def _same_deployment(folder: Path, signatures: Sequence[Sealed], only: str | None) -> Iterable[Finding]:
    names = {str(each.predicate["deployment"]) for each in signatures}
    if len(names) > 1:
        yield Finding(
            seal.FILE_NAME, "signature", f"{seal.FILE_NAME}: its signatures are of several deployments: {', '.join(sorted(names))}."
        )
    if only is None:
        try:
            here = str(json.loads((folder / DEPLOYMENT_FILE).read_bytes())["id"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # missing or changed: the comparison of files says so
        if here not in names:
            yield Finding(
                seal.FILE_NAME, "signature", f"{seal.FILE_NAME}: it signs {', '.join(sorted(names))}, and this folder is of {here}."
            )


def _compared(files: Sequence[Digest], newest: Sealed, only: str | None) -> Iterable[Finding]:
    signed = _signed_files(newest)
    here = {each.name: each for each in files}
    if only is not None:
        signed = {name: digest for name, digest in signed.items() if name == only}
    for name in sorted({*signed, *here}):
        if name not in here:
            yield Finding(name, "missing", f"{name} was signed and is missing.")
        elif name not in signed:
            yield Finding(name, "added", f"{name} was added after the signature.")
        elif signed[name] != here[name].sha256:
            was = newest.predicate["sizes"].get(name)
            size = f" ({was} bytes then, {here[name].size} now)" if was != here[name].size else ""
            yield Finding(name, "changed", f"{name} was changed after it was signed{size}.")


def _earlier(signatures: Sequence[Sealed]) -> Iterable[Finding]:
    """What an earlier person signed must be what the newest signed, but for the pages that a signature writes anew."""
    newest = _signed_files(signatures[-1])
    for each in signatures[:-1]:
        for name, digest in _signed_files(each).items():
            if name not in seal.REWRITTEN and newest.get(name) != digest:
                by = each.predicate["signer"]["by"]
                yield Finding(name, "changed", f"{name} is not what {by} signed: it was changed between two signatures.")


def _record(folder: Path, signatures: Sequence[Sealed]) -> Iterable[Finding]:
    """The record of statements is whole, and ended at each signature where that signature says."""
    deployment = str(signatures[-1].predicate["deployment"])
    try:
        entries = ledger.read(folder, name=deployment)
    except RecordDamaged as error:
        yield Finding(ledger.FILE_NAME, "record", str(error).replace(f"{folder}/", ""))
        return
    for each in signatures:
        number = int(each.predicate["entry"])
        if number > len(entries) or each.predicate["record"] != entries[number - 1].digest:
            yield Finding(ledger.FILE_NAME, "record", f"{ledger.FILE_NAME}: it does not hold what {each.predicate['signer']['by']} signed.")


def _signer(sealed: Sealed) -> Signer:
    said: Mapping[str, Any] = sealed.predicate["signer"]
    return Signer(str(said["by"]), str(said["role"]), str(said["meaning"]), str(said["at"]), sealed.key, str(said["statement"]))


def _accepted(signer: Signer, trusted: Sequence[Trusted], keys: set[str]) -> Finding | bool:
    """True where the key is known to be the person's, False where nothing was said about it; else what is wrong."""
    if signer.key in keys:
        return True
    if trusted:
        try:
            require_trusted(signer.by, signer.key, trusted)
        except ActionRefused as error:
            return Finding(seal.FILE_NAME, "signer", f"The signature of {signer.by} on {signer.at} does not count: {error}")
        return True
    if keys:
        return Finding(
            seal.FILE_NAME, "signer", f"The signature of {signer.by} is by the key {signer.key[:16]}, which was not given as trusted."
        )
    return False


def _signed_files(sealed: Sealed) -> dict[str, str]:
    return {str(each["name"]): str(each["digest"]["sha256"]) for each in sealed.subject}
