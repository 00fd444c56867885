"""`opsnb monitor` and `opsnb watch` against the embedded target: slots are done by the real phase, filed, shown and judged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import Ended, make_home, process_environment

from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import read_runs

pytestmark = pytest.mark.target
Opsnb = Callable[..., Ended]


@pytest.fixture
def sharing(target: Path, tmp_path: Path) -> Path:
    """A home with an archive of its own that shares the session's target."""
    root = make_home(tmp_path / "a watched home")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    return root


def deployed(root: Path, minutes_ago: float) -> Deployment:
    begun = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return deployments.open_deployment(root / "reports", "local", "patient-history", begun)


def entries(deployment: Deployment) -> list[dict[str, object]]:
    return [json.loads(line) for line in (deployment.folder / "monitor" / "slots.jsonl").read_text().splitlines()]


def test_the_run_that_is_due_is_done_once(sharing: Path, opsnb: Opsnb) -> None:
    deployment = deployed(sharing, 31)
    asked = opsnb("monitor", "local", "--due", root=sharing)
    assert asked.code == 0 and "slot 1 of 19 is due since" in asked.out
    first = opsnb("monitor", "local", root=sharing)
    assert first.code in (0, 3), first
    assert "slot 1 of 19" in first.out and "1 of 19" in first.out and "Traceback" not in first.out + first.err
    begun, ended = entries(deployment)
    assert (begun["event"], ended["event"], ended["slot"]) == ("begun", "ended", 1)
    (run,) = [run for run in read_runs(deployment) if run.phase == "monitor"]
    assert ended["run"] == run.name and ended["gate"] == str(run.gate)
    again = opsnb("monitor", "local", root=sharing)
    assert again.code == 0 and "1 of 19" in again.out and "next: slot 2" in again.out
    assert len(entries(deployment)) == 2
    assert opsnb("monitor", "local", "--due", root=sharing).code == 3
    assert opsnb("monitor", "local", "--quiet", root=sharing).out == ""
    page = Path(first.last_line).read_text(encoding="utf-8")
    assert "Monitoring: 1 of 19" in page and f'href="{run.name}/report.html"' in page


@pytest.mark.campaign
def test_a_run_made_by_hand_counts_and_those_nobody_made_are_missed(sharing: Path, opsnb: Opsnb) -> None:
    deployment = deployed(sharing, 95)
    made = opsnb("run", "local", "--phase", "monitor", root=sharing)
    assert made.code in (0, 3), made
    ended = opsnb("monitor", "local", root=sharing)
    assert ended.code == 0, ended
    assert "slot 3 of 19: a run was in the archive, and counts" in ended.out
    assert "slots 1 and 2 of 19 missed" in ended.out
    assert sum(run.phase == "monitor" for run in read_runs(deployment)) == 1


def rules(root: Path, check: str) -> None:
    path = root / "parameters" / "releases" / "patient-history.yaml"
    said = f"alerts:\n  rules:\n    - {{ name: any response at all, check: {check}, limit: 0.000001 }}\n"
    path.write_text(path.read_text(encoding="utf-8") + said, encoding="utf-8")


@pytest.mark.campaign
def test_an_alert_reaches_the_addresses(sharing: Path, opsnb: Opsnb) -> None:
    """A rule of the release over what the real phase measured; told once, to the address the target keeps."""
    rules(sharing, "errors.alert_response")
    deployed(sharing, 31)
    kept = sharing / ".opsnb" / "local" / "notices.jsonl"
    before = kept.read_text().splitlines() if kept.exists() else []
    ended = opsnb("monitor", "local", "--notify", root=sharing)
    assert "ALERT: any response at all · local (told 1 of 1 addresses)" in ended.out, ended
    assert opsnb("monitor", "local", "--notify", "--quiet", root=sharing).out == ""
    (told,) = kept.read_text().splitlines()[len(before) :]
    assert "any response at all" in told and "Call: " in told


def test_an_alert_on_no_check_is_refused(sharing: Path, opsnb: Opsnb) -> None:
    rules(sharing, "errors.alert_respones")
    ended = opsnb("monitor", "local", root=sharing)
    assert ended.code == 2
    assert "any response at all: check = errors.alert_respones: expected a check's id; did you mean errors.alert_response?" in " ".join(
        ended.err.split()
    )


@pytest.mark.campaign
def test_a_scheduler_never_begins_a_deployment(sharing: Path, opsnb: Opsnb) -> None:
    ended = opsnb("monitor", "local", root=sharing)
    assert ended.code == 0 and "No deployment into local is open" in ended.out
    assert not list((sharing / "reports" / "local").glob("*/deployment.json"))
    assert opsnb("monitor", "local", "--due", root=sharing).code == 3
    assert opsnb("monitor", "local", "--deployment", "nonsense", root=sharing).code == 2
    assert opsnb("monitor", "nowhere", root=sharing).code == 2


def start(root: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("opsnb")), *words], cwd=root, env=process_environment(root), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until(said: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


@pytest.mark.campaign
def test_two_at_once_and_one_killed_leave_one_run(sharing: Path, opsnb: Opsnb) -> None:
    """The one that runs is killed with kill -9: its worker ends with it, and the next one does the slot."""
    deployment = deployed(sharing, 31)
    journal = deployment.folder / "monitor" / "slots.jsonl"
    first = start(sharing, "monitor", "local")
    wait_until(lambda: list((deployment.folder / "monitor").glob("*/journal.jsonl")))
    for pid in (first.pid, *map(int, _workers(deployment))):  # else they may have ended before the second one looks
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    second = opsnb("monitor", "local", root=sharing)
    assert second.code == 0 and f"process {first.pid} on" in second.out and "nothing was begun" in second.out
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    wait_until(lambda: not _workers(deployment))
    assert len(journal.read_text().splitlines()) == 1
    third = opsnb("monitor", "local", root=sharing)
    assert third.code in (0, 3), third
    assert [entry["event"] for entry in entries(deployment)] == ["begun", "stopped", "begun", "ended"]


def _workers(deployment: Deployment) -> list[str]:
    """Processes that work for *deployment*."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(deployment.folder).encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.campaign
def test_watch_does_a_whole_schedule_and_judges_it(sharing: Path) -> None:
    """Two short slots; the process ends by itself with the schedule's verdict."""
    path = sharing / "parameters" / "releases" / "patient-history.yaml"
    text = path.read_text(encoding="utf-8")
    periods = "monitoring:\n  - { name: all of it, from_hours: 0, to_hours: 0.01, every_minutes: 0.3 }\n"
    path.write_text(re.sub(r"monitoring:\n(  - .*\n)+", periods, text), encoding="utf-8")
    deployment = deployed(sharing, 0)
    watching = start(sharing, "watch", "local")
    out, err = watching.communicate(timeout=150)
    assert "2 of 2 runs of the schedule done" in out, (out, err)
    assert watching.returncode == 0, (out, err)
    assert [entry["slot"] for entry in entries(deployment) if entry["event"] == "ended"] == [1, 2]
    assert "Monitoring: 2 of 2" in (deployment.folder / "monitor" / "timeline.html").read_text(encoding="utf-8")


def test_ctrl_c_ends_a_watch_in_one_sentence(sharing: Path) -> None:
    deployed(sharing, 5)
    watching = start(sharing, "watch", "local")
    assert watching.stdout is not None
    assert "0 of 19" in watching.stdout.readline()
    time.sleep(1)
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "stopped: begun again, opsnb watch local goes on where it was" in err and "Traceback" not in err
