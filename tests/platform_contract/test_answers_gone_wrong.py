"""Ways in which an answer of the platform goes wrong: none is ever a PASS, a traceback, an endless wait or a leak.

Each goes over a real connection to the real client, for every kind of question, and is judged by the check that would use it.
"""

from __future__ import annotations

import gzip
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from platform_questions import ASK, CANARY, GOOD, JUDGE, NOW, TIMEOUT_S, TOKEN, Asking, called, encoded, function, good_answer
from saboteur import Line, Saboteur, Way, answering_badly

from opsnb.errors import SourceError
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, Verdict

SLACK_S = 4.0
"""Beyond the time-out: the machine may be busy."""
LONGEST_WAIT_S = 65.0
MOST_REQUESTS = 8
NEVER_MEASURED = {Verdict.ERROR, Verdict.INCONCLUSIVE}
HTML = f"<!doctype html><html><body><h1>502 Bad Gateway</h1>\n<p>up 1\n{CANARY} {TOKEN}</p></body></html>\n".encode()
SAID = json.dumps({"message": f"{CANARY} {TOKEN}", "error": CANARY}).encode()


def status(line: str, *headers: str, body: bytes = SAID, kind: str = "application/json") -> Way:
    """A whole answer with that status, its body quoting what nobody may repeat."""
    return lambda talk: talk.answer(line, body, *headers, kind=kind)


def broken_off(talk: Line) -> None:
    talk.head(len(talk.good))
    talk.say(talk.good[: len(talk.good) // 2])


def reset_in_the_body(talk: Line) -> None:
    broken_off(talk)
    time.sleep(0.02)
    talk.reset()


def half_a_chunk(talk: Line) -> None:
    talk.say(f"HTTP/1.1 200 OK\r\ncontent-type: {talk.kind}\r\ntransfer-encoding: chunked\r\n\r\n{len(talk.good):x}\r\n".encode())
    talk.say(talk.good[:-5])


def stalls(talk: Line) -> None:
    broken_off(talk)
    talk.hang()


def drips_its_head(talk: Line) -> None:
    talk.say(b"HTTP/1.1 200 OK\r\nx-drip: ")
    talk.drip(b"x")


def drips_its_status(talk: Line) -> None:
    talk.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def drips_its_body(talk: Line) -> None:
    talk.head(1_000_000)
    talk.drip(b" ")


def drips_spaces(talk: Line) -> None:
    talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    talk.drip(b"1\r\n \r\n")


def too_much(talk: Line) -> None:
    talk.say(f"HTTP/1.1 200 OK\r\ncontent-type: {talk.kind}\r\n\r\n".encode())
    talk.flood(b" " * 1_000_000)


def a_bomb(talk: Line) -> None:
    talk.answer("200 OK", BOMB, "content-encoding: gzip")


BOMB = gzip.compress(b" " * 80_000_000, 6)

ON_THE_LINE: dict[str, Way] = {
    "429": status("429 Too Many Requests"),
    "429, Retry-After in seconds": status("429 Too Many Requests", "retry-after: 2"),
    "429, Retry-After as a date": status("429 Too Many Requests", "retry-after: Wed, 21 Oct 2099 07:28:00 GMT"),
    "429, reset in an hour": status("429 Too Many Requests", "x-ratelimit-reset: 3600"),
    "429, reset now": status("429 Too Many Requests", "x-ratelimit-reset: 0"),
    "429, reset in NaN": status("429 Too Many Requests", "x-ratelimit-reset: NaN"),
    "500": status("500 Internal Server Error"),
    "502 as a page": status("502 Bad Gateway", body=HTML, kind="text/html"),
    "503": status("503 Service Unavailable", "retry-after: 3600"),
    "504": status("504 Gateway Timeout"),
    "520": status("520 Unknown"),
    "no answer": Line.hang,
    "a head that drips": drips_its_head,
    "100 Continue without end": drips_its_status,
    "a body that stalls": stalls,
    "a body that drips": drips_its_body,
    "chunks that drip": drips_spaces,
    "closed before the answer": lambda talk: None,
    "reset before the answer": Line.reset,
    "reset in the body": reset_in_the_body,
    "closed in the body": broken_off,
    "closed in a chunk": half_a_chunk,
    "HTML with 200": lambda talk: talk.answer("200 OK", HTML, kind="text/html"),
    "HTML that says it is JSON": lambda talk: talk.answer("200 OK", HTML),
    "a message with 200": lambda talk: talk.answer("200 OK", SAID),
    "an empty body": lambda talk: talk.answer("200 OK", b""),
    "204": lambda talk: talk.say(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
    "202, not yet": lambda talk: talk.answer("202 Accepted"),
    "206, a part": lambda talk: talk.answer("206 Partial Content"),
    "304": lambda talk: talk.say(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"),
    "400": status("400 Bad Request"),
    "401": status("401 Unauthorized", "www-authenticate: Bearer"),
    "402": status("402 Payment Required"),
    "403, a missing permission": status(
        "403 Forbidden", body=json.dumps({"message": CANARY, "missing_permissions": ["edge_functions_read", TOKEN, CANARY]}).encode()
    ),
    "404": status("404 Not Found"),
    "410": status("410 Gone"),
    "invalid UTF-8": lambda talk: talk.answer("200 OK", talk.good.replace(b"a", b"\xc3\x28\xff")),
    "UTF-16 that says it is UTF-8": lambda talk: talk.answer("200 OK", talk.good.decode().encode("utf-16"), kind="text/x; charset=utf-8"),
    "gzip that is none": lambda talk: talk.answer("200 OK", None, "content-encoding: gzip"),
    "gzip broken off": lambda talk: talk.answer("200 OK", gzip.compress(talk.good)[:-4], "content-encoding: gzip"),
    "gzip that swells": a_bomb,
    "a body without end": too_much,
    "no HTTP": lambda talk: talk.say(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a header that is none": lambda talk: talk.say(b"HTTP/1.1 200 OK\r\n" + CANARY.encode() + b"\r\n\r\n"),
    "cut off, and whole by its length": lambda talk: talk.answer("200 OK", talk.good[: -len(talk.good) // 3]),
    "twice the body": lambda talk: talk.answer("200 OK", talk.good + b"\x00" + talk.good),
    "only zeros": lambda talk: talk.answer("200 OK", b"\0" * 400),
    "nested without end": lambda talk: talk.answer("200 OK", b"[" * 100_000),
}


def outcome(kind: str, way: Way) -> tuple[Facts, CheckResult, Saboteur, float, list[float]]:
    """What came of asking *kind* where everything is answered *way*, the seconds it took, and the waits it asked for."""
    waited: list[float] = []
    with answering_badly(way, good_answer) as saboteur:
        began = time.monotonic()
        facts = ASK[kind](Asking(saboteur.url, waited))
        took = time.monotonic() - began
        return facts, JUDGE[kind](facts), saboteur, took, waited


def told(facts: Facts, result: CheckResult) -> str:
    """Everything anybody could see of it."""
    error = "" if facts.error is None else "".join(traceback.format_exception(facts.error)) + repr(facts.error) + str(vars(facts.error))
    return f"{error}\n{facts.question}\n{result!r}\n{result.summary}\n{result.table}"


@pytest.mark.parametrize("kind", ASK)
def test_a_good_answer_passes(kind: str) -> None:
    """The measure of all that follows: what goes wrong below is the answer, and nothing else."""
    facts, result, *_ = outcome(kind, Line.answer)
    assert facts.error is None and result.verdict is Verdict.PASS, result.summary


@pytest.mark.parametrize("kind", ASK)
@pytest.mark.parametrize("way", ON_THE_LINE)
def test_what_goes_wrong_on_the_line_is_an_error_in_time(kind: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    facts, result, saboteur, took, waited = outcome(kind, ON_THE_LINE[way])
    assert isinstance(facts.error, SourceError) and str(facts.error).strip()
    assert result.verdict in NEVER_MEASURED, result.summary
    assert str(facts.error) in result.summary or result.summary.strip()
    assert took < TIMEOUT_S * 4 + SLACK_S
    assert sum(waited) <= LONGEST_WAIT_S and 1 <= len(saboteur.requests) <= MOST_REQUESTS
    seen = told(facts, result) + caplog.text
    assert TOKEN not in seen and CANARY not in seen and "Canary" not in seen


# -- whole answers that say something else


def everywhere(change: Callable[[Any], Any]) -> dict[str, Any]:
    """Each good answer in JSON with every number, or whatever *change* changes, changed."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(each) for key, each in value.items()}
        return [walk(each) for each in value] if isinstance(value, list) else change(value)

    return {kind: walk(body) for kind, body in GOOD.items() if kind != "metrics"}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers(change: Callable[[Any], Any]) -> dict[str, Any]:
    return everywhere(lambda value: change(value) if is_number(value) else value)


def metrics(value: str) -> dict[str, Any]:
    return {"metrics": f"pgrst_db_pool_max {value}\npgrst_db_pool_available {value}\npgrst_db_pool_waiting {value}\n"}


IN_NUMBERS = ("functions", "logs", "backups")
"""The kinds whose answer in JSON holds numbers."""
SLUGS = ("get-history", "soap-draft")


def only(kinds: Iterable[str], bodies: dict[str, Any]) -> dict[str, Any]:
    return {kind: bodies[kind] for kind in kinds}


def window(first: float, last: float) -> dict[str, Any]:
    """The backups with this window."""
    names = ("earliest_physical_backup_date_unix", "latest_physical_backup_date_unix")
    return {**GOOD["backups"], "physical_backup_data": dict(zip(names, (int(first), int(last)), strict=True))}


def twice(kind: str, key: str, before: str) -> str:
    """The good answer with another value of *key* in front of each."""
    return json.dumps(GOOD[kind]).replace(f'"{key}":', f'"{key}": {before}, "{key}":')


LATER = NOW + timedelta(days=2)
LISTS = ("functions", "secrets", "health")
IN_WORDS: dict[str, dict[str, Any]] = {
    "an empty list": {**{kind: [] for kind in LISTS}, "logs": {"result": []}, "metrics": "# nothing\n"},
    "an empty object": {**{kind: {} for kind in ASK}, "metrics": "{}\n"},
    "null": dict.fromkeys(ASK, "null"),
    "a number": dict.fromkeys(ASK, "17"),
    "an object for the list": {
        **{kind: {kind: GOOD[kind]} for kind in LISTS},
        "logs": {"result": {"rows": GOOD["logs"]["result"]}},
        "backups": [GOOD["backups"]],
    },
    "lists in the list": {kind: [GOOD[kind]] for kind in (*LISTS, "logs")},
    "texts for numbers": only(IN_NUMBERS, numbers(lambda _: f"about {CANARY}")),
    "numbers for texts": everywhere(lambda value: 7 if isinstance(value, str) else value),
    "NaN": only(IN_NUMBERS, numbers(lambda _: float("nan"))) | metrics("NaN"),
    "Infinity": only(IN_NUMBERS, numbers(lambda _: float("inf"))) | metrics("+Inf"),
    "numbers beyond all measure": {
        **{kind: json.dumps(body).replace("777", "1" + "0" * 400) for kind, body in only(IN_NUMBERS, numbers(lambda _: 777)).items()},
        **metrics("1e999"),
    },
    "negative numbers": {
        **only(IN_NUMBERS, numbers(lambda value: -value or -1)),
        "metrics": "pgrst_db_pool_max 10\npgrst_db_pool_available -9\npgrst_db_pool_waiting -3\n",
    },
    "nulls": everywhere(lambda _: None),
    "keys left out": {
        "functions": [{"slug": slug} for slug in SLUGS],
        "secrets": [{"name": name} for name in ("KEY", "REGION")],
        "logs": {"result": [{"function_id": "id-get-history", "n": 5000}]},
        "health": [{"name": "db", "healthy": True}, {"name": "rest"}],
        "backups": {"pitr_enabled": True},
        "metrics": "pgrst_db_pool_max 10\n",
    },
    "an error in a 200": {
        **{kind: {"error": CANARY} for kind in LISTS},
        "logs": {"error": {"message": CANARY, "code": 400}, **GOOD["logs"]},
    },
    "an error as a text in a 200": {"logs": {"error": CANARY, **GOOD["logs"]}},
    "the cap of rows": {"logs": {"result": [called("get-history")] * 1000}},
    "entries that come twice": {
        "functions": [*GOOD["functions"], function("get-history", version=2)],
        "secrets": GOOD["secrets"] * 2,
        "health": [*GOOD["health"], {"name": "db", "status": "UNHEALTHY", "healthy": False}],
        "logs": {"result": GOOD["logs"]["result"] * 2},
        "metrics": "pgrst_db_pool_available 0\n" + GOOD["metrics"],
    },
    "keys that come twice": {
        "functions": twice("functions", "status", '"REMOVED"'),
        "health": twice("health", "status", '"UNHEALTHY"'),
        "backups": twice("backups", "pitr_enabled", "false"),
        "logs": twice("logs", "n_5xx", "4000"),
    },
    "times in the future": {
        "functions": [function(slug, updated_at=int(LATER.timestamp() * 1000)) for slug in SLUGS],
        "logs": {"result": [called(slug, last_at=f"{LATER:%Y-%m-%d %H:%M:%S}") for slug in SLUGS]},
        "backups": window(NOW.timestamp() - 900_000, LATER.timestamp()),
    },
    "epochs of another unit": {
        "functions": [function(slug, updated_at=int(NOW.timestamp())) for slug in SLUGS],
        "backups": window(NOW.timestamp() * 1000 - 9, NOW.timestamp() * 1000),
    },
    "a line cut off": {"metrics": "pgrst_db_pool_max 10\npgrst_db_pool_waiting 0\npgrst_db_pool_available 9"},
    "two values of one series": {"metrics": GOOD["metrics"] + "pgrst_db_pool_available 3\n"},
    "one series that is no number": {"metrics": GOOD["metrics"] + 'pgrst_db_pool_available{n="2"} NaN\n'},
    "more free than there is": {"metrics": GOOD["metrics"].replace("available 9", "available 900")},
}
WELL_SAID = {("an empty list", "functions"), ("an empty list", "secrets"), ("epochs of another unit", "functions")}
"""What is whole and in its shape: nothing deployed, nothing set, deployed in 1970. That may be a FAIL."""


@pytest.mark.parametrize(("way", "kind"), [(way, kind) for way, bodies in IN_WORDS.items() for kind in bodies])
def test_what_says_something_else_is_never_passed(way: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = IN_WORDS[way][kind]
    raw = body.encode() if isinstance(body, str) else encoded(kind, body)
    facts, result, saboteur, took, waited = outcome(kind, lambda talk: talk.answer("200 OK", raw))
    allowed = NEVER_MEASURED | ({Verdict.FAIL} if (way, kind) in WELL_SAID else set())
    assert result.verdict in allowed, result.summary
    assert result.summary.strip() and took < TIMEOUT_S + SLACK_S and not waited
    assert len(saboteur.requests) <= MOST_REQUESTS * 4
    seen = told(facts, result) + caplog.text
    assert TOKEN not in seen and CANARY not in seen


# -- what is different and does no harm

HARMLESS: dict[str, Way] = {
    "HTTP/1.0, ended by closing": lambda talk: talk.say(f"HTTP/1.0 200 OK\r\ncontent-type: {talk.kind}\r\n\r\n".encode() + talk.good),
    "chunks": lambda talk: talk.say(
        f"HTTP/1.1 200 OK\r\ncontent-type: {talk.kind}\r\ntransfer-encoding: chunked\r\n\r\n{len(talk.good):x}\r\n".encode()
        + talk.good + b"\r\n0\r\n\r\n"
    ),
    "gzip": lambda talk: talk.answer("200 OK", gzip.compress(talk.good), "content-encoding: gzip"),
    "a clock of another year": lambda talk: talk.answer("200 OK", None, "date: Wed, 21 Oct 2099 07:28:00 GMT", "age: 99999"),
    "headers nobody knows": lambda talk: talk.answer("200 OK", None, "x-new: 1", "sunset: Wed, 21 Oct 2099 07:28:00 GMT"),
    "a line between answer and end": lambda talk: talk.answer("200 OK", talk.good + b"\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ASK)
@pytest.mark.parametrize("way", HARMLESS)
def test_what_does_no_harm_passes(kind: str, way: str) -> None:
    facts, result, saboteur, *_ = outcome(kind, HARMLESS[way])
    assert (facts.error, result.verdict) == (None, Verdict.PASS)
    assert len(saboteur.requests) == 1


@pytest.mark.parametrize("kind", [kind for kind in ASK if kind != "metrics"])
def test_fields_nobody_knows_do_no_harm(kind: str) -> None:
    body = GOOD[kind]
    new = {"new": {"deep": [1, None, CANARY]}}
    richer = [{**each, **new} for each in body] if isinstance(body, list) else {**body, **new}
    facts, result, *_ = outcome(kind, lambda talk: talk.answer("200 OK", encoded(kind, richer)))
    assert (facts.error, result.verdict) == (None, Verdict.PASS)
    assert CANARY not in told(facts, result)


@pytest.mark.parametrize("kind", ASK)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(kind: str, code: int) -> None:
    """The token goes to the address the environment names, and to no other."""
    with answering_badly(Line.answer, good_answer) as elsewhere:
        facts, result, saboteur, *_ = outcome(kind, status(f"{code} Elsewhere", f"location: {elsewhere.url}/{kind}"))
        assert elsewhere.requests == []
    assert result.verdict is Verdict.ERROR and "sends elsewhere" in str(facts.error)
    assert len(saboteur.requests) == 1
