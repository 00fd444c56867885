"""Patterns mean to Postgres what they mean to JavaScript, whose regular expressions JSON Schema's are; others are refused."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clusters import bare

from opsnb.sources.shape_patterns import FORMATS, Refused, translated


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection[Any]]:
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def matched(connection: psycopg.Connection[Any], expression: str, texts: list[str]) -> list[bool]:
    asked = 'select text collate "C" ~ %s from unnest(%s::text[]) with ordinality as given (text, place) order by place'
    return [row[0] for row in connection.execute(asked, [expression, texts])]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("", ["", "a\n"], []),
        ("b", ["abc"], ["", "ac"]),
        ("^a$", ["a"], ["a\n", "ba", "\na"]),
        (r"^\d+$", ["12"], ["١٢", "", "1 2"]),
        (r"^\w$", ["_", "Z"], ["é", "-"]),
        (r"^\s$", ["\u00a0", "\ufeff", "\u2028", "\t"], ["\u200b", "s"]),
        (r"^.$", ["\u0085", "😀", "é"], ["\n", "\r", "\u2028", ""]),
        (r"^[^\d]$", ["a", "\n"], ["1"]),
        (r"^[\w.-]+$", ["a.b-c_1"], ["a b"]),
        (r"^[a\-c]$", ["a", "-", "c"], ["b"]),
        (r"^[\]\[\\^]$", ["]", "[", "\\", "^"], ["a"]),
        (r"^[[:a]$", [":", "[", "a"], ["b"]),
        (r"^[^]$", ["a", "\n"], [""]),
        (r"^\u00e9\x41\u{1f600}\ud83d\ude00$", ["éA😀😀"], ["éA😀"]),
        (r"^(?<year>\d{4})-(?:0[1-9]|1[0-2])$", ["2026-12"], ["2026-13"]),
        (r"^(?!.*secret).+$", ["open"], ["a secret"]),
        (r"^(?=.*\d)[a-z\d]{2,3}?$", ["a1", "ab1"], ["ab", "a", "abc1"]),
        (r"^(a|)b*?$", ["", "abb", "bb"], ["aab"]),
        (r"\/\.\*", ["/.*"], ["/.."]),
    ],
)
def test_a_pattern_means_the_same(server: psycopg.Connection[Any], pattern: str, good: list[str], bad: list[str]) -> None:
    assert matched(server, translated(pattern), good + bad) == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1", r"(?<n>a)\k<n>", r"\ba", r"\B", r"\p{L}", r"\cA", "(?<=a)b", "(?<!a)b", "(?i)a", "[]", "[[:alpha:]]", "[b-a]", "a{256}",
        "a{2,1}",
        "a**", "^*", "(?=a)+", "(", ")", "a)", "[a", "a\\", "*a", "{", "}", "]", "a{x}", r"\0", "\0", r"\ud800", r"\u{110000}", r"\x1",
        r"[\d-z]", "(?:(?:a?){1,100}){1,10}", "(?:a{1,200}b{1,200}){9}",
    ],
)  # fmt: skip
def test_what_postgres_reads_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(Refused, match="the pattern "):
        translated(pattern)


class Author:
    """Draws patterns, all of them from one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def alternatives(self, depth: int) -> str:
        return "|".join(self.sequence(depth) for _ in range(self.draw.choice((1, 1, 1, 2))))

    def sequence(self, depth: int) -> str:
        return "".join(self.term(depth) for _ in range(self.draw.randint(0, 3)))

    def term(self, depth: int) -> str:
        kind = self.draw.random()
        if kind < 0.12:
            return self.draw.choice("^$")
        if kind < 0.2 and depth:
            return f"{self.draw.choice(('(?=', '(?!'))}{self.alternatives(depth - 1)})"
        return self.atom(depth) + self.draw.choice(("", "", "", "*", "+", "?", "{2}", "{1,}", "{0,3}", "*?", "+?", "{1,2}?"))

    def atom(self, depth: int) -> str:
        kind = self.draw.random()
        if kind < 0.4 or not depth:
            return self.draw.choice(("a", "b", "1", "_", "-", " ", "é", r"\.", r"\/", r"\n", r"\u00e9", r"\x41", "ß", r"\*", r"\\"))
        if kind < 0.6:
            held = [self.draw.choice(("a-c", "0-9", r"\d", r"\W", r"\s", r"\S", "_", "é", r"\]", r"\-", "[", "à-ÿ", ".")) for _ in range(2)]
            return f"[{self.draw.choice(('', '^'))}{''.join(held)}]"
        if kind < 0.7:
            return self.draw.choice((".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"))
        return f"{self.draw.choice(('(', '(?:'))}{self.alternatives(depth - 1)})"

    def text(self) -> str:
        return "".join(self.draw.choice("abc1٣_- é\n\r\u2028/A.*\\[]ß") for _ in range(self.draw.randint(0, 5)))


@pytest.mark.skipif(importlib.util.find_spec("deno") is None, reason="no JavaScript to compare with")
def test_patterns_match_what_javascript_matches(server: psycopg.Connection[Any]) -> None:
    """400 patterns against 50 texts each; few of them refused."""
    from deno import find_deno_bin

    author = Author(20260117)
    texts = [author.text() for _ in range(50)]
    patterns: dict[str, str] = {}
    refused = 0
    while len(patterns) < 400:
        pattern = author.alternatives(3)
        try:
            patterns[pattern] = translated(pattern)
        except Refused:
            refused += 1
    assert refused < 40
    program = (
        f"const [patterns, texts] = {json.dumps([list(patterns), texts])};"
        "console.log(JSON.stringify(patterns.map(p => { const r = new RegExp(p, 'u'); return texts.map(t => r.test(t)); })))"
    )
    done = subprocess.run([find_deno_bin(), "run", "--quiet", "-"], input=program, capture_output=True, text=True, check=True, timeout=60)
    for (pattern, expression), wanted in zip(patterns.items(), json.loads(done.stdout), strict=True):
        got = matched(server, expression, texts)
        assert got == wanted, (pattern, expression, [text for text, one, other in zip(texts, got, wanted, strict=True) if one != other])


def test_dates_are_those_of_the_calendar(server: psycopg.Connection[Any]) -> None:
    def known(text: str) -> bool:
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            return False
        return True

    years = (0, 1, 4, 100, 400, 1900, 1999, 2000, 2024, 2026, 2100, 9999)
    days = [f"{year:04}-{month:02}-{day:02}" for year in years for month in range(14) for day in range(33)]
    assert matched(server, FORMATS["date"], days) == list(map(known, days))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2024-2-29", "20240229", "2024-02-29\n", " 2024-02-29", "infinity", "today", "+02024-02-29"]),
        ("date-time", ["2026-01-17T22:04:05Z", "2026-01-17t22:04:05.123456789+02:00"],
         ["2026-01-17 22:04:05Z", "2026-01-17T22:04:05", "2026-02-30T00:00:00Z", "2026-01-17T24:00:00Z", "2026-01-17T22:04:60Z"]),
        ("uuid", ["5e000000-0000-4000-8000-00000000000A"], ["5e00000000004000800000000000", "{5e000000-0000-4000-8000-0000000001}", ""]),
        ("email", ["a@b", "x.y+z@example.org"], ["a", "@b", "a@", "a b@c", "a@b@c"]),
    ],
)  # fmt: skip
def test_formats(server: psycopg.Connection[Any], name: str, good: list[str], bad: list[str]) -> None:
    assert matched(server, FORMATS[name], good + bad) == [True] * len(good) + [False] * len(bad)
