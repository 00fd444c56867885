"""The feature is switched off by a call or a command: once, proved where it can be, and never guessed after a kill."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from opsnb.actions.rollback.feature import feature
from opsnb.checks.rollback import feature_off
from opsnb.config.loading import load_release
from opsnb.config.rollback import RollbackSpec
from opsnb.errors import ActionFailed, ConfigError
from opsnb.questions.rollback import RollbackQuestions
from opsnb.verdicts import Verdict

SECRET = "the-key-of-the-flags"


class Flags:
    """A service of feature flags: one flag, what was asked, and how it answers."""

    def __init__(self) -> None:
        self.on, self.deaf, self.status, self.asked = True, False, 200, list[tuple[str, str, Any]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_request(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.asked.append((self.command, self.headers.get("authorization", ""), body))
                if self.command != "GET" and not outer.deaf:
                    outer.on = bool(body["on"]) if body else False
                said = json.dumps({"flags": {"history": {"on": outer.on}}, "echo": SECRET}).encode()
                self.send_response(outer.status if self.command != "GET" else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_request  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/flags/history"

    def spec(self, *, method: str = "PUT", proof: bool = True) -> RollbackSpec:
        call: dict[str, Any] = {"url": self.url, "method": method, "headers": {"authorization": "file:key"}, "body": {"on": False}}
        if proof:
            call["proof"] = {"url": self.url, "field": "flags.history.on", "equals": False}
        return RollbackSpec.model_validate({"call": call})

    @property
    def changes(self) -> list[str]:
        return [method for method, _, _ in self.asked if method != "GET"]


@pytest.fixture
def flags(tmp_path: Path) -> Iterator[Flags]:
    (tmp_path / "key").write_text(SECRET + "\n")
    made = Flags()
    thread = Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def off(spec: RollbackSpec, root: Path, *, again: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = {}
    feature(spec, root=root, write_dsn=None).off(said, again=again)
    assert SECRET not in json.dumps(said)
    return said


def verdict(said: dict[str, Any]) -> Verdict:
    """What phase 10 makes of a step that said this."""
    desk = RollbackQuestions.__new__(RollbackQuestions)
    desk.__dict__["_walked"] = {"begun": "2026-01-17T00:00:00Z", "ended": None, "failed": None, "point": False, "done": {"feature": said}}
    return feature_off.judge(desk.rollback_steps().table).verdict


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_it_is_switched_off_and_read_back(flags: Flags, tmp_path: Path, method: str) -> None:
    said = off(flags.spec(method=method), tmp_path)
    assert not flags.on and said == {"status": 200, "proved": True} and verdict(said) is Verdict.PASS
    assert (method, SECRET, {"on": False}) in flags.asked
    assert off(flags.spec(method=method), tmp_path) == {"proved": True, "already": True} and len(flags.changes) == 1


def test_a_service_that_says_yes_and_does_nothing(flags: Flags, tmp_path: Path) -> None:
    flags.deaf = True
    with pytest.raises(ActionFailed, match="said that it did, and it is on"):
        off(flags.spec(), tmp_path)


def test_nothing_tells_whether_it_worked(flags: Flags, tmp_path: Path) -> None:
    """Without a proof it is not PASS; killed meanwhile, what may not be repeated is not."""
    said = off(flags.spec(method="POST", proof=False), tmp_path)
    assert said["by_hand"] and verdict(said) is Verdict.INCONCLUSIVE and len(flags.changes) == 1
    again = off(flags.spec(method="POST", proof=False), tmp_path, again=True)
    assert "process was stopped" in again["uncertain"] and len(flags.changes) == 1 and verdict(again) is Verdict.INCONCLUSIVE
    assert off(flags.spec(method="PUT", proof=False), tmp_path, again=True)["status"] == 200, "putting twice is putting once"


def test_killed_before_or_after_the_answer(flags: Flags, tmp_path: Path) -> None:
    """The proof decides: it is asked again only where the feature is still on."""
    assert off(flags.spec(method="POST"), tmp_path, again=True)["status"] == 200 and len(flags.changes) == 1
    assert off(flags.spec(method="POST"), tmp_path, again=True) == {"proved": True, "already": True} and len(flags.changes) == 1


@pytest.mark.parametrize("status", [500, 401, 302, 202])
def test_an_answer_that_was_not_expected(flags: Flags, tmp_path: Path, status: int) -> None:
    flags.status, flags.deaf = status, True
    with pytest.raises(ActionFailed, match=r"may or may not be switched off|said that it did") as caught:
        off(flags.spec(), tmp_path)
    assert len(flags.changes) == 1 and SECRET not in str(caught.value)


def test_nobody_answers(flags: Flags, tmp_path: Path) -> None:
    spec = flags.spec(proof=False)
    flags.server.server_close()
    with pytest.raises(ActionFailed, match="may or may not be switched off"):
        off(spec, tmp_path)


def test_the_plan_says_where_and_no_secret(flags: Flags, tmp_path: Path) -> None:
    step = feature(flags.spec(), root=tmp_path, write_dsn=None).plan()
    assert f"sends PUT to 127.0.0.1:{flags.server.server_port}" in step.what and SECRET not in str(step) and not flags.asked


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "flagctl"
    path.write_text(
        '#!/bin/sh\necho "$@" >> "$(dirname "$0")/said"\necho key-of-the-program\n'
        'case "$1" in off) rm -f "$(dirname "$0")/on";; is-off) test ! -e "$(dirname "$0")/on";; hang) sleep 60;; esac\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "on").touch()
    return path


def command(program: Path, *words: str, proof: bool = True, timeout_s: float = 10) -> RollbackSpec:
    said: dict[str, Any] = {"run": [str(program), *words], "timeout_s": timeout_s}
    if proof:
        said["proof"] = [str(program), "is-off"]
    return RollbackSpec.model_validate({"command": said})


def test_a_command(program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Run without a shell; what it prints goes nowhere; its proof decides."""
    said = off(command(program, "off", "; touch pwned", "$(id)"), tmp_path)
    assert said == {"exit_code": 0, "proved": True} and verdict(said) is Verdict.PASS
    assert (tmp_path / "said").read_text().splitlines()[1] == "off ; touch pwned $(id)"
    assert off(command(program, "off"), tmp_path) == {"proved": True, "already": True}
    assert "key-of" not in "".join(capfd.readouterr())


def test_a_command_that_goes_wrong(program: Path, tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="said that it did, and it is on"):
        off(command(program, "nothing"), tmp_path)
    with pytest.raises(ActionFailed, match=r"flagctl did not end within 0\.5 s and was stopped"):
        off(command(program, "hang", proof=False, timeout_s=0.5), tmp_path)
    with pytest.raises(ActionFailed, match="cannot be run: No such file"):
        off(command(tmp_path / "gone", "off", proof=False), tmp_path)
    assert off(command(program, "off", proof=False), tmp_path, again=True)["uncertain"] and (tmp_path / "on").exists()


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("call: { url: 'https://flags.example', headers: { authorization: 'Bearer abc' } }", "a reference, env:NAME or file:PATH"),
        ("call: { url: 'https://a:b@flags.example' }", "a URL"),
        ("call: { url: 'https://flags.example', method: GET }", "PUT"),
        ("command: { run: [] }", "command.run"),
        ("command: { run: [a] }\n    switch: { table: t, set: { a: b }, where: { a: c } }", "one of switch, call and command"),
    ],
)
def test_what_is_written_wrongly(tmp_path: Path, switch: str, said: str) -> None:
    (tmp_path / "parameters" / "releases").mkdir(parents=True)
    (tmp_path / "parameters" / "releases" / "mine.yaml").write_text(
        f"title: Mine\nschema: {{ schemas: [public], tables: {{}} }}\nactions:\n  rollback:\n    {switch}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_release("mine", tmp_path)
    assert said in str(caught.value) and "mine.yaml" in str(caught.value) and "Bearer" not in str(caught.value)
