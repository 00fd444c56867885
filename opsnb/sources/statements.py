"""The named statements of opsnb/sql: one a file, with a header that says what a row is, its columns, parameters and needs.

A header is the first comment lines of a file: a sentence, then ``columns``, ``params``, ``needs`` and, for logs, ``splits``::

    -- One row per relation.
    -- columns: name text | bytes bigint (bytes)
    -- params:  schemas text[]
    -- needs:   nothing
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from opsnb.errors import UsageError

Kind = Literal["postgres", "logs"]

TYPES = frozenset({"text", "boolean", "smallint", "integer", "bigint", "float8", "numeric", "timestamptz", "date", "uuid", "jsonb"})
"""What a column or parameter may be, or an array of it."""
_FIELD = re.compile(r"(?P<name>\w+) (?P<type>\w+(?:\[\])?)(?: \((?P<unit>[^)]+)\))?")
_KEY = re.compile(r"(columns|params|needs|splits):\s*(.*)")
_PLACEHOLDER: Mapping[str, re.Pattern[str]] = {"postgres": re.compile(r"%\((\w+)\)s"), "logs": re.compile(r"\{(\w+)\}")}


@dataclass(frozen=True)
class Column:
    """One column of a statement: name, type, unit ('' where it has none)."""

    name: str
    type: str
    unit: str


@dataclass(frozen=True)
class Statement:
    """One statement. `text` is the file, `body` the file without its header; `params` are names and types.

    `splits` says whether its rows may be asked for in pieces of time and put together.
    """

    name: str
    kind: Kind
    text: str
    body: str
    sentence: str
    columns: tuple[Column, ...]
    params: Mapping[str, str]
    needs: str
    splits: bool

    def require(self, given: Iterable[str]) -> None:
        """UsageError unless exactly the declared parameters are given."""
        names = set(given)
        unknown, missing = sorted(names - self.params.keys()), sorted(self.params.keys() - names)
        if unknown or missing:
            wrong = f"{unknown[0]} is unknown" if unknown else f"{missing[0]} is missing"
            takes = ", ".join(self.params) or "none"
            raise UsageError(f"{self.kind} statement {self.name}: parameter {wrong}; it takes {takes}")


@cache
def statement(kind: Kind, name: str) -> Statement:
    """The statement *name*; UsageError with the nearest name where there is none, or where its header is not one."""
    folder = files("opsnb") / "sql" / kind
    known = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"no {kind} statement {name!r}; {hint}")
    return parse(kind, name, (folder / f"{name}.sql").read_text(encoding="utf-8"))


def parse(kind: Kind, name: str, text: str) -> Statement:
    """The statement in *text*; UsageError naming file, line and expectation where its header or parameters are wrong."""
    where = f"opsnb/sql/{kind}/{name}.sql"
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    comments = [line.removeprefix("--").strip() for line in lines[:end]]
    if not comments or not comments[0] or _KEY.match(comments[0]):
        raise UsageError(f"{where}:1: expected a comment with one sentence that says what a row is")
    header: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(comments, start=1):
        if matched := _KEY.match(line):
            if matched[1] in header:
                raise UsageError(f"{where}:{number}: {matched[1]} is given twice")
            header[matched[1]] = (number, matched[2].strip())
    for key in ("columns", "params", "needs"):
        if not header.get(key, (0, ""))[1]:
            raise UsageError(f"{where}: the header has no `-- {key}:` (write `none` for no parameters, `nothing` for no needs)")
    columns = _fields(header["columns"], where)
    if not columns:
        raise UsageError(f"{where}:{header['columns'][0]}: a statement has columns")
    params = {param.name: f"{param.type} ({param.unit})" if param.unit else param.type for param in _fields(header["params"], where)}
    body = "\n".join(lines[end:]).strip()
    used = set(_PLACEHOLDER[kind].findall(body))
    if used != params.keys():
        odd = sorted(used ^ params.keys())[0]
        raise UsageError(f"{where}: parameter {odd} is {'used and not declared' if odd in used else 'declared and not used'}")
    splits = header.get("splits", (0, "no"))[1]
    if splits not in ("yes", "no"):
        raise UsageError(f"{where}:{header['splits'][0]}: splits is `yes` or `no`, not {splits!r}")
    return Statement(name, kind, text, body, comments[0], columns, MappingProxyType(params), header["needs"][1], splits == "yes")


def _fields(line: tuple[int, str], where: str) -> tuple[Column, ...]:
    number, text = line
    if text == "none":
        return ()
    found: dict[str, Column] = {}
    for part in text.split("|"):
        matched = _FIELD.fullmatch(part.strip())
        if matched is None:
            raise UsageError(f"{where}:{number}: {part.strip()!r} is not `name type (unit)`")
        if matched["type"].removesuffix("[]") not in TYPES:
            raise UsageError(f"{where}:{number}: {matched['name']} has the type {matched['type']}; there are: {', '.join(sorted(TYPES))}")
        if matched["name"] in found:
            raise UsageError(f"{where}:{number}: {matched['name']} is given twice")
        found[matched["name"]] = Column(matched["name"], matched["type"], matched["unit"] or "")
    return tuple(found.values())
