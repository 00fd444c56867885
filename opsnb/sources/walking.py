"""Requests of a journey through the public doors, as the test caller. Answers stay in memory; what leaves is status, time and a digest."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from opsnb.errors import SourceError
from opsnb.sources.http import Http

SOURCE = "journey"


@dataclass(frozen=True)
class Answer:
    """One answer. `body` is its JSON, None where it was none; never shown. `sent` False: nothing was asked, or it is not known."""

    status: int
    seconds: float
    body: Any = field(repr=False)
    sent: bool = True

    @property
    def digest(self) -> str:
        """SHA-256 of the answer's JSON, keys in order."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()


class Walker:
    """One caller at the doors functions and rest. Requests are sent once: what is lost may have been done."""

    def __init__(
        self, functions_url: str, *, anon_key: SecretStr, caller_token: SecretStr | None, caller_header: str, timeout_s: float
    ) -> None:  # fmt: skip
        key = anon_key.get_secret_value()
        token = caller_token.get_secret_value() if caller_token else key
        base = functions_url.rstrip("/")
        of_functions = {"authorization": f"Bearer {key}", "apikey": key, caller_header: token}
        of_rest = {"authorization": f"Bearer {token}", "apikey": key, "prefer": "return=representation"}
        rest = base.removesuffix("/functions/v1") + "/rest/v1"
        self._doors = {
            "functions": Http(f"{base}/", source=SOURCE, headers=of_functions, timeout_s=timeout_s),
            "rest": Http(f"{rest}/", source=SOURCE, headers=of_rest, timeout_s=timeout_s),
        }

    def ask(self, door: str, method: str, path: str, body: Any) -> Answer:
        """One request, once."""
        began = time.monotonic()
        try:
            response = self._doors[door].request(method, path, **({} if body is None else {"json": body}))
        except SourceError:
            return Answer(0, time.monotonic() - began, None, sent=False)
        try:
            told = response.json() if response.content else None
        except ValueError:
            told = None
        return Answer(response.status_code, time.monotonic() - began, told)

    def ask_at_once(self, door: str, method: str, path: str, bodies: list[Any]) -> list[Answer]:
        """As many requests as there are bodies, at the same time."""
        with ThreadPoolExecutor(len(bodies)) as pool:
            return list(pool.map(lambda body: self.ask(door, method, path, body), bodies))

    def close(self) -> None:
        """Closes the connections."""
        for door in self._doors.values():
            door.close()
