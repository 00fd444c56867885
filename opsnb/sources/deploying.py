"""What opsnb changes on the platform: a function deployed again, the project taken back to a point in time.

Neither is asked twice: a request whose answer was lost may have been carried out, so whoever calls looks at the state first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceNonsense
from opsnb.sources.http import Http

SOURCE = "platform"


class Deploying:
    """The changing half of the platform's door. The token goes into a header and nowhere else."""

    def __init__(self, url: str, ref: str, token: SecretStr, *, timeout_s: float = 60) -> None:
        headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        self._http = Http(url.rstrip("/"), source=SOURCE, headers=headers, timeout_s=timeout_s)
        self._project = f"/v1/projects/{quote(ref, safe='')}"

    def deploy(
        self, slug: str, files: Mapping[str, bytes], *, entrypoint: str, verify_jwt: bool, import_map: str = ""
    ) -> int:  # fmt: skip
        """Deploys *files* as *slug*; the version it has from now on. `verify_jwt` is always said: the default would switch it on."""
        about: dict[str, Any] = {"name": slug, "entrypoint_path": entrypoint, "verify_jwt": verify_jwt}
        if import_map:
            about["import_map_path"] = import_map
        parts: list[tuple[str, tuple[str, bytes, str]]] = [
            ("file", (path, content, "application/octet-stream")) for path, content in sorted(files.items())
        ]
        path = f"{self._project}/functions/deploy"
        parts.append(("metadata", ("metadata.json", json.dumps(about).encode(), "application/json")))
        response = self._http.request("POST", path, params={"slug": slug}, files=parts)
        self._require(response, 201, f"POST {path}", f"{slug} was not deployed")
        told = self._http.json(response, f"POST {path}")
        version = told.get("version") if isinstance(told, dict) else None
        if not isinstance(version, int) or isinstance(version, bool):
            raise SourceNonsense(f"{slug} was deployed, but the answer names no version", source=SOURCE, question=f"POST {path}")
        return version

    def delete(self, slug: str) -> None:
        """Removes a function."""
        path = f"{self._project}/functions/{quote(slug, safe='')}"
        self._require(self._http.request("DELETE", path), 200, f"DELETE {path}", f"{slug} was not removed")

    def restore_to(self, moment: datetime) -> None:
        """Asks for the whole project as it was at *moment* (whole seconds); the project's status tells how it goes on."""
        path = f"{self._project}/database/backups/restore-pitr"
        body = {"recovery_time_target_unix": int(moment.timestamp())}
        self._require(self._http.request("POST", path, json=body), 201, f"POST {path}", "the restore was not begun")

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _require(self, response: httpx.Response, expected: int, question: str, what: str) -> None:
        """SourceError unless the answer is the platform's own *expected* status; any other success is not known to be one."""
        status, page = response.status_code, response.headers.get("content-type", "").startswith("text/html")
        if status == expected and not page:
            return
        if status in (401, 403):
            raise SourceDenied(f"{what}: the platform refuses this token ({status})", source=SOURCE, question=question)
        if 200 <= status < 300:
            told = f"a page with {status}" if page else f"{status} instead of {expected}"
            unsure = what.replace(" was not ", " may or may not have been ")
            raise SourceNonsense(f"{unsure}: what answers says {told}; look at the state first", source=SOURCE, question=question)
        raise SourceError(f"{what}: the platform answered {status}", source=SOURCE, question=question)
