"""The live board of the window: counts what was met, survives whoever looks on, ends early on request and never by pretending."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from harness import make_home, process_environment, run_opsnb
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rich.console import Console

from opsnb.board import terminal
from opsnb.board.places import STALE, Place, boards_now, under_way
from opsnb.board.state import COUNTED, Board, Line, read_off, read_text
from opsnb.board.watching import Watching, page
from opsnb.checks import window
from opsnb.config import FunctionSpec
from opsnb.facts import Facts
from opsnb.sources.gateway import CUT_SHORT, Gateway

T = datetime(2026, 11, 23, 10, tzinfo=UTC)
LIMITS = {"window_s": 300.0, "allowed_s": 300.0, "slow_s": 2.0}
SPEC = FunctionSpec.model_validate({"version": 1})


def probes(*rows: tuple[float, str, int, float, str]) -> pd.DataFrame:
    """At (seconds after T), function, status, seconds, error code."""
    table = pd.DataFrame(rows, columns=["at", "function", "status", "seconds", "error_code"])
    return table.assign(at=T + pd.to_timedelta(table["at"].astype("float64"), unit="s"))


def board(*rows: tuple[float, str, int, float, str], **said: Any) -> Board:
    return read_off(probes(*rows), statuses={"a": 200, "b": 204}, **{"left_s": 60, **LIMITS, **said})


def test_each_kind_of_trouble_is_counted_once() -> None:
    """An answer, a call that was given up and one that never arrived are three things; good is what the release declares."""
    told = board(
        (0, "a", 200, 0.1, ""), (1, "a", 500, 0.1, ""), (2, "a", 503, 0.1, ""), (3, "a", 403, 0.1, ""), (4, "a", 401, 3.0, ""),
        (5, "a", 0, 30.0, "SourceTimeout"), (6, "a", 0, 0.0, "SourceError"), (7, "a", 200, 0.1, ""), (0, "b", 204, 0.1, ""),
    )  # fmt: skip
    a, b = told.lines
    assert dict(zip(COUNTED, a.counts, strict=True)) == {"5xx": 2, "403": 1, "401": 1, "time-outs": 1, "no answer": 1, "slow": 2}
    assert (a.status, a.calls, a.lately) == ("200", 8, "▁××××××▁")
    assert (b.status, b.calls, sum(b.counts)) == ("204", 1, 0)
    assert told.troubled and not board((0, "a", 200, 0.1, "")).troubled
    assert told.down_s == 7.0  # from the last good answer to the next: when between them it began to fail is not known
    assert window.down_so_far(probes((1, "a", 500, 0.1, ""), (7, "a", 200, 0.1, "")), names=["a"]) == 6.0


def test_a_function_not_yet_asked_is_said_to_be_so() -> None:
    """Not as a function without trouble."""
    (line,) = (line for line in board((0, "a", 200, 0.1, "")).lines if line.function == "b")
    assert (line.status, line.calls) == ("…", 0)


lines = st.builds(
    Line, st.text(max_size=9), st.text(max_size=9), st.floats(0, 99), st.integers(0, 99),
    st.tuples(*[st.integers(0, 9)] * len(COUNTED)), st.text(max_size=9),
)  # fmt: skip
boards = st.builds(
    Board, st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat()), st.lists(lines, max_size=3).map(tuple),
    *[st.floats(0, 999)] * 5, st.text(max_size=9), st.sampled_from(["watching", "ended", "cut short"]),
)  # fmt: skip


@given(boards)
def test_a_board_is_what_was_written(written: Board) -> None:
    """And it can be drawn whatever stands in it."""
    assert read_text(written.text()) == written
    console = Console(file=io.StringIO(), width=60)
    console.print(terminal.shown(written))
    assert page(written).html


@given(st.one_of(st.text(), boards.map(lambda each: each.text()[:-9]), st.sampled_from(["null", "[]", "{}", '{"lines": [1]}'])))
def test_a_board_that_is_half_there_is_none(text: str) -> None:
    assert read_text(text) is None


def test_a_strangers_name_is_text() -> None:
    """On the page and in the terminal."""
    told = read_off(probes((0, "<b>[red]x", 200, 0.1, "")), statuses={"<b>[red]x": 200}, left_s=1, **LIMITS)
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal.shown(told))
    assert "<b>[red]x" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "<b>" not in page(told).html and "&lt;b&gt;" in page(told).html


def test_without_a_terminal_a_line_is_printed_when_something_happened() -> None:
    """At once when a count moves, else twice a minute."""
    printed = terminal.Lines()
    good = (0, "a", 200, 0.1, "")
    assert printed.of(board(good, left_s=90)).startswith("1:30 left · downtime 0.0 s of 300 s · 0 5xx")
    assert printed.of(board(good, left_s=89)) == ""
    assert "1 5xx" in printed.of(board(good, (1, "a", 500, 0.1, ""), left_s=88))
    assert printed.of(board(good, (1, "a", 500, 0.1, ""), left_s=59)) == ""
    assert printed.of(board(good, (1, "a", 500, 0.1, ""), left_s=58))


def test_a_board_left_by_a_killed_watch_is_not_looked_at(tmp_path: Path) -> None:
    """And a request to end it ends nothing later."""
    place = Place(tmp_path, "local", "d")
    place.put(board((0, "a", 200, 0.1, "")))
    assert [each.state for each in boards_now(tmp_path, "local")] == ["watching"] and not boards_now(tmp_path, "other")
    (path,) = (tmp_path / ".opsnb" / "window" / "local").glob("*.json")
    stale = {**json.loads(path.read_text()), "at": (datetime.now(UTC) - STALE - timedelta(seconds=1)).isoformat()}
    path.write_text(json.dumps(stale))
    assert under_way(tmp_path, "local") == []
    place.ask_to_stop()
    with Watching(place, statuses={"a": 200}, metrics=no_metrics, **LIMITS) as watching:
        assert watching.tick(probes((0, "a", 200, 0.1, "")), 10)
        assert len(under_way(tmp_path, "local")) == 1
        place.ask_to_stop()
        assert not watching.tick(probes((0, "a", 200, 0.1, "")), 9)
        watching.end(probes((0, "a", 200, 0.1, "")), 291)
        (told,) = boards_now(tmp_path, "local")
        assert "CUT SHORT after 4:51 of 5:00" in told.heading and "pool use not known" in told.heading
    assert under_way(tmp_path, "local") == []


def no_metrics() -> Facts:
    return Facts("metrics", "", 0.0, error=OSError("no"))  # type: ignore[arg-type]


def gateway(seconds: float = 0.0) -> Gateway:
    def answer(_request: httpx.Request) -> httpx.Response:
        time.sleep(seconds)
        return httpx.Response(200, json={})

    return Gateway("http://fn.test", anon_key=SecretStr("k"), transport=httpx.MockTransport(answer))


def test_a_watch_ends_when_it_is_asked_to() -> None:
    """The calls that are on their way are waited for; when it ended is said; what was known until then is handed to the asker."""
    told: list[tuple[int, float]] = []

    def tick(table: pd.DataFrame, left_s: float) -> bool:
        told.append((len(table), left_s))
        return len(told) < 2

    facts = gateway().watch({"a": SPEC}, values={}, seconds=600, interval_s=0.2, tick=tick)
    assert 1.5 < facts.extra[CUT_SHORT] < 60 and len(facts) >= told[-1][0] > 0
    assert 530 < told[-1][1] < told[0][1] < 600
    whole = gateway().watch({"a": SPEC}, values={}, seconds=1.2, interval_s=0.2, tick=lambda *_: True)
    assert whole.extra[CUT_SHORT] is None


def test_an_interrupt_ends_the_watch() -> None:
    """As in a notebook whose kernel is interrupted: what was seen is kept, and judged as what it is."""

    def tick(_table: pd.DataFrame, _left_s: float) -> bool:
        raise KeyboardInterrupt

    facts = gateway().watch({"a": SPEC}, values={}, seconds=600, interval_s=0.2, tick=tick)
    assert facts.extra[CUT_SHORT] > 0.5 and len(facts) > 0


def test_a_watch_that_cannot_go_on_says_why(tmp_path: Path) -> None:
    """At once, and not when the window is over."""
    door = Gateway(
        "http://fn.test", anon_key=SecretStr("k"), transport=httpx.MockTransport(lambda _: httpx.Response(200)), journal=tmp_path
    )
    facts = door.watch({"a": SPEC}, values={}, seconds=600, interval_s=0.2)
    assert "the journal of probes cannot be written" in str(facts.error)


@contextmanager
def watched(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``opsnb window local`` under way, with probes on its board."""
    program = [str(Path(sys.executable).with_name("opsnb")), "window", "local", *words]
    with subprocess.Popen(
        program, cwd=root, env=process_environment(root), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            ends = time.monotonic() + 120
            while not any(line.calls for each in boards_now(root, "local") for line in each.lines):
                assert process.poll() is None and time.monotonic() < ends
                time.sleep(0.1)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def judged(root: Path) -> dict[str, tuple[str, str]]:
    """Check → verdict and sentence of the newest run of the phase."""
    path = max((root / "reports" / "local").glob("2*/window/*/results.json"))
    return {each["id"]: (each["verdict"], each["summary"]) for each in json.loads(path.read_text())["results"]}


@pytest.fixture
def root(target: Path, tmp_path: Path) -> Path:
    """A home with an archive of its own that shares the session's target."""
    made = make_home(tmp_path / "home")
    (made / ".opsnb").symlink_to(target / ".opsnb")
    return made


@pytest.mark.target
def test_the_window_is_ended_from_elsewhere(root: Path) -> None:
    """Looked on at, ended early, judged as what it was; then there is nothing left to end."""
    with watched(root, "--seconds", "300") as process:
        looking = subprocess.Popen(
            [str(Path(sys.executable).with_name("opsnb")), "window", "local", "--look"], cwd=root, env=process_environment(root),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert looking.stdout is not None and "left · downtime" in looking.stdout.readline()
        assert "cut short" in run_opsnb("window", "local", "--stop", root=root).out
        out, err = process.communicate(timeout=120)
        assert "The watch has ended" in looking.communicate(timeout=60)[0]
    assert process.returncode == 3, (out, err)
    found = judged(root)
    for name in ("no_500", "no_403", "no_401", "downtime"):
        verdict, sentence = found[f"window.{name}"]
        assert verdict == "INCONCLUSIVE" and "cut short after" in sentence, (name, verdict, sentence)
    again = run_opsnb("window", "local", "--stop", root=root)
    assert again.code == 1 and "there is nothing to end" in again.err
    assert run_opsnb("window", "local", "--look", root=root).code == 3


@pytest.mark.target
def test_ctrl_c_ends_the_window_and_not_the_run(root: Path) -> None:
    """The report is written; a good part of a window is not a good window."""
    with watched(root, "--seconds", "300") as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3 and "the window ends early" in err, (out, err)
    assert "cut short after" in judged(root)["window.no_500"][1]


@pytest.mark.target
def test_less_than_the_window_is_no_window(root: Path) -> None:
    """Asked for by an option, as by a key; the whole of a short one is one."""
    assert run_opsnb("window", "local", "--seconds", "2", root=root).code == 3
    verdict, sentence = judged(root)["window.downtime"]
    assert verdict == "INCONCLUSIVE" and sentence.endswith("Only 2 s of the window's 6 s were watched: what came then is not known.")
    assert run_opsnb("run", "local", "--phase", "window", root=root).code == 3
    assert judged(root)["window.downtime"][0] == "PASS"


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    """Before anything is run."""
    home = make_home(tmp_path)
    for words, said in ((("--seconds", "0"), "expected a number of seconds above 0"), (("--stop", "--seconds", "5"), "leave it out")):
        ended = run_opsnb("window", "local", *words, root=home)
        assert ended.code == 2 and said in ended.err, ended
