"""Checks of the deployment as a whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from opsnb.checks import deployment
from opsnb.verdicts import Verdict

T = datetime(2026, 11, 23, 10, tzinfo=UTC)
SERVER = pd.DataFrame({"version": ["18.0"], "read_only": [True], "in_recovery": [False]})
HEALTH = pd.DataFrame({"name": ["db", "rest"], "status": ["ACTIVE_HEALTHY", "ACTIVE_HEALTHY"]})


@pytest.mark.parametrize(
    ("server", "health", "verdict"),
    [
        (SERVER, HEALTH, Verdict.PASS),
        (SERVER, HEALTH.assign(status=["ACTIVE_HEALTHY", "UNHEALTHY"]), Verdict.FAIL),
        (SERVER, HEALTH.assign(status=["ACTIVE_HEALTHY", "COMING_UP"]), Verdict.FAIL),
        (SERVER.assign(in_recovery=True), HEALTH, Verdict.FAIL),
        (SERVER.iloc[:0], HEALTH, Verdict.ERROR),
        (SERVER, HEALTH.iloc[:0], Verdict.ERROR),
        (SERVER, HEALTH.assign(status=None), Verdict.ERROR),
    ],
)
def test_connections_answer(server: pd.DataFrame, health: pd.DataFrame, verdict: Verdict) -> None:
    assert deployment.connections_answer(server, health).verdict is verdict


def results(*rows: tuple[str, str, bool]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"phase": phase, "check": f"c{n}", "verdict": verdict, "journalled": kept, "run": "r"}
            for n, (phase, verdict, kept) in enumerate(rows)
        ]
    )


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("schema", "PASS", True), ("rls", "PASS", True)], Verdict.PASS),
        ([("schema", "PASS", True), ("rls", "WARN", True), ("rls", "NOT_APPLICABLE", True)], Verdict.PASS),
        ([("schema", "PASS", True), ("rls", "INCONCLUSIVE", True)], Verdict.INCONCLUSIVE),
        ([("schema", "PASS", True)], Verdict.INCONCLUSIVE),
        ([("schema", "PASS", True), ("rls", "PASS", False)], Verdict.INCONCLUSIVE),
        ([("schema", "ERROR", True)], Verdict.ERROR),
        ([("schema", "ERROR", True), ("rls", "FAIL", True)], Verdict.FAIL),
        ([("schema", "PASS", True), ("rls", "NOT_APPLICABLE", True)], Verdict.PASS),
        ([("schema", "splendid", True)], Verdict.ERROR),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_all_passed(rows: list[tuple[str, str, bool]], verdict: Verdict) -> None:
    assert deployment.all_passed(results(*rows), phases=["schema", "rls"]).verdict is verdict


def test_a_phase_that_is_not_named_does_not_count() -> None:
    assert deployment.all_passed(results(("schema", "PASS", True), ("signoff", "FAIL", True)), phases=["schema"]).verdict is Verdict.PASS
    assert deployment.all_passed(results(("schema", "PASS", True)), phases=[]).verdict is Verdict.INCONCLUSIVE
