"""HTTP as every door uses it: what is asked again, what is waited for, and what each failure is called."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Callable

import httpx
import pytest
from conftest import Talk

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout
from opsnb.sources.http import LIMITED, LONGEST_WAIT_S, Http, unreached

Answer = httpx.Response | Exception


class Script:
    """Answers one after the other, and notes what was asked and slept."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []

    def http(self) -> Http:
        return Http("http://there.test", source="tests", headers={"authorization": "Bearer hunter2"}, timeout_s=5,
                    transport=httpx.MockTransport(self.answer), sleep=self.slept.append)  # fmt: skip

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def limited(reset: str | None = None) -> httpx.Response:
    return httpx.Response(429, headers={} if reset is None else {"x-ratelimit-reset": reset})


@pytest.mark.parametrize(
    "broken", [httpx.Response(502), httpx.Response(503), httpx.Response(504), httpx.ConnectError("refused"), httpx.ReadError("")]
)
def test_a_get_is_asked_three_times_in_all(broken: Answer) -> None:
    """Broken connections and gateways' errors; the third failure is the answer."""
    script = Script(broken, broken, httpx.Response(200, json=1))
    assert script.http().get("/x").json() == 1
    assert script.slept == [0.2, 0.4]
    script = Script(broken, broken, broken)
    with pytest.raises(SourceError):
        script.http().get("/x")
    assert len(script.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 500, 501])
def test_what_will_not_change_is_not_asked_again(status: int) -> None:
    """One request, one refusal."""
    script = Script(httpx.Response(status))
    with pytest.raises(SourceError, match=str(status)):
        script.http().get("/x")
    assert not script.slept


def test_a_post_is_never_repeated() -> None:
    """It may have been done."""
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(SourceError):
        script.http().request("POST", "/x")
    script = Script(httpx.Response(503))
    assert script.http().request("POST", "/x").status_code == 503


def test_a_rate_limit_is_waited_for() -> None:
    """As long as it says, and no longer than its share in all; where it does not say, longer each time."""
    script = Script(limited("17"), limited(), httpx.Response(200))
    assert script.http().get("/x").status_code == 200
    assert script.slept == [17.0, 2.0]
    script = Script(limited("40"), limited("40"))
    with pytest.raises(SourceError, match="limits how often"):
        script.http().get("/x")
    assert sum(script.slept) == 40 < LONGEST_WAIT_S
    script = Script(*[limited("0.1")] * (LIMITED + 1))
    with pytest.raises(SourceError, match="limits how often"):
        script.http().get("/x")
    assert len(script.slept) == LIMITED
    script = Script(httpx.Response(429, headers={"retry-after": "3"}), httpx.Response(200))
    script.http().get("/x")
    assert script.slept == [3.0]
    for nonsense in ("soon", "nan", "-5", "inf"):
        script = Script(limited(nonsense), httpx.Response(200))
        script.http().get("/x")
        assert 0 < script.slept[0] <= 1


@pytest.mark.parametrize(
    ("answer", "kind", "sign"),
    [
        (httpx.Response(401), SourceDenied, "does not know the token"),
        (
            httpx.Response(403, json={"missing_permissions": ["secrets_read", "x_read"]}),
            SourceDenied,
            "the token lacks secrets_read, x_read",
        ),
        (httpx.Response(403, text="<html>"), SourceDenied, "refuses this token (403)"),
        (httpx.Response(403, json={"missing_permissions": {"hunter2": 1}}), SourceDenied, "refuses this token (403)"),
        (httpx.Response(404), SourceError, "404"),
        (httpx.Response(302, headers={"location": "http://elsewhere.test"}), SourceNonsense, "sends elsewhere (302)"),
        (httpx.Response(500, text="password is hunter2"), SourceError, "answered 500"),
        (httpx.ReadTimeout(""), SourceTimeout, "did not answer within 5 s"),
        (httpx.ConnectTimeout(""), SourceTimeout, "took no connection within 5 s"),
    ],
)
def test_failures_are_sentences(answer: Answer, kind: type[SourceError], sign: str) -> None:
    """Host, what is wrong, and neither token nor body."""
    with pytest.raises(kind) as caught:
        Script(answer, answer, answer).http().get("/x")
    assert sign in str(caught.value)
    assert "there.test" in str(caught.value)
    assert caught.value.question == "GET /x"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_redirects_are_not_followed() -> None:
    """The token goes to no other host."""
    script = Script(httpx.Response(307, headers={"location": "http://elsewhere.test/"}))
    with pytest.raises(SourceNonsense):
        script.http().get("/x")
    assert [request.url.host for request in script.asked] == ["there.test"]


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the level of the root."""
    caplog.set_level(logging.DEBUG)
    Script(httpx.Response(200)).http().get("/x?patient=Anna")
    assert "Anna" not in caplog.text


# ── a real connection ──


def test_nobody_listens(closed_port: int) -> None:
    """No connection: nothing was asked."""
    http = Http(f"http://127.0.0.1:{closed_port}", source="tests", sleep=lambda seconds: None)
    with pytest.raises(SourceError, match=f"nothing answers at 127.0.0.1:{closed_port}") as caught:
        http.get("/x")
    assert unreached(caught.value)
    http.close()


def test_an_answer_that_drips_has_a_time_out_too(listening: Callable[[Talk], int]) -> None:
    """Each piece in time, the whole never."""

    def talk(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            line.sendall(b"x")
            time.sleep(0.05)

    http = Http(f"http://127.0.0.1:{listening(talk)}", source="tests", timeout_s=0.4)
    started = time.monotonic()
    with pytest.raises(SourceTimeout, match="did not end its answer") as caught:
        http.get("/x")
    assert time.monotonic() - started < 2
    assert not unreached(caught.value)
    http.close()


@pytest.mark.parametrize(
    ("said", "kind", "sign"),
    [
        (b"220 smtp ready\r\n", SourceError, "does not speak HTTP"),
        (b"", SourceError, "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf", SourceError, "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope", SourceNonsense, "not encoded as it says"),
    ],
)
def test_nonsense_on_the_line(listening: Callable[[Talk], int], said: bytes, kind: type[SourceError], sign: str) -> None:
    """Something else listens, or it stops half-way."""

    def talk(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(said)
        line.shutdown(socket.SHUT_WR)

    http = Http(f"http://127.0.0.1:{listening(talk)}", source="tests", timeout_s=5, sleep=lambda seconds: None)
    with pytest.raises(kind, match=sign):
        http.get("/x")
    http.close()


def test_bodies_are_decoded_and_json_is_json() -> None:
    """A body that is none is nonsense, however deep."""
    http = Script(httpx.Response(200, text="<html>"), httpx.Response(200, text="[" * 100_000)).http()
    for _ in range(2):
        with pytest.raises(SourceNonsense, match="not JSON"):
            http.json(http.get("/x"), "GET /x")
