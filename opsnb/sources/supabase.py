"""The door to the platform: the operations of its management API that opsnb asks. Every answer has fixed columns."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceError, SourceNonsense
from opsnb.facts import Facts, asked
from opsnb.sources.http import Http

SOURCE = "platform"
FUNCTION_COLUMNS = ("slug", "id", "name", "status", "version", "verify_jwt", "created_at", "updated_at", "ezbr_sha256")


class Supabase:
    """One project. The token goes into a header and nowhere else."""

    def __init__(
        self, url: str, ref: str, token: SecretStr, *, timeout_s: float = 10, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        self._http = Http(url, source=SOURCE, headers=headers, timeout_s=timeout_s, transport=transport)
        self.ref = ref

    @asked(SOURCE)
    def project(self) -> tuple[str, pd.DataFrame]:
        """One row: name, region, status, postgres version."""
        path, body = self._read("", dict)
        database = body.get("database") or {}
        row = {"name": body.get("name"), "region": body.get("region"), "status": body.get("status"), "postgres": database.get("version")}
        return path, pd.DataFrame([row])

    @asked(SOURCE)
    def health(self, services: Sequence[str] = ("db", "rest")) -> tuple[str, pd.DataFrame]:
        """One row per service: name, status (ACTIVE_HEALTHY …), healthy."""
        path, body = self._read("/health", list, params=[("services", service) for service in services])
        return path, _table(path, body, ("name", "status", "healthy"), required=("name", "status"))

    @asked(SOURCE)
    def functions(self) -> tuple[str, pd.DataFrame]:
        """One row per edge function: FUNCTION_COLUMNS; times in UTC. Optional keys may be null, which is not false."""
        path, body = self._read("/functions", list)
        table = _table(path, body, FUNCTION_COLUMNS, required=("slug", "id", "status", "version"))
        for column in ("created_at", "updated_at"):  # epoch milliseconds
            table[column] = pd.to_datetime(pd.to_numeric(table[column], errors="coerce"), unit="ms", utc=True)
        return path, table

    def function_source(self, slug: str) -> Facts:
        """One row per source file of *slug*: path, bytes, sha256. `extra["files"]` holds the contents, which are never shown."""
        found: dict[str, bytes] = {}

        @asked(SOURCE)
        def ask() -> tuple[str, pd.DataFrame]:
            path = f"/v1/projects/{self.ref}/functions/{slug}/body"
            response = self._http.get(path, headers={"accept": "multipart/form-data"})
            found.update(_files(response, f"GET {path}"))
            rows = [(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in sorted(found.items())]
            return f"GET {path}", pd.DataFrame(rows, columns=["path", "bytes", "sha256"])

        facts = ask()
        facts.extra["files"] = found
        return facts

    @asked(SOURCE)
    def secrets(self) -> tuple[str, pd.DataFrame]:
        """One row per variable: name, digest (confidential: SHA-256 of the value), updated_at."""
        path, body = self._read("/secrets", list)
        table = _table(path, body, ("name", "value", "updated_at"), required=("name", "value"))
        return path, table.rename(columns={"value": "digest"})

    @asked(SOURCE)
    def third_party_auth(self) -> tuple[str, pd.DataFrame]:
        """One row per trusted identity provider: id, type, oidc_issuer_url, jwks_url, kids (of the keys the platform resolved)."""
        path, body = self._read("/config/auth/third-party-auth", list)
        table = _table(path, body, ("id", "type", "oidc_issuer_url", "jwks_url"), required=("id",))
        table["kids"] = [", ".join(_kids(entry.get("resolved_jwks") or entry.get("custom_jwks"))) for entry in body]
        return path, table

    @asked(SOURCE)
    def backups(self) -> tuple[str, pd.DataFrame]:
        """One row per way back: kind, status, at (UTC). Point-in-time recovery shows its window; what is switched off says so."""
        path, body = self._read("/database/backups", dict)
        rows = [
            {
                "kind": "physical backup" if each.get("is_physical_backup") else "logical backup",
                "status": each.get("status"),
                "at": str(each.get("inserted_at")),
            }
            for each in body.get("backups", [])
        ]
        window = body.get("physical_backup_data") or {}
        for which in ("earliest", "latest"):
            moment = window.get(f"{which}_physical_backup_date_unix")
            if moment is not None:
                rows.append(
                    {
                        "kind": f"point in time, {which}",
                        "status": "restorable",
                        "at": pd.Timestamp(int(moment), unit="s", tz="UTC").isoformat(),
                    }
                )
        rows.append({"kind": "point-in-time recovery", "status": "enabled" if body.get("pitr_enabled") else "not enabled", "at": ""})
        return path, pd.DataFrame(rows, columns=["kind", "status", "at"])

    @asked(SOURCE)
    def disk_util(self) -> tuple[str, pd.DataFrame]:
        """One row: fs_size_bytes, fs_avail_bytes, fs_used_bytes of the whole disk."""
        path, body = self._read("/config/disk/util", dict)
        metrics = body.get("metrics") or {}
        return path, pd.DataFrame([{name: metrics.get(name) for name in ("fs_size_bytes", "fs_avail_bytes", "fs_used_bytes")}])

    @asked(SOURCE)
    def pooler(self) -> tuple[str, pd.DataFrame]:
        """One row per pooler: database_type, db_host, db_port, pool_mode, default_pool_size, max_client_conn."""
        path, body = self._read("/config/database/pooler", list)
        return path, _table(
            path, body, ("database_type", "db_host", "db_port", "pool_mode", "default_pool_size", "max_client_conn"), required=()
        )

    @asked(SOURCE)
    def postgres_config(self) -> tuple[str, pd.DataFrame]:
        """One row per setting of Postgres that the project overrides: setting, value."""
        path, body = self._read("/config/database/postgres", dict)
        return path, pd.DataFrame([(name, str(value)) for name, value in body.items()], columns=["setting", "value"])

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of one log query; raises SourceError. A 200 may carry an error."""
        path = f"/v1/projects/{self.ref}/analytics/endpoints/logs"
        question = f"GET {path}\n{sql}"
        response = self._http.get(path, params={"sql": sql, "iso_timestamp_start": start, "iso_timestamp_end": end})
        body = self._http.json(response, question)
        if not isinstance(body, dict):
            raise SourceNonsense("the logs endpoint answered no object", source="logs", question=question)
        if body.get("error"):
            raise SourceError(
                "the logs endpoint refused the query; its dialect or its columns differ from what was expected",
                source="logs",
                question=question,
            )
        rows = body.get("result")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceNonsense("the logs endpoint answered without `result`", source="logs", question=question)
        return rows

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _read(self, path: str, kind: type, *, params: Any = None) -> tuple[str, Any]:
        path = f"/v1/projects/{self.ref}{path}"
        response = self._http.get(path, params=params)
        body = self._http.json(response, f"GET {path}")
        if not isinstance(body, kind):
            raise SourceNonsense(
                f"GET {path}: expected {kind.__name__}, answered {type(body).__name__}", source=SOURCE, question=f"GET {path}"
            )
        return f"GET {path}", body


def _table(question: str, body: list[Any], columns: Sequence[str], *, required: Sequence[str]) -> pd.DataFrame:
    rows = []
    for entry in body:
        if not isinstance(entry, dict):
            raise SourceNonsense(f"{question}: expected objects in the list", source=SOURCE, question=question)
        for key in required:
            if entry.get(key) is None:
                raise SourceNonsense(f"{question}: an entry has no {key}", source=SOURCE, question=question)
        rows.append([entry.get(column) for column in columns])
    return pd.DataFrame(rows, columns=list(columns))


def _kids(keys: Any) -> list[str]:
    keys = json.loads(keys) if isinstance(keys, str) else keys
    entries = keys.get("keys", []) if isinstance(keys, dict) else keys if isinstance(keys, list) else []
    return [str(entry["kid"]) for entry in entries if isinstance(entry, dict) and entry.get("kid")]


def _files(response: httpx.Response, question: str) -> dict[str, bytes]:
    """The parts of a multipart answer that are files, by their full path."""
    kind = response.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        raise SourceNonsense(f"{question}: expected multipart/form-data, answered {kind or 'no type'}", source=SOURCE, question=question)
    raw = b"content-type: " + kind.encode() + b"\r\n\r\n" + response.content
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    files: dict[str, bytes] = {}
    parts: Callable[[], Any] = message.iter_parts
    for part in parts():
        name = part.get("supabase-path") or part.get_filename()
        if name:
            content = part.get_payload(decode=True)
            files[str(name)] = content if isinstance(content, bytes) else b""
    return files
