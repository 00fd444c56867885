"""Evidence is removed when its time is over, never before, never while it is held, and never half."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import make_home, run_opsnb
from hypothesis import given
from hypothesis import strategies as st

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import deployments, ledger, retention
from opsnb.evidence.deployments import Deployment

THEN = datetime(2020, 2, 29, 12, tzinfo=UTC)
WHO = {"by": "Anna Ek", "role": "records officer"}


def closed(root: Path, at: datetime = THEN, environment: str = "local") -> Deployment:
    opened = deployments.open_deployment(root, environment, "patient-history", at)
    (opened.folder / "schema").mkdir()
    (opened.folder / "paper.txt").write_text("evidence")
    return deployments.close_deployment(opened, at + timedelta(hours=1))


def fates(root: Path, now: datetime) -> list[str]:
    return [kept.why or "goes" for kept in retention.plan(root, "local", years=6, now=now)]


def test_when_its_time_is_over_and_not_a_day_before(tmp_path: Path) -> None:
    """Six years after the 29th of February is the 1st of March."""
    closed(tmp_path)
    due = datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert fates(tmp_path, due - timedelta(seconds=1)) == ["kept until 2026-03-01"]
    assert fates(tmp_path, due) == ["goes"]


@given(st.datetimes(min_value=datetime(1999, 1, 1), max_value=datetime(2090, 1, 1)), st.integers(1, 360))
def test_years_are_those_of_the_calendar(moment: datetime, months: int) -> None:
    found = retention._years_after(moment.replace(tzinfo=UTC), months / 12)
    passed = (found.year - moment.year) * 12 + found.month - moment.month
    assert (passed, found.day) == (months, moment.day) or (passed == months + 1 and found.day == 1 and moment.day > 28)


def test_what_is_open_stays(tmp_path: Path) -> None:
    deployments.open_deployment(tmp_path, "local", "patient-history", THEN)
    assert fates(tmp_path, datetime(2060, 1, 1, tzinfo=UTC)) == ["still open: nobody has signed it"]


def test_the_record_of_a_removal_outlives_it(tmp_path: Path) -> None:
    old, young = closed(tmp_path), closed(tmp_path, datetime(2025, 1, 1, tzinfo=UTC))
    now = datetime(2026, 11, 1, tzinfo=UTC)
    gone = retention.remove(tmp_path, "local", years=6, now=now, **WHO)
    assert list(gone) == [old.id] and gone[old.id] > 0
    assert not old.folder.exists() and young.folder.is_dir() and not (tmp_path / "local" / retention.ASIDE).exists()
    begun, entry = ledger.read(tmp_path / "local")
    assert (
        (begun.kind, entry.kind) == ("removal begun", "removal")
        and entry.data["deployment"] == old.id
        and entry.data["by"] == "Anna Ek"
        and entry.data["files"] == 2
    )
    assert retention.remove(tmp_path, "local", years=6, now=now, **WHO) == {}
    assert len(ledger.read(tmp_path / "local")) == 2


def test_what_is_held_stays_until_it_is_released(tmp_path: Path) -> None:
    old = closed(tmp_path)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    retention.hold(tmp_path, "local", old.id, reason="case 12/26", now=now, **WHO)
    assert "held by Anna Ek" in fates(tmp_path, now)[0] and "case 12/26" in fates(tmp_path, now)[0]
    assert retention.remove(tmp_path, "local", years=6, now=now, **WHO) == {} and old.folder.is_dir()
    retention.release(tmp_path, "local", old.id, reason="closed", now=now, **WHO)
    assert fates(tmp_path, now) == ["goes"]
    with pytest.raises(ActionRefused, match="not held"):
        retention.release(tmp_path, "local", old.id, reason="again", now=now, **WHO)


@pytest.mark.parametrize("missing", ["by", "role", "reason"])
def test_nobody_holds_without_name_and_reason(tmp_path: Path, missing: str) -> None:
    old = closed(tmp_path)
    with pytest.raises(UsageError, match=f"needs --{missing}"):
        retention.hold(tmp_path, "local", old.id, **{**WHO, "reason": "why", missing: " "}, now=THEN)
    with pytest.raises(UsageError, match="no deployment 'nowhere'"):
        retention.hold(tmp_path, "local", "nowhere", reason="why", now=THEN, **WHO)


class Killed(BaseException):
    """Stands for kill -9: nothing of the program runs after it."""


@pytest.mark.parametrize("at", ["rmtree", "_set_aside"])
def test_a_removal_broken_off_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Killed before or after the folder was set aside: the record says begun, once; the next removal does it and says done."""
    old = closed(tmp_path)

    def dies(*_: object) -> None:
        raise Killed

    now = datetime(2030, 1, 1, tzinfo=UTC)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(shutil if at == "rmtree" else retention, at, dies)
        retention.remove(tmp_path, "local", years=6, now=now, **WHO)
    assert [entry.kind for entry in ledger.read(tmp_path / "local")] == ["removal begun"]
    if at == "rmtree":
        assert not old.folder.exists() and (tmp_path / "local" / retention.ASIDE / old.id).is_dir()
        assert deployments.all_deployments(tmp_path, "local") == []
    assert list(retention.remove(tmp_path, "local", years=6, now=now, **WHO)) == [old.id]
    assert not old.folder.exists() and not (tmp_path / "local" / retention.ASIDE).exists()
    assert [entry.kind for entry in ledger.read(tmp_path / "local")] == ["removal begun", "removal"]


def test_held_while_others_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = closed(tmp_path), closed(tmp_path, THEN + timedelta(days=1))
    now = datetime(2030, 1, 1, tzinfo=UTC)
    does = retention._set_aside

    def and_holds(folder: Path, aside: Path) -> None:
        does(folder, aside)
        if folder == first.folder:
            retention.hold(tmp_path, "local", second.id, reason="case", now=now, **WHO)

    monkeypatch.setattr(retention, "_set_aside", and_holds)
    assert list(retention.remove(tmp_path, "local", years=6, now=now, **WHO)) == [first.id]
    assert second.folder.is_dir()


def test_a_deployment_that_is_a_link_stays_and_stops_nobody(tmp_path: Path) -> None:
    linked, other = closed(tmp_path / "reports"), closed(tmp_path / "reports", THEN + timedelta(days=1))
    linked.folder.rename(tmp_path / "elsewhere")
    linked.folder.symlink_to(tmp_path / "elsewhere")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert list(retention.remove(tmp_path / "reports", "local", years=6, now=now, **WHO)) == [other.id]
    assert (tmp_path / "elsewhere" / "paper.txt").is_file() and "a link" in fates(tmp_path / "reports", now)[0]


def test_a_folder_of_removals_that_is_a_link_is_refused(tmp_path: Path) -> None:
    old = closed(tmp_path / "reports")
    (tmp_path / "outside").mkdir()
    (tmp_path / "reports" / "local" / retention.ASIDE).symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="links are not followed"):
        retention.remove(tmp_path / "reports", "local", years=6, now=datetime(2030, 1, 1, tzinfo=UTC), **WHO)
    assert old.folder.is_dir() and not list((tmp_path / "outside").iterdir())


def test_links_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("stays")
    old = closed(tmp_path / "reports")
    (old.folder / "a link").symlink_to(outside)
    retention.remove(tmp_path / "reports", "local", years=6, now=datetime(2030, 1, 1, tzinfo=UTC), **WHO)
    assert not old.folder.exists() and (outside / "precious.txt").read_text() == "stays"


def test_a_record_that_was_changed_stops_everything(tmp_path: Path) -> None:
    old = closed(tmp_path)
    retention.hold(tmp_path, "local", old.id, reason="case", now=THEN, **WHO)
    path = ledger.path_of(tmp_path / "local")
    path.write_text(path.read_text().replace("case", "cave"))
    with pytest.raises(ledger.RecordDamaged):
        retention.remove(tmp_path, "local", years=6, now=datetime(2030, 1, 1, tzinfo=UTC), **WHO)
    assert old.folder.is_dir()


def test_the_commands(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    old = closed(home / "reports")
    young = closed(home / "reports", datetime.now(UTC) - timedelta(days=30))
    shown = run_opsnb("retention", "local", "--json", root=home)
    assert [(each["deployment"], each["goes"]) for each in json.loads(shown.out)] == [(old.id, True), (young.id, False)]
    plan = run_opsnb("retention", "local", root=home)
    assert plan.code == 0 and "1 of 2 would be removed" in plan.out and old.folder.is_dir()
    wrong = run_opsnb("retention", "local", "--apply", "--confirm", "production", root=home)
    assert wrong.code == 2 and "nothing was changed" in wrong.err and old.folder.is_dir()
    nameless = run_opsnb("retention", "local", "--apply", "--confirm", "local", root=home)
    assert nameless.code == 2 and "--by" in nameless.err and old.folder.is_dir()
    done = run_opsnb(
        "retention", "local", "--apply", "--confirm", "local", "--by", "Anna Ek", "--role", "records officer", root=home
    )  # fmt: skip
    assert done.code == 0 and "1 deployments removed" in done.out and not old.folder.exists() and young.folder.is_dir()
    told = run_opsnb("history", "local", "--json", root=home)
    assert json.loads(told.out)["compared_with"] is None
