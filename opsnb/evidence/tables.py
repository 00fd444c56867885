"""Tables for people, as HTML and as text: numbers, times, severities as words with a shape, differences, and trees.

A table with the columns `was` and `is` is shown as a difference: under each row what went (minus sign, struck through) and what came
(plus sign, underlined). A column `tree` keeps its spaces and is drawn so that its lines meet.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

import pandas as pd

from opsnb.evidence.safe import escape, jsonable, printable, utc

ROWS_SHOWN = 30
TEXT_SHOWN = 300
WAS, IS, TREE, SEVERITY = "was", "is", "tree", "severity"
SIDE_SHOWN = 1500
"""Characters of one side of a difference."""
SAME_SHOWN = 60
"""Characters of a stretch both sides have in common; the middle of a longer one is left out."""
WORDS_COMPARED = 400
"""Words of each side that are compared one by one, after what both begin and end with."""
UNBROKEN = 16
"""A column whose texts are no longer is not broken within a word."""
MINUS, PLUS = "\u2212", "+"
SEVERITIES = {
    "error": ("fail", "✕"), "fail": ("fail", "✕"), "warning": ("warn", "▲"), "warn": ("warn", "▲"), "note": ("note", "·"),
    "ok": ("pass", "✓"), "pass": ("pass", "✓"), "unmeasured": ("error", "■"), "not read": ("error", "■"),
    "undecided": ("inconclusive", "◐"), "inconclusive": ("inconclusive", "◐"),
}  # fmt: skip
"""Word of a severity → the look it shares with a verdict, and its shape."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
Part = tuple[str, bool]
"""A stretch of text, and whether the other side has it too."""


def table_html(table: pd.DataFrame, *, most: int = ROWS_SHOWN) -> str:
    """*table* as HTML: numbers to the right, times in UTC, at most *most* rows and then how many more."""
    if not len(table.columns):
        return '<p class="opsnb-muted">An empty table.</p>'
    shown = table.head(most)
    differs = _differs(table)
    plain = shown.drop(columns=[WAS, IS]) if differs else shown
    kinds = [_kind(plain.iloc[:, position], str(name)) for position, name in enumerate(plain.columns)]
    head = "".join(f'<th scope="col"{_class(kind)}>{escape(name)}</th>' for name, kind in zip(plain.columns, kinds, strict=True))
    rows = [
        "<tr>" + "".join(f"<td{_class(kind)}>{_cell(value, kind)}</td>" for value, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in _cells(plain)
    ]
    if differs:
        width = max(len(plain.columns), 1)
        under = [_difference_html(was, is_, width) for was, is_ in zip(shown[WAS], shown[IS], strict=True)]
        rows = [f"<tbody>{row}{below}</tbody>" for row, below in zip(rows or [""] * len(under), under, strict=True)]
    body = "".join(rows)
    if not len(table):
        body = f'<tr><td colspan="{max(len(plain.columns), 1)}" class="opsnb-muted">No rows.</td></tr>'
    looks = [*(["opsnb-difference"] if differs else []), *(["opsnb-branches"] if TREE in table.columns else [])]
    more = f'<p class="opsnb-muted">… {len(table) - most:,} more</p>' if len(table) > most else ""
    rest = body if differs and len(table) else f"<tbody>{body}</tbody>"
    heading = f"<thead><tr>{head}</tr></thead>" if len(plain.columns) else ""
    cut = f' data-more="{len(table) - most}"' if len(table) > most else ""  # the page's script says so where rows are looked for
    return scrolled(f"<table{_class(' '.join(looks))}{cut}>{heading}{rest}</table>", "Differences" if differs else "Table") + more


def table_text(table: pd.DataFrame, *, most: int = ROWS_SHOWN) -> str:
    """*table* as lines of text, the same values as in HTML."""
    if not len(table.columns):
        return "(an empty table)"
    shown = table.head(most)
    differs = _differs(table)
    plain = shown.drop(columns=[WAS, IS]) if differs else shown
    names = [str(name) for name in plain.columns]
    rows = [[printable(name) for name in names], *(list(map(printable, row)) for row in _cells(plain))]
    limits = [120 if name == TREE else 60 for name in names]
    widths = [min(limit, max(len(row[position]) for row in rows)) for position, limit in enumerate(limits)]
    lines = ["  ".join(f"{value[:width]:<{width}}" for value, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if differs:
        under = [_difference_text(was, is_) for was, is_ in zip(shown[WAS], shown[IS], strict=True)]
        lines = [lines[0], *(line for at, below in enumerate(under) for line in (lines[at + 1], *below))]
    return "\n".join(lines + ([f"… {len(table) - most:,} more"] if len(table) > most else []))


def value_text(value: Any, *, column: str = "", most: int = TEXT_SHOWN) -> str:
    """One value: three significant digits, thousands separated, times in UTC, sizes in MB, – for nothing; at most *most* characters."""
    if _nothing(value):
        return "–"
    plain = value if isinstance(value, datetime) else jsonable(value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, datetime):
        return utc(plain).replace("T", " ")
    if isinstance(plain, int | float) and (column.endswith("bytes") or column == "size"):
        return size_text(float(plain))
    if isinstance(plain, int):
        return f"{plain:,}"
    if isinstance(plain, float):
        return f"{plain:,.0f}" if abs(plain) >= 100 or plain == int(plain) else f"{plain:.3g}"
    if plain is None:
        return "–"
    text = ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
    return text if len(text) <= most else f"{text[:most]}…"


def difference(was: str, is_: str) -> tuple[list[Part], list[Part]]:
    """Both texts in stretches, word by word: what only one side has, and what both have (long ones without their middle)."""
    one, other = _WORD.findall(was), _WORD.findall(is_)
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    middle, changed = one[start : len(one) - end], other[start : len(other) - end]
    left: list[Part] = [("".join(one[:start]), True)]
    right: list[Part] = [("".join(other[:start]), True)]
    if max(len(middle), len(changed)) > WORDS_COMPARED:
        left.append(("".join(middle), False))
        right.append(("".join(changed), False))
    else:
        for operation, a, b, c, d in SequenceMatcher(None, middle, changed, autojunk=False).get_opcodes():
            left.append(("".join(middle[a:b]), operation == "equal"))
            right.append(("".join(changed[c:d]), operation == "equal"))
    left.append(("".join(one[len(one) - end :]), True))
    right.append(("".join(other[len(other) - end :]), True))
    return _shortened(left), _shortened(right)


def scrolled(table: str, label: str) -> str:
    """*table* in a box that scrolls sideways, from the keyboard too; a group: landmarks are for the parts of a page."""
    return f'<div class="opsnb-scroll" role="group" aria-label="{escape(label)}" tabindex="0">{table}</div>'


def _differs(table: pd.DataFrame) -> bool:
    return list(table.columns).count(WAS) == 1 and list(table.columns).count(IS) == 1


def _shortened(parts: list[Part]) -> list[Part]:
    """Neighbours of one kind joined, the middle of long common stretches left out, and no more than SIDE_SHOWN characters."""
    joined: list[Part] = []
    for text, same in parts:  # an empty change stands where only the other side has something: what is around it stays
        if joined and joined[-1][1] == same:
            joined[-1] = joined[-1][0] + text, same
        elif text or not same:
            joined.append((text, same))
    found: list[Part] = []
    room = SIDE_SHOWN
    for at, (text, same) in enumerate(joined):
        half = SAME_SHOWN // 2
        kept = text
        if same and len(text) > SAME_SHOWN + 10 and len(joined) > 1:
            before, after = ("" if at == 0 else text[:half]), ("" if at == len(joined) - 1 else text[-half:])
            kept = f"{before} … {after}"
        if len(kept) > room:
            return [*found, (f"{kept[:room]}…", same)]
        room -= len(kept)
        found += [(kept, same)] if kept else []
    return found


def _sides(was: Any, is_: Any) -> tuple[list[Part], list[Part]]:
    """Both sides of a row; a side without a value is empty."""
    one, other = ("" if _nothing(value) else value_text(value, most=100_000) for value in (was, is_))
    if one and other:
        return difference(one, other)
    return ([(one[:SIDE_SHOWN] + "…" * (len(one) > SIDE_SHOWN), False)] if one else []), (
        [(other[:SIDE_SHOWN] + "…" * (len(other) > SIDE_SHOWN), False)] if other else []
    )


def _difference_html(was: Any, is_: Any, width: int) -> str:
    lines = ""
    for parts, sign, tag, look in zip(_sides(was, is_), (MINUS, PLUS), ("del", "ins"), ("was", "is"), strict=True):
        if parts:
            told = "".join(escape(text) if same else f"<{tag}>{escape(text)}</{tag}>" for text, same in parts)
            lines += f'<div class="opsnb-{look}"><span class="opsnb-sign">{sign}</span><code>{told}</code></div>'
    return f'<tr><td colspan="{width}" class="opsnb-change">{lines}</td></tr>' if lines else ""


def _difference_text(was: Any, is_: Any) -> list[str]:
    sides = zip(_sides(was, is_), (MINUS, PLUS), strict=True)
    return [f"    {sign} {' '.join(printable(''.join(text for text, _ in parts)).split())}" for parts, sign in sides if parts]


def _cell(text: str, kind: str) -> str:
    look = SEVERITIES.get(text.lower()) if kind == "opsnb-severity" else None
    return f'<span class="opsnb-chip opsnb-{look[0]}">{look[1]} {escape(text)}</span>' if look else escape(text)


def _kind(column: pd.Series[Any], name: str) -> str:
    if name == TREE:
        return "opsnb-tree"
    if name == SEVERITY:
        return "opsnb-severity"
    if _is_number(column):
        return "opsnb-number"
    texts = ["" if _nothing(value) else value_text(value, column=name) for value in column]
    return "opsnb-words" if all(len(text) <= UNBROKEN for text in texts) else ""


def _cells(table: pd.DataFrame) -> list[list[str]]:
    if not len(table.columns):
        return [[] for _ in range(len(table))]
    columns = [[value_text(value, column=str(name)) for value in table.iloc[:, position]] for position, name in enumerate(table.columns)]
    return [list(row) for row in zip(*columns, strict=True)]


def _nothing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _is_number(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def size_text(size: float) -> str:
    """A number of bytes, as people say it."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= scale:
            return f"{size / scale:.3g} {unit}" if abs(size) < 100 * scale else f"{size / scale:,.0f} {unit}"
    return f"{size:g} B"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
