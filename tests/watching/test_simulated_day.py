"""The 24 hours after a deployment, lived through behind the machine's clock: each run really executed, none twice, whatever is killed."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import simulated_kills
from harness import make_home, run_opsnb

from opsnb.config import clock
from opsnb.config.root import set_clock_behind
from opsnb.config.schedule import slots
from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import deployments, sealing
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.keys import generate, private_key
from opsnb.questions.periods import PeriodQuestions

SHORT = """monitoring:
  - { name: hours 0 to 4, from_hours: 0, to_hours: 4, every_minutes: 80, items: [H0-1, H0-2, H0-3, H0-4] }
  - { name: hours 4 to 12, from_hours: 4, to_hours: 12, every_minutes: 240, items: [H4-1, H4-2, H4-3, H4-4] }
  - { name: hours 12 to 24, from_hours: 12, to_hours: 24, every_minutes: 720, items: [H12-1, H12-2, H12-3, H12-4] }
"""


def home_with_target(target: Path, folder: Path, *, short: bool = True) -> Path:
    """A home with an archive of its own that shares the session's target; with six runs a day instead of nineteen."""
    root = make_home(folder)
    (root / ".opsnb").symlink_to(target / ".opsnb")
    path = root / "parameters" / "releases" / "patient-history.yaml"
    text = path.read_text(encoding="utf-8")
    if short:
        lines = text.splitlines(keepends=True)
        at = lines.index("monitoring:\n")
        path.write_text("".join(lines[:at]) + SHORT + "".join(lines[at + 4 :]), encoding="utf-8")
    return root


@pytest.mark.target
def test_a_day_of_six_runs(target: Path, tmp_path: Path) -> None:
    """Each with the limits of its period, over the period so far; the page has its figures, and says that it is simulated."""
    root = home_with_target(target, tmp_path / "a day")
    ended = run_opsnb("run", "local", "--day", root=root, timeout_s=280)
    assert "6 of 6" in ended.out and ended.code == 0, ended
    (folder,) = (root / "reports" / "local").glob("2*")
    found = deployments.read_deployment(folder)
    assert found.simulated and deployments.newest_open(root / "reports", "local") is None
    assert 'href="monitor/timeline.html"' in (folder / "index.html").read_text(encoding="utf-8")
    page = (folder / "monitor" / "timeline.html").read_text(encoding="utf-8")
    assert "6 of 6" in page and "A simulated day." in page and page.count("<svg") >= 4 and "The rules had nothing to tell." in page
    runs = sorted(folder.glob("monitor/*/results.json"))
    assert len(runs) == 6
    for number, path in enumerate(runs):
        told = json.loads(path.read_text(encoding="utf-8"))
        due = slots(found.opened_at, load(root))[number].due
        assert timedelta(0) < datetime.fromisoformat(told["started_at"]) - due < timedelta(minutes=1)
        assert told["extras"]["simulated_clock"].startswith(f"{due:%Y-%m-%d %H:%M}")
        said = {result["id"]: result["summary"] for result in told["results"]}
        assert "Over the hours 0 to 4" in said["errors.rate_of_period"], "the first period is judged as a whole, also afterwards"
        assert ("which begin at" in said["errors.success_of_period:hours 12 to 24"]) == (number < 4)
    generate(tmp_path / "key")
    key = private_key((tmp_path / "key").read_text())
    with pytest.raises(ActionRefused, match="is a simulated day"):
        sealing.sign_off(found, sealing.Signature("Anna Ek", "director", key))


def load(root: Path) -> object:
    from opsnb.config import load_release

    return load_release("patient-history", root).monitoring


@pytest.mark.target
def test_killed_and_fired_twice(target: Path, tmp_path: Path) -> None:
    root = home_with_target(target, tmp_path / "a day")
    told = simulated_kills.campaign(root, kills=3, seed=7)
    assert told.wrong == [] and told.done == 6 and told.killed == 3


@pytest.mark.target
@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_nineteen_killed_twenty_times(target: Path, tmp_path: Path) -> None:
    root = home_with_target(target, tmp_path / "a day", short=False)
    told = simulated_kills.campaign(root, kills=20, seed=20261124)
    assert told.wrong == [] and told.done == 19 and told.killed == 20


def test_a_clock_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("soon", "-1", "inf", "nan", str(8 * 86_400)):
        monkeypatch.setenv("OPSNB_CLOCK_BEHIND_S", said)
        with pytest.raises(UsageError, match="expected seconds, from 0 to a week"):
            clock.now()
    monkeypatch.setenv("OPSNB_CLOCK_BEHIND_S", "")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1) and not clock.is_simulated()
    set_clock_behind(3600)
    assert timedelta(minutes=59) < datetime.now(UTC) - clock.now() < timedelta(minutes=61) and clock.is_simulated()


def test_no_other_environment_is_set_back(tmp_path: Path) -> None:
    """Neither by the command nor by the variable."""
    root = make_home(tmp_path / "a home")
    (root / "parameters" / "environments" / "mine.yaml").write_text("release: patient-history\npostgres: { dsn: env:NOWHERE }\n")
    ended = run_opsnb("run", "mine", "--day", root=root, NOWHERE="postgresql://nobody@127.0.0.1:1/x")
    assert ended.code == 2 and "--day is for the embedded target" in ended.err
    ended = run_opsnb("run", "mine", "--phase", "schema", root=root, NOWHERE="postgresql://nobody@127.0.0.1:1/x", OPSNB_CLOCK_BEHIND_S="60")
    assert (
        ended.code != 0 and not list(root.glob("reports/mine/*/schema/*/results.json"))
    ) or "OPSNB_CLOCK_BEHIND_S" in ended.out + ended.err


class Desk(PeriodQuestions):
    """A deployment of the guide's schedule, seen *hours* after it began."""

    def __init__(self, hours: float) -> None:
        from opsnb.config import find_root, load_release

        self.release = load_release("patient-history", find_root())
        self.deployment = Deployment("d", "local", "patient-history", BEGAN, None, Path())
        self.started_at = BEGAN + timedelta(hours=hours)


BEGAN = datetime(2026, 1, 17, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "item", "name", "since", "until"),
    [
        (0.1, "H0-1", "the last 30 minutes", -0.4, 0.1),
        (0.6, "H0-1", "the hours 0 to 4", 0, 0.6),
        (4.1, "H0-1", "the hours 0 to 4", 0, 4),
        (20.0, "H0-1", "the hours 0 to 4", 0, 4),
        (0.6, "H4-1", "the last 30 minutes", 0.1, 0.6),
        (4.5, "H4-1", "the hours 4 to 12", 4, 4.5),
        (30.0, "H4-1", "the hours 4 to 12", 4, 12),
        (30.0, "H12-1", "the hours 12 to 24", 12, 24),
    ],
)
def test_what_a_run_judges(hours: float, item: str, name: str, since: float, until: float) -> None:
    """The period that answers an item, as far as it has come."""
    span = Desk(hours).period_of(item, minutes=30)
    assert (span.name, span.since, span.until) == (name, BEGAN + timedelta(hours=since), BEGAN + timedelta(hours=until))


def test_a_period_that_lies_ahead() -> None:
    span = Desk(3).period_of("H12-1")
    assert span.since == span.until and span.name == "the hours 12 to 24, which begin at 2026-01-17 22:00 UTC"


@pytest.mark.parametrize(("hours", "since"), [(0.2, -0.3), (0.5, 0), (0.9, 0), (1.0, 0.5), (5.2, 4), (24.0, 20), (40.0, 39.5)])
def test_the_interval_of_a_run(hours: float, since: float) -> None:
    span = Desk(hours).interval()
    assert (span.since, span.until) == (BEGAN + timedelta(hours=since), BEGAN + timedelta(hours=hours))


def test_every_slot_once() -> None:
    assert Counter(Desk(slot).interval().name for slot in (0.5, 0.7, 1.0))["the interval of slot 1 of 19"] == 2
