"""A target that is down, silent or talks nonsense: every phase ends as ERROR, in time, with sentences a person understands."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import servers
from harness import REPOSITORY, Ended, make_home, run_cells

from opsnb.evidence.results import read_run
from opsnb.runbook import PHASES, notebook_of
from opsnb.verdicts import Gate, PhaseReport, Verdict

pytestmark = [pytest.mark.target, pytest.mark.filterwarnings("ignore::ResourceWarning")]

PASSWORD = "the-snark-was-a-boojum"
ADDRESSES = {
    "dsn": f"postgresql://reader:{PASSWORD}@127.0.0.1:{{port}}/postgres",
    "write_dsn": f"postgresql://writer:{PASSWORD}@127.0.0.1:{{port}}/postgres",
    "platform_url": "http://127.0.0.1:{port}",
    "functions_url": "http://127.0.0.1:{port}/functions/v1",
    "metrics_url": "http://127.0.0.1:{port}/customer/v1/privileged/metrics",
    "jwks_url": "http://127.0.0.1:{port}/jwks",
}
DEADLINE_S = 20
SHORTER = {
    "  write_dsn: file:.opsnb/local/run/write_dsn": "  connect_timeout_s: 2\n  write_dsn: file:.opsnb/local/run/write_dsn",
    "  access_token: file": "  timeout_s: 0.5\n  access_token: file",
    "timeout_s: 15": "timeout_s: 2",
    "probe_seconds: 6": "probe_seconds: 1",
    "phase_deadline_s: 120": f"phase_deadline_s: {DEADLINE_S}",
}


@pytest.fixture(scope="module")
def gone(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose target was up and is not: what it once wrote is there, and nothing answers at it."""
    root = make_home(tmp_path_factory.mktemp("a gone target") / "a home")
    shutil.copytree(target / ".opsnb" / "local" / "run", root / ".opsnb" / "local" / "run")
    path = root / "parameters" / "environments" / "local.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in SHORTER.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return root


def point(root: Path, port: int) -> None:
    for name, address in ADDRESSES.items():
        (root / ".opsnb" / "local" / "run" / name).write_text(address.format(port=port))


@contextmanager
def nobody() -> Iterator[int]:
    """A port nobody listens at."""
    with servers.silent() as port:
        pass
    yield port


KINDS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "down": nobody,
    "silent": servers.silent,
    "html": lambda: servers.answering(b"<!doctype html><h1>Welcome</h1>", "text/html"),
    "an object": lambda: servers.answering(b'{"result": [{"id": {}}], "keys": 7}', "application/json"),
    "a list": lambda: servers.answering(b'[{"name": 7, "slug": null, "status": []}, null, "text"]', "application/json"),
    "500": lambda: servers.answering(b'{"message": "the moon"}', "application/json", "500 Internal Server Error"),
}


@pytest.fixture(scope="module", params=list(KINDS))
def broken(request: pytest.FixtureRequest, gone: Path) -> Iterator[Path]:
    with KINDS[request.param]() as port:
        point(gone, port)
        mark = gone / "it answers 500"
        if request.param == "500":
            mark.touch()
        yield gone
    mark.unlink(missing_ok=True)
    shutil.rmtree(gone / "reports", ignore_errors=True)


def test_every_phase_is_unmeasured_in_time_and_in_words(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPSNB_HOME", str(broken))
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", "0")
    for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS"):
        monkeypatch.delenv(name, raising=False)

    def concluded(phase: str) -> tuple[PhaseReport, float]:
        began = time.monotonic()
        ended = run_cells(REPOSITORY / "notebooks" / f"{notebook_of(phase)}.ipynb")
        assert ended.report is not None
        return ended.report, time.monotonic() - began

    # side by side: they wait for systems that do not answer
    with ThreadPoolExecutor(len(PHASES)) as side_by_side:
        reports = dict(zip(PHASES[:-1], side_by_side.map(concluded, PHASES[:-1]), strict=True))
    reports[PHASES[-1]] = concluded(PHASES[-1])
    if (broken / "it answers 500").exists():
        # a function that answers 500 was measured: it fails
        assert reports.pop("verify")[0].gate is reports.pop("signoff")[0].gate is Gate.FAILED
    for phase, (report, seconds) in reports.items():
        assert report.gate is Gate.UNMEASURED, (phase, report.worst_first()[0])
        assert seconds < DEADLINE_S, phase
        for result in report.results:
            if result.verdict is not Verdict.ERROR:
                continue
            assert "\n" not in result.summary and len(result.summary) < 500, result.summary
            assert (
                "Traceback" not in result.summary and PASSWORD not in result.summary and "could not be judged" not in result.summary.lower()
            )
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err


def test_opsnb_run_says_it_in_one_sentence(gone: Path, opsnb: Callable[..., Ended]) -> None:
    """Exit 4; the first thing seen, in the terminal and in the report, is a sentence."""
    began = time.monotonic()
    with servers.silent() as port:
        point(gone, port)
        ended = opsnb("run", "local", "--phase", "schema", root=gone, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 4, ended
    assert time.monotonic() - began < DEADLINE_S + 15
    assert "Traceback" not in ended.out + ended.err and "could not be measured" in " ".join(ended.out.split())
    index = Path(ended.last_line)
    folder = max((index.parent / "schema").iterdir())
    run = read_run(folder)
    assert run.gate is Gate.UNMEASURED and run.data["unfinished"] is None, "it ended by itself"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Traceback" not in page and PASSWORD not in page
    assert "Could not be measured" in page


def test_cleanup_of_a_target_that_is_down(gone: Path, opsnb: Callable[..., Ended]) -> None:
    with nobody() as port:
        point(gone, port)
        ended = opsnb("cleanup", "local", root=gone, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 4 and "Traceback" not in ended.out + ended.err and PASSWORD not in ended.err
    assert re.search(r"postgres|database|listens", ended.err)
