"""What must not leave a kernel: known secrets in any usual disguise, tokens and people's data by shape. Found, taken out, and named.

Everything archived passes here twice: outputs are cleaned before a notebook is saved, and every file of a run is looked at once more
after it was written. Values are compared in this process and never shown: a finding names the reference and the kind.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import pandas as pd

from opsnb.config import Environment, Reference
from opsnb.errors import OpsnbError
from opsnb.evidence.people import People
from opsnb.evidence.safe import write_atomic
from opsnb.evidence.shapes import PERSONAL, TOKENS

SHORTEST = 6
"""Values shorter than this stand in too many words: a password of five letters is no secret."""
OPEN = ("url", "jwks_url", "recipient", "region", "probe_values")
"""Keys of an environment whose values may be shown."""
SOMEBODY = "somebody in the database"
_SPLIT = re.compile(r"""(?:\\[nrt]|\\u00[0-9a-f]{2}|<[^<>]{1,40}>|["',\s+])+""")


@dataclass(frozen=True)
class Leak:
    """One place: the file, what was found in it, and as what."""

    place: str
    what: str
    kind: str

    @property
    def sentence(self) -> str:
        """Without the value."""
        return f"{self.place}: {self.what} ({self.kind})"


class Secrets:
    """The values that must not leave: name (a reference, never the value) → value.

    *people*: also what has the shape of a person's data. A page about who signed shows names and addresses on purpose. *known*: whom the
    database knows.
    """

    def __init__(self, values: Mapping[str, str], *, people: bool = True, known: People | None = None) -> None:
        self._shapes = (*TOKENS, *PERSONAL) if people else TOKENS
        self._people = known or People()
        self._values = {name: value for name, value in values.items() if len(value) >= SHORTEST}

    @cached_property
    def _disguises(self) -> tuple[tuple[str, str, str], ...]:
        """(text to look for, name, kind), the longest first, so that a part is not taken for the whole."""
        found = {text: (name, kind) for name, value in self._values.items() for kind, text in disguises(value)}
        return tuple((text, *found[text]) for text in sorted(found, key=len, reverse=True))

    @cached_property
    def _joined(self) -> tuple[tuple[str, str], ...]:
        squeezed = {_SPLIT.sub("", value): name for name, value in self._values.items()}
        return tuple((text, name) for text, name in squeezed.items() if len(text) >= 2 * SHORTEST)

    def found(self, text: str) -> Iterator[tuple[str, str]]:
        """(name, kind) of everything in *text*."""
        for disguise, name, kind in self._disguises:
            if disguise in text:
                yield name, kind
        squeezed = _SPLIT.sub("", text) if self._joined else ""
        for joined, name in self._joined:
            if joined in squeezed:
                yield name, "split"
        for what, shape in self._shapes:
            if shape.search(text):
                yield what, "shape"
        if self._people.found(text):
            yield SOMEBODY, "known"

    def cleaned(self, text: str) -> str:
        """*text* with a mark in place of each; a text over which a value is split is taken out whole."""
        for disguise, name, _kind in self._disguises:
            if disguise in text:
                text = text.replace(disguise, mark(name))
        for what, shape in self._shapes:
            text = shape.sub(mark(what), text)
        text = self._people.cleaned(text, mark(SOMEBODY))
        squeezed = _SPLIT.sub("", text) if self._joined else ""
        split = next((name for joined, name in self._joined if joined in squeezed), None)
        return text if split is None else mark(split)

    def scrubbed(self, value: Any) -> Any:
        """A JSON value with every text in it cleaned, keys too; lists of lines are read as one text."""
        if isinstance(value, str):
            return self.cleaned(value)
        if isinstance(value, Mapping):
            return {self.cleaned(str(key)): self.scrubbed(each) for key, each in value.items()}
        if isinstance(value, list):
            if value and all(isinstance(each, str) for each in value) and any(True for _ in self.found("".join(value))):
                whole = self.cleaned("".join(value))
                return whole.splitlines(keepends=True)
            return [self.scrubbed(each) for each in value]
        return value


def texts(value: Any) -> str:
    """Every text in a JSON value, as a reader of it would meet them; lists of lines as one text."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(part for key, each in value.items() for part in (str(key), texts(each)))
    if isinstance(value, list):
        return ("" if all(isinstance(each, str) for each in value) else "\n").join(map(texts, value))
    return ""


def mark(name: str) -> str:
    """What stands in place of a value."""
    return f"[taken out: {name}]"


def disguises(value: str) -> Iterator[tuple[str, str]]:
    """(kind, text): the value as it is, and as usual encodings write it."""
    yield "value", value
    for kind, text in (
        ("URL", quote(value, safe="")), ("URL", quote_plus(value)), ("URL", quote(value)), ("JSON", json.dumps(value)[1:-1]),
        ("JSON", json.dumps(value, ensure_ascii=False)[1:-1]), ("JSON in JSON", json.dumps(json.dumps(value))[3:-3]),
        ("HTML", html.escape(value)), ("HTML", html.escape(value, quote=False)), ("representation", repr(value)[1:-1]),
        ("hex", value.encode().hex()), ("hex", value.encode().hex().upper()), ("backwards", value[::-1]),
    ):  # fmt: skip
        if text != value:
            yield kind, text
    raw = value.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for ahead in range(3):
            # what stands before and behind a value changes the letters at its two ends: the middle is the same
            text = encode(b"\0" * ahead + raw).decode().rstrip("=")
            middle = text[(0, 2, 3)[ahead] : len(text) - (1 if (len(raw) + ahead) % 3 else 0)]
            if len(middle) >= SHORTEST + 2:
                yield "base64", middle


def of_environment(
    environment: Environment, root: Path, *, people: bool = True, known: People | None = None, more: Iterable[tuple[str, Reference]] = ()
) -> Secrets:
    """Every value *environment* and *more* refer to, but addresses and identifiers; of connection strings also the password alone."""
    values: dict[str, str] = {}
    for key, reference in (*environment.references(), *more):
        if key.rpartition(".")[2] in OPEN or key.partition(".")[0] in OPEN:
            continue
        try:
            value = reference.resolve(root).get_secret_value().strip()
        except OpsnbError:
            continue  # whoever needs it says so
        values[key] = value
        if key.endswith("dsn"):
            values[f"{key}, its password"] = _password(value)
    for place, said in enumerate(environment.never_shown, 1):
        if isinstance(said, str):
            values[f"never_shown.{place}"] = said
    return Secrets(values, people=people, known=known)


def _password(dsn: str) -> str:
    if "://" in dsn:
        try:
            return unquote(urlsplit(dsn).password or "")
        except ValueError:
            return ""
    found = re.search(r"password\s*=\s*(?:'((?:[^'\\\\]|\\\\.)*)'|(\S+))", dsn)
    return (found[1] or found[2] or "") if found else ""


# ── files of a run ──
def clean_folder(folder: Path, secrets: Secrets) -> list[Leak]:
    """Takes every secret out of the files below *folder*, and says where there was one. Untouched files stay as they are."""
    leaks: list[Leak] = []
    for path in _files(folder):
        here = list(dict.fromkeys(secrets.found(_text(path))))
        if not here:
            continue
        leaks += [Leak(secrets.cleaned(str(path.relative_to(folder))), name, kind) for name, kind in here]
        _rewrite(path, secrets)
    return leaks


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """What tells that a file below *folder* was written again."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in _files(folder)}


def scan_folder(folder: Path, secrets: Secrets, *, known: Mapping[Path, tuple[int, int]] | None = None) -> list[Leak]:
    """What is still there; nothing is changed. *known*: the stamps of files that were found clean already."""
    leaks: list[Leak] = []
    now = stamps(folder)
    for path in _files(folder):
        place = str(path.relative_to(folder))
        text = "" if known and known.get(path) == now.get(path) else _text(path)
        here = dict.fromkeys([*secrets.found(place), *secrets.found(text)])
        leaks += [Leak(secrets.cleaned(place), name, kind) for name, kind in here]
    return leaks


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".age")


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        try:
            return "\n".join(_strings(pd.read_parquet(path)))
        except Exception:  # half a file holds its own bytes
            return path.read_bytes().decode("utf-8", "replace")
    raw = path.read_bytes().decode("utf-8", "replace")
    try:
        if path.suffix in (".json", ".ipynb"):
            return texts(json.loads(raw))
        if path.suffix == ".jsonl":
            return "\n".join(texts(json.loads(line)) for line in raw.splitlines())
    except ValueError:  # half a file is read as it stands
        return raw
    return raw


def _strings(table: pd.DataFrame) -> Iterator[str]:
    yield from map(str, table.columns)
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            yield from (str(value) for value in table[column].dropna())


def _rewrite(path: Path, secrets: Secrets) -> None:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        for column in table.columns:
            if not pd.api.types.is_numeric_dtype(table[column]):
                table[column] = [
                    value if pd.api.types.is_scalar(value) and pd.isna(value) else secrets.cleaned(str(value)) for value in table[column]
                ]
        table.columns = [secrets.cleaned(str(column)) for column in table.columns]
        table.to_parquet(path)
    elif path.suffix in (".json", ".ipynb"):
        try:
            write_atomic(
                path, json.dumps(secrets.scrubbed(json.loads(path.read_text(encoding="utf-8"))), indent=1, ensure_ascii=False) + "\n"
            )
        except ValueError:
            write_atomic(path, secrets.cleaned(_text(path)))
    elif path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        write_atomic(path, "".join(f"{_line(line, secrets)}\n" for line in lines))
    else:
        write_atomic(path, secrets.cleaned(_text(path)))


def _line(line: str, secrets: Secrets) -> str:
    try:
        return json.dumps(secrets.scrubbed(json.loads(line)), ensure_ascii=False)
    except ValueError:
        return secrets.cleaned(line)
