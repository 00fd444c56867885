"""The door to an openEHR server, for releases that talk to one."""

from __future__ import annotations

import time

import httpx
import pandas as pd

from opsnb.facts import asked
from opsnb.sources.http import Http

SOURCE = "openehr"


class OpenEhr:
    """One openEHR REST API, asked without credentials."""

    def __init__(self, url: str, *, timeout_s: float = 10, transport: httpx.BaseTransport | None = None) -> None:
        base = url.rstrip("/") + "/"
        self._http = Http(base, source=SOURCE, timeout_s=timeout_s, transport=transport)
        self._base = httpx.URL(base)

    @asked(SOURCE)
    def reachable(self, path: str = "") -> tuple[str, pd.DataFrame]:
        """One row: status, seconds, elsewhere (whether it sends its callers to another server; nothing is followed), page.

        *page*: whether the answer is a web page, which no openEHR API sends: a proxy's, a sign-in form's, a parked domain's.
        """
        started = time.perf_counter()
        response = self._http.request("GET", path.lstrip("/"))
        seconds = time.perf_counter() - started
        row = {"status": response.status_code, "seconds": seconds, "elsewhere": self._elsewhere(response), "page": _is_page(response)}
        return f"GET {path or '/'} of the openEHR API", pd.DataFrame([row])

    def _elsewhere(self, response: httpx.Response) -> bool:
        """Whether it is a redirect that leaves scheme, host or port; one that cannot be read does."""
        target = response.headers.get("location")
        if not 300 <= response.status_code < 400 or target is None:
            return False
        try:
            url = self._base.join(target)
        except httpx.InvalidURL:
            return True
        return (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def _is_page(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    start = response.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return kind in ("text/html", "application/xhtml+xml") or start.startswith((b"<!doctype html", b"<html"))
