"""A sealed deployment: whatever is changed is named, nobody else's key counts, and standard tools alone prove the same."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import evidence_sample as sample
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from opsnb.config import Signer, read_signers
from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import attestations, keys, ledger, seal, state
from opsnb.evidence.deployments import Deployment, read_deployment
from opsnb.evidence.keys import PrivateKey
from opsnb.evidence.sealing import Signature, sign_off
from opsnb.evidence.verifying import Seal, verify
from opsnb.runbook import PHASES
from opsnb.verdicts import CheckResult, Verdict

NOW = sample.NOW + timedelta(hours=25)


def pem(key: Any, passphrase: bytes = b"") -> str:
    hidden = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden).decode()


def new_key(kind: str = "ed25519") -> PrivateKey:
    made = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return keys.private_key(pem(made))


ANNA, BO = new_key(), new_key("ecdsa")
TRUSTED = [Signer(name="Anna Ek", key=ANNA.public.pem), Signer(name="Bo Lind", key=BO.public.pem)]


def whole(tmp_path: Path, verdict: Verdict = Verdict.PASS) -> Deployment:
    """A deployment in which every phase ran."""
    result = CheckResult("x.y", "A title", (), verdict, "What was found.", "Do it.")
    for number, phase in enumerate(PHASES):
        made, _ = sample.make_run(tmp_path, phase=phase, judged=[result], with_notebook=False, later=timedelta(minutes=number))
    return made


def signature(key: PrivateKey = ANNA, by: str = "Anna Ek", **more: Any) -> Signature:
    return Signature(by, "release manager", key, **{"despite": "Items of the runbook were not part of this test.", **more})


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sealed by two persons, with a document and statements; not to be changed: copy it."""
    deployment = whole(tmp_path_factory.mktemp("sealed"))
    paper = tmp_path_factory.mktemp("paper") / "form.pdf"
    paper.write_bytes(b"%PDF-1.7 a form")
    attestations.attest(deployment, "PRE-1.1", by="Anna Ek", role="director", statement="Seen.", document=paper, now=sample.NOW)
    sign_off(deployment, signature(), now=NOW)
    sign_off(deployment, signature(BO, "Bo Lind", meaning="reviewed"), now=NOW + timedelta(hours=1))
    return deployment.folder


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    """A copy with another name: whoever verifies may call the folder as they like."""
    return Path(shutil.copytree(sealed, tmp_path / "a copy"))


def test_what_was_signed_is_genuine(copy: Path) -> None:
    found = verify(copy, trusted=TRUSTED)
    assert (found.seal, found.findings) == (Seal.GENUINE, ())
    assert [(each.by, each.meaning, each.at) for each in found.signers] == [
        ("Anna Ek", "approved", "2026-01-18T23:04:05Z"), ("Bo Lind", "reviewed", "2026-01-19T00:04:05Z"),
    ]  # fmt: skip
    assert found.files == len([path for path in copy.rglob("*") if path.is_file()]) - 1
    assert verify(copy).seal is Seal.INTACT
    assert verify(copy, keys=[ANNA.public.fingerprint, BO.public.fingerprint]).seal is Seal.GENUINE
    assert verify(copy / "signoff.html", trusted=TRUSTED).seal is Seal.GENUINE
    assert read_deployment(copy).closed_at == NOW


def test_the_page_shows_who_signed(sealed: Path) -> None:
    text = (sealed / "signoff.html").read_text()
    for words in ("Anna Ek", "Bo Lind", "2026-01-18T23:04:05Z", ANNA.public.fingerprint, "Despite what is open", "PRE-1.1", "form"):
        assert words in text
    assert "<script src" not in text
    assert len(text.encode()) < 3_000_000


def mutations(folder: Path, dice: random.Random) -> tuple[str, Callable[[], None]]:
    """One random change of a sealed folder: the file it concerns, and how to do it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = dice.choice(files)
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    kinds = ["change", "truncate", "remove", "add", "swap", "insert"]
    kind = dice.choice(kinds if content else ["add", "remove", "insert"])
    at = dice.randrange(len(content)) if content else 0
    if kind == "change":
        byte = bytes([(content[at] + dice.randrange(1, 256)) % 256])
        return name, lambda: path.write_bytes(content[:at] + byte + content[at + 1 :]) and None
    if kind == "truncate":
        return name, lambda: path.write_bytes(content[:at]) and None
    if kind == "insert":
        return name, lambda: path.write_bytes(content[:at] + bytes([dice.randrange(256)]) + content[at:]) and None
    if kind == "remove" and name != seal.FILE_NAME:
        return name, path.unlink
    if kind == "swap":
        other = dice.choice([each for each in files if each.read_bytes() != content])
        return name, lambda: path.write_bytes(other.read_bytes()) and None
    new = path.with_name(f"{path.name}.{dice.randrange(1000)}")
    return new.relative_to(folder).as_posix(), lambda: new.write_bytes(b"x") and None


def changed(copy: Path, sealed: Path, number: int) -> None:
    dice = random.Random(20260117)
    for _ in range(number):
        name, change = mutations(copy, dice)
        change()
        found = verify(copy, trusted=TRUSTED)
        assert found.seal is Seal.BROKEN, name
        assert any(name in finding.sentence for finding in found.findings), (name, found.findings)
        shutil.rmtree(copy)
        shutil.copytree(sealed, copy)
    assert verify(copy, trusted=TRUSTED).seal is Seal.GENUINE


def test_every_change_is_named(copy: Path, sealed: Path) -> None:
    """50 random bytes changed, truncations, swaps, additions, removals: 50 named. A thousand are the campaign's."""
    changed(copy, sealed, 50)


@pytest.mark.campaign
def test_a_thousand_changes_are_named(copy: Path, sealed: Path) -> None:
    changed(copy, sealed, 1000)


def lines(folder: Path) -> list[str]:
    return (folder / seal.FILE_NAME).read_text().splitlines()


def test_reordered_removed_doubled_and_replayed_signatures(copy: Path, tmp_path: Path) -> None:
    good = lines(copy)
    assert len(good) == 4
    other = whole(tmp_path / "other")
    sign_off(other, signature(), now=NOW)
    foreign = lines(other.folder)
    first, second = good[:2], good[2:]
    orders = [second, first, good[::-1], [*good, *second], good[:3], [*second, *first], foreign, [*first, *foreign], [*foreign, *second]]
    for spoilt in [*orders, [good[0], foreign[1], *second]]:
        (copy / seal.FILE_NAME).write_text("\n".join(spoilt) + "\n")
        assert verify(copy, trusted=TRUSTED).seal is Seal.BROKEN
    (copy / seal.FILE_NAME).write_text("\n".join(good) + "\n")
    assert verify(copy, trusted=TRUSTED).seal is Seal.GENUINE


def test_a_seal_made_anew_by_somebody_else_is_not_genuine(copy: Path) -> None:
    """Whoever may write the folder may write a seal; not with the key of a person that is trusted."""
    thief = new_key()
    (copy / "results.json").write_text("{}")
    said = json.loads(base64.b64decode(json.loads(lines(copy)[2])["payload"]))["predicate"]
    made = seal.envelopes(seal.digests(copy), said, {"passed": [], "warned": [], "failed": []}, "PASSED", thief, "")
    (copy / seal.FILE_NAME).write_text("\n".join(made) + "\n")
    assert verify(copy).seal is Seal.INTACT  # said plainly: whose key it is was not established
    found = verify(copy, trusted=TRUSTED)
    assert found.seal is Seal.BROKEN and "none of the 2 trusted" in found.sentence
    assert verify(copy, keys=[ANNA.public.fingerprint]).seal is Seal.BROKEN


def test_revoked_and_wrong_keys(copy: Path, tmp_path: Path) -> None:
    revoked = [Signer(name="Anna Ek", key=ANNA.public.pem, revoked=date(2026, 2, 1)), TRUSTED[1]]
    assert "was revoked on 2026-02-01" in verify(copy, trusted=revoked).sentence
    swapped = [Signer(name="Bo Lind", key=ANNA.public.pem), Signer(name="Anna Ek", key=BO.public.pem)]
    assert "is Bo Lind's, not Anna Ek's" in verify(copy, trusted=swapped).sentence
    deployment = whole(tmp_path / "new")
    for trusted, says in ((revoked, "was revoked"), (swapped, "is Bo Lind's"), (TRUSTED[1:], "none of the 1")):
        with pytest.raises(ActionRefused, match=says):
            sign_off(deployment, signature(), trusted=trusted, now=NOW)
    assert read_deployment(deployment.folder).is_open and not (deployment.folder / seal.FILE_NAME).exists()
    sign_off(deployment, signature(), trusted=TRUSTED, now=NOW)


def test_nobody_signs_twice_and_nothing_is_signed_that_changed(tmp_path: Path) -> None:
    deployment = whole(tmp_path)
    sign_off(deployment, signature(), now=NOW)
    for again in (signature(), signature(BO), signature(by="Bo Lind")):
        with pytest.raises(ActionRefused, match="nobody signs twice"):
            sign_off(deployment, again, now=NOW)
    (deployment.folder / "notes.txt").write_text("added")
    with pytest.raises(ActionRefused, match=r"notes\.txt is not as it was signed"):
        sign_off(deployment, signature(BO, "Bo Lind"), now=NOW)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR])
def test_what_failed_is_signed_only_as_rejected(tmp_path: Path, verdict: Verdict) -> None:
    deployment = whole(tmp_path, verdict)
    with pytest.raises(ActionRefused, match="mend it"):
        sign_off(deployment, signature(), now=NOW)
    with pytest.raises(UsageError, match="--statement"):
        sign_off(deployment, signature(meaning="rejected", despite=""), now=NOW)
    sign_off(deployment, signature(meaning="rejected", statement="Rolled back.", despite=""), now=NOW)
    result = json.loads(base64.b64decode(json.loads(lines(deployment.folder)[1])["payload"]))["predicate"]
    assert (result["result"], result["failedTests"][0]) == ("FAILED", "x.y")


def test_what_is_held_needs_a_reason(tmp_path: Path) -> None:
    deployment = whole(tmp_path)  # nobody attested anything, so items of the runbook are open
    undecided = CheckResult("a.b", "A title", (), Verdict.INCONCLUSIVE, "Too few calls.", "Wait.")
    sample.make_run(tmp_path, phase="verify", judged=[undecided], with_notebook=False, later=timedelta(hours=2))
    with pytest.raises(ActionRefused, match=r"is held: .*--despite"):
        sign_off(deployment, signature(despite=""), now=NOW)
    assert state.state_of(deployment).said.statements == ()
    sign_off(deployment, signature(despite="Known."), now=NOW)
    assert "Despite what is open: Known." in (deployment.folder / "signoff.html").read_text()


def test_a_signature_broken_off_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the record and the bundle: the record says so, another person must wait, the same one completes it."""
    deployment = whole(tmp_path)
    for step in ("signoff.render_signoff", "index.render_index", "_write"):
        with monkeypatch.context() as broken:
            broken.setattr(f"opsnb.evidence.sealing.{step}", lambda *_args, **_named: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                sign_off(deployment, signature(), now=NOW)
        assert not (deployment.folder / seal.FILE_NAME).exists()
        with pytest.raises(ActionRefused, match="broken off"):
            sign_off(deployment, signature(BO, "Bo Lind"), now=NOW)
    sign_off(deployment, signature(), now=NOW)
    assert [entry.kind for entry in ledger.read(deployment.folder)].count("sign") == 1
    assert verify(deployment.folder, trusted=TRUSTED).seal is Seal.GENUINE


def test_keys_are_refused_in_words_that_show_nothing_of_them(tmp_path: Path) -> None:
    locked = pem(ed25519.Ed25519PrivateKey.generate(), b"let me in")
    cases = [
        (pem(rsa.generate_private_key(65537, 2048)), "", "another kind"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "", "curves"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "", "expected a private key"),
        ("hunter2", "", "expected a private"),
        (locked, "", "is encrypted"),
        (locked, "wrong", "passphrase is wrong"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "x", "not encrypted"),
    ]  # fmt: skip
    for text, passphrase, says in cases:
        with pytest.raises(UsageError, match=says) as refused:
            keys.private_key(text, passphrase=passphrase)
        assert text.splitlines()[-2:][0] not in str(refused.value)
    assert keys.private_key(locked, passphrase="let me in").public.fingerprint
    assert "PRIVATE" not in repr(ANNA)
    public = keys.generate(tmp_path / "k")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert keys.private_key((tmp_path / "k").read_text()).public == public
    with pytest.raises(UsageError, match="never overwritten"):
        keys.generate(tmp_path / "k")


def test_a_file_of_signers(tmp_path: Path) -> None:
    (tmp_path / "anna.pub").write_text(ANNA.public.pem)
    path = tmp_path / "signers.yaml"
    path.write_text("signers:\n  - {name: Anna Ek, key: 'file:anna.pub'}\n  - {name: Bo, key: 'file:anna.pub', revoked: 2026-02-01}\n")
    assert [(each.name, each.revoked) for each in read_signers(path)] == [("Anna Ek", None), ("Bo", date(2026, 2, 1))]
    for text, says in (("signers: []\n", "signers"), ("signers:\n  - {name: A, key: 'file:none'}\n", "cannot be read"), ("x: 1\n", "x")):
        path.write_text(text)
        with pytest.raises(UsageError, match=says):
            read_signers(path)


@pytest.mark.parametrize("key", [ANNA, BO])
def test_openssl_and_coreutils_alone_prove_the_same(tmp_path: Path, key: PrivateKey) -> None:
    """The recipe of docs/evidence.md, word for word; for an ECDSA key with the line it names."""
    text = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    recipe = text.split("<!-- recipe -->")[1].split("```sh\n")[1].split("```")[0]
    if key is BO:
        instead = next(line for line in recipe.splitlines() if line.startswith("# an ECDSA key: "))
        recipe = "\n".join(instead.removeprefix("# an ECDSA key: ") if "pkeyutl" in line else line for line in recipe.splitlines())
    folder = whole(tmp_path).folder
    sign_off(read_deployment(folder), signature(key), now=NOW)
    (folder.parent / "anna.pub").write_text(key.public.pem)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], cwd=folder, capture_output=True, text=True, check=False)

    good = run()
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Verified" in good.stdout and "nothing was added and nothing is missing" in good.stdout
    path = next(path for path in sorted(folder.rglob("journal.jsonl")))
    kept = path.read_bytes()
    path.write_bytes(kept + b" ")
    bad = run()
    assert bad.returncode != 0 and "journal.jsonl: FAILED" in bad.stdout
    path.write_bytes(kept)
    (folder / "more.txt").write_text("")
    assert run().returncode != 0
    (folder / "more.txt").unlink()
    bundle = folder / seal.FILE_NAME
    bundle.write_text(bundle.read_text().replace('"sig":"M', '"sig":"N').replace('"sig":"', '"sig":"AAAA', 1))
    assert run().returncode != 0


def test_nothing_to_verify_is_said(tmp_path: Path) -> None:
    for place, says in ((tmp_path / "none", "no such file"), (tmp_path, "is not sealed")):
        with pytest.raises(UsageError, match=says):
            verify(place)
