"""Checks of the functions' errors, and the template that makes a message safe to show."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_logs import FUNCTIONS, NAMES, SEEN, UNSEEN, calls

from opsnb.checks import errors
from opsnb.checks.templates import template
from opsnb.verdicts import Verdict

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def judged(*rows: dict[str, Any], limit: float = 0.01) -> Any:
    return errors.rate(calls(*rows), FUNCTIONS, names=NAMES, limit=limit)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([{"function_id": "f1", "n": 299}], Verdict.PASS),
        ([{"function_id": "f1", "n": 298}], Verdict.INCONCLUSIVE),
        ([{"function_id": "f1", "n": 200}, {"function_id": "f2", "n": 100}], Verdict.PASS),
        ([{"function_id": "f1", "n": 300, "n_5xx": 12}], Verdict.FAIL),
        ([{"function_id": "f1", "n": 300, "n_no_status": 12}], Verdict.FAIL),
        # our own probes neither help nor harm
        ([{"function_id": "f1", "n": 100}, {"function_id": "f1", "n": 400, "caller": "probe"}], Verdict.INCONCLUSIVE),
        ([{"function_id": "f1", "n": 400}, {"function_id": "f1", "n": 40, "n_5xx": 40, "caller": "probe"}], Verdict.PASS),
        # nor do functions the release does not name
        ([{"function_id": "f3", "n": 900}], Verdict.INCONCLUSIVE),
        ([{"function_id": "f1", "n": 400}, {"function_id": "f3", "n": 90, "n_5xx": 90}], Verdict.PASS),
        # one function failing alone is not hidden by the others
        ([{"function_id": "f1", "n": 9000}, {"function_id": "f2", "n": 20, "n_5xx": 20}], Verdict.FAIL),
    ],
)
def test_error_rate(rows: list[dict[str, Any]], verdict: Verdict) -> None:
    assert judged(*rows).verdict is verdict


def test_error_rate_shows_both_figures() -> None:
    result = judged({"function_id": "f1", "n": 400}, {"function_id": "f1", "n": 3, "n_5xx": 1, "caller": "probe"})
    assert "0 server errors in 400 calls" in result.summary
    assert "Our own 3 probes (1 bad) are not counted." in result.summary
    assert result.table is not None
    assert result.table["function"].tolist() == NAMES


def test_a_single_failing_function_is_named() -> None:
    result = judged({"function_id": "f1", "n": 9000}, {"function_id": "f2", "n": 20, "n_5xx": 20})
    assert result.summary.startswith("write (20 server errors in 20 calls) alone")


def test_a_missing_count_is_an_error() -> None:
    table = calls({"function_id": "f1", "n": 400})
    assert errors.rate(table.drop(columns="n_5xx"), FUNCTIONS, names=NAMES, limit=0.01).verdict is Verdict.ERROR
    assert errors.rate(table.assign(n_5xx=None), FUNCTIONS, names=NAMES, limit=0.01).verdict is Verdict.ERROR


def test_success_rate_is_the_error_rate_turned_round() -> None:
    table = calls({"function_id": "f1", "n": 149})
    assert errors.success_of_period(table, FUNCTIONS, names=NAMES, success=0.98, period="hours 4 to 12").verdict is Verdict.PASS
    table = calls({"function_id": "f1", "n": 148})
    assert errors.success_of_period(table, FUNCTIONS, names=NAMES, success=0.98, period="hours 4 to 12").verdict is Verdict.INCONCLUSIVE
    assert errors.success_of_period(table, FUNCTIONS, names=NAMES, success=98, period="hours 4 to 12").verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({"n": 59}, Verdict.PASS),
        ({"n": 58}, Verdict.INCONCLUSIVE),
        ({"n": 100, "n_slow": 40}, Verdict.FAIL),
        ({"n": 100, "n_untimed": 40}, Verdict.FAIL),
        ({"n": 1000, "n_slow": 10, "max_ms": 9000.0}, Verdict.PASS),
    ],
)
def test_alert_on_response_time(row: dict[str, Any], verdict: Verdict) -> None:
    assert errors.alert_response(calls({"function_id": "f1", **row}), FUNCTIONS, names=NAMES, limit_s=5).verdict is verdict


def met(function: str, text: str, execution: str, executions: int = 1) -> dict[str, Any]:
    """A row of `function_error_templates`."""
    said = {"template": text, "n": executions, "executions": executions, "execution_id": execution}
    return {"function_id": function, **said, "first_at": NOW, "last_at": NOW}


def recurring(messages: pd.DataFrame, seen: pd.DataFrame = SEEN, n: int = 30, answers: pd.DataFrame | None = None) -> Any:
    none = pd.DataFrame()
    table = calls({"function_id": "f1", "n": n})
    return errors.recurring(messages, none if answers is None else answers, table, seen, FUNCTIONS, names=NAMES, minimum=20)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("f1", "no note <id> for 'Anna'", "a"), ("f1", "no note <id> for 'Ben'", "b")], Verdict.FAIL),
        ([("f1", "no note <id> for 'Anna'", "a"), ("f1", "no note <id> for 'Ben'", "a")], Verdict.PASS),  # of one execution
        ([("f1", "no note <id>", "a", 2)], Verdict.FAIL),
        ([("f1", "no note <id>", "a")], Verdict.PASS),
        ([("f1", "no note <id>", "a"), ("f2", "no note <id>", "b")], Verdict.PASS),
        ([("f1", "out of memory", "", 2)], Verdict.FAIL),  # without an execution: each is one of its own
        ([("f1", "out of 'a'", ""), ("f1", "out of 'b'", "")], Verdict.FAIL),
        ([("f3", "x", "a", 2)], Verdict.PASS),  # no function of the release
    ],
)
def test_recurring_errors(rows: list[tuple[Any, ...]], verdict: Verdict) -> None:
    """The same template in two executions recurs, whatever its variables; two lines of one execution do not."""
    assert recurring(pd.DataFrame([met(*row) for row in rows])).verdict is verdict


def test_what_recurs_is_named_without_its_variables() -> None:
    twice = recurring(pd.DataFrame([met("f1", "no note <id> for 'Anna'", "a"), met("f1", "no note <id> for 'Ben'", "b")]))
    assert "read: no note <id> for <text> (2 times)" in twice.summary and "Anna" not in str(twice.table)


def test_recurring_answers() -> None:
    """The same code of one function, in two executions."""
    one = {**met("f1", "", "a", 2), "status": 500, "error_code": "EDGE_FUNCTION_ERROR", "raised_by": "function"}
    result = recurring(pd.DataFrame(), answers=pd.DataFrame([one]))
    assert result.verdict is Verdict.FAIL
    assert "500 EDGE_FUNCTION_ERROR" in result.summary
    assert recurring(pd.DataFrame(), answers=pd.DataFrame([{**one, "executions": 1}])).verdict is Verdict.PASS


def test_silence_needs_a_living_log_and_enough_calls() -> None:
    assert recurring(pd.DataFrame()).verdict is Verdict.PASS
    assert recurring(pd.DataFrame(), seen=UNSEEN).verdict is Verdict.INCONCLUSIVE
    assert recurring(pd.DataFrame(), n=19).verdict is Verdict.INCONCLUSIVE


def complete(*rows: dict[str, Any], seen: pd.DataFrame = SEEN) -> Any:
    table = pd.DataFrame([{"function_id": "f1", "execution_id": "a", "last_at": NOW, **row} for row in rows])
    return errors.complete(
        table, calls({"function_id": "f1", "n": 30}), seen, FUNCTIONS, names=NAMES,
        since=NOW - timedelta(minutes=30), until=NOW - timedelta(minutes=3), minimum=20,
    )  # fmt: skip


def test_executions_without_an_end() -> None:
    assert complete().verdict is Verdict.PASS
    assert complete(seen=UNSEEN).verdict is Verdict.INCONCLUSIVE
    lost = complete({"first_at": NOW - timedelta(minutes=10), "status": 0})
    assert lost.verdict is Verdict.FAIL
    assert lost.table is not None
    assert lost.table["how"].tolist() == ["no end"]
    assert complete({"first_at": NOW - timedelta(minutes=10), "status": 504}).verdict is Verdict.FAIL
    # it may still be running, or it belongs to the time before
    assert complete({"first_at": NOW - timedelta(minutes=1), "status": 0}).verdict is Verdict.PASS
    assert complete({"first_at": NOW - timedelta(minutes=31), "status": 0}).verdict is Verdict.PASS


words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=120)


@given(words)
def test_a_template_holds_no_number_and_no_quote(message: str) -> None:
    shown = template(message)
    assert not any(character.isnumeric() for character in shown)
    assert not re.search("[\"'`“”„«»‘’]", shown)
    assert "@" not in shown
    assert len(shown) <= 200


@given(st.text(max_size=200))
def test_a_template_of_a_template_is_itself(message: str) -> None:
    once = template(message)
    assert template(once) == once


@given(
    st.text(st.characters(categories=["Ll"], max_codepoint=127), min_size=6, max_size=20),
    st.sampled_from(['"{}"', "'{}'", "`{}`", "“{}”", '"{}', "«{}»"]),
)
def test_quoted_text_does_not_survive(secret: str, quote: str) -> None:
    marked = "qq" + secret
    assert marked not in template(f"could not find {quote.format(marked)} in the table")


@given(st.sampled_from(["Anna", "Müller", "NGUYEN", "O'Brien", "Anna-Lena", "McDonald"]))
def test_names_do_not_survive(name: str) -> None:
    assert template(f"patient {name} was not found") == "patient <name> was not found"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "TypeError: Cannot read properties of undefined (reading 'id')",
            "TypeError: Cannot read properties of undefined (reading <text>)",
        ),
        ('invalid input syntax for type uuid: "abc', "invalid input syntax for type uuid: <text>"),
        ("no row for 5e000000-0000-4000-8000-000000000001", "no row for <id>"),
        ("fetch of https://x.supabase.co/rest/v1/users?id=eq.1 failed", "fetch of <url> failed"),
        ("mail to anna@example.org bounced after 12ms", "mail to <mail> bounced after <number>"),
        ('refused: {"patient": {"name": "anna"}}', "refused: <value>"),
        ("user=anna state=asleep", "user=<value> state=<value>"),
        ("can't open the patient's file", "cant open the patients file"),
        ("first line\nsecond line with anna", "first line"),
        ("canceling statement due to statement timeout", "canceling statement due to statement timeout"),
    ],
)
def test_templates(message: str, shown: str) -> None:
    assert template(message) == shown
