"""Checks of the deployment as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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


@dataclass
class Period:
    name: str
    from_hours: float
    to_hours: float
    every_minutes: float


PERIODS = [Period("0-4", 0, 4, 30), Period("4-12", 4, 12, 60), Period("12-24", 12, 24, 240)]
DUE = (
    [T + timedelta(minutes=30 * n + 1) for n in range(8)]
    + [T + timedelta(hours=4 + n, minutes=1) for n in range(8)]
    + [T + timedelta(hours=12 + 4 * n) for n in range(3)]
)


def monitored(runs: list[datetime], hours: float, started: datetime | None = T) -> tuple[Verdict, object]:
    result = deployment.monitoring_complete(
        pd.DataFrame({"run_at": runs}), periods=PERIODS, deployed_at=started, now=T + timedelta(hours=hours)
    )
    return result.verdict, result.measured


def test_monitoring_complete() -> None:
    assert monitored(DUE, 24) == (Verdict.PASS, 19)
    assert monitored(DUE, 23.9) == (Verdict.INCONCLUSIVE, 19)
    assert monitored([*DUE, *DUE], 25) == (Verdict.PASS, 19)
    assert monitored(DUE[:5] + DUE[6:], 25) == (Verdict.FAIL, 18)
    assert monitored(DUE[:8], 4.5) == (Verdict.INCONCLUSIVE, 8)
    assert monitored([], 0.2) == (Verdict.INCONCLUSIVE, 0)
    assert monitored([], 25) == (Verdict.FAIL, 0)
    # runs of another time do not fill a slot
    assert monitored([moment - timedelta(days=2) for moment in DUE], 25) == (Verdict.FAIL, 0)
    assert monitored(DUE, 25, started=None)[0] is Verdict.INCONCLUSIVE


def test_a_time_without_zone_is_refused() -> None:
    result = deployment.monitoring_complete(pd.DataFrame(), periods=PERIODS, deployed_at="2026-11-23T10:00:00", now=T)
    assert result.verdict is Verdict.ERROR
