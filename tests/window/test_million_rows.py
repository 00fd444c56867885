"""A window of a million log rows, behind an endpoint that answers a thousand: judged from aggregates, in few requests, to the call."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import REPOSITORY, make_home, run_cells

from opsnb.local import target
from opsnb.sources.supabase import Supabase
from opsnb.verdicts import Verdict

ROWS = 1_000_000
FUNCTIONS = ("create-context-snapshot", "get-patient-history", "generate-soap-draft-v2", "update-patient-medical-record")
SOURCES = ("function_edge_logs", "function_logs", "postgres_logs")
PROJECT = "localclinicopsnbdemo"
REQUESTS = 20
"""Fewer than so many may be sent, for a phase and all its questions to the logs."""
SPAN = timedelta(minutes=4)

pytestmark = [pytest.mark.slow, pytest.mark.target]


def rows(ids: dict[str, str], now: datetime, met: Counter[str]) -> Iterator[tuple[str, str]]:
    """(source, JSON line): three in ten are calls, six are lines of functions, one is the database's."""
    for number in range(ROWS):
        at = now - SPAN * (number / ROWS)
        function = ids[FUNCTIONS[number % 4]]
        row: dict[str, Any] = {"id": str(uuid.UUID(int=number)), "timestamp": f"{at:%Y-%m-%d %H:%M:%S.%f}", "severity_text": "INFO"}
        kind = number // 4 % 10  # three calls, and two lines of each
        attributes = {"function_id": function, "execution_id": f"e{number - 4 * (kind - kind % 3)}"}
        if kind < 3:
            status = 500 if number % 2003 == 0 else 403 if number % 5003 == 0 else 200
            met[str(status)] += 1
            attributes |= {"response.status_code": str(status), "execution_time_ms": str(20 + number % 800), "request.method": "POST"}
            source, text = SOURCES[0], ""
        elif kind < 9:
            wrong = number % 1009 == 0
            met["lines at error"] += wrong
            if number % 10007 == 0 and number > ROWS // 8:  # the newest may still be running
                met["without an end"] += 1
                attributes["execution_id"] = f"lost{number}"
            attributes |= {"level": "error" if wrong else "log", "event_type": "Log"}
            source, text = SOURCES[1], f"Error: note {number} of 'Anna {number}' is unknown" if wrong else f"read {number}"
        else:
            attributes = {"parsed.error_severity": "LOG", "parsed.user_name": "authenticator", "parsed.sql_state_code": "00000"}
            source, text = SOURCES[2], ""
        yield source, json.dumps({**row, "event_message": text, "source": source, "log_attributes": attributes})


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Counter[str]]]:
    """A target of its own whose log holds a million rows of the last minutes; and what was met in them."""
    home = make_home(tmp_path_factory.mktemp("busy"))
    local, met = home / ".opsnb" / "local", Counter[str]()
    target.up(home)
    try:
        deployed = {each["slug"]: str(each["id"]) for each in functions(local / "run")}
        target.down(home)
        with ExitStack() as open_files:
            files = {name: open_files.enter_context((local / "logs" / f"{name}.jsonl").open("a")) for name in SOURCES}
            for source, line in rows(deployed, datetime.now(UTC), met):
                files[source].write(line + "\n")
        target.up(home)
        yield home, met
    finally:
        target.down(home)


def functions(run: Path) -> list[dict[str, Any]]:
    """The platform's own list of them."""
    said = {name: (run / name).read_text(encoding="utf-8").strip() for name in ("platform_url", "access_token")}
    headers = {"authorization": f"Bearer {said['access_token']}"}
    found: list[dict[str, Any]] = httpx.get(f"{said['platform_url']}/v1/projects/{PROJECT}/functions", headers=headers).json()
    return found


@pytest.mark.parametrize("phase", ["07_window", "08_verify"])
def test_a_million_rows_are_judged_in_few_requests(
    busy: tuple[Path, Counter[str]], phase: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each count is the exact one: nothing was sampled, and nothing stopped at the thousandth row."""
    home, met = busy
    asked: list[str] = []
    real = Supabase.analytics

    def counted(self: Supabase, sql: str, start: str, end: str) -> Any:
        asked.append(sql)
        return real(self, sql, start, end)

    monkeypatch.setattr(Supabase, "analytics", counted)
    monkeypatch.setenv("OPSNB_HOME", str(home))
    monkeypatch.setenv("OPSNB_REPORTS", str(tmp_path / "reports"))
    ended = run_cells(REPOSITORY / "notebooks" / f"{phase}.ipynb")
    assert ended.report is not None
    results = {each.id: each for each in ended.report.results}
    assert 0 < len(asked) < REQUESTS, asked
    if phase == "07_window":
        assert results["window.no_500"].verdict is Verdict.FAIL and f"{met['500']} server errors" in results["window.no_500"].summary
        assert results["window.no_403"].verdict is Verdict.FAIL and f"{met['403']}" in results["window.no_403"].summary
    else:
        found = [(results[name].verdict, results[name].summary) for name in ("errors.rate", "errors.recurring", "errors.complete")]
        assert found[0][0] is Verdict.PASS and found[0][1].startswith(f"{met['500']} server errors in ")
        assert found[1][0] is Verdict.FAIL and "Error: note <id> of <text> is unknown" in found[1][1]
        assert found[2][0] is Verdict.FAIL and found[2][1].startswith(f"{met['without an end']} executions without an end")
    assert not [each for each in ended.report.results if each.verdict is Verdict.ERROR]
