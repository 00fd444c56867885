"""What changes the platform is sent once, whatever comes back: an answer that was lost says nothing of what was done."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from platform_questions import CANARY, REF, TIMEOUT_S, TOKEN
from pydantic import SecretStr
from saboteur import Line, Way, answering_badly
from test_answers_gone_wrong import ON_THE_LINE, SLACK_S, status

from opsnb.config import FunctionSpec
from opsnb.errors import SourceError, SourceNonsense
from opsnb.sources.deploying import Deploying
from opsnb.sources.gateway import Gateway

FILES = {"index.ts": b"Deno.serve(() => new Response());\n"}
CHANGES: dict[str, tuple[str, Callable[[Deploying], Any]]] = {
    "deploy": ("POST", lambda door: door.deploy("made", FILES, entrypoint="index.ts", verify_jwt=True)),
    "delete": ("DELETE", lambda door: door.delete("made")),
    "restore": ("POST", lambda door: door.restore_to(datetime(2026, 1, 1, tzinfo=UTC))),
}
UNREAD = {
    "HTML that says it is JSON", "a message with 200", "an empty body", "invalid UTF-8", "UTF-16 that says it is UTF-8",
    "cut off, and whole by its length", "twice the body", "only zeros", "nested without end",
}  # fmt: skip
EXPECTED = {"deploy": "201 Created", "delete": "200 OK", "restore": "201 Created"}


def good_change(path: str) -> tuple[bytes, str]:
    return b'{"version": 4, "slug": "made"}', "application/json"


def changed(change: str, way: Way) -> tuple[Exception | None, Any, int, float]:
    """The error, the answer, how often it was asked, and the seconds it took."""
    method, ask = CHANGES[change]
    with answering_badly(way, good_change) as saboteur:
        door = Deploying(saboteur.url, REF, SecretStr(TOKEN), timeout_s=TIMEOUT_S)
        began, error, answer = time.monotonic(), None, None
        try:
            answer = ask(door)
        except Exception as raised:
            error = raised
        took = time.monotonic() - began
        door.close()
        assert {each.method for each in saboteur.requests} <= {method}
        return error, answer, len(saboteur.requests), took


@pytest.mark.parametrize("change", CHANGES)
def test_a_good_answer_is_taken(change: str) -> None:
    error, answer, times, _ = changed(change, lambda talk: talk.answer(EXPECTED[change]))
    assert (error, answer, times) == (None, 4 if change == "deploy" else None, 1)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", ON_THE_LINE)
def test_no_change_is_asked_twice(change: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """One request arrives, the error is a sentence of ours, in time, and repeats neither the token nor the answer."""
    caplog.set_level(logging.DEBUG)
    error, answer, times, took = changed(change, ON_THE_LINE[way])
    assert times == 1
    assert took < TIMEOUT_S + SLACK_S
    if error is None:  # the platform's own status, with a body that a deletion does not have, and that nobody reads
        assert change == "delete" and way in UNREAD
    else:
        assert isinstance(error, SourceError) and str(error).strip() and answer is None
        told = "".join(traceback.format_exception(error)) + repr(vars(error)) + caplog.text
        assert TOKEN not in told and CANARY not in told


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.parametrize("change", CHANGES)
def test_no_change_follows_a_redirect(change: str, code: int) -> None:
    with answering_badly(Line.answer, good_change) as elsewhere:
        error, _, times, _ = changed(change, status(f"{code} Elsewhere", f"location: {elsewhere.url}/"))
        assert isinstance(error, SourceError) and times == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "way", ["429", "502 as a page", "503", "no answer", "closed before the answer", "reset in the body", "closed in the body"]
)
def test_a_function_is_called_once_a_probe(way: str) -> None:
    """A probe may write: it is sent again only where no connection came about."""
    spec = FunctionSpec.model_validate(
        {
            "version": 1,
            "verify_jwt": True,
            "request": {"method": "POST", "body": {"a": 1}},
            "response": {"json_schema": {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}},
        }
    )
    with answering_badly(ON_THE_LINE[way], lambda path: (b'{"ok": true}', "application/json")) as saboteur:
        gateway = Gateway(saboteur.url, anon_key=SecretStr(TOKEN), timeout_s=TIMEOUT_S)
        with closing(gateway):
            facts = gateway.probe({"made": spec}, values={})
        assert saboteur.count("POST") == 1
        assert not facts.ok or not facts.table["status"].between(200, 299).any() or not facts.table["completed"].all()
        assert TOKEN not in repr(facts) + str(facts.error)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"17", b'{"version": "4"}', b'{"version": true}', b'{"version": NaN}', b'{"version": 4', b"\xff"]
)
def test_a_deployment_without_a_version_is_no_good_one(body: bytes) -> None:
    """The status says that it was deployed; which version runs is not known, and not made up."""
    error, answer, times, _ = changed("deploy", lambda talk: talk.answer("201 Created", body))
    assert isinstance(error, SourceNonsense) and answer is None and times == 1
