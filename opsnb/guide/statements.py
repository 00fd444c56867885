"""SQL of a runbook: whether it can be read, would prepare on the target, and could fail."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from itertools import groupby

import sqlglot
from sqlglot import exp

from opsnb.guide.document import Guide, Line
from opsnb.guide.findings import Finding

_SETS = re.compile(
    r"\b(jsonb?_object_keys|jsonb?_array_elements(_text)?|jsonb?_each(_text)?|unnest|generate_series|regexp_split_to_table)\s*\(",
    re.IGNORECASE,
)
_EXPECTED = re.compile(r"[<>]=?\s*\d|=\s*\d|\b(\d+)\s+rows?\b|\bexists\b|\bhaving\b", re.IGNORECASE)


def judge(guide: Guide, prepared: Mapping[int, str] | None = None) -> Iterator[Finding]:
    """Every statement. *prepared*: line → why the target does not take it; None where no target was asked."""
    for statement in guide.statements:
        parsed = _parsed(statement.text)
        if isinstance(parsed, str):
            yield _found(statement, "error", "sql-unreadable", parsed)
            continue
        if prepared is not None and statement.line in prepared:
            yield _found(statement, "error", "sql-refused", f"The target does not take it: {prepared[statement.line]}")
        yield from _shape(statement, parsed)
    yield from _deletions(guide)


def can_prepare(text: str) -> bool:
    """Whether the server can judge a statement without running it."""
    parsed = _parsed(text)
    return isinstance(parsed, (exp.Query, exp.Insert, exp.Update, exp.Delete))


def _parsed(text: str) -> exp.Expr | str:
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        found = sqlglot.parse_one(text, dialect="postgres")
    except Exception as error:  # on text that is no SQL at all it also stumbles over itself
        told = getattr(error, "errors", None)
        what = told[0].get("description", "") if told else ""
        return f"It is no SQL that PostgreSQL reads{f' ({what})' if what else ''}."
    return found if found is not None else "It is empty."


def _shape(statement: Line, parsed: exp.Expr) -> Iterator[Finding]:
    if not isinstance(parsed, exp.Query):
        return
    selected = " ".join(each.sql(dialect="postgres") for each in parsed.selects)
    if (sets := _SETS.search(selected)) is not None:
        rows = "`limit` then counts these rows, not the table's." if parsed.args.get("limit") else "the rows are no longer the table's."
        yield _found(
            statement,
            "error",
            "multiplies-rows",
            f"{sets[1]} in the select list makes a row of each element: {rows}",
            "A lateral subquery that aggregates, or a count.",
        )
    if re.search(r"jsonb?_array_length\s*\(", selected, re.IGNORECASE) and "jsonb_typeof" not in statement.text.lower():
        yield _found(
            statement,
            "error",
            "raises-on-malformed",
            "jsonb_array_length raises on the first value that is no array, which is what the query should find.",
            "case when jsonb_typeof(…) = 'array' then jsonb_array_length(…) end",
        )
    counts = [each for each in parsed.selects if each.find(exp.Count)]
    if counts and len(counts) == len(parsed.selects) and not _EXPECTED.search(statement.text):
        yield _found(
            statement,
            "warning",
            "cannot-fail",
            "A count without a number to compare it with passes whatever it is.",
            "Keep the counts of before (opsnb snapshot ENV) and compare.",
        )
    elif not counts and not parsed.find(exp.Exists):
        yield _found(
            statement,
            "warning",
            "cannot-fail",
            "An answer without rows ends as well as one with rows: nothing says how many there must be.",
            "select count(*) = …, or opsnb's check of it.",
        )


def _deletions(guide: Guide) -> Iterator[Finding]:
    changes = [each for each in guide.statements if re.match(r"\s*(delete|update|truncate)\b", each.text, re.IGNORECASE)]
    for section, group in groupby(changes, key=lambda each: each.section):
        several = list(group)
        begun = any(
            re.match(r"\s*(begin|start transaction)\b", each.text, re.IGNORECASE) for each in guide.statements if each.section == section
        )
        if not begun:
            yield _found(
                several[0],
                "error",
                "half-done",
                f"{len(several)} changing statements in no transaction: one that fails leaves the ones "
                "before it done, and nothing asserts how many rows went.",
                "One transaction that compares the number of rows (opsnb cleanup ENV).",
            )


def _found(statement: Line, severity: str, rule: str, sentence: str, instead: str = "") -> Finding:
    text = " ".join(statement.text.split())
    shown = text if len(text) <= 100 else text[:97] + "…"
    return Finding(statement.line, severity, rule, shown, sentence, instead)  # type: ignore[arg-type]
