"""HTTP as every door uses it: time-outs, plain sentences for what goes wrong, no redirects to elsewhere, nothing logged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout

RETRY_STATUS = (502, 503, 504)
TRIES = 3
LONGEST_WAIT_S = 65.0
"""The platform's rate limits are per minute."""


class Http:
    """One client for one system. *secret_headers* go with every request and are never shown."""

    def __init__(
        self,
        base_url: str,
        *,
        source: str,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout_s: float = 10,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source = source
        self._sleep = sleep
        self._base = base_url
        self._client = httpx.Client(
            headers={"user-agent": "opsnb", **(headers or {})}, auth=auth, timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5)),
            follow_redirects=False, transport=transport,
        )  # fmt: skip
        self._timeout_s = timeout_s

    @property
    def where(self) -> str:
        """Host and port, for sentences."""
        url = httpx.URL(self._base)
        return f"{url.host}:{url.port}" if url.port else url.host

    def get(self, path: str, *, params: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """A GET, tried again on lost connections and 502 to 504; a rate limit is waited for. Raises SourceError."""
        waited = 0.0
        for attempt in range(TRIES - 1):
            try:
                response = self.request("GET", path, params=params, headers=headers)
            except SourceTimeout:
                raise
            except SourceError:
                self._sleep(0.2 * 2**attempt)
                continue
            if response.status_code == 429:
                reset = _seconds(response.headers.get("x-ratelimit-reset"))
                waited += reset
                if waited > LONGEST_WAIT_S:
                    break
                self._sleep(reset)
            elif response.status_code in RETRY_STATUS:
                self._sleep(0.2 * 2**attempt)
            else:
                return self._good(response, f"GET {path}")
        return self._good(self.request("GET", path, params=params, headers=headers), f"GET {path}")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, once, whatever its status; SourceError where no answer came."""
        question = f"{method} {path}"
        try:
            # joined as text: httpx would add a slash to a base that is a whole address
            return self._client.request(method, self._base + path, **options)
        except httpx.TimeoutException:
            raise SourceTimeout(
                f"{self.where} did not answer within {self._timeout_s:g} s", source=self.source, question=question
            ) from None
        except httpx.ConnectError:
            raise SourceError(
                f"nothing answers at {self.where}; is it running and reachable from here?", source=self.source, question=question
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(
                f"{self.where} broke off the conversation ({type(error).__name__})", source=self.source, question=question
            ) from None

    def json(self, response: httpx.Response, question: str) -> Any:
        """The body as JSON; SourceNonsense where it is none."""
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise SourceNonsense(f"{self.where} answered something that is not JSON", source=self.source, question=question) from None

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _good(self, response: httpx.Response, question: str) -> httpx.Response:
        """The response where it is a good one; SourceError in words where it is not."""
        status = response.status_code
        if status < 300:
            return response
        told: dict[str, Any] = {}
        try:
            body = response.json()
            told = body if isinstance(body, dict) else {}
        except (json.JSONDecodeError, UnicodeDecodeError):
            pass
        where = {"source": self.source, "question": question}
        if status == 401:
            raise SourceDenied(f"{self.where} does not know the token (401); it may have expired", **where)
        if status == 403:
            missing = told.get("missing_permissions")
            names = f"; the token lacks {', '.join(map(str, missing))}" if isinstance(missing, list) and missing else ""
            raise SourceDenied(f"{self.where} refuses this token (403){names}", **where)
        if status == 404:
            raise SourceError(f"{self.where} does not have this (404)", **where)
        if status == 429:
            raise SourceError(f"{self.where} limits how often it may be asked (429); try again in a minute", **where)
        if 300 <= status < 400:
            raise SourceNonsense(f"{self.where} sends elsewhere ({status}); name the final URL", **where)
        raise SourceError(f"{self.where} answered {status}", **where)


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, min(float(text or 1), LONGEST_WAIT_S))
    except ValueError:
        return 1.0
