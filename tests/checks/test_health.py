"""The server's health: sessions, connections, pools, memory, response times."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from opsnb.checks import health
from opsnb.verdicts import Verdict

OWN = {"pid": 1, "own": True, "role": "opsnb_reader", "application": "opsnb", "state": "active", "statement": "select"}


def activity(*sessions: dict[str, Any]) -> pd.DataFrame:
    quiet = {"query_s": math.nan, "transaction_s": math.nan, "state_s": 1.0, "waits_for": None, "blocked_by": []}
    other = {**OWN, "own": False, "role": "authenticator"}
    return pd.DataFrame([{**OWN, **quiet}, *({**other, **quiet, "pid": 2 + number, **row} for number, row in enumerate(sessions))])


def test_runaway() -> None:
    """Over the limit fails, at it passes, an idle session never counts."""
    assert health.runaway(activity({"query_s": 60.0}), limit_s=60).verdict is Verdict.PASS
    assert health.runaway(activity({"state": "idle", "state_s": 9999.0}), limit_s=60).verdict is Verdict.PASS
    over = health.runaway(activity({"query_s": 61.0}, {"query_s": 2.0}), limit_s=60)
    assert over.verdict is Verdict.FAIL
    assert over.table is not None
    assert over.table["pid"].tolist() == [2]
    assert health.runaway(activity(), limit_s=60).verdict is Verdict.PASS


@pytest.mark.parametrize("check", [health.runaway, health.stuck])
def test_sessions_that_cannot_be_seen_are_not_fine(check: Any) -> None:
    """No right to see a session, or not even our own in the answer, is ERROR."""
    assert check(activity({"state": None}), limit_s=60).verdict is Verdict.ERROR
    assert check(activity().assign(own=False), limit_s=60).verdict is Verdict.ERROR


def test_stuck() -> None:
    """Long transactions that idle, long waits and long statements fail; a short wait warns."""

    def judge(**session: Any) -> Verdict:
        return health.stuck(activity(session), limit_s=300).verdict

    assert judge(state="idle in transaction", state_s=301.0) is Verdict.FAIL
    assert judge(state="idle in transaction (aborted)", state_s=301.0) is Verdict.FAIL
    assert judge(state="idle in transaction", state_s=10.0) is Verdict.PASS
    assert judge(state="idle", state_s=99999.0) is Verdict.PASS
    assert judge(query_s=301.0) is Verdict.FAIL
    assert judge(query_s=301.0, blocked_by=[7]) is Verdict.FAIL
    assert judge(query_s=1.0, blocked_by=[7]) is Verdict.WARN


def sessions(used: int, limit: int = 60, reserved: int = 3) -> pd.DataFrame:
    row = {"role": "authenticator", "state": "idle", "sessions": used, "max_connections": limit, "reserved_connections": reserved}
    return pd.DataFrame([row])


def test_connections() -> None:
    """The share is of what the server leaves to ordinary roles."""
    assert health.connections(sessions(45), limit_share=0.8).verdict is Verdict.PASS
    assert health.connections(sessions(46), limit_share=0.8).verdict is Verdict.FAIL
    assert health.connections(sessions(1, limit=3), limit_share=0.8).verdict is Verdict.ERROR


def metrics(**samples: float) -> pd.DataFrame:
    return pd.DataFrame({"name": list(samples), "value": list(samples.values())})


def test_pool() -> None:
    """Used up or waited for fails; without a pool in the metrics nothing is decided."""
    assert (
        health.pool(metrics(pgrst_db_pool_max=15, pgrst_db_pool_available=5, pgrst_db_pool_waiting=0), limit_share=0.8).verdict
        is Verdict.PASS
    )
    assert (
        health.pool(metrics(pgrst_db_pool_max=15, pgrst_db_pool_available=0, pgrst_db_pool_waiting=0), limit_share=0.8).verdict
        is Verdict.FAIL
    )
    assert (
        health.pool(metrics(pgrst_db_pool_max=15, pgrst_db_pool_available=9, pgrst_db_pool_waiting=2), limit_share=0.8).verdict
        is Verdict.FAIL
    )
    assert health.pool(metrics(pg_up=1), limit_share=0.8).verdict is Verdict.INCONCLUSIVE
    assert health.pool(metrics(pgrst_db_pool_max=math.nan, pgrst_db_pool_available=5), limit_share=0.8).verdict is Verdict.INCONCLUSIVE


def test_memory() -> None:
    """Too little fails; not told decides nothing."""
    assert health.memory(metrics(node_memory_MemAvailable_bytes=2, node_memory_MemTotal_bytes=10), limit_share=0.1).verdict is Verdict.PASS
    assert (
        health.memory(metrics(node_memory_MemAvailable_bytes=0.5, node_memory_MemTotal_bytes=10), limit_share=0.1).verdict is Verdict.FAIL
    )
    assert health.memory(metrics(pg_up=1), limit_share=0.1).verdict is Verdict.INCONCLUSIVE


def test_response_time() -> None:
    """The median decides, one slow answer warns, a lost one fails, too few decide nothing."""

    def judge(*milliseconds: float) -> Verdict:
        return health.response_time(pd.DataFrame({"milliseconds": milliseconds}), limit_ms=500).verdict

    assert judge(1, 2, 3, 4, 5) is Verdict.PASS
    assert judge(1, 2, 3, 4, 501) is Verdict.WARN
    assert judge(501, 502, 503, 4, 5) is Verdict.FAIL
    assert judge(1, 2, 3, 4, 5, math.nan) is Verdict.FAIL
    assert judge(1, 2) is Verdict.INCONCLUSIVE
    assert judge(math.nan) is Verdict.ERROR
    seconds = health.response_time(pd.DataFrame({"seconds": [0.6] * 5}), limit_ms=500)
    assert seconds.verdict is Verdict.FAIL
