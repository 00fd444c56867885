r"""Patterns of a JSON Schema as PostgreSQL's regular expressions, and the formats that are judged.

A pattern is ECMA-262 in Unicode mode and matches anywhere. Taken are literals, ``.``, ``\d \D \w \W \s \S``, ``\t \n \r \f \v``,
``\xHH \uHHHH \u{…}``, escaped punctuation, ``[…]`` and ``[^…]``, groups (named or not), ``|``, ``^``, ``$``, look-ahead, and the
quantifiers ``* + ? {n} {n,} {n,m}`` up to 255, lazy or not. Refused, because Postgres means something else by them or knows them not:
back-references, ``\b``, ``\B``, ``\p{…}``, ``\cX``, look-behind, ``[]``, and what unfolds to more than 1,000 characters to match.
"""

from __future__ import annotations

import re
from typing import Final

Interval = tuple[int, int]
LAST: Final = 0x10FFFF
MOST_REPEATED = 255
"""Postgres counts no further in ``{n,m}``."""
MOST_UNFOLDED = 1000
NESTED = 3
"""How much more a counted repetition of counted repetitions weighs: one of 1,000 takes Postgres 20 s to make ready, one of 300 0.1 s."""
_DIGITS: tuple[Interval, ...] = ((0x30, 0x39),)
_WORD: tuple[Interval, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: tuple[Interval, ...] = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F),
    (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_LINE_ENDS: tuple[Interval, ...] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d{1,6})(,(\d{0,6}))?\})\??", re.ASCII)
_BRACED, _FOUR, _TWO = re.compile(r"\{([0-9A-Fa-f]{1,6})\}"), re.compile(r"([0-9A-Fa-f]{4})"), re.compile(r"([0-9A-Fa-f]{2})")
_LOW_SURROGATE = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_GROUP_NAME = re.compile(r"\?<[A-Za-z_$][\w$]*>", re.ASCII)

# a day that is in the calendar, told without a cast: casts raise, and no version but 16 and later can be asked first
_DATE = (
    "(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
FORMATS = {
    "date": f"^{_DATE}$",
    "date-time": f"^{_DATE}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$",
    "uuid": "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
    "email": "^[^@[:space:]]+@[^@[:space:]]+$",
}
"""Format → the expression its strings match. date: of the calendar, from the year 1; date-time: RFC 3339, no leap second; email: one @."""


class Refused(ValueError):
    """Something of a schema that is not judged in SQL; the text says what, and quotes nothing but the schema."""


def translated(pattern: str) -> str:
    """*pattern* as an expression of Postgres that matches the same strings; raises Refused."""
    reader = _Reader(pattern)
    expression, size = reader.alternatives()
    if reader.place < len(pattern):
        raise Refused("the pattern has a ) without its (")
    if size > MOST_UNFOLDED:
        raise Refused(f"the pattern unfolds to more than {MOST_UNFOLDED:,} characters")
    return expression


class _Reader:
    """Reads one pattern from left to right; each method answers an expression and how many characters it unfolds to."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def alternatives(self) -> tuple[str, int]:
        options, size = [], 0
        while True:
            option, more = self.sequence()
            options.append(option or "(?:)")
            size += more
            if not self.taken("|"):
                return "|".join(options), size

    def sequence(self) -> tuple[str, int]:
        parts, size = [], 0
        while self.place < len(self.pattern) and self.pattern[self.place] not in "|)":
            part, more = self.term()
            parts.append(part)
            size += more
        return "".join(parts), size

    def term(self) -> tuple[str, int]:
        if self.taken("^") or self.taken("$"):
            return self.unrepeated(self.pattern[self.place - 1])
        for start in ("(?=", "(?!"):
            if self.taken(start):
                inner, size = self.inside()
                part, _ = self.unrepeated(f"{start}{inner})")
                return part, size
        return self.repeated(*self.atom())

    def atom(self) -> tuple[str, int]:
        if self.taken("("):
            if not self.taken("?:"):
                if named := _GROUP_NAME.match(self.pattern, self.place):
                    self.place = named.end()
                elif self.pattern.startswith("?", self.place):
                    raise Refused("the pattern has a group of another kind than (…), (?:…), (?<name>…), (?=…) and (?!…)")
            inner, size = self.inside()
            return f"(?:{inner})", size
        if self.taken("["):
            return _bracket(self.members()), 1
        if self.taken("."):
            return _bracket(_complement(_LINE_ENDS)), 1
        found = self.one()
        return (_letter(found), 1) if isinstance(found, int) else (_bracket(found), 1)

    def inside(self) -> tuple[str, int]:
        inner = self.alternatives()
        if not self.taken(")"):
            raise Refused("the pattern has a ( without its )")
        return inner

    def one(self, *, in_class: bool = False) -> int | tuple[Interval, ...]:
        r"""The next character as its code point, or what a class such as ``\d`` stands for."""
        character = self.next()
        if character != "\\":
            if not in_class and character in "*+?{}]":
                raise Refused(f"the pattern has a {character} that repeats or closes nothing")
            return _code(character)
        kind = self.next()
        if kind.lower() in _CLASSES:
            members = _CLASSES[kind.lower()]
            return members if kind.islower() else _complement(members)
        if kind in _CONTROLS:
            return _CONTROLS[kind]
        if kind in "xu":
            return self.coded(kind)
        if kind == "b" and in_class:
            return 0x08
        if kind.isdigit() or kind == "k":
            raise Refused("the pattern has a back-reference")
        if kind.isalnum():
            raise Refused(f"the pattern has \\{kind}")
        return _code(kind)

    def coded(self, kind: str) -> int:
        braced = kind == "u" and self.pattern.startswith("{", self.place)
        found = (_BRACED if braced else _TWO if kind == "x" else _FOUR).match(self.pattern, self.place)
        if found is None:
            raise Refused(f"the pattern has \\{kind} without its digits")
        self.place = found.end()
        code = int(found[1], 16)
        low = _LOW_SURROGATE.match(self.pattern, self.place)
        if 0xD800 <= code <= 0xDBFF and low is not None:
            self.place = low.end()
            return 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        return _code_point(code)

    def members(self) -> tuple[Interval, ...]:
        """What a class holds, up to its closing bracket."""
        negated = self.taken("^")
        found: list[Interval] = []
        while not self.taken("]"):
            start = self.one(in_class=True)
            if self.pattern.startswith("-", self.place) and not self.pattern.startswith("-]", self.place):
                self.place += 1
                end = self.one(in_class=True)
                if not isinstance(start, int) or not isinstance(end, int) or end < start:
                    raise Refused("the pattern has a range of characters that is none")
                found.append((start, end))
            else:
                found.extend([(start, start)] if isinstance(start, int) else start)
        return _complement(tuple(found)) if negated else tuple(found)

    def repeated(self, part: str, size: int) -> tuple[str, int]:
        found = _QUANTIFIER.match(self.pattern, self.place)
        if found is None:
            return part, size
        self.place = found.end()
        quantifier = found[0] if len(found[0]) == 1 else found[0].removesuffix("?")  # lazy or not, the same strings match
        most = max([int(digits) for digits in (found[1], found[3]) if digits], default=1)
        if found[1] and found[3] and int(found[3]) < int(found[1]):
            raise Refused("the pattern has a quantifier whose bounds are turned around")
        if most > MOST_REPEATED:
            raise Refused(f"the pattern repeats more than {MOST_REPEATED} times, as far as Postgres counts")
        if _QUANTIFIER.match(self.pattern, self.place):
            raise Refused("the pattern repeats a repetition")
        nested = NESTED if "{" in part and most > 1 else 1  # a brace itself is written as its code
        return f"{part}{quantifier}", max(size, 1) * max(most, 1) * nested

    def unrepeated(self, part: str) -> tuple[str, int]:
        if _QUANTIFIER.match(self.pattern, self.place):
            raise Refused("the pattern repeats what takes no room")
        return part, 1

    def taken(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.place):
            return False
        self.place += len(text)
        return True

    def next(self) -> str:
        if self.place >= len(self.pattern):
            raise Refused("the pattern ends too early")
        self.place += 1
        return self.pattern[self.place - 1]


def _code(character: str) -> int:
    return _code_point(ord(character))


def _code_point(code: int) -> int:
    if code == 0 or 0xD800 <= code <= 0xDFFF or code > LAST:
        raise Refused("the pattern has a character that no text of Postgres holds")
    return code


def _complement(members: tuple[Interval, ...]) -> tuple[Interval, ...]:
    found, start = [], 1
    for low, high in sorted(members):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def _bracket(members: tuple[Interval, ...]) -> str:
    if not members:
        raise Refused("the pattern has a class that holds nothing")
    without = _complement(members)
    if not without:
        return "."  # any character at all, to Postgres
    sign, shown = ("^", without) if any(high == LAST for _, high in members) else ("", members)
    return f"[{sign}{''.join(_letter(low) if low == high else f'{_letter(low)}-{_letter(high)}' for low, high in shown)}]"


def _letter(code: int) -> str:
    if code < 0x80 and chr(code).isalnum():
        return chr(code)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
