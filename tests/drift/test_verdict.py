"""What the check says of catalogues that are not whole, not comparable or very different, and how a difference is written."""

from __future__ import annotations

import json
import time
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opsnb.checks import drift
from opsnb.checks.drift import difference
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, Verdict

SERVER = {"version": "18.1", "number": 180001, "schemas": "all", "not_read": {}}
NOTES: dict[str, Any] = {"owner": "postgres", "rls": True}


def table(*objects: tuple[str, str, dict[str, Any]], **server: Any) -> pd.DataFrame:
    rows = [("server", "PostgreSQL", {**SERVER, **server}), *objects]
    return pd.DataFrame(
        [(kind, name, json.dumps(said)) for kind, name, said in rows], columns=["kind", "object", "properties"], dtype="str"
    )


def judge(now: pd.DataFrame, was: pd.DataFrame) -> CheckResult:
    return drift.none(now, was, against="the baseline of yesterday")


WHOLE = table(("table", "clinic.notes", NOTES), ("bucket", "scans", {}))
EMPTY = pd.DataFrame(columns=["kind", "object", "properties"])


def test_without_a_baseline_it_says_how_to_capture_one() -> None:
    result = judge(WHOLE, EMPTY)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "opsnb schema capture" in result.summary


def test_a_catalogue_that_was_not_read_is_an_error() -> None:
    assert judge(EMPTY, WHOLE).verdict is Verdict.ERROR
    assert judge(WHOLE.iloc[1:], WHOLE).verdict is Verdict.ERROR
    assert judge(WHOLE, WHOLE.iloc[1:]).verdict is Verdict.ERROR
    broken = WHOLE.assign(properties=["{", "{", "["])
    assert judge(broken, WHOLE).verdict is Verdict.ERROR
    assert "{" not in judge(broken, WHOLE).summary


def test_nothing_on_one_side_is_no_comparison() -> None:
    assert judge(table(), WHOLE).verdict is Verdict.INCONCLUSIVE
    assert judge(WHOLE, table()).verdict is Verdict.INCONCLUSIVE
    assert judge(table(), table()).verdict is Verdict.INCONCLUSIVE


def test_other_schemas_are_no_comparison() -> None:
    result = judge(WHOLE, table(("table", "clinic.notes", NOTES), schemas="clinic"))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "Other schemas" in result.summary


@pytest.mark.parametrize("side", ["now", "was", "both"])
def test_buckets_that_could_not_be_read_are_not_judged(side: str) -> None:
    denied = table(("table", "clinic.notes", NOTES), not_read={"buckets": "denied"})
    now, was = (denied if side in ("now", "both") else WHOLE), (denied if side in ("was", "both") else WHOLE)
    result = judge(now, was)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "storage.buckets" in result.summary
    opened = table(("table", "clinic.notes", {"owner": "postgres"}), not_read={"buckets": "denied"})
    assert judge(opened, WHOLE).verdict is Verdict.FAIL, "what was read is judged all the same"


def test_buckets_that_are_gone_are_told() -> None:
    result = judge(table(("table", "clinic.notes", NOTES), not_read={"buckets": "absent"}), WHOLE)
    assert result.verdict is Verdict.FAIL
    assert "bucket scans (removed)" in result.summary


def test_the_order_of_properties_and_rows_means_nothing() -> None:
    turned = table(("bucket", "scans", {}), ("table", "clinic.notes", dict(reversed(NOTES.items()))))
    assert judge(turned, WHOLE).verdict is Verdict.PASS
    shuffled = WHOLE.iloc[[2, 0, 1]].reset_index(drop=True)
    assert judge(shuffled, WHOLE).verdict is Verdict.PASS


def test_a_property_no_rule_knows_is_looked_at() -> None:
    result = judge(table(("table", "clinic.notes", {**NOTES, "colour": "red"}), ("bucket", "scans", {})), WHOLE)
    assert result.verdict is Verdict.FAIL
    assert result.table is not None
    assert "look at it" in result.table["who could be hurt"].iloc[0]


def test_a_privilege_newer_servers_have_is_no_difference() -> None:
    """MAINTAIN, from PostgreSQL 17 on: only between servers where one has it not."""
    older = table(("table", "clinic.notes", {"grants": {"clerk": "select, trigger"}}), number=160002, version="16.2")
    newer = table(("table", "clinic.notes", {"grants": {"clerk": "select, trigger, maintain", "keeper": "maintain with grant option"}}))
    assert judge(newer, older).verdict is Verdict.PASS
    assert "PostgreSQL 16, this is 18" in judge(newer, older).summary
    same = table(("table", "clinic.notes", {"grants": {"clerk": "select, trigger"}}))
    assert judge(newer, same).verdict is Verdict.FAIL


def test_thousands_of_differences_stay_a_page() -> None:
    many = table(*(("column", f"clinic.t{number}.c", {"type": "text"}) for number in range(3000)))
    result = judge(table(("table", "clinic.x", {})), many)
    assert result.verdict is Verdict.FAIL
    assert result.table is not None
    assert len(result.table) == 1000
    assert result.measured == 3001
    assert "3,000 differences" in result.summary
    assert "the worst 1,000 are shown" in result.summary


def test_a_source_that_failed_is_no_drift() -> None:
    from opsnb.errors import SourceTimeout

    late = Facts("postgres", "q", 0.1, error=SourceTimeout("too late"))
    assert drift.none(late, Facts("baseline", "q", 0, answer=WHOLE), against="x").verdict is Verdict.ERROR


def test_short_texts_are_shown_whole() -> None:
    assert difference("a = 1", "a = 2") == ("a = 1", "a = 2")
    assert difference("", "a") == ("", "a")


def test_long_texts_are_cut_to_the_difference() -> None:
    one = "select " + ", ".join(f"column_{number}" for number in range(60)) + " from clinic.notes where owner = auth.uid() and kind = 'x'"
    other = one.replace("auth.uid()", "auth.uid() or true")
    was, is_ = difference(one, other)
    assert "or true" in is_
    assert "or true" not in was
    assert is_.startswith("…")
    assert "column_3," not in is_
    assert max(len(was), len(is_)) < 160
    twice = other.replace("column_3,", "secret,")
    was, is_ = difference(one, twice)
    assert "column_3" in was
    assert "secret" in is_
    assert "or true" in is_


def test_texts_that_are_wholly_different_stay_short() -> None:
    started = time.perf_counter()
    was, is_ = difference(" ".join(f"a{number}" for number in range(20_000)), " ".join(f"b{number}" for number in range(20_000)))
    assert time.perf_counter() - started < 2
    assert max(len(was), len(is_)) < 400


TEXTS = st.text("ab '\"(.…", max_size=600) | st.text(max_size=300)


@given(TEXTS, TEXTS)
@example("a" * 500 + "b", "a" * 500 + "c")
@example("a" * 300, "a" * 300 + " ")
@example("x " * 500 + "a b", "x " * 500 + "a c")
def test_a_difference_is_never_lost(was: str, is_: str) -> None:
    """Whatever differs, the two cells differ as well, and equal texts stay equal."""
    one, other = difference(was, is_)
    assert (one == other) is (was == is_)
    assert len(one) <= 400
    assert len(other) <= 400
