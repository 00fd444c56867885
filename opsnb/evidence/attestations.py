"""Statements by named persons about items no program can see, and risks they accept; what stands of them now.

Nothing is overwritten: a statement is withdrawn by another one that says why. What was in front of the person is kept with it: the verdicts
of the phase and their digest; where one of them is worse today, the statement no longer closes its item.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import ledger
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.ledger import Entry
from opsnb.evidence.results import Run, newest_runs
from opsnb.evidence.safe import printable, slug, unwritable, write_atomic
from opsnb.runbook import ITEMS
from opsnb.verdicts import CheckResult, Verdict

Meaning = Literal["performed", "reviewed", "approved", "refused"]
MEANINGS: tuple[Meaning, ...] = ("performed", "reviewed", "approved", "refused")
ATTEST, ACCEPT, WITHDRAW = "attest", "accept", "withdraw"
DOCUMENTS = "documents"
BY_HAND = "runbook."
"""How the result of an item is called that no check decides yet."""
LONGEST = 4000
SHOWN = 16
"""How many characters of an evidence digest are shown; so many are enough to name it."""
_BAD = (str(Verdict.FAIL), str(Verdict.ERROR))


class Rule(Protocol):
    """What a release demands of the attestation of one item."""

    @property
    def second_person(self) -> bool:
        """Whether somebody else than who performed it must approve."""

    @property
    def document(self) -> bool:
        """Whether a document must be filed with it."""

    @property
    def valid_days(self) -> float | None:
        """How long it holds; None: for the deployment."""


@dataclass(frozen=True)
class Statement:
    """One statement as it stands. `state`: standing, withdrawn, expired, or evidence changed."""

    entry: Entry
    state: str

    @property
    def item(self) -> str:
        """The item it is about, or the check whose result is accepted."""
        return str(self.entry.data["about"])

    @property
    def by(self) -> str:
        """Who made it."""
        return str(self.entry.data["by"])

    @property
    def meaning(self) -> str:
        """What it means: performed, reviewed, approved, refused, accepted."""
        return str(self.entry.data["meaning"])

    @property
    def stands(self) -> bool:
        """Whether it still says what it said."""
        return self.state == "standing"


@dataclass(frozen=True)
class Standing:
    """What the statements of a deployment come to. `closed`: item → one sentence; `refused`, `waiting` likewise."""

    statements: tuple[Statement, ...] = ()
    closed: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, Statement] = field(default_factory=dict)

    def counted(self, result: CheckResult) -> Verdict:
        """The verdict as the gate counts it: what was accepted is WARN, and so is an item no check decides that somebody attested."""
        undecided = result.verdict is Verdict.INCONCLUSIVE or result.id.startswith(BY_HAND)
        by_hand = undecided and bool(result.items) and all(item in self.closed for item in result.items)
        return Verdict.WARN if by_hand or result.id in self.accepted else result.verdict


@dataclass(frozen=True)
class Planned:
    """One statement that is to be filed. `rule`: what the release demands; `evidence`: the digest (or its beginning) of what was shown."""

    item: str
    by: str
    role: str
    statement: str
    meaning: Meaning = "approved"
    document: Path | None = None
    rule: Rule | None = None
    expires: date | None = None
    evidence: str = ""


def attest(deployment: Deployment, item: str, *, by: str, role: str, statement: str, now: datetime | None = None, **more: Any) -> Entry:
    """Files one statement about *item*; *more* are the fields of `Planned`. Raises as `attest_all` does."""
    return attest_all(deployment, [Planned(item, by, role, statement, **more)], now=now)[0]


def attest_all(deployment: Deployment, planned: Sequence[Planned], *, now: datetime | None = None) -> list[Entry]:
    """Files statements, all or, where one of them is refused, none.

    Raises UsageError for an item there is none of, one that a check decides, empty words, or a document that is not there; ActionRefused
    where the deployment is closed, the evidence changed meanwhile, or the release demands a document or somebody else.
    """
    moment = now or datetime.now(UTC)
    _require_open(deployment)
    runs = newest_runs(deployment)
    data = [_judged(deployment, each, planned[:number], runs, moment) for number, each in enumerate(planned)]
    for each, said in zip(planned, data, strict=True):
        said["document"] = _filed(deployment, each.document) if each.document is not None else None
    return [ledger.append(deployment.folder, ATTEST, said, now=moment) for said in data]


def _judged(deployment: Deployment, said: Planned, before: Sequence[Planned], runs: Mapping[str, Run], now: datetime) -> dict[str, Any]:
    """What is filed of *said*, or the reason why it is not."""
    known = ITEMS.get(said.item)
    if known is None:
        raise UsageError(f"{said.item} is no item of the runbook; `opsnb status` lists those that are open")
    if known.kind == "check" and known.automated:
        raise UsageError(f"{said.item} is decided by a check, not by a statement; a result can be accepted: opsnb accept")
    if said.meaning not in MEANINGS:
        raise UsageError(f"--meaning {said.meaning}: expected one of {', '.join(MEANINGS)}")
    here = evidence_of(deployment, known.phase, runs)
    if said.evidence and not (here.startswith(said.evidence) and len(said.evidence) >= SHOWN):
        raise ActionRefused(f"The evidence of {known.phase} changed after it was shown; look at it again, then attest {said.item}.")
    rule = said.rule
    if rule is not None and rule.document and said.document is None and said.meaning != "refused":
        raise ActionRefused(f"The release wants a document filed with {said.item}: give it with --document.")
    if said.document is not None and not said.document.is_file():
        raise UsageError(f"--document {said.document}: there is no such file")
    if rule is not None and rule.second_person and said.meaning == "approved":
        _require_other(deployment, said, before)
    return {
        "about": said.item, **_person(said.by, said.role), "meaning": said.meaning, "statement": _words("--statement", said.statement),
        "evidence": here, "seen": _verdicts(runs.get(known.phase)), "phase": known.phase, "document": None,
        "expires": _expiry(said.expires, rule, now), "second_person": bool(rule is not None and rule.second_person),
    }  # fmt: skip


def accept(
    deployment: Deployment, check: str, *, by: str, role: str, reason: str, expires: date, fails: Sequence[str] = (),
    now: datetime | None = None,
) -> Entry:  # fmt: skip
    """Accepts the result of *check* as it is until *expires*; it then counts as a warning. *fails*: checks whose FAIL may be accepted.

    Raises UsageError where there is no such result or nothing to accept, ActionRefused for an ERROR or another FAIL.
    """
    moment = now or datetime.now(UTC)
    _require_open(deployment)
    found = {result.id: (result, run) for run in newest_runs(deployment).values() for result in run.results}
    if check not in found:
        raise UsageError(f"{check}: no newest run of {deployment.id} has a result of that name; `opsnb status` lists them")
    result, run = found[check]
    if result.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE):
        raise UsageError(f"{check} is {result.verdict}: there is nothing to accept")
    if result.verdict is Verdict.ERROR:
        raise ActionRefused(f"{check} could not be measured: what is not known cannot be accepted. Run {run.phase} again.")
    if result.verdict is Verdict.FAIL and not {check, check.partition(":")[0]} & set(fails):
        raise ActionRefused(f"{check} is FAIL, and the release allows no acceptance of it (acceptable_failures).")
    if expires < moment.date():
        raise UsageError(f"--expires {expires}: that day is over")
    data = {
        "about": check, **_person(by, role), "meaning": "accepted", "statement": _words("--reason", reason), "phase": run.phase,
        "evidence": str(result.verdict), "expires": expires.isoformat(),
    }  # fmt: skip
    return ledger.append(deployment.folder, ACCEPT, data, now=moment)


def withdraw(deployment: Deployment, number: int, *, by: str, role: str, reason: str, now: datetime | None = None) -> Entry:
    """Takes statement *number* back, saying why. UsageError where there is none, or it was withdrawn before."""
    _require_open(deployment)
    standing = {statement.entry.number: statement for statement in read(deployment, now=now).statements}
    if number not in standing:
        raise UsageError(f"{deployment.id} has no statement {number}; `opsnb status` lists them")
    if standing[number].state == "withdrawn":
        raise UsageError(f"statement {number} was withdrawn before")
    data = {"about": standing[number].item, "number": number, **_person(by, role), "statement": _words("--reason", reason)}
    return ledger.append(deployment.folder, WITHDRAW, data, now=now or datetime.now(UTC))


def read(deployment: Deployment, *, runs: Mapping[str, Run] | None = None, now: datetime | None = None) -> Standing:
    """What stands of all statements of *deployment*. Raises RecordDamaged where the record was changed."""
    entries = ledger.read(deployment.folder)
    if not entries:
        return Standing()
    counting = newest_runs(deployment) if runs is None else runs
    results = {result.id: result for run in counting.values() for result in run.results}
    withdrawn = {int(entry.data["number"]) for entry in entries if entry.kind == WITHDRAW}
    today = (now or datetime.now(UTC)).date()
    statements = tuple(
        Statement(entry, _state(entry, withdrawn, today, counting, results)) for entry in entries if entry.kind in (ATTEST, ACCEPT)
    )
    by_item: dict[str, list[Statement]] = {}
    for statement in statements:
        if statement.entry.kind == ATTEST:
            by_item.setdefault(statement.item, []).append(statement)
    closed: dict[str, str] = {}
    refused: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for item, about in by_item.items():
        where, sentence = _joined(about)
        {"closed": closed, "refused": refused, "waiting": waiting}[where][item] = sentence
    accepted = {each.item: each for each in statements if each.entry.kind == ACCEPT and each.stands}
    return Standing(statements, closed, refused, waiting, accepted)


def evidence_of(deployment: Deployment, phase: str, runs: Mapping[str, Run] | None = None) -> str:
    """A digest of what the newest run of *phase* concluded: its checks and their verdicts; '' where it did not run."""
    run = (newest_runs(deployment) if runs is None else runs).get(phase)
    if run is None:
        return ""
    return hashlib.sha256(json.dumps(_verdicts(run), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _verdicts(run: Run | None) -> dict[str, str]:
    """Check → verdict; what somebody does by hand is no evidence of its own."""
    return {} if run is None else {result.id: str(result.verdict) for result in run.results if not result.id.startswith(BY_HAND)}


def _state(entry: Entry, withdrawn: set[int], today: date, runs: Mapping[str, Run], results: Mapping[str, CheckResult]) -> str:
    if entry.number in withdrawn:
        return "withdrawn"
    if entry.data.get("expires") and date.fromisoformat(str(entry.data["expires"])) < today:
        return "expired"
    if entry.kind == ACCEPT:
        result = results.get(str(entry.data["about"]))
        same = result is not None and (str(result.verdict) == entry.data["evidence"] or result.verdict in (Verdict.WARN, Verdict.PASS))
        return "standing" if same else "evidence changed"
    # an attestation says what a person saw; that a phase ran again and nothing is worse takes nothing from it
    seen = {str(check): str(verdict) for check, verdict in dict(entry.data["seen"]).items()}
    now = _verdicts(runs.get(str(entry.data["phase"])))
    if any(verdict in _BAD and seen.get(check) != verdict for check, verdict in now.items() if seen):
        return "evidence changed"
    return "standing"


def _joined(about: Sequence[Statement]) -> tuple[str, str]:
    """Whether the statements about one item close it, refuse it, or leave it waiting; and the sentence."""
    standing = [statement for statement in about if statement.stands]
    if not standing:
        last = about[-1]
        return "waiting", f"the statement of {last.by} does not stand: {last.state}"
    last = standing[-1]
    if last.meaning == "refused":
        return "refused", f"refused by {last.by} on {last.entry.at}: {last.entry.data['statement']}"
    if any(statement.entry.data.get("second_person") for statement in standing):
        approved = {_name(each.by) for each in standing if each.meaning == "approved"}
        others = {_name(each.by) for each in standing if each.meaning in ("performed", "reviewed")}
        if not approved or not (others - approved or len(approved) > 1):
            return "waiting", f"{last.meaning} by {last.by}; the release wants a second person"
    who = ", ".join(dict.fromkeys(f"{each.meaning} by {each.by}, {each.entry.data['role']}" for each in standing))
    return "closed", f"{who} ({last.entry.at})"


def _require_open(deployment: Deployment) -> None:
    if not deployment.is_open:
        raise ActionRefused(f"{deployment.id} was signed off and is closed; nothing can be added to it.")


def _require_other(deployment: Deployment, said: Planned, before: Sequence[Planned]) -> None:
    performed = [each.by for each in read(deployment).statements if each.item == said.item and each.stands and each.meaning == "performed"]
    performed += [each.by for each in before if each.item == said.item and each.meaning == "performed"]
    for by in performed:
        if _name(by) == _name(said.by):
            raise ActionRefused(f"{said.item} was performed by {by}: the release wants somebody else to approve it.")


def _person(by: str, role: str) -> dict[str, str]:
    return {"by": _words("--by", by, longest=200), "role": _words("--role", role, longest=200)}


def _name(by: str) -> str:
    return " ".join(by.casefold().split())


def _words(option: str, text: str, *, longest: int = LONGEST) -> str:
    shown = printable(text).strip()
    if not shown:
        raise UsageError(f"{option}: expected words, found none")
    if len(shown) > longest:
        raise UsageError(f"{option}: expected at most {longest} characters, found {len(shown)}")
    return shown


def _expiry(expires: date | None, rule: Rule | None, now: datetime) -> str | None:
    if expires is not None and expires < now.date():
        raise UsageError(f"--expires {expires}: that day is over")
    if rule is not None and rule.valid_days is not None:
        last = date.fromordinal(now.date().toordinal() + int(rule.valid_days))
        expires = min(expires, last) if expires else last
    return expires.isoformat() if expires else None


def _filed(deployment: Deployment, document: Path) -> dict[str, Any]:
    """Copies *document* into the deployment, under a name that its content gives; what is filed once is not written again."""
    try:
        content = document.read_bytes()
    except OSError as error:
        raise UsageError(f"--document {document}: it cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(content).hexdigest()
    name = f"{digest[:16]}-{slug(document.stem)}{document.suffix.lower() if document.suffix[1:].isalnum() else ''}"
    path = deployment.folder / DOCUMENTS / name
    try:
        if not path.is_file():
            write_atomic(path, content)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return {"name": printable(document.name), "file": f"{DOCUMENTS}/{name}", "sha256": digest, "bytes": len(content)}
