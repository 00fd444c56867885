"""The logs: literals that cannot break out, windows that are halved, answers that are cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.errors import SourceError, SourceNonsense, UsageError
from opsnb.facts import Facts
from opsnb.sources.logs import MOST_PIECES, MOST_ROWS, Logs, frame, literal, substitute
from opsnb.sources.statements import parse, statement

START = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
Row = dict[str, Any]


class Platform:
    """Lines of `function_lines`, answered as the endpoint does: at most a thousand, bounds included, no zone in the times."""

    def __init__(self, *moments: datetime) -> None:
        self.moments = moments
        self.asked: list[tuple[datetime, datetime]] = []

    def analytics(self, sql: str, start: str, end: str) -> list[Row]:
        since, until = (datetime.fromisoformat(text) for text in (start, end))
        self.asked.append((since, until))
        found = sorted((moment for moment in self.moments if since <= moment <= until), reverse=True)
        return [line(moment) for moment in found[:MOST_ROWS]]


def line(moment: datetime) -> Row:
    at = f"{moment:%Y-%m-%d %H:%M:%S.%f}"
    names = ("at", "id", "log", "function_id", "execution_id", "level", "event_type", "method", "search",
             "error_code", "status", "execution_ms", "message")  # fmt: skip
    return dict.fromkeys(names, at)


def logs(platform: Any, **options: Any) -> Logs:
    return Logs(platform, **options)


def lines(platform: Any, start: datetime, end: datetime) -> Facts:
    return logs(platform).query("function_lines", start, end, parts=1, part=0)


def test_an_answer_becomes_typed_facts() -> None:
    """Times without a zone are UTC; the text asked has no header and says its window."""
    facts = lines(Platform(START), START - timedelta(minutes=5), START + timedelta(minutes=5))
    assert facts.error is None
    assert facts.table["at"].tolist() == [pd.Timestamp(START)]
    assert facts.table["message"].dtype == "string"
    assert facts.question.startswith("select")
    assert "from 2026-11-20T09:55:30.000000Z to" in facts.question
    empty = lines(Platform(), START - timedelta(minutes=5), START)
    assert empty.table.dtypes.tolist() == facts.table.dtypes.tolist()


def test_a_cut_off_answer_is_halved_until_it_is_whole() -> None:
    """Every row once, newest first, though pieces share their bounds; pieces meet on whole minutes."""
    moments = [START + timedelta(seconds=second) for second in range(5000)]
    platform = Platform(*moments)
    facts = lines(platform, START, START + timedelta(hours=3))
    assert facts.error is None
    assert facts.table["at"].tolist() == [pd.Timestamp(moment) for moment in reversed(moments)]
    assert all(bound.second == 0 for piece in platform.asked for bound in piece if bound not in (START, START + timedelta(hours=3)))


def test_a_window_longer_than_a_day_is_asked_in_days() -> None:
    """The endpoint refuses more than 24 hours."""
    moments = [START + timedelta(hours=hour) for hour in range(60)]
    platform = Platform(*moments)
    facts = lines(platform, START, START + timedelta(hours=60))
    assert len(facts) == 60
    assert all(until - since <= timedelta(hours=24) for since, until in platform.asked)


def test_what_cannot_be_put_together_is_not() -> None:
    """A statement that counts: too long is a mistake, cut off is nonsense; so is a minute with too many lines."""

    class Full:
        def analytics(self, sql: str, start: str, end: str) -> list[Row]:
            return [{}] * MOST_ROWS

    with pytest.raises(UsageError, match="24 hours at most"):
        logs(Platform()).query("streams", START, START + timedelta(hours=25))
    for facts in (logs(Full()).query("streams", START, START + timedelta(hours=1)), lines(Full(), START, START + timedelta(hours=1))):
        assert isinstance(facts.error, SourceNonsense)
        assert "cut off at 1000 rows" in str(facts.error)


def test_a_question_is_not_split_without_end() -> None:
    """The endpoint may be asked about thirty times a minute."""

    class Busy:
        asked = 0

        def analytics(self, sql: str, start: str, end: str) -> list[Row]:
            self.asked += 1
            long = datetime.fromisoformat(end) - datetime.fromisoformat(start) > timedelta(minutes=5)
            return [{}] * MOST_ROWS if long else []

    busy = Busy()
    facts = lines(busy, START, START + timedelta(hours=24))
    assert isinstance(facts.error, SourceNonsense)
    assert "too many rows to fetch" in str(facts.error)
    assert busy.asked == MOST_PIECES


@pytest.mark.parametrize("ends", [(START, START), (START, START - timedelta(1)), (START.replace(tzinfo=None), START)])
def test_a_window_has_two_ends_with_a_zone(ends: tuple[datetime, datetime]) -> None:
    """Local time is nobody's."""
    with pytest.raises(UsageError, match="two ends with a time zone"):
        logs(Platform()).query("streams", *ends)


def test_an_error_of_the_platform_is_the_facts() -> None:
    """Of the logs, with the statement."""

    class Broken:
        def analytics(self, sql: str, start: str, end: str) -> list[Row]:
            raise SourceError("no", source="logs", question=sql)

    facts = logs(Broken()).query("streams", START, START + timedelta(hours=1))
    assert (facts.source, str(facts.error)) == ("logs", "no")


@pytest.mark.parametrize(
    ("row", "sign"),
    [
        ({"n": "1"}, "has no at"),
        ({"n": "one", "at": "2026-01-01"}, "n is not the bigint"),
        ({"n": 1, "at": "Anna"}, "at is not the timestamptz"),
    ],
)
def test_rows_that_are_not_the_headers(row: Row, sign: str) -> None:
    """A missing column or another type; no value is shown."""
    said = parse("logs", "things", "-- Things.\n-- columns: n bigint | at timestamptz\n-- params: none\n-- needs: nothing\nselect 1")
    with pytest.raises(SourceNonsense, match=sign) as caught:
        frame(said, [row])
    assert "Anna" not in str(caught.value)


def test_numbers_may_come_as_text() -> None:
    """64-bit integers do; what is not a number is null."""
    said = parse("logs", "things", "-- Things.\n-- columns: n bigint | ms float8\n-- params: none\n-- needs: nothing\nselect 1")
    table = frame(said, [{"n": "9007199254740993", "ms": "1.5"}, {"n": None, "ms": None}])
    assert table["n"].tolist()[0] == 9007199254740993
    assert table["ms"].tolist()[0] == 1.5
    assert table.iloc[1].isna().all()


def unquoted(text: str) -> str:
    """Reads a ClickHouse string literal; fails where it ends before its end."""
    assert text[0] == text[-1] == "'"
    out, rest = "", iter(text[1:-1])
    for letter in rest:
        assert letter != "'", "the literal ends early"
        out += next(rest) if letter == "\\" else letter
    return out


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_text_stays_within_its_quotes(value: str) -> None:
    """Whatever quotes and backslashes it holds."""
    assert unquoted(literal(value)) == value


def test_literals() -> None:
    """Numbers, texts, lists; nothing else."""
    assert [literal(value) for value in (5, 5.5, True, ["a", 1], ())] == ["5", "5.5", "true", "['a', 1]", "[]"]
    for wrong in (None, float("nan"), float("inf"), b"x", {"a": 1}, "a\0b", START):
        with pytest.raises(UsageError, match="finite numbers, texts and lists"):
            literal(wrong)


def test_a_value_that_looks_like_a_parameter_stays_a_value() -> None:
    """Parameters are put in once."""
    text = substitute(statement("logs", "probe_seen"), {"mark": "{mark}' or 1"})
    assert text.count(r"'{mark}\' or 1'") == 2
    assert "{words}" in substitute(statement("logs", "key_events"), {"words": ["{words}"]})


def test_a_probe_is_waited_for_until_it_is_seen_or_the_time_is_over() -> None:
    """Asked at intervals; the last word is an empty table, not an error."""
    now = [0.0]

    class Late:
        def __init__(self, after: float) -> None:
            self.after = after

        def analytics(self, sql: str, start: str, end: str) -> list[Row]:
            assert "'run-1'" in sql
            row = {"function_id": "f", "status": 200, "n": "3", "first_at": "2026-11-20 10:00:00", "last_at": "2026-11-20 10:00:00"}
            return [row] if now[0] >= self.after else []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    since = datetime.now(UTC) - timedelta(minutes=5)
    for after, found, ended in ((0, 1, 0), (7, 1, 9), (500, 0, 60)):
        now[0] = 0.0
        facts = logs(Late(after), sleep=sleep, clock=lambda: now[0]).seen("run-1", since, deadline_s=60)
        assert facts.error is None
        assert len(facts) == found
        assert now[0] == ended
