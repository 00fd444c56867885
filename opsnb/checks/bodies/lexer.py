"""Tokens of SQL and PL/pgSQL texts, by PostgreSQL's lexical rules: where strings, names and statements begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opsnb.errors import SourceNonsense

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]|''|\\.)*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*' | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")+")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<sign>\$\d+|:=|::|\.\.|=>|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LOWER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
_DEPTH = {"(": 1, "[": 1, ")": -1, "]": -1}


class Token(NamedTuple):
    """One token. `key` is a word in lower case or a quoted name without its quotes; `line` counts from 1."""

    kind: str
    text: str
    key: str
    start: int
    end: int
    line: int

    def is_(self, *words: str) -> bool:
        """Whether it is one of the unquoted *words* or signs."""
        return self.kind in ("word", "sign") and self.key in words

    @property
    def named(self) -> bool:
        """Whether it may be a name."""
        return self.kind in ("word", "quoted")


def folded(name: str) -> str:
    """An unquoted name as the server keeps it: ASCII letters in lower case, cut after 63 bytes."""
    return _cut(name.translate(_LOWER))


def unquoted(written: str) -> str:
    """A name as the server keeps it, from how it is written."""
    return _cut(written[1:-1].replace('""', '"')) if written.startswith('"') else folded(written)


def _cut(name: str) -> str:
    return name if len(name) < 22 else name.encode()[:63].decode(errors="ignore")


def tokens(text: str, place: int = 0) -> list[Token]:
    """The tokens of *text* without spaces and comments; SourceNonsense where a comment or string does not end."""
    return list(scan(text, place))


def scan(text: str, place: int = 0) -> Iterator[Token]:
    """The same one by one, from *place* on."""
    line = 1
    while place < len(text):
        matched = _TOKEN.match(text, place)
        if matched is None:  # every character matches; kept for what the pattern may become
            raise SourceNonsense("a text that cannot be cut into words")
        kind, end = str(matched.lastgroup), matched.end()
        if kind == "tag":
            kind = "string"
        if kind == "comment":
            end = _comment_end(text, place)
        elif kind == "sign" and matched[0] in "'\"":
            raise SourceNonsense("a string or name that does not end")
        elif kind != "space":
            word = matched[0]
            key = folded(word) if kind == "word" else unquoted(word) if kind == "quoted" else word
            yield Token(kind, word, key, place, end, line)
        line += text.count("\n", place, end)
        place = end


def _comment_end(text: str, place: int) -> int:
    """Behind the comment that begins at *place*; comments nest."""
    depth = 0
    for matched in re.compile(r"/\*|\*/").finditer(text, place):
        depth += 1 if matched[0] == "/*" else -1
        if not depth:
            return matched.end()
    raise SourceNonsense("a comment that does not end")


def statements(text: str) -> Iterator[tuple[str, int]]:
    """Each statement of an SQL text with its first line; semicolons inside parentheses and ``begin atomic`` do not end one."""
    found = tokens(text)
    first: Token | None = None
    last: Token | None = None
    depth, begun = 0, 0
    for place, token in enumerate(found):
        if token.is_(";") and not depth and not begun:
            if first and last:
                yield text[first.start : last.end], first.line
            first = last = None
            continue
        first, last = first or token, token
        depth = max(0, depth + _DEPTH.get(token.text, 0))
        if (token.is_("begin") and place + 1 < len(found) and found[place + 1].is_("atomic")) or (begun and token.is_("case")):
            begun += 1
        elif begun and token.is_("end"):
            begun -= 1
    if first and last:
        yield text[first.start : last.end], first.line


def until(found: Sequence[Token], place: int, *stops: str) -> int:
    """The place of the first of *stops* outside parentheses from *place* on; SourceNonsense where none comes."""
    depth = 0
    for number in range(place, len(found)):
        if not depth and found[number].is_(*stops):
            return number
        depth += _DEPTH.get(found[number].text, 0)
        if depth < 0:
            break
    raise SourceNonsense(f"expected {' or '.join(stops)}")


def top_level(found: Sequence[Token], sign: str) -> list[int]:
    """The places of *sign* outside parentheses."""
    depth, places = 0, []
    for number, token in enumerate(found):
        if not depth and token.is_(sign):
            places.append(number)
        depth += _DEPTH.get(token.text, 0)
    return places


def arguments(text: str, place: int) -> tuple[int, list[str], bool] | None:
    """The call whose parenthesis comes next after *place*: number of arguments, names given with ``=>``, whether the number is sure.

    None where no parenthesis comes next. ``order by`` inside an aggregate ends the arguments.
    """
    opening = re.compile(r"\s*\(").match(text, place)
    if opening is None:
        return None
    depth, number, sure, begun, counted = 0, 0, True, False, True
    names: list[str] = []
    before: Token | None = None
    for token in scan(text, opening.end()):
        if token.is_(")") and depth == 0:
            return (number + 1 if begun else 0), names, sure
        depth += _DEPTH.get(token.text, 0)
        if depth == 0 and counted:
            if token.is_("order") and begun:
                counted = False
            elif token.is_(","):
                number += 1
            elif token.is_("=>", ":=") and before:
                names.append(before.key)
            elif (token.is_("*") and not begun) or token.is_("variadic", "from", "for", "placing", "using"):
                sure = False
        begun, before = True, token
    return None
