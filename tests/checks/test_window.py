"""Checks of the deployment window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from made_logs import FUNCTIONS, NAMES, SEEN, UNSEEN, calls

from opsnb.checks import window
from opsnb.verdicts import Verdict

T = datetime(2026, 11, 23, 10, tzinfo=UTC)
NONE = pd.DataFrame()


def refused(state: str, role: str = "authenticator", n: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"severity": ["FATAL"], "sqlstate": [state], "role": [role], "n": [n]})


@pytest.mark.parametrize(
    ("row", "seen", "verdict"),
    [
        ({"n": 20}, SEEN, Verdict.PASS),
        ({"n": 19}, SEEN, Verdict.INCONCLUSIVE),
        ({"n": 20}, UNSEEN, Verdict.INCONCLUSIVE),
        ({"n": 20, "n_5xx": 1}, SEEN, Verdict.FAIL),
        ({"n": 1, "n_5xx": 1}, UNSEEN, Verdict.FAIL),
        ({"n": 20, "n_5xx": 1, "caller": "probe"}, SEEN, Verdict.FAIL),
        ({"n": 20, "n_no_status": 1}, SEEN, Verdict.FAIL),
    ],
)
def test_no_500(row: dict[str, Any], seen: pd.DataFrame, verdict: Verdict) -> None:
    assert window.no_500(calls({"function_id": "f1", **row}), seen, FUNCTIONS, names=NAMES, minimum=20).verdict is verdict


def test_an_empty_log_proves_nothing() -> None:
    for judged in (window.no_500, window.no_401):
        assert judged(NONE, SEEN, FUNCTIONS, names=NAMES, minimum=20).verdict is Verdict.INCONCLUSIVE
    assert window.no_403(NONE, NONE, SEEN, FUNCTIONS, names=NAMES, minimum=20).verdict is Verdict.INCONCLUSIVE
    assert window.response_times(NONE, SEEN, FUNCTIONS, names=NAMES, limit_s=5, minimum=20).verdict is Verdict.INCONCLUSIVE
    assert window.no_connection_timeouts(NONE, NONE, NONE, SEEN, FUNCTIONS, names=NAMES, minimum=20).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("errors", "waited", "verdict"),
    [
        (NONE, NONE, Verdict.PASS),
        (refused("53300"), NONE, Verdict.FAIL),
        (refused("08006"), NONE, Verdict.FAIL),
        (refused("57014"), NONE, Verdict.PASS),
        (refused("42501"), NONE, Verdict.PASS),
        (NONE, pd.DataFrame({"log": ["postgrest_logs"], "function_id": [""], "n": [2]}), Verdict.FAIL),
    ],
)
def test_no_connection_timeouts(errors: pd.DataFrame, waited: pd.DataFrame, verdict: Verdict) -> None:
    table = calls({"function_id": "f1", "n": 30})
    assert window.no_connection_timeouts(errors, waited, table, SEEN, FUNCTIONS, names=NAMES, minimum=20).verdict is verdict


@pytest.mark.parametrize(
    ("n_403", "errors", "verdict"),
    [
        (0, NONE, Verdict.PASS),
        (1, NONE, Verdict.FAIL),
        (0, refused("42501"), Verdict.FAIL),
        (0, refused("42501", role="opsnb_reader"), Verdict.PASS),  # what we are denied is no caller's violation
        (0, refused("22P02"), Verdict.PASS),
    ],
)
def test_no_403(n_403: int, errors: pd.DataFrame, verdict: Verdict) -> None:
    table = calls({"function_id": "f1", "n": 30, "n_403": n_403})
    assert window.no_403(table, errors, SEEN, FUNCTIONS, names=NAMES, minimum=20).verdict is verdict


def test_no_401_says_who_raised_it() -> None:
    result = window.no_401(calls({"function_id": "f1", "n": 30, "n_401": 3, "n_401_platform": 2}), SEEN, FUNCTIONS, names=NAMES, minimum=20)
    assert result.verdict is Verdict.FAIL
    assert "3 answers 401 in 30 calls" in result.summary
    assert "The platform raised 2 of them" in result.summary


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({}, Verdict.PASS),
        ({"n_slow": 1}, Verdict.WARN),
        ({"n_untimed": 1}, Verdict.INCONCLUSIVE),
        ({"n_slow": 1, "n_untimed": 1}, Verdict.WARN),
    ],
)
def test_response_times(row: dict[str, Any], verdict: Verdict) -> None:
    table = calls({"function_id": "f1", "n": 30, **row})
    assert window.response_times(table, SEEN, FUNCTIONS, names=NAMES, limit_s=5, minimum=20).verdict is verdict


def probes(*bad: tuple[str, int], names: list[str] = NAMES, every: int = 5, until: int = 300, skip: range = range(0)) -> pd.DataFrame:
    """A probe of each function every *every* seconds for *until* seconds; those in *bad* (function, second) failed."""
    return pd.DataFrame([
        {"at": T + timedelta(seconds=second), "function": name, "status": 500 if (name, second) in bad else 200, "seconds": 0.2}
        for second in range(0, until + 1, every) if second not in skip for name in names
    ])  # fmt: skip


def down(table: pd.DataFrame, limit_minutes: float = 5) -> Any:
    return window.downtime(table, names=NAMES, window_s=300, interval_s=5, limit_minutes=limit_minutes)


def test_downtime() -> None:
    assert (down(probes()).verdict, down(probes()).measured) == (Verdict.PASS, 0.0)
    # from the last good probe (5) to the next good one (20); the other function's failure lies within it
    short = down(probes(("read", 10), ("read", 15), ("write", 15)))
    assert (short.verdict, short.measured) == (Verdict.PASS, 15.0)
    assert short.table is not None
    assert short.table[["function", "seconds", "probes", "what"]].to_numpy().tolist() == [
        ["read", 15.0, 2, "500"],
        ["write", 10.0, 1, "500"],
    ]
    assert down(probes(("read", 10), ("read", 15)), limit_minutes=0.25).verdict is Verdict.FAIL
    # two separate ones add up, one at the very start and one at the very end count as well
    assert down(probes(("read", 0), ("read", 300))).measured == pytest.approx(5 + 5 + 0.2)


def test_a_function_that_never_answered_again_is_not_known_to_be_back() -> None:
    result = down(probes(("read", 295), ("read", 300)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "read still did not answer 200" in result.summary
    assert down(probes(*(("read", second) for second in range(0, 301, 5)))).verdict is Verdict.FAIL


def test_no_answer_is_downtime() -> None:
    table = probes()
    table.loc[4, "status"] = 0
    result = down(table)
    assert result.measured == 10.0
    assert result.table is not None
    assert result.table["what"].tolist() == ["no answer"]


@pytest.mark.parametrize(
    "table", [probes().iloc[:0], pd.DataFrame(), probes(names=["read"]), probes(until=120), probes(skip=range(100, 160))]
)
def test_what_was_not_watched_is_not_known(table: pd.DataFrame) -> None:
    assert down(table).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("minutes", "verdict"),
    [(10, Verdict.PASS), (30, Verdict.PASS), (31, Verdict.FAIL), (-1, Verdict.ERROR)],
)
def test_verification_in_time(minutes: int, verdict: Verdict) -> None:
    for ended in (T + timedelta(minutes=minutes), (T + timedelta(minutes=minutes)).isoformat()):
        assert window.verification_in_time(window_ended=T, verified_at=ended, limit_minutes=30).verdict is verdict


def test_verification_needs_two_times_with_zones() -> None:
    assert window.verification_in_time(window_ended=None, verified_at=T, limit_minutes=30).verdict is Verdict.INCONCLUSIVE
    assert window.verification_in_time(window_ended=T, verified_at=None, limit_minutes=30).verdict is Verdict.INCONCLUSIVE
    assert window.verification_in_time(window_ended="2026-11-23T10:00:00", verified_at=T, limit_minutes=30).verdict is Verdict.ERROR


CUT = "The window was cut short after 12 s: what came then is not known."


@pytest.mark.parametrize(("row", "verdict"), [({"n": 20}, Verdict.INCONCLUSIVE), ({"n": 20, "n_5xx": 1}, Verdict.FAIL)])
def test_a_part_of_the_window_passes_nothing(row: dict[str, Any], verdict: Verdict) -> None:
    """What failed in it has failed."""
    judged = window.no_500(calls({"function_id": "f1", **row}), SEEN, FUNCTIONS, names=NAMES, minimum=20, cut_short=CUT)
    assert judged.verdict is verdict and judged.summary.endswith(CUT)
