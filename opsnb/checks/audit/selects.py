"""The small languages of PostgREST: what is selected, how it is ordered, and conditions joined by or."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from opsnb.checks.audit.values import HOLE

_OPERATOR = re.compile(
    r"(?:not|n?eq|gte?|lte?|i?like|i?match|is|isdistinct|in|cs|cd|ov|sl|sr|nxr|nxl|adj|fts|plfts|phfts|wfts)(?:\((?:any|all|\w+)\))?$"
)
_AGGREGATE = re.compile(r"(?:^|\.)(?:count|sum|avg|min|max)\(\)$")
_JOINS = ("inner", "left")


@dataclass(frozen=True)
class Selected:
    """A column, or (with `children`) an embedded table; `offset` is where it stands in the text."""

    name: str
    offset: int
    alias: str = ""
    hints: tuple[str, ...] = ()
    children: tuple[Selected, ...] | None = field(default=None)


def selected(text: str, start: int = 0) -> list[Selected]:
    """What ``id, author:users!fk(name), note->>a`` asks for. Parts that are not known, and ``*``, are left out."""
    found: list[Selected] = []
    for part, offset in split(text, start):
        body = part.removeprefix("...")
        offset += len(part) - len(body)
        alias, body, offset = _alias(body, offset)
        if HOLE in body.partition("(")[0] or body == "*" or not body or (_AGGREGATE.search(body) and not body.partition(".")[2]):
            continue
        head, opening, rest = body.partition("(")
        if opening and not _AGGREGATE.search(body):
            names = [unquoted(each) for each in head.strip().split("!")]
            hints = tuple(each for each in names[1:] if each not in _JOINS)
            inside = rest.rpartition(")")[0]
            children = tuple(selected(inside, offset + len(head) + 1))
            found.append(Selected(names[0], offset, unquoted(alias) or names[0], hints, children))
        else:
            found.append(Selected(column(body), offset))
    return [each for each in found if each.name != "count"]  # PostgREST's older way of counting


def column(text: str) -> str:
    """The column in ``note->>a``, ``id::text`` or ``amount.sum()``."""
    text = text.strip()
    if text.startswith('"'):
        return text[1:].partition('"')[0]
    return unquoted(re.split(r"->|::|\.(?:count|sum|avg|min|max)\(\)", text, maxsplit=1)[0].strip())


def conditions(text: str, start: int = 0) -> Iterator[tuple[str, str, str, int]]:
    """Column, operator, value and offset of each condition in ``a.eq.1,and(b.gt.2,c.is.null)``."""
    bare = text.strip()
    if bare.startswith("(") and bare.endswith(")"):
        start += text.index("(") + 1
        text = bare[1:-1]
    for part, offset in split(text, start):
        joint = re.match(r"(?:not\.)?(?:[\w.]+\.)?(?:and|or)\(", part)
        if joint and part.endswith(")"):
            yield from conditions(part[joint.end() : -1], offset + joint.end())
            continue
        names = _dotted(part)
        place = next((number for number, name in enumerate(names) if number and _OPERATOR.match(name)), 0)
        if place:
            value = ".".join(names[place + 1 :])
            yield ".".join(names[:place]), names[place], value, offset


def orders(text: str, start: int = 0) -> Iterator[tuple[str, int]]:
    """Column and offset of each term in ``starts_at.desc.nullslast,id``."""
    for part, offset in split(text, start):
        yield re.sub(r"(?:\.(?:asc|desc|nullsfirst|nullslast))+$", "", part), offset


def split(text: str, start: int = 0) -> Iterator[tuple[str, int]]:
    """The parts between commas that stand in no parentheses and no quotes, stripped, with their offsets."""
    depth, quoted, begin = 0, False, 0
    for place, character in enumerate(f"{text},"):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and (not quoted or place == len(text)) and (depth <= 0 or place == len(text)):
            part = text[begin:place]
            if part.strip():
                yield part.strip(), start + begin + len(part) - len(part.lstrip())
            begin = place + 1


def unquoted(name: str) -> str:
    """A name without its quotes."""
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _alias(body: str, offset: int) -> tuple[str, str, int]:
    """The alias, what it stands for, and where that begins."""
    match = re.match(r'\s*("[^"]*"|[\w$ -]+?)\s*:(?!:)\s*', body)
    if match is None or "(" in body[: match.end()]:
        return "", body, offset
    return match[1], body[match.end() :], offset + match.end()


def _dotted(text: str) -> list[str]:
    """The parts between dots that stand in no quotes and no parentheses."""
    return [part.replace("\0", ".") for part in re.sub(r'"[^"]*"|\([^)]*\)', lambda found: found[0].replace(".", "\0"), text).split(".")]
