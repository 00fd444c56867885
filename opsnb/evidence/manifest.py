"""The functions as they were reviewed: a file beside the release that says what each one's source was, by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.errors import UsageError
from opsnb.evidence.safe import utc, write_atomic

FORMAT = 1


def path_of(root: Path, release: str, environment: str = "") -> Path:
    """``parameters/releases/<release>.functions.json``; with *environment*, the one that holds for it alone."""
    return root / "parameters" / "releases" / ".".join(part for part in (release, environment, "functions.json") if part)


def find(root: Path, release: str, environment: str) -> Path | None:
    """The manifest that holds for *environment*: its own, else the release's; None where there is neither."""
    places = (path_of(root, release, environment), path_of(root, release))
    return next((place for place in places if place.is_file()), None)


def source_hash(files: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for a function's (path, sha256) pairs, in any order."""
    lines = "".join(f"{path}\0{digest}\n" for path, digest in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def write(
    path: Path, functions: Mapping[str, Mapping[str, Any]], *, release: str, environment: str, captured_at: datetime
) -> Path:  # fmt: skip
    """Writes *functions*: slug → version, verify_jwt, source_sha256, files. Raises UsageError where the folder cannot be written."""
    head = {"format": FORMAT, "release": release, "environment": environment, "captured_at": utc(captured_at)}
    write_atomic(path, json.dumps({**head, "functions": functions}, indent=2, sort_keys=False) + "\n")
    return path


def read(path: Path) -> pd.DataFrame:
    """One row per function: function, version, verify_jwt, source_sha256. UsageError naming file and key for anything else."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be read as JSON ({type(error).__name__}); capture it again: opsnb functions capture ENV"
        ) from None
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(told.get("functions"), dict):
        raise UsageError(f"{path}: format: expected {FORMAT} and `functions`, as opsnb functions capture ENV writes them")
    rows = []
    for slug, said in told["functions"].items():
        digest = said.get("source_sha256") if isinstance(said, dict) else None
        if not isinstance(digest, str) or len(digest) != 64:
            raise UsageError(f"{path}: functions.{slug}.source_sha256: expected a SHA-256 in hex; capture it again")
        rows.append((str(slug), said.get("version"), said.get("verify_jwt"), digest))
    table = pd.DataFrame(rows, columns=["function", "version", "verify_jwt", "source_sha256"])
    return table.astype({"function": "string", "version": "Int64", "verify_jwt": "boolean", "source_sha256": "string"})
