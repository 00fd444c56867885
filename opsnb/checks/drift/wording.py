"""A difference as a person reads it: long texts cut down to where they differ, values in words, what came and went in a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from opsnb.checks.drift.comparing import ADDED, CHANGED, Change
from opsnb.checks.tables import counted, some

LONG = 160
"""Characters a cell may have before it is cut down to the difference."""
_AROUND = 8  # words kept on either side of a difference
_ALIGNED = 400  # words beyond which only the beginning of a difference is shown
_WORD = re.compile(r"\s*(?:\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\w+|[^\w\s])")
_CUT = "…"
_LABELS = {
    "body_sha256": "body (SHA-256)", "rls": "row-level security", "rls_forced": "row-level security for the owner",
    "bypasses_rls": "bypasses row-level security", "triggers_off": "triggers switched off", "not_null": "NOT NULL",
}  # fmt: skip


def difference(was: str, is_: str, *, long: int = LONG) -> tuple[str, str]:
    """Both texts; where one is longer than *long*, only the words that differ and a few around them, the rest as an ellipsis."""
    if max(len(was), len(is_)) <= long:
        return was, is_
    one, other = _WORD.findall(was), _WORD.findall(is_)
    start = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other)))
    rest = min(len(one), len(other)) - start
    end = next((place for place in range(rest) if one[-1 - place] != other[-1 - place]), rest)
    middles = one[start : len(one) - end], other[start : len(other) - end]
    if max(map(len, middles)) > _ALIGNED:
        pieces = [[(start, start + min(len(middle), _AROUND * 4))] for middle in middles]
    else:
        blocks = [block[1:] for block in SequenceMatcher(None, *middles, autojunk=False).get_opcodes() if block[0] != "equal"]
        pieces = [[(start + one, start + to) for one, to, _, _ in blocks], [(start + one, start + to) for _, _, one, to in blocks]]
    shown = _shown(one, pieces[0], long), _shown(other, pieces[1], long)
    return shown if was == is_ or shown[0] != shown[1] else _letters(was, is_, long)


def _letters(was: str, is_: str, long: int) -> tuple[str, str]:
    """From shortly before the first letter that differs: for words too long to be shown, and for blanks."""
    first = next((place for place, pair in enumerate(zip(was, is_, strict=False)) if pair[0] != pair[1]), min(len(was), len(is_)))
    begin = max(0, first - long // 4)
    return f"{_CUT}{was[begin : begin + long]}", f"{_CUT}{is_[begin : begin + long]}"


def _shown(words: list[str], pieces: list[tuple[int, int]], long: int) -> str:
    """The *pieces* (from, to) of *words* with some around each, cut off where they are still too long."""
    text, at = "", 0
    for first, last in pieces:
        begin, end = max(at, first - _AROUND), min(len(words), last + _AROUND)
        if begin >= end:
            continue
        text += (f" {_CUT} " if begin > at else "") + "".join(words[begin:end])
        at = end
    if at < len(words):
        text += f" {_CUT}"
    text = text.strip()
    return text if len(text) <= 2 * long else text[: 2 * long].rstrip() + f" {_CUT}"


def value(said: Any) -> str:
    """A property in words: yes and no, lists with commas, `—` for nothing."""
    if said is None or said == "" or said == {}:
        return "—"
    if isinstance(said, bool):
        return "yes" if said else "no"
    if isinstance(said, Mapping):
        return "; ".join(f"{name}: {value(each)}" for name, each in said.items())
    if isinstance(said, list):
        return ", ".join(map(str, said))
    return str(said)


def described(properties: Mapping[str, Any], with_it: list[Change]) -> str:
    """An object in a line: its properties, and what came or went with it."""
    parts = [label(name) if said is True else f"{label(name)}: {value(said)}" for name, said in properties.items() if name != "inherited"]
    text = "; ".join(parts) or "there"
    text = text if len(text) <= 2 * LONG else text[: 2 * LONG].rstrip() + f" {_CUT}"
    return f"{text} (with {_kinds(with_it)})" if with_it else text


def label(name: str) -> str:
    """A property's name in words."""
    return _LABELS.get(name) or (name if name.startswith("grants to ") else name.replace("_", " "))


def _kinds(changes: list[Change]) -> str:
    inner = Counter(change.kind for change in _flat(changes))
    return ", ".join(counted(number, kind, _plural(kind)) for kind, number in inner.most_common())


def _flat(changes: list[Change]) -> list[Change]:
    return [each for change in changes for each in (change, *_flat(change.with_it))]


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return kind[:-1] + "ies"
    return kind if kind.endswith("s") else f"{kind}es" if kind.endswith("x") else f"{kind}s"


def cells(change: Change) -> tuple[str, str]:
    """What stands under `was` and `is`."""
    if change.change != CHANGED:
        whole = described(change.after or change.before, change.with_it)
        return ("—", whole) if change.change == ADDED else (whole, "—")
    was, is_ = difference(value(change.was), value(change.is_))
    return was, is_ + (f" (and of {some([each.object for each in change.with_it])})" if change.with_it else "")
