"""The commands of the sign-off, from the command line: status, attest, accept, withdraw, keygen, signoff, verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import evidence_sample as sample
import pytest
from harness import Ended, make_home

from opsnb import cli
from opsnb.runbook import ITEMS, PHASES
from opsnb.verdicts import CheckResult, Verdict

Opsnb = Callable[..., Ended]
ASKED = tuple(item.id for item in ITEMS.values() if item.kind == "attest")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one deployment of which every phase ran; one check is not decided, every attestation is open."""
    root = make_home(tmp_path / "a home")
    monkeypatch.chdir(root)
    monkeypatch.setenv("OPSNB_REPORTS", str(root / "reports"))
    for number, phase in enumerate(PHASES):
        items = tuple(item.id for item in ITEMS.values() if item.phase == phase and item.kind != "attest")
        result = CheckResult(f"{phase}.whole", "A title", items, Verdict.PASS, "As it should be.", "Nothing.")
        asked = tuple(item for item in ASKED if ITEMS[item].phase == phase)
        few = CheckResult("errors.rate", "Few calls fail", (), Verdict.INCONCLUSIVE, "Too few calls.", "Wait.")
        judged, later = [result, few] if phase == "verify" else [result], timedelta(minutes=number)
        sample.make_run(root / "reports", phase=phase, judged=judged, attestations=asked, with_notebook=False, later=later)
    return root


@pytest.fixture
def opsnb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Opsnb:
    def call(*words: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["opsnb", *words])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        written = capsys.readouterr()
        code = ended.value.code
        return Ended(0 if code is None else int(code), written.out, written.err)

    return call


def test_from_open_items_to_a_verified_signature(home: Path, opsnb: Opsnb) -> None:
    assert opsnb("status", "local").code == 3
    said = json.loads(opsnb("status", "local", "--json").out)
    waiting = [item for item in said["items"] if item["open"]]
    assert {item["id"] for item in waiting if item["verdict"] == "open"} == set(ASKED)
    who = ["--by", "Anna Ek", "--role", "director"]
    file = home / "said.yaml"
    file.write_text("by: Anna Ek\nrole: director\nstatements:\n" + "".join(f"  - {{item: {item}, statement: Seen.}}\n" for item in ASKED))
    assert opsnb("attest", "local", "--file", str(file)).code == 0
    key = home / "keys" / "anna"
    assert opsnb("keygen", str(key)).code == 0
    refused = opsnb("signoff", "local", *who, "--key", str(key))
    assert refused.code == 1 and "is held" in refused.err and "--despite" in refused.err
    assert opsnb("accept", "local", "errors.rate", *who, "--reason", "A quiet night.", "--expires", "2099-01-01").code == 0
    assert opsnb("status", "local").code == 0
    signed = opsnb("signoff", "local", *who, "--key", f"file:{key}")
    assert signed.code == 0, signed.err
    folder = next((home / "reports" / "local").glob("2*"))
    assert opsnb("verify", str(folder)).code == 3
    assert opsnb("verify", str(folder), "--key", f"{key}.pub").code == 0
    signers = home / "parameters" / "signers.yaml"
    signers.write_text(f"signers:\n  - {{name: Anna Ek, key: 'file:{key}.pub'}}\n")
    good = opsnb("verify", str(folder), "--signers", str(signers), "--json")
    assert good.code == 0 and json.loads(good.out)["seal"] == "genuine"
    page = folder / "signoff.html"
    page.write_text(page.read_text().replace("A quiet night", "A loud night"))
    broken = opsnb("verify", str(folder), "--signers", str(signers))
    assert broken.code == 1 and "signoff.html was changed after it was signed" in broken.out
    assert opsnb("attest", "local", ASKED[0], *who, "--statement", "Late.").code == 1  # the deployment is closed
    assert "is closed" in opsnb("run", "local", "--deployment", folder.name).err
    assert not (home / ".opsnb").exists()  # and no target was started to learn it


def test_statements_are_withdrawn(home: Path, opsnb: Opsnb) -> None:
    del home
    who = ["--by", "Anna Ek", "--role", "director"]
    assert opsnb("attest", "local", ASKED[0], *who, "--statement", "Seen.").code == 0
    assert "approved" in opsnb("status", "local").out
    assert opsnb("withdraw", "local", "1", *who, "--reason", "The wrong one.").code == 0
    assert "withdrawn" in opsnb("status", "local").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["attest", "local"], "ITEM"),
        (["attest", "local", "XX-1", "--by", "A", "--role", "b", "--statement", "c"], "no item of the runbook"),
        (["attest", "local", ASKED[0], "--role", "b", "--statement", "c"], "--by is missing"),
        (["attest", "local", ASKED[0], "--by", "A", "--role", "b", "--statement", "c", "--meaning", "blessed"], "performed, reviewed"),
        (["attest", "local", ASKED[0], "--by", "A", "--role", "b", "--statement", "c", "--expires", "soon"], "expected a day"),
        (["attest", "locl", ASKED[0], "--by", "A", "--role", "b", "--statement", "c"], "Did you mean local"),
        (["attest", "local", "--file", "none.yaml"], "no such file"), (["status", "../x"], "No deployment"),
        (["accept", "local", "no.check", "--by", "A", "--role", "b", "--reason", "c", "--expires", "2099-01-01"], "no.check"),
        (["signoff", "local", "--by", "A", "--role", "b", "--key", "none"], "cannot be read"),
        (["signoff", "local", "--by", "A", "--role", "b", "--key", "env:NO_SUCH_KEY"], "NO_SUCH_KEY is not set"),
        (["verify", "reports"], "is not sealed"), (["verify", "none"], "no such file"),
    ],
)  # fmt: skip
def test_bad_input_is_usage_and_leaves_nothing(home: Path, opsnb: Opsnb, words: list[str], says: str) -> None:
    before = sorted(path for path in home.rglob("*") if path.is_file())
    ended = opsnb(*words)
    assert ended.code == 2, ended
    assert says in ended.err.replace("\n", " ")
    assert sorted(path for path in home.rglob("*") if path.is_file()) == before
