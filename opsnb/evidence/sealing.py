"""Signing a deployment off: the gate is looked at, the signature recorded, the deployment closed, its pages written, everything sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, Protocol

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import deployments, index, ledger, seal, signoff
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.keys import PrivateKey, public_key
from opsnb.evidence.ledger import Entry
from opsnb.evidence.safe import printable, unwritable, utc, write_atomic
from opsnb.evidence.state import State, state_of
from opsnb.verdicts import Gate, Verdict

Meaning = Literal["approved", "reviewed", "rejected"]
MEANINGS: tuple[Meaning, ...] = ("approved", "reviewed", "rejected")
OUTCOMES = {Gate.PASSED: "PASSED", Gate.HELD: "WARNED", Gate.FAILED: "FAILED", Gate.UNMEASURED: "FAILED"}


class Trusted(Protocol):
    """A person whose signature counts; `config.Signer` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def revoked(self) -> date | None: ...  # noqa: D102


@dataclass(frozen=True)
class Signature:
    """Who signs, with what, and what it means. `despite`: why a deployment whose gate is held is approved nevertheless."""

    by: str
    role: str
    key: PrivateKey
    meaning: Meaning = "approved"
    statement: str = ""
    despite: str = ""


def sign_off(deployment: Deployment, signature: Signature, *, trusted: Sequence[Trusted] = (), now: datetime | None = None) -> State:
    """Signs *deployment* and seals its folder; the first signature closes it. Answers the state that was signed.

    Raises ActionRefused where the gate forbids it, the person signed before, or the key is not that person's; UsageError for empty words.
    A signature that was broken off is completed by giving it again.
    """
    by, role = _words("--by", signature.by), _words("--role", signature.role)
    if signature.meaning not in MEANINGS:
        raise UsageError(f"--meaning {signature.meaning}: expected one of {', '.join(MEANINGS)}")
    require_trusted(by, signature.key.public.fingerprint, trusted)
    with _alone(deployment):
        kept = deployments.read_deployment(deployment.folder)
        if kept.simulated:
            raise ActionRefused(f"{kept.id} is a simulated day: its times are not those of the world, so nobody can sign it.")
        sealed = seal.read(kept.folder)
        signed = {int(each.predicate["entry"]) for each in sealed if each.kind == seal.SIGNOFF}
        entries = [entry for entry in ledger.read(kept.folder) if entry.kind == signoff.SIGN]
        broken_off = [entry for entry in entries if entry.number not in signed]
        if not broken_off:
            state = state_of(kept)
            require_gate(state, signature)
            _require_new(entries, by, signature.key.public.fingerprint)
            if not kept.is_open:
                _require_whole(kept, sealed)
            entry = _record(kept, signature, by, role, now or datetime.now(UTC))
        else:
            entry = broken_off[0]
            if entry.data["key"] != signature.key.public.fingerprint or entry.data["by"] != by:
                raise ActionRefused(f"The signature of {entry.data['by']} was broken off; it must be given again before another one.")
        closed = deployments.close_deployment(kept, now or datetime.now(UTC))
        signoff.render_signoff(closed)
        index.render_index(closed)
        state = state_of(closed)
        _write(closed, state, entry, signature.key, sealed)
    index.render_environment_index(closed.folder.parent.parent, closed.environment)
    return state


def require_gate(state: State, signature: Signature) -> None:
    """ActionRefused where this gate cannot be signed so: failed and unmeasured only as rejected, held only with a reason."""
    reason, gate = state.gate.reason, state.gate.gate
    if signature.meaning == "rejected":
        _words("--statement", signature.statement)
    elif gate in (Gate.FAILED, Gate.UNMEASURED):
        raise ActionRefused(
            f"{state.deployment.id} is {gate}: {reason} It cannot be signed as {signature.meaning}; mend it, accept what the release "
            "lets be accepted (opsnb accept), or sign with --meaning rejected."
        )
    elif gate is Gate.HELD and not signature.despite.strip():
        waiting = [item.id for item in state.items if item.is_open]
        shown = ", ".join(waiting[:6]) + (f" and {len(waiting) - 6} more" if len(waiting) > 6 else "")
        raise ActionRefused(
            f"{state.deployment.id} is held: {reason} Open: {shown or 'no item'}. Close them (opsnb status says how), or say why it is "
            "signed nevertheless: --despite TEXT."
        )


def require_trusted(by: str, fingerprint: str, trusted: Sequence[Trusted]) -> None:
    """ActionRefused where *trusted* names signers, and this key is not *by*'s, or was revoked."""
    if not trusted:
        return
    keys = {public_key(each.key, what=f"the key of {each.name}").fingerprint: each for each in trusted}
    known = keys.get(fingerprint)
    if known is None:
        raise ActionRefused(f"The key {fingerprint[:16]} is none of the {len(keys)} trusted signers' (signers.yaml).")
    if known.revoked is not None:
        raise ActionRefused(f"The key {fingerprint[:16]} of {known.name} was revoked on {known.revoked}.")
    if known.name.casefold().split() != by.casefold().split():
        raise ActionRefused(f"The key {fingerprint[:16]} is {known.name}'s, not {by}'s.")


def _record(deployment: Deployment, signature: Signature, by: str, role: str, now: datetime) -> Entry:
    despite = f"Despite what is open: {signature.despite}" if signature.despite else ""
    said = " ".join(text for text in (signature.statement.strip(), despite) if text)
    data = {
        "about": deployment.id, "by": by, "role": role, "meaning": signature.meaning, "statement": printable(said),
        "key": signature.key.public.fingerprint,
    }  # fmt: skip
    return ledger.append(deployment.folder, signoff.SIGN, data, now=now)


def _require_new(entries: Sequence[Entry], by: str, fingerprint: str) -> None:
    for entry in entries:
        if entry.data["key"] == fingerprint or str(entry.data["by"]).casefold().split() == by.casefold().split():
            raise ActionRefused(f"{entry.data['by']} signed this deployment on {entry.at}; nobody signs twice.")


def _require_whole(deployment: Deployment, sealed: Sequence[seal.Sealed]) -> None:
    """Nothing is signed that changed since the signature before."""
    last = [each for each in sealed if each.kind == seal.SIGNOFF][-1:]
    was = {str(each["name"]): str(each["digest"]["sha256"]) for signature in last for each in signature.subject}
    now = {each.name: each.sha256 for each in seal.digests(deployment.folder)}
    if changed := sorted(name for name in {*was, *now} if was.get(name) != now.get(name)):
        raise ActionRefused(f"{changed[0]} is not as it was signed before; `opsnb verify {deployment.folder}` names all that changed.")


def _write(deployment: Deployment, state: State, entry: Entry, key: PrivateKey, sealed: Sequence[seal.Sealed]) -> None:
    results = [(result.id, state.said.counted(result)) for run in state.runs.values() for result in run.results]
    tests = {
        "passed": sorted(name for name, verdict in results if verdict is Verdict.PASS),
        "warned": sorted(name for name, verdict in results if verdict in (Verdict.WARN, Verdict.INCONCLUSIVE)),
        "failed": sorted(name for name, verdict in results if verdict in (Verdict.FAIL, Verdict.ERROR)),
    }
    outcome = OUTCOMES[state.gate.gate]
    said: dict[str, Any] = {
        "deployment": deployment.id, "environment": deployment.environment, "release": deployment.release,
        "openedAt": utc(deployment.opened_at), "closedAt": None if deployment.closed_at is None else utc(deployment.closed_at),
        "gate": str(state.gate.gate), "reason": state.gate.reason, "entry": entry.number, "record": ledger.head(deployment.folder),
        "signer": {name: entry.data[name] for name in ("by", "role", "meaning", "statement")} | {"at": entry.at},
        "items": {item.id: item.verdict for item in state.items},
    }  # fmt: skip
    if outcome == "PASSED" and tests["warned"]:
        outcome = "WARNED"
    lines = [each.line for each in sealed]
    lines += seal.envelopes(seal.digests(deployment.folder), said, tests, outcome, key, lines[-1] if lines else "")
    write_atomic(deployment.folder / seal.FILE_NAME, "\n".join(lines) + "\n")


@contextmanager
def _alone(deployment: Deployment) -> Iterator[None]:
    """One signature at a time. The lock stands beside the folder: nothing in it is changed by waiting."""
    import fcntl
    import os

    place = deployment.folder.parent / f".{deployment.folder.name}.sign.lock"
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(deployment.folder.parent, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _words(option: str, text: str) -> str:
    shown = printable(text).strip()
    if not shown or len(shown) > 4000:
        raise UsageError(f"{option}: expected words (at most 4000 characters), found {'none' if not shown else len(shown)}")
    return shown
