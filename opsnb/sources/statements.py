"""The named statements of opsnb/sql: one a file, with a header that says what a row is, its columns, parameters and needs."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from opsnb.errors import UsageError

Kind = Literal["postgres", "logs"]
_FIELD = re.compile(r"(?P<name>\w+) (?P<type>[\w\[\]]+(?: [\w\[\]]+)*?)(?: \((?P<unit>[^)]+)\))?")


@dataclass(frozen=True)
class Column:
    """One column or parameter of a statement: name, type, unit ('' where it has none)."""

    name: str
    type: str
    unit: str


@dataclass(frozen=True)
class Statement:
    """One statement. `splits` says whether its rows may be asked for in pieces of time and put together."""

    name: str
    kind: Kind
    text: str
    sentence: str
    columns: tuple[Column, ...]
    params: tuple[Column, ...]
    needs: str
    splits: bool

    def require(self, given: set[str]) -> None:
        """UsageError unless exactly the declared parameters are given."""
        declared = {param.name for param in self.params}
        if given != declared:
            wrong = sorted(given - declared) or sorted(declared - given)
            expected = ", ".join(sorted(declared)) or "none"
            raise UsageError(f"{self.kind} statement {self.name}: parameter {wrong[0]} is {'unknown' if given - declared else 'missing'}; it takes {expected}")


@cache
def statement(kind: Kind, name: str) -> Statement:
    """The statement *name*; UsageError with the nearest name where there is none."""
    folder = files("opsnb") / "sql" / kind
    path = folder / f"{name}.sql"
    if not path.is_file():
        known = [entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        raise UsageError(f"no {kind} statement {name!r}; {f'did you mean {near[0]}?' if near else 'there are: ' + ', '.join(sorted(known))}")
    text = path.read_text(encoding="utf-8")
    lines = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
    header = {key: next((line.removeprefix(f"{key}:").strip() for line in lines if line.startswith(f"{key}:")), "") for key in ("columns", "params", "needs", "splits")}
    return Statement(
        name, kind, text, lines[0], _fields(header["columns"]), _fields(header["params"]), header["needs"], header["splits"] == "yes"
    )  # fmt: skip


def _fields(text: str) -> tuple[Column, ...]:
    if text in ("", "none"):
        return ()
    found = []
    for part in text.split(" | "):
        matched = _FIELD.fullmatch(part.strip())
        if matched is None:
            raise UsageError(f"header of a statement: {part!r} is not `name type (unit)`")
        found.append(Column(matched["name"], matched["type"], matched["unit"] or ""))
    return tuple(found)
