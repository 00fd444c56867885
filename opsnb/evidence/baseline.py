"""The catalogue as it was captured: a text file beside the release, one object a line, which git shows and people review.

The first line says what was captured, where and when, and the SHA-256 of the rest, so that a file that was cut or edited is noticed.
The second line is the server, every other one an object as JSON, in the order of their names. Bodies of functions are hashes; views
and policies are there in full.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.errors import UsageError
from opsnb.evidence.safe import utc, write_atomic
from opsnb.facts import Facts

FORMAT = 1
SOURCE = "baseline"
COLUMNS = ("kind", "object", "properties")
_AGAIN = "capture it again: opsnb schema capture ENV"


def path_of(root: Path, release: str, environment: str = "") -> Path:
    """``parameters/releases/<release>.baseline.jsonl``; with *environment*, the one that holds for it alone."""
    return root / "parameters" / "releases" / ".".join(part for part in (release, environment, "baseline.jsonl") if part)


def find(root: Path, release: str, environment: str) -> Path | None:
    """The baseline that holds for *environment*: its own, else the release's; None where there is neither."""
    places = (path_of(root, release, environment), path_of(root, release))
    return next((place for place in places if place.is_file()), None)


def write(path: Path, facts: Facts, *, environment: str, release: str, captured_at: datetime, server_version: str) -> Path:
    """Writes the catalogue in *facts* (`opsnb.sources.catalogue.read`), whole or not at all.

    Raises the SourceError of facts that could not be had, and UsageError for an empty catalogue or a folder that cannot be written.
    """
    table = facts.table
    if table.empty:
        raise UsageError(f"{path}: not written: the catalogue answered with no object")
    rows = sorted(zip(*(table[name].tolist() for name in COLUMNS), strict=True), key=lambda row: (row[0] != "server", row[1], row[0]))
    lines = "".join(_line(*row) for row in rows)
    head = {
        "format": FORMAT, "release": release, "environment": environment, "captured_at": utc(captured_at),
        "server_version": server_version, "objects": len(table), "sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }  # fmt: skip
    write_atomic(path, f"{json.dumps(head, ensure_ascii=False)}\n{lines}")
    return path


def read(path: Path) -> Facts:
    """The catalogue that was captured: kind, object, properties (JSON); `extra` is the file's first line.

    UsageError naming file, line and expectation where the file is none, of another format, cut or edited.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or type(error).__name__}); {_AGAIN}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected UTF-8 text, one JSON object a line; {_AGAIN}") from None
    first, _, rest = text.partition("\n")
    head = _object(path, 1, first)
    if head.get("format") != FORMAT:
        raise UsageError(f"{path}:1: format: expected {FORMAT}, as this version of opsnb writes it; {_AGAIN}")
    lines = rest.split("\n")
    if lines[-1] == "":
        lines.pop()
    whole = hashlib.sha256(rest.encode()).hexdigest() == head.get("sha256")
    rows = [_split(path, number, line, whole) for number, line in enumerate(lines, start=2)]
    if not whole or len(rows) != head.get("objects"):
        raise UsageError(
            f"{path}:1: sha256: expected that of the {head.get('objects')} lines that were captured; {len(rows)} follow, and they were "
            f"changed since; {_AGAIN}"
        )
    table = pd.DataFrame({name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}, dtype="object")
    question = f"the baseline {path.name}, captured {head.get('captured_at')} from {head.get('environment')}"
    return Facts(SOURCE, question, 0.0, answer=table, extra=head)


def _line(kind: str, name: str, properties: str) -> str:
    """``{"object": …, "kind": …, "is": {…}}``: the properties as they came, so that equal objects are equal lines."""
    return f'{{"object": {json.dumps(name, ensure_ascii=False)}, "kind": {json.dumps(kind)}, "is": {properties}}}\n'


def _split(path: Path, number: int, line: str, whole: bool) -> tuple[str, str, str]:
    """The line's parts; where the file is whole it is as `_line` wrote it, and only the names are read as JSON."""
    start, _, properties = line.partition(', "is": ')
    if whole and properties and "\\" not in start:
        name, _, kind = start.removeprefix('{"object": ').rpartition(', "kind": ')
        return kind[1:-1], name[1:-1], properties[:-1]
    said = _object(path, number, line)
    if not (isinstance(said.get("object"), str) and isinstance(said.get("kind"), str) and isinstance(said.get("is"), dict)):
        raise UsageError(f"{path}:{number}: expected an object of the catalogue: object, kind, is; {_AGAIN}")
    return said["kind"], said["object"], json.dumps(said["is"], ensure_ascii=False)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise UsageError(f"{path}:{number}: expected a JSON object; {_AGAIN}")
    return said
