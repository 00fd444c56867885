"""Names and identifiers of the people a database is about, found in any text however they are spaced, cased and punctuated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_WORD = re.compile(r"\w+")
_GAP = r"(?:&#?\w{1,8};|[^\w<>&]){0,3}"
"""What may stand between two words of one value: little, no tag of a page, and no sentence's end."""
_NUMBER_GAP = r"[ ()./+-]{0,2}"
LETTERS, DIGITS = 5, 8
"""The least a value needs to be looked for: so many letters in two words, or an identifier of so many digits."""


class People:
    """What is known of people: whole values such as ``Anna Ek``, ``MRN-004711`` or ``+46 70 174 06 05``.

    A value of one word counts only with a digit in it: a single name is a word of too many sentences. A name of several words is also
    found with the last word first. What stands in *but*, text that is nobody's, is not looked for. Values are kept here and never shown;
    `len` says how many are looked for.
    """

    def __init__(self, values: Iterable[str] = (), *, but: str = "") -> None:
        self._values = {words for value in values if telling(words := _words(value))}
        ours = set(_WORD.findall(but.casefold()))
        self._values -= {words for words in self._values if ours.issuperset(words) and _shape(words).search(but)}
        self._count = len(self._values)
        self._values |= {(words[-1], *words[:-1]) for words in self._values if len(words) > 1 and not any(map(_numeric, words))}

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"People({self._count} known)"

    def found(self, text: str) -> bool:
        """Whether anything of anybody stands in *text*."""
        return any(shape.search(text) for shape in self._here(text))

    def cleaned(self, text: str, mark: str) -> str:
        """*text* with *mark* in place of each."""
        for shape in self._here(text):
            text = shape.sub(mark, text)
        return text

    def _here(self, text: str) -> Iterator[re.Pattern[str]]:
        """Shapes of the values all of whose words stand in *text*: nearly always none, and that is quickly known."""
        if not self._values:
            return
        present = set(_WORD.findall(text.casefold()))
        for words in self._values:
            if present.issuperset(words):
                yield _shape(words)


def _words(value: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(value.casefold()))


def _numeric(word: str) -> bool:
    return word.isdecimal()


def telling(words: Sequence[str]) -> bool:
    """Whether a value of these *words* says who somebody is, wherever it stands."""
    letters, digits = sum(map(str.isalpha, "".join(words))), sum(map(str.isdecimal, "".join(words)))
    if not letters:
        return digits >= DIGITS
    return letters + digits > LETTERS and (digits > 1 if len(words) == 1 else letters >= LETTERS or digits > 1)


def _shape(words: Sequence[str]) -> re.Pattern[str]:
    gap = _NUMBER_GAP if all(map(_numeric, words)) else _GAP
    return re.compile(rf"(?i)(?<!\w){gap.join(map(re.escape, words))}(?!\w)")
