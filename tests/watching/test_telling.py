"""People are told by real messages over HTTP: each notification once, kept where nobody could be reached, never a secret in a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness import Ended, make_home

from opsnb.checks import errors as error_checks  # noqa: F401  (registers the check whose result is read)
from opsnb.config import load_environment, load_release
from opsnb.config.schedule import Slot, slots
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.results import write_results
from opsnb.verdicts import CheckResult, Gate, PhaseReport, Verdict
from opsnb.watching import telling
from opsnb.watching.desk import Desk, Done
from opsnb.watching.service import Watch, find_run

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


class Post:
    """Takes messages and pings; says no while `closed`."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.closed = False
        post = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                if not post.closed:
                    post.got.append((self.path, body))
                self.send_response(503 if post.closed else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.where = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def titles(self) -> list[str]:
        return [str(json.loads(body)["title"]) for path, body in self.got if path == "/notices"]

    def pings(self) -> list[str]:
        return [path for path, _ in self.got if path.startswith("/ping")]


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Day:
    """A deployment whose monitoring runs measure what a test says."""

    def __init__(self, root: Path, post: Post) -> None:
        self.root, self.now = make_home(root / "a home"), START
        environment = self.root / "parameters" / "environments" / "local.yaml"
        environment.write_text(environment.read_text(encoding="utf-8") + "\nheartbeat: file:heartbeat_url\n", encoding="utf-8")
        (self.root / "heartbeat_url").write_text(f"http://{post.where}/ping/secret-uuid\n")
        notify = self.root / ".opsnb" / "local" / "run" / "notify_url"
        notify.parent.mkdir(parents=True)
        notify.write_text(f"json://{post.where}/notices\n")
        deployment = deployments.open_deployment(self.root / "reports", "local", "patient-history", START)
        release = load_release("patient-history", self.root)
        desk = Desk(deployment.folder / "monitor", slots(START, release.monitoring), self._run, clock=lambda: self.now)
        self.watch = Watch(load_environment("local", self.root), release, deployment, desk)
        self.rate: float | None = 0.0

    def _run(self, slot: Slot) -> Done:
        folder = self.watch.desk.folder / f"run-{slot.number}"
        verdict = Verdict.ERROR if self.rate is None else Verdict.FAIL if self.rate > 0.05 else Verdict.PASS
        result = CheckResult("errors.alert_rate", "Alert", ("MON-1",), verdict, "As measured.", "Look.", measured=self.rate, limit=0.05)
        report = PhaseReport("monitor", (result,))
        folder.mkdir(parents=True)
        write_results(
            folder, phase="monitor", environment="local", release="patient-history", deployment=self.watch.deployment.id, report=report,
            started_at=self.now, ended_at=self.now + timedelta(seconds=5), guide_minutes=None,
        )  # fmt: skip
        return Done(report.gate, folder.name)

    def go(self, hours: float, rate: float | None) -> list[str]:
        """One look at *hours*, where the run measures *rate*; what was told."""
        self.now, self.rate = START + timedelta(hours=hours), rate
        assert self.watch.desk.tick().ran is not None
        return telling.tell(self.watch, root=self.root, now=self.now)


@pytest.fixture
def day(tmp_path: Path, post: Post) -> Day:
    return Day(tmp_path, post)


def test_an_incident_is_told_once_and_its_end_once(day: Day, post: Post) -> None:
    for hours, rate in ((0.5, 0.0), (1, 0.2), (1.5, 0.3), (2, None), (2.5, 0.2), (3, 0.01), (3.5, 0.0)):
        day.go(hours, rate)
    assert post.titles() == ["ALERT: error rate · local", "OVER: error rate · local"]
    message = json.loads(post.got[0][1])["message"]
    assert "error rate at 2026-11-23 09:00 UTC: measured 0.2, limit 0.05." in message
    assert "Call: Duty Officer: Duty officer, duty-officer@example.org" in message


def test_told_again_by_nobody(day: Day, post: Post) -> None:
    """Looked at ten times more, or by a process that knows nothing but the files, nothing more is told."""
    day.go(0.5, 0.2)
    for _ in range(10):
        assert telling.tell(day.watch, root=day.root, now=day.now) == []
    assert len(post.titles()) == 1


def test_what_nobody_took_is_sent_later(day: Day, post: Post) -> None:
    post.closed = True
    assert day.go(0.5, 0.2) == ["ALERT: error rate · local (told 0 of 1 addresses)"]
    post.closed = False
    assert telling.tell(day.watch, root=day.root, now=day.now) == ["ALERT: error rate · local (told 1 of 1 addresses)"]
    assert len(post.titles()) == 1


def test_a_missed_slot_ends_nothing(day: Day, post: Post) -> None:
    day.go(0.5, 0.2)
    day.go(2, 0.2)  # slots 2 and 3 are missed
    assert post.titles() == ["ALERT: error rate · local"]
    day.go(2.5, 0.0)
    assert post.titles()[1:] == ["OVER: error rate · local"]


def test_the_dead_mans_switch(day: Day, post: Post) -> None:
    assert telling.beat(day.watch.environment, well=True, root=day.root) == ""
    assert telling.beat(day.watch.environment, well=False, root=day.root) == ""
    assert post.pings() == ["/ping/secret-uuid", "/ping/secret-uuid/fail"]
    post.closed = True
    trouble = telling.beat(day.watch.environment, well=True, root=day.root)
    assert "answered 503 to the ping" in trouble and "secret-uuid" not in trouble


def test_no_address_and_no_secret_stays_in_a_file(day: Day, post: Post) -> None:
    day.go(0.5, 0.2)
    kept = (day.watch.desk.folder / telling.FILE_NAME).read_text()
    assert "error rate" in kept
    for secret in (post.where, "secret-uuid", "duty-officer"):
        assert secret not in kept


def test_a_memory_that_is_none_is_refused(day: Day) -> None:
    path = day.watch.desk.folder / telling.FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"states": 3}')
    with pytest.raises(UsageError, match=r"alerts\.json: expected what opsnb monitor --notify keeps there"):
        telling.tell(day.watch, root=day.root, now=day.now)


def test_the_release_may_have_rules_of_its_own(tmp_path: Path, post: Post) -> None:
    day = Day(tmp_path, post)
    path = day.root / "parameters" / "releases" / "patient-history.yaml"
    rules = "alerts:\n  rules:\n    - { name: every error, check: errors.alert_rate, limit: 0.001, severity: warning }\n"
    path.write_text(path.read_text(encoding="utf-8") + rules, encoding="utf-8")
    object.__setattr__(day.watch, "release", load_release("patient-history", day.root))
    day.go(0.5, 0.01)
    assert post.titles() == ["ALERT: every error · local"]


def test_a_whole_run_is_found_again(day: Day) -> None:
    """What a killed process left is found by when it began; nothing before, nothing after, and nothing that has no page yet."""
    day.go(0.5, 0.0)
    began = START + timedelta(minutes=30)
    assert find_run(day.watch.deployment, began, began + timedelta(minutes=30)) is None
    (day.watch.deployment.folder / "monitor" / "run-1" / "report.html").write_text("a page")
    found = find_run(day.watch.deployment, began, began + timedelta(minutes=30))
    assert found is not None and (found.run, found.gate, found.began) == ("run-1", Gate.PASSED, began)
    assert find_run(day.watch.deployment, began + timedelta(seconds=1), began + timedelta(minutes=30)) is None
    assert find_run(day.watch.deployment, START, began) is None


def test_clinicians_hear_of_the_window_not_of_alerts(day: Day, post: Post) -> None:
    """`notify` is for announcements; without `on_call` nobody is told, and it says so."""
    object.__setattr__(day.watch, "environment", day.watch.environment.model_copy(update={"on_call": ()}))
    assert day.watch.environment.notify
    assert day.go(0.5, 0.2) == ["ALERT: error rate · local (told 0 of 0 addresses)"]
    assert post.got == []


def test_the_sign_off_can_ask_for_the_slots(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the notebook does: schedule.kept over ops.slot_runs()."""
    import opsnb
    from opsnb import checks

    for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    day.go(0.5, 0.0)
    day.go(1, 0.0)
    ops = opsnb.open_phase("signoff", environment="local", root=day.root, now=START + timedelta(minutes=70))
    begun = {"schedule": ops.release.monitoring, "deployed_at": ops.deployment.opened_at, "now": ops.started_at}
    result = ops.judge(checks.schedule.kept, ops.slot_runs(), **begun)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.summary == "2 of 19 runs of the schedule done, slot 3 is next at 2026-11-23 09:30 UTC."


def test_rules_are_tried_over_the_archive(day: Day, post: Post, opsnb: Callable[..., Ended]) -> None:
    """`opsnb replay` says what a file's rules would have told; nothing is sent."""
    for hours, rate in ((0.5, 0.0), (1, 0.2), (1.5, 0.03), (2, None), (2.5, 0.0)):
        day.go(hours, rate)
    before = len(post.got)
    rules = day.root / "rules.yaml"
    rules.write_text("rules:\n  - { name: tighter, check: errors.alert_rate, limit: 0.02, severity: warning }\n")
    ended = opsnb("replay", "local", "--rules", str(rules), root=day.root)
    assert ended.code == 0, ended
    assert [line.split()[-4:] for line in ended.out.splitlines()[1:3]] == [
        ["tighter", "firing", "warning", "0.2"], ["tighter", "resolved", "warning", "0"],
    ]  # fmt: skip
    assert "2 notifications over 5 slots" in ended.out
    assert len(post.got) == before


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("rules: [{ name: r, check: errors.nothing, limit: 1.0 }]", "check = errors.nothing: expected a check's id"),
        ("rules: [{ name: r, check: errors.alert_rate }]", "either limit, or objective with burn"),
        ("rulez: []", "rulez"),
    ],
)
def test_rules_that_are_wrong(day: Day, opsnb: Callable[..., Ended], said: str, expected: str) -> None:
    (day.root / "rules.yaml").write_text(said + "\n")
    ended = opsnb("replay", "local", "--rules", str(day.root / "rules.yaml"), root=day.root)
    assert ended.code == 2
    assert expected in " ".join(ended.err.split()) and "rules.yaml" in ended.err
