"""A statement asked for line by line: at a terminal, in a kernel somebody sits before, and where nobody does."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import evidence_sample as sample
import pytest
from harness import make_home, process_environment
from jupyter_client.manager import start_new_kernel

from opsnb.config import AttestationRule
from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import attestations, form
from opsnb.evidence.attestations import Planned
from opsnb.evidence.deployments import Deployment
from opsnb.runbook import ITEMS
from opsnb.verdicts import CheckResult, Verdict

ITEM = next(item.id for item in ITEMS.values() if item.kind == "attest" and item.phase == "checklist")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    judged = [CheckResult("backup.age", "A title", ("PRE-2.1",), Verdict.PASS, "What was found.", "Do it.")]
    found, _ = sample.make_run(tmp_path, phase="checklist", judged=judged, attestations=(ITEM,), with_notebook=False)
    return found


def asked(
    deployment: Deployment, *answers: str, given: Planned | None = None, rule: AttestationRule | None = None
) -> tuple[Planned, list[str]]:
    left, said = iter(answers), []

    def ask(prompt: str) -> str:
        said.append(prompt)
        return next(left)

    rules = {} if rule is None else {ITEM: rule}
    return form.filled_in(deployment, given or Planned("", "", "", ""), ask, rules=rules, say=said.append), said


def test_every_line(deployment: Deployment) -> None:
    """The item's own words and the evidence are shown before anything is asked about it; what was shown is filed."""
    planned, said = asked(
        deployment, ITEM, "reviewed", "Anna Ek", "medical director", "Seen.", "yes", rule=AttestationRule(second_person=True)
    )
    shown = attestations.evidence_of(deployment, "checklist")[: attestations.SHOWN]
    assert (planned.item, planned.by, planned.role, planned.statement, planned.meaning) == (
        ITEM, "Anna Ek", "medical director", "Seen.", "reviewed",
    )  # fmt: skip
    assert planned.evidence == shown and said[1] == f"{ITEM}: {ITEMS[ITEM].text}" and shown in said[2] and "two persons" in said[3]
    (entry,) = attestations.attest_all(deployment, [planned])
    assert entry.data["by"] == "Anna Ek"


def test_what_was_given_is_not_asked(deployment: Deployment) -> None:
    planned, said = asked(deployment, "", "", "Seen.", "y", given=Planned(ITEM, "Anna Ek", "director", ""))
    assert planned.meaning == "approved" and not [line for line in said if line.startswith(("Your", "Item"))]


def test_evidence_that_changes_while_somebody_types(deployment: Deployment, tmp_path: Path) -> None:
    planned, _ = asked(deployment, ITEM, "", "Anna Ek", "director", "Seen.", "yes")
    failed = [CheckResult("backup.age", "A title", ("PRE-2.1",), Verdict.FAIL, "None.", "Do it.")]
    sample.make_run(tmp_path, phase="checklist", judged=failed, with_notebook=False, later=sample.timedelta(minutes=1))
    with pytest.raises(ActionRefused, match="changed after it was shown"):
        attestations.attest_all(deployment, [planned])


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ((ITEM, "", "Anna", "boss", "Seen.", "no"), ActionRefused, "nothing was filed"),
        ((ITEM, "", "Anna", "boss", "Seen.", ""), ActionRefused, "nothing was filed"),
        (("S9-9",), UsageError, "no item of the runbook"),
        (("", "", ""), ActionRefused, "Item of the runbook was not given"),
        ((ITEM, "perhaps", "maybe", "so"), ActionRefused, "Meaning was none of performed"),
    ],
)
def test_nothing_is_filed(deployment: Deployment, answers: tuple[str, ...], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        asked(deployment, *answers)
    assert not attestations.read(deployment).statements


OPEN = """
from opsnb.phase import Phase
ops = Phase("checklist", environment="local", deployment={deployment!r})
ops.attest({item!r}, role="director")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "a home")


@pytest.fixture
def filed(home: Path) -> Iterator[Deployment]:
    judged = [CheckResult("backup.age", "A title", ("PRE-2.1",), Verdict.PASS, "What was found.", "Do it.")]
    found, _ = sample.make_run(home / "reports", phase="checklist", judged=judged, attestations=(ITEM,), with_notebook=False)
    yield found


@pytest.mark.parametrize("answers", [["", "Anna Ek", "Seen.", "yes"], None])
def test_in_a_kernel(home: Path, filed: Deployment, answers: list[str] | None) -> None:
    """Somebody in front of it fills in what is missing; executed without anybody, it says what to give instead."""
    manager, client = start_new_kernel(kernel_name="python3", env=process_environment(home), cwd=str(home))
    left, said = iter(answers or []), []
    try:
        reply = client.execute_interactive(
            OPEN.format(deployment=filed.id, item=ITEM), allow_stdin=answers is not None, timeout=60,
            output_hook=lambda message: said.append(str(message["content"])), stdin_hook=lambda _: client.input(next(left)),
        )  # fmt: skip
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    statements = attestations.read(filed).statements
    if answers is None:
        assert reply["content"]["status"] == "error" and "Nobody can be asked here" in reply["content"]["evalue"] and not statements
    else:
        assert reply["content"]["status"] == "ok", said
        assert [(each.item, each.by, each.meaning) for each in statements] == [(ITEM, "Anna Ek", "approved")]


def test_at_a_terminal(home: Path, filed: Deployment) -> None:
    """What the options do not say is asked for; through a pipe nothing is, and the missing option is named."""
    words = [str(Path(sys.executable).with_name("opsnb")), "attest", filed.id, ITEM, "--role", "director"]
    outer, inner = pty.openpty()
    os.write(outer, b"reviewed\nAnna Ek\nSeen.\nyes\n")
    ended = subprocess.run(
        words, cwd=home, env=process_environment(home), stdin=inner, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(outer)
    os.close(inner)
    assert ended.returncode == 0 and f"{ITEM}: reviewed by Anna Ek" in ended.stdout, ended
    piped = subprocess.run(
        words, cwd=home, env=process_environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert piped.returncode == 2 and "--by is missing" in piped.stderr
    assert len(attestations.read(filed).statements) == 1
