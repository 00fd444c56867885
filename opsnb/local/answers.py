"""What the management API's operations share: a refusal with its status, and reading a body."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T", dict[str, Any], list[Any])


class Problem(Exception):
    """An answer other than success: *status* and the ``message`` of its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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
