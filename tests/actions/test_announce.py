"""An announcement: printed first, sent to every address once, filed, and judged from what was filed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from harness import Ended
from pydantic import SecretStr

from opsnb.checks import window
from opsnb.sources import notices

pytestmark = pytest.mark.target


def kept(home: Path) -> list[dict[str, str]]:
    place = home / ".opsnb" / "local" / "notices.jsonl"
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def test_a_plan_sends_nothing(target: Path, opsnb: Callable[..., Ended]) -> None:
    before = kept(target)
    ended = opsnb("announce", "local")
    assert ended.code == 0
    assert "begins at" in ended.out and "Nothing was sent." in ended.out
    assert "{" not in ended.out
    assert kept(target) == before


def test_who_applies_names_the_environment(target: Path, opsnb: Callable[..., Ended]) -> None:
    before = kept(target)
    for words in (["--apply"], ["--apply", "--confirm", "production"]):
        assert opsnb("announce", "local", *words).code == 2
    assert opsnb("announce", "local", "--message", "nothing").code == 2
    assert kept(target) == before


def test_a_message_arrives_and_is_filed(target: Path, opsnb: Callable[..., Ended]) -> None:
    """The real target takes it; the record names the reference of the address, not the address."""
    before = len(kept(target))
    ended = opsnb("announce", "local", "--apply", "--confirm", "local")
    assert ended.code == 0, ended.err
    assert len(kept(target)) == before + 1
    assert "begins at" in kept(target)[-1]["message"]
    newest = max((target / "reports" / "local").glob("*/actions/*-announce.json"), key=lambda path: path.stat().st_mtime)
    record = json.loads(newest.read_text())
    assert record["sent"][0]["delivered"] is True
    assert "127.0.0.1" not in newest.read_text()
    assert window.announced(pd.DataFrame(record["sent"])).verdict == "PASS"


def test_an_address_that_does_not_answer_is_named_by_its_reference() -> None:
    """And one that is no address at all; neither is shown."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        closed_port = door.getsockname()[1]
    told = notices.send(
        [("env:A", SecretStr(f"json://user:hunter2@127.0.0.1:{closed_port}/x")), ("env:B", SecretStr("hunter2"))], title="t", body="b"
    )
    assert told.table["delivered"].tolist() == [False, False]
    assert "hunter2" not in repr(told) + told.table.to_csv()
    sent = told.table.assign(message="window_begins")
    result = window.announced(sent)
    assert result.verdict == "FAIL"
    assert "env:A, env:B" in result.summary
    assert window.announced(sent[:0]).verdict == "INCONCLUSIVE"
