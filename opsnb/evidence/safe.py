"""Files that are whole or absent, and text that cannot become markup.

Everything shown is escaped: log lines and object names are written by strangers.
"""

from __future__ import annotations

import contextlib
import html
import json
import math
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from opsnb.errors import UsageError

_UNSAFE_IN_NAMES = re.compile(r"[^a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# written by mistake or malice, they turn the reading order of a line around
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def write_atomic(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Writes *path* whole or not at all; a reader sees the old file or the new one, also after a power cut.

    Raises UsageError naming the folder where it cannot be written.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    folder = path.parent
    temporary: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=".tmp", dir=folder)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def unwritable(folder: Path, error: OSError) -> UsageError:
    """The one sentence for a folder that cannot be written."""
    return UsageError(
        f"The folder {folder} cannot be written ({error.strerror or type(error).__name__}): "
        "expected a folder this user may write in with space left. Change its owner, or name another reports folder."
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def printable(text: Any) -> str:
    """*text* without control characters and without marks that turn the reading order around."""
    return _BIDI.sub("\ufffd", _CONTROL.sub("\ufffd", str(text)))


def in_template(value: Any) -> Any:
    """For a template's ``finalize``: text of strangers `printable`, what is markup already as it is."""
    return printable(value) if type(value) is str else value


def escape(text: Any) -> str:
    """Text for an HTML element or a quoted attribute."""
    return html.escape(printable(text), quote=True)


def json_in_html(value: Any) -> str:
    """JSON for a ``<script type="application/json">``: nothing in it can end the element, steer a terminal or turn a line around."""
    text = json.dumps(_printable(jsonable(value)), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, code)
    return text


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


def slug(text: str) -> str:
    """A name for a file or an anchor made of *text*: lower-case letters, digits and dashes, at most 80 characters."""
    return _UNSAFE_IN_NAMES.sub("-", text.lower()).strip("-")[:80] or "unnamed"


def utc(moment: datetime) -> str:
    """``2026-11-23T05:22:26Z``; a naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def jsonable(value: Any) -> Any:
    """*value* as JSON knows it: times as UTC text, numbers of any library as numbers, not-a-number as null, the rest as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return jsonable(float(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(entry) for entry in value]
    if value != value:  # pandas' NaT
        return None
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return jsonable(value.tolist())
    return str(value)
