"""Doors open when they are first used, know nothing before, and none of them raises SourceError into a notebook."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Server

from opsnb import checks
from opsnb.config import Environment, FunctionSpec, IdentitySpec, Release
from opsnb.errors import ReferenceError_, SourceAbsent, SourceError, UsageError
from opsnb.facts import Facts, asked
from opsnb.sources import Doors

IDENTITY = IdentitySpec(
    project_id="p", issuer="https://securetoken.google.com/p", subject_column="clinic.people.uid", role_column="kind", id_column="id"
)
FUNCTION = FunctionSpec.model_validate({"version": 1, "request": {"body": {}}, "response": {"json_schema": {"type": "object"}}})
ASKED: dict[str, Callable[[Doors], Facts]] = {
    "database": lambda doors: doors.database.facts(),
    "platform": lambda doors: doors.platform.functions(),
    "function source": lambda doors: doors.platform.function_source("a"),
    "logs": lambda doors: doors.logs.seen("m", datetime.now(UTC), deadline_s=0),
    "functions": lambda doors: doors.functions.probe({"a": FUNCTION}, values={}),
    "metrics": lambda doors: doors.metrics.samples(),
    "firebase": lambda doors: doors.firebase.jwks(),
}
NAMES = ("database", "platform", "logs", "functions", "metrics", "firebase")


def made(tmp_path: Path, url: str, dsn: str, **more: Any) -> Doors:
    for name, text in (("dsn", dsn), ("token", "hunter2\n"), ("key", "hunter2\n")):
        (tmp_path / name).write_text(text)
    said: dict[str, Any] = {
        "name": "e", "release": "r", "project_ref": "a" * 20,
        "postgres": {"dsn": "file:dsn", "connect_timeout_s": 2},
        "platform": {"url": url, "access_token": "file:token", "timeout_s": 1},
        "functions": {"url": f"{url}/functions/v1", "anon_key": "file:key"},
        "metrics": {"url": f"{url}/metrics", "password": "file:key"},
        "firebase": {"jwks_url": f"{url}/jwks"},
    }  # fmt: skip
    release = Release.model_construct(name="r", identity=IDENTITY)
    return Doors(Environment.model_validate({**said, **more}), release, phase="tests", root=tmp_path)


@pytest.fixture
def nowhere(tmp_path: Path, closed_port: int) -> Doors:
    """Every system is one at which nothing listens."""
    return made(tmp_path, f"http://127.0.0.1:{closed_port}", f"postgresql://u:hunter2@127.0.0.1:{closed_port}/x")


@pytest.mark.parametrize("name", ASKED)
def test_no_door_raises_into_a_notebook(nowhere: Doors, name: str) -> None:
    """The reason is in the facts, with the source; no secret is in either."""
    facts = ASKED[name](nowhere)
    nowhere.close()
    assert isinstance(facts.error, SourceError)
    assert facts.source
    assert not facts.ok
    assert len(facts) == 0
    assert "hunter2" not in repr(facts) + str(facts.error) + repr(vars(nowhere))
    with pytest.raises(SourceError):
        facts.table  # noqa: B018


def test_references_are_resolved_when_a_door_is_used(tmp_path: Path, nowhere: Doors) -> None:
    """One that is missing does not keep the others shut."""
    (tmp_path / "token").unlink()
    with pytest.raises(ReferenceError_, match="file:token"):
        _ = nowhere.logs
    assert nowhere.metrics
    nowhere.close()


def test_a_door_is_opened_once_and_again_after_closing(tmp_path: Path, server: Server, admin: Any) -> None:
    """Closed together, twice if need be."""
    doors = made(tmp_path, "http://127.0.0.1:9", server.dsn().get_secret_value())
    assert doors.database is doors.database
    assert doors.database.facts().ok
    connected = "select count(*) from pg_stat_activity where application_name = 'opsnb/tests' and usename = 'reader'"
    assert admin.execute(connected).fetchone() == (1,)
    first = doors.database
    for name in NAMES:
        getattr(doors, name)
    doors.close()
    doors.close()
    admin.execute("select pg_sleep(0.1)")
    assert admin.execute(connected).fetchone() == (0,)
    assert doors.database is not first
    assert doors.database.facts().ok
    doors.close()


@pytest.mark.parametrize("name", ["platform", "logs", "functions", "metrics", "firebase"])
def test_what_is_asked_of_a_system_nobody_named_does_not_apply(tmp_path: Path, name: str) -> None:
    """Whatever is asked: facts without a table, a sentence that names the key, and a check that is NOT_APPLICABLE and no PASS."""
    key = "platform" if name == "logs" else name
    door = getattr(made(tmp_path, "http://127.0.0.1:9", "host=x", **{key: None}), name)
    facts = door.whatever("one", two=3)
    assert isinstance(facts.error, SourceAbsent)
    assert f"environment e names no `{key}`" in str(facts.error)
    result = checks.health.pool(facts, limit_share=0.8)
    assert result.verdict == "NOT_APPLICABLE"
    assert f"`{key}`" in result.summary
    assert not hasattr(door, "_repr_html_")


def test_a_token_that_no_header_may_hold_is_the_operators_mistake(tmp_path: Path, nowhere: Doors) -> None:
    """Said before anything is sent, and without the token."""
    for token in ("hunter2\nsecond line", "hünter2"):
        (tmp_path / "token").write_text(token, encoding="utf-8")
        with pytest.raises(UsageError, match="holds what no header may") as caught:
            _ = nowhere.platform
        assert "nter2" not in str(caught.value)


def test_what_is_no_source_error_is_a_mistake_of_ours() -> None:
    """`asked` keeps SourceError and nothing else; facts without either are an error too."""

    @asked("tests")
    def wrong(kind: type[Exception]) -> tuple[str, Any]:
        raise kind("x")

    facts = wrong(SourceError)
    assert (facts.source, facts.question) == ("tests", "wrong")
    with pytest.raises(ZeroDivisionError):
        wrong(ZeroDivisionError)
    with pytest.raises(SourceError, match="no answer was given"):
        Facts("tests", "q", 0.0).table  # noqa: B018
