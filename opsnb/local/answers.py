"""What the management API's operations share: a refusal with its status, rate limits, and reading a body."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

WINDOW_S = 60

T = TypeVar("T", dict[str, Any], list[Any])


class Problem(Exception):
    """An answer other than success: *status* and the ``message`` of its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class RateLimits:
    """Requests a minute per endpoint: a fixed window of 60 s that starts with its first request."""

    default: int = 120
    by_operation: dict[str, int] = field(default_factory=dict)
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)

    def take(self, operation: str) -> tuple[bool, dict[str, str]]:
        """Counts one request: whether it is within the limit, and the headers that say so."""
        now = time.monotonic()
        limit = self.by_operation.get(operation, self.default)
        started, used = self._windows.get(operation, (now, 0))
        if now - started >= WINDOW_S:
            started, used = now, 0
        used += 1
        self._windows[operation] = (started, used)
        return used <= limit, {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - used)),
            "x-ratelimit-reset": str(math.ceil(started + WINDOW_S - now)),
        }


async def json_body(request: Request, kind: type[T]) -> T:
    """The request's JSON body, which must be an object (`dict`) or an array (`list`); raises Problem."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Problem(400, "The body is not JSON") from None
    if not isinstance(body, kind):
        raise Problem(400, f"The body must be an {'object' if kind is dict else 'array'}")
    return body


def flag(text: str | None) -> bool | None:
    """A boolean string of a query, None where it is absent; raises Problem on anything else."""
    match (text or "").lower():
        case "":
            return None
        case "true":
            return True
        case "false":
            return False
        case _:
            raise Problem(400, "Expected true or false")
