"""The door to an openEHR server, for releases that talk to one."""

from __future__ import annotations

import httpx
import pandas as pd

from opsnb.facts import asked
from opsnb.sources.http import Http

SOURCE = "openehr"


class OpenEhr:
    """One openEHR REST API."""

    def __init__(self, url: str, *, timeout_s: float = 10, transport: httpx.BaseTransport | None = None) -> None:
        self._http = Http(url, source=SOURCE, timeout_s=timeout_s, transport=transport)

    @asked(SOURCE)
    def reachable(self) -> tuple[str, pd.DataFrame]:
        """One row: status. An answer that asks for credentials is reached all the same."""
        response = self._http.request("OPTIONS", "")
        return "OPTIONS of the openEHR API", pd.DataFrame([{"status": response.status_code, "reached": response.status_code < 500}])

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
