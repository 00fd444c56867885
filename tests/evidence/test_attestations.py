"""What persons say: who may close what, when it stops to hold, and what the gate makes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import evidence_sample as sample
import pytest

from opsnb.config import AttestationRule, read_statements
from opsnb.errors import ActionRefused, ConfigError, UsageError
from opsnb.evidence import attestations, deployments, index, ledger, state
from opsnb.evidence.attestations import Planned
from opsnb.evidence.deployments import Deployment
from opsnb.runbook import ITEMS
from opsnb.verdicts import CheckResult, Gate, Verdict

NOW = sample.NOW + timedelta(minutes=5)
ASKED = [item.id for item in ITEMS.values() if item.kind == "attest" and item.phase == "checklist"]
ANNA: dict[str, Any] = {"by": "Anna Ek", "role": "medical director", "now": NOW}
BO: dict[str, Any] = {"by": "Bo Lind", "role": "DBA", "now": NOW}


def one(verdict: Verdict, name: str = "backup.age") -> CheckResult:
    return CheckResult(name, "A title", ("PRE-2.1",), verdict, "What was found.", "Do it.")


def made(tmp_path: Path, *judged: CheckResult, later: timedelta = timedelta()) -> Deployment:
    found, _ = sample.make_run(
        tmp_path,
        phase="checklist",
        judged=list(judged or [one(Verdict.PASS)]),
        attestations=tuple(ASKED[:2]),
        with_notebook=False,
        later=later,
    )
    return found


def look(deployment: Deployment, now: datetime = NOW) -> state.State:
    del now
    return state.state_of(deployment, phases=["checklist"])


def test_an_attestation_closes_its_item(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    assert look(deployment).gate.gate is Gate.HELD
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="Seen.", **ANNA)
    after = look(deployment)
    assert after.gate.gate is Gate.PASSED
    item = next(each for each in after.items if each.id == ASKED[0])
    assert (item.verdict, item.is_open) == ("attested", False)
    assert "Anna Ek, medical director" in item.said


def test_a_refusal_fails_and_its_successor_mends(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    attestations.attest(deployment, ASKED[0], statement="The form is missing.", meaning="refused", **ANNA)
    assert look(deployment).gate.gate is Gate.FAILED
    assert "The form is missing." in next(each for each in look(deployment).items if each.id == ASKED[0]).said
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="The form is there.", **ANNA)
    assert look(deployment).gate.gate is Gate.PASSED


def test_what_was_withdrawn_is_open_again_and_nothing_is_overwritten(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="Seen.", **ANNA)
    attestations.withdraw(deployment, 1, reason="Looked at the wrong one.", by="Anna Ek", role="medical director", now=NOW)
    assert look(deployment).gate.gate is Gate.HELD
    assert [entry.kind for entry in ledger.read(deployment.folder)] == ["attest", "attest", "withdraw"]
    with pytest.raises(UsageError, match="was withdrawn before"):
        attestations.withdraw(deployment, 1, reason="again", by="A", role="b", now=NOW)
    with pytest.raises(UsageError, match="no statement 9"):
        attestations.withdraw(deployment, 9, reason="again", by="A", role="b", now=NOW)


def test_evidence_that_gets_worse_opens_the_item_again(tmp_path: Path) -> None:
    """A later run that is worse takes the ground from a statement; one that is as good or better does not."""
    deployment = made(tmp_path, one(Verdict.WARN))
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="Seen.", **ANNA)
    made(tmp_path, one(Verdict.PASS), later=timedelta(minutes=10))
    assert look(deployment).gate.gate is Gate.PASSED
    made(tmp_path, one(Verdict.FAIL), later=timedelta(minutes=20))
    after = look(deployment)
    assert {each.state for each in after.said.statements} == {"evidence changed"}
    assert ASKED[0] in after.said.waiting


def test_evidence_that_changed_while_somebody_looked_is_refused(tmp_path: Path) -> None:
    deployment = made(tmp_path, one(Verdict.PASS))
    shown = attestations.evidence_of(deployment, "checklist")
    attestations.attest(deployment, ASKED[0], statement="Seen.", evidence=shown[: attestations.SHOWN], **ANNA)
    made(tmp_path, one(Verdict.WARN), later=timedelta(minutes=10))
    with pytest.raises(ActionRefused, match="changed after it was shown"):
        attestations.attest(deployment, ASKED[0], statement="Seen.", evidence=shown, **ANNA)
    with pytest.raises(ActionRefused, match="changed after it was shown"):
        attestations.attest(deployment, ASKED[0], statement="Seen.", evidence=attestations.evidence_of(deployment, "checklist")[:4], **ANNA)
    assert len(ledger.read(deployment.folder)) == 1


def test_a_second_person(tmp_path: Path) -> None:
    deployment, rule = made(tmp_path), AttestationRule(second_person=True)
    item = ASKED[0]
    attestations.attest(deployment, item, statement="Did it.", meaning="performed", rule=rule, **BO)
    assert "wants a second person" in look(deployment).said.waiting[item]
    with pytest.raises(ActionRefused, match="was performed by Bo Lind"):
        attestations.attest(deployment, item, statement="Fine.", rule=rule, by="bo  LIND", role="boss", now=NOW)
    attestations.attest(deployment, item, statement="Fine.", rule=rule, **ANNA)
    assert item in look(deployment).said.closed
    alone = ASKED[1]
    attestations.attest(deployment, alone, statement="Fine.", rule=rule, **ANNA)
    assert alone in look(deployment).said.waiting  # an approval of nothing that anybody did


def test_documents_are_filed_by_their_content(tmp_path: Path) -> None:
    deployment, rule = made(tmp_path), AttestationRule(document=True)
    with pytest.raises(ActionRefused, match="wants a document"):
        attestations.attest(deployment, ASKED[0], statement="Seen.", rule=rule, **ANNA)
    with pytest.raises(UsageError, match="no such file"):
        attestations.attest(deployment, ASKED[0], statement="Seen.", rule=rule, document=tmp_path / "none.pdf", **ANNA)
    paper = tmp_path / "Sign off <b>.PDF"
    paper.write_bytes(b"%PDF")
    kept = attestations.attest(deployment, ASKED[0], statement="Seen.", rule=rule, document=paper, **ANNA).data["document"]
    assert (deployment.folder / kept["file"]).read_bytes() == b"%PDF"
    assert kept["file"].endswith(".pdf") and "<" not in kept["file"]


def test_statements_expire(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    entry = attestations.attest(deployment, ASKED[0], statement="Seen.", rule=AttestationRule(valid_days=2), **ANNA)
    assert entry.data["expires"] == "2026-01-19"
    assert ASKED[0] in attestations.read(deployment, now=NOW + timedelta(days=2)).closed
    assert attestations.read(deployment, now=NOW + timedelta(days=3)).statements[0].state == "expired"
    with pytest.raises(UsageError, match="that day is over"):
        attestations.attest(deployment, ASKED[0], statement="Seen.", expires=date(2026, 1, 1), **ANNA)


def test_what_a_check_decides_no_person_decides(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    decided = next(item.id for item in ITEMS.values() if item.kind == "check" and item.automated)
    with pytest.raises(UsageError, match="opsnb accept"):
        attestations.attest(deployment, decided, statement="Trust me.", **ANNA)
    with pytest.raises(UsageError, match="no item of the runbook"):
        attestations.attest(deployment, "XX-9", statement="Seen.", **ANNA)
    for words in ("", "  ", "\n"):
        with pytest.raises(UsageError, match="--statement"):
            attestations.attest(deployment, ASKED[0], statement=words, **ANNA)
    assert ledger.read(deployment.folder) == []


@pytest.mark.parametrize(
    ("verdict", "allowed", "gate"),
    [(Verdict.INCONCLUSIVE, (), Gate.PASSED), (Verdict.WARN, (), Gate.PASSED), (Verdict.FAIL, ("backup.age",), Gate.PASSED),
     (Verdict.FAIL, (), None), (Verdict.ERROR, ("backup.age",), None), (Verdict.PASS, (), None)],
)  # fmt: skip
def test_accepted_risk(tmp_path: Path, verdict: Verdict, allowed: tuple[str, ...], gate: Gate | None) -> None:
    deployment = made(tmp_path, one(verdict))
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="Seen.", **ANNA)
    before = look(deployment).gate.gate
    risk: dict[str, Any] = {"reason": "Mended on Monday.", "expires": date(2099, 1, 25), "fails": allowed, **BO}
    if gate is None:
        with pytest.raises((ActionRefused, UsageError)):
            attestations.accept(deployment, "backup.age", **risk)
        assert look(deployment).gate.gate is before
        return
    attestations.accept(deployment, "backup.age", **risk)
    after = look(deployment)
    assert after.gate.gate is gate
    assert after.runs["checklist"].results[0].verdict is verdict  # the check keeps its verdict
    if verdict is Verdict.INCONCLUSIVE:  # an acceptance holds for what was accepted, not for what came after it
        made(tmp_path, one(Verdict.FAIL), later=timedelta(minutes=10))
        assert look(deployment).gate.gate is Gate.FAILED


def test_an_acceptance_expires(tmp_path: Path) -> None:
    deployment = made(tmp_path, one(Verdict.INCONCLUSIVE))
    attestations.accept(deployment, "backup.age", reason="Known.", expires=date(2026, 1, 20), **BO)
    assert "backup.age" in attestations.read(deployment, now=datetime(2026, 1, 20, 12, tzinfo=UTC)).accepted
    assert "backup.age" not in attestations.read(deployment, now=datetime(2026, 1, 21, tzinfo=UTC)).accepted


def test_many_at_once_are_all_filed_or_none(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    good = Planned(ASKED[0], "Anna Ek", "director", "Seen.")
    with pytest.raises(UsageError):
        attestations.attest_all(deployment, [good, Planned("XX-1", "Anna Ek", "director", "Seen.")], now=NOW)
    rule = AttestationRule(second_person=True)
    did = Planned(ASKED[0], "Anna Ek", "director", "Did.", "performed", rule=rule)
    with pytest.raises(ActionRefused):
        attestations.attest_all(deployment, [did, Planned(ASKED[0], "Anna Ek", "director", "Fine.", rule=rule)], now=NOW)
    assert ledger.read(deployment.folder) == []
    assert len(attestations.attest_all(deployment, [good, Planned(ASKED[1], "Bo", "DBA", "Seen.")], now=NOW)) == 2


def test_nothing_is_added_to_a_closed_deployment(tmp_path: Path) -> None:
    deployment = deployments.close_deployment(made(tmp_path), NOW)
    for act in (
        lambda: attestations.attest(deployment, ASKED[0], statement="Seen.", **ANNA),
        lambda: attestations.accept(deployment, "backup.age", reason="x", expires=date(2099, 1, 1), **BO),
        lambda: attestations.withdraw(deployment, 1, reason="x", by="A", role="b"),
    ):
        with pytest.raises(ActionRefused, match="is closed"):
            act()


def test_a_changed_record_leaves_the_gate_unmeasured(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    for item in ASKED[:2]:
        attestations.attest(deployment, item, statement="Seen.", **ANNA)
    path = ledger.path_of(deployment.folder)
    path.write_bytes(path.read_bytes().replace(b"Seen.", b"Sean.", 1))
    after = look(deployment)
    assert after.gate.gate is Gate.UNMEASURED
    assert "record.jsonl, line 1" in after.gate.reason
    text = index.write_index(deployment).read_text()
    assert "record.jsonl, line 1" in text


def test_hostile_words_are_shown_as_text(tmp_path: Path) -> None:
    deployment = made(tmp_path)
    attestations.attest(deployment, ASKED[0], statement=sample.HOSTILE + "\x1b[31m‮", by="<b>E</b>", role="r\x00", now=NOW)
    text = index.write_index(deployment).read_text()
    assert "<b>E</b>" not in text and "<img src=x" not in text and "\x1b" not in text and "‮" not in text


GOOD = f"""by: Anna Ek
role: director
statements:
  - {{item: {ASKED[0]}, statement: Seen.}}
  - {{item: {ASKED[1]}, statement: Done., by: Bo, role: DBA, meaning: performed, expires: 2099-01-01}}
"""


def test_a_file_of_statements(tmp_path: Path) -> None:
    path = tmp_path / "said.yaml"
    path.write_text(GOOD)
    assert [(each.item, each.by, each.meaning) for each in read_statements(path)] == [
        (ASKED[0], "Anna Ek", "approved"), (ASKED[1], "Bo", "performed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("was", "instead", "says"),
    [
        (f"item: {ASKED[0]}", "item: POST-99", "POST-99"),
        ("statement: Seen.", "", "statement"),
        ("meaning: performed", "meaning: blessed", "meaning"),
        ("by: Anna Ek\n", "", "statements.0.by"),
        ("statements:", "statments:", "statments"),
        (
            f"item: {ASKED[1]}, statement: Done., by: Bo, role: DBA, meaning: performed",
            f"item: {ASKED[0]}, statement: Seen.",
            "given twice",
        ),
    ],
)
def test_a_wrong_file_of_statements(tmp_path: Path, was: str, instead: str, says: str) -> None:
    path = tmp_path / "said.yaml"
    assert was in GOOD
    path.write_text(GOOD.replace(was, instead))
    with pytest.raises((ConfigError, UsageError), match=says):
        read_statements(path)
