"""A target that is down, silent or talks nonsense: every phase ends as ERROR, in time, with sentences a person understands."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import servers
from harness import REPOSITORY, Ended, make_home, run_cells, verdicts

from opsnb.evidence.results import read_run
from opsnb.runbook import PHASES, notebook_of
from opsnb.verdicts import Gate, Verdict

pytestmark = [pytest.mark.target, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ADDRESSES = {
    "dsn": "postgresql://reader:secret@127.0.0.1:{port}/postgres",
    "write_dsn": "postgresql://writer:secret@127.0.0.1:{port}/postgres",
    "platform_url": "http://127.0.0.1:{port}",
    "functions_url": "http://127.0.0.1:{port}/functions/v1",
    "metrics_url": "http://127.0.0.1:{port}/customer/v1/privileged/metrics",
    "jwks_url": "http://127.0.0.1:{port}/jwks",
}
DEADLINE_S = 20
SHORTER = {
    "  write_dsn: file:.opsnb/local/run/write_dsn": "  connect_timeout_s: 2\n  write_dsn: file:.opsnb/local/run/write_dsn",
    "  access_token: file": "  timeout_s: 1\n  access_token: file",
    "timeout_s: 15": "timeout_s: 1",
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


def nobody() -> AbstractContextManager[int]:
    """A port nobody listens at."""
    from contextlib import contextmanager

    @contextmanager
    def closed() -> Iterator[int]:
        with servers.silent() as port:
            pass
        yield port

    return closed()


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
        yield gone
    shutil.rmtree(gone / "reports", ignore_errors=True)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_unmeasured_in_time_and_in_words(
    broken: Path, phase: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPSNB_HOME", str(broken))
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", "0")
    for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    ended = run_cells(REPOSITORY / "notebooks" / f"{notebook_of(phase)}.ipynb")
    assert time.monotonic() - began < DEADLINE_S
    assert ended.report is not None and verdicts(ended)
    errors = [result for result in ended.report.results if result.verdict is Verdict.ERROR]
    assert errors, "nothing could be asked, and nothing says so"
    if phase == "signoff" and "functions.answers" in str(errors):
        return
    assert ended.report.gate is Gate.UNMEASURED or phase in ("verify", "signoff", "window"), ended.report.worst_first()[0]
    for result in errors:
        assert re.match(r"[A-Z0-9]", result.summary) and result.summary.endswith((".", "?")), result.summary
        assert "Traceback" not in result.summary and "secret" not in result.summary and "\n" not in result.summary
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["down", "silent"])
def test_opsnb_run_says_it_in_one_sentence(gone: Path, opsnb: Callable[..., Ended], kind: str) -> None:
    """Exit 4; the first thing seen, in the terminal and in the report, is a sentence."""
    began = time.monotonic()
    with KINDS[kind]() as port:
        point(gone, port)
        ended = opsnb("run", "local", "--phase", "schema", "--phase", "environment", root=gone, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 4, ended
    assert time.monotonic() - began < DEADLINE_S + 15
    assert "Traceback" not in ended.out + ended.err and "could not be measured" in " ".join(ended.out.split())
    index = Path(ended.last_line)
    for phase in ("schema", "environment"):
        folder = max((index.parent / phase).iterdir())
        run = read_run(folder)
        assert run.gate is Gate.UNMEASURED and run.data["unfinished"] is None, "it ended by itself"
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "Traceback" not in page and "secret" not in page
        assert "Could not be measured" in page


def test_cleanup_of_a_target_that_is_down(gone: Path, opsnb: Callable[..., Ended]) -> None:
    with nobody() as port:
        point(gone, port)
        ended = opsnb("cleanup", "local", root=gone, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 4 and "Traceback" not in ended.out + ended.err and "secret" not in ended.err
    assert re.search(r"postgres|database|listens", ended.err)
