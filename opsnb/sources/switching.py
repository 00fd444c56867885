"""Where a feature is switched off that is no row: a service of feature flags, or a program. Asked once, never again by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from opsnb.errors import SourceError, SourceNonsense
from opsnb.sources.http import Http

SOURCE = "feature switch"


def call(method: str, url: str, *, headers: Mapping[str, str], body: Any, status: Sequence[int], timeout_s: float) -> int:
    """Sends the request once; its status. SourceError where there is none, or another than *status* names; the body is never read."""
    door = Http(url, source=SOURCE, headers=dict(headers), timeout_s=timeout_s)
    try:
        answered = door.request(method, "", json=body).status_code if body is not None else door.request(method, "").status_code
    finally:
        door.close()
    if answered not in status:
        raise SourceError(f"{door.where} answered {answered} where {', '.join(map(str, status))} was expected", source=SOURCE)
    return answered


def reads(url: str, *, headers: Mapping[str, str], field: str, timeout_s: float) -> Any:
    """What stands at *field* (keys joined by dots) of the JSON at *url*. SourceError where it cannot be read or is not there."""
    door = Http(url, source=SOURCE, headers=dict(headers), timeout_s=timeout_s)
    try:
        value = door.json(door.get(""), "the feature's state")
    finally:
        door.close()
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            raise SourceNonsense(f"{door.where} answered no {field}", source=SOURCE)
        value = value[key]
    return value


def run(words: Sequence[str], *, timeout_s: float) -> int:
    """Runs a program to its end; its exit code. What it says is nobody's business here. SourceError where it does not start or end."""
    try:
        process = subprocess.Popen(  # noqa: S603  (the release's own words, no shell)
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise SourceError(f"{words[0]} cannot be run: {error.strerror}", source=SOURCE) from None
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise SourceError(f"{words[0]} did not end within {timeout_s:g} s and was stopped", source=SOURCE) from None
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
