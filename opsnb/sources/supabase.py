"""The door to the platform: the operations of its management API that opsnb asks. Every answer has fixed columns."""

from __future__ import annotations

import email.errors
import email.parser
import email.policy
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceError
from opsnb.facts import Facts, asked
from opsnb.sources.http import Http
from opsnb.sources.shapes import TIME_DTYPE, Kind, Shape

SOURCE = "platform"
FUNCTION_COLUMNS: Mapping[str, Kind] = {
    "slug": "text", "id": "text", "name": "text", "status": "text", "version": "integer", "verify_jwt": "boolean",
    "created_at": "epoch_ms", "updated_at": "epoch_ms", "ezbr_sha256": "text",
}  # fmt: skip
_POOLER: Mapping[str, Kind] = {
    "database_type": "text", "db_host": "text", "db_port": "integer", "pool_mode": "text", "default_pool_size": "integer",
    "max_client_conn": "integer",
}  # fmt: skip
_PGBOUNCER: Mapping[str, Kind] = {
    "pool_mode": "text", "default_pool_size": "integer", "max_client_conn": "integer", "query_wait_timeout": "integer",
    "reserve_pool_size": "integer", "server_idle_timeout": "integer", "server_lifetime": "integer",
}  # fmt: skip
_NO_LOGS = "this platform answers no ClickHouse SQL, and the older endpoint logs.all is not used in its place"


class Supabase:
    """One project. The token goes into a header and nowhere else.

    The answer to an operation that lists nothing is a table without rows; a key the API may leave out is null, which is not false.
    """

    def __init__(
        self, url: str, ref: str, token: SecretStr, *, timeout_s: float = 10, transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        self._http = Http(url.rstrip("/"), source=SOURCE, headers=headers, timeout_s=timeout_s, transport=transport, sleep=sleep)
        self.ref = ref

    @asked(SOURCE)
    def project(self) -> tuple[str, pd.DataFrame]:
        """One row: name, region, status (ACTIVE_HEALTHY …), postgres (its version)."""
        shape, body = self._read("")
        project = shape.mapping(body)
        version = shape.value(shape.mapping(project.get("database"), "database"), "version", "text")
        table = shape.table([project], {"name": "text", "region": "text", "status": "text"}, required=("status",))
        return shape.question, table.assign(postgres=pd.Series([version], dtype="string"))

    @asked(SOURCE)
    def health(self, services: Sequence[str] = ("db", "rest")) -> tuple[str, pd.DataFrame]:
        """One row per service: name, status (ACTIVE_HEALTHY …), healthy."""
        shape, body = self._read("/health", params=[("services", service) for service in services])
        columns: dict[str, Kind] = {"name": "text", "status": "text", "healthy": "boolean"}
        return shape.question, shape.table(shape.entries(body), columns, required=("name", "status"), unique="name")

    @asked(SOURCE)
    def functions(self) -> tuple[str, pd.DataFrame]:
        """One row per edge function: FUNCTION_COLUMNS; times in UTC."""
        shape, body = self._read("/functions")
        required = ("slug", "id", "status", "version", "updated_at")
        return shape.question, shape.table(shape.entries(body), FUNCTION_COLUMNS, required=required, unique="slug")

    def function_source(self, slug: str) -> Facts:
        """One row per source file of *slug*: path, bytes, sha256. `extra["files"]` holds the contents, which are never shown.

        Paths are the platform's text: whoever writes them to a disk looks at them first.
        """
        found: dict[str, bytes] = {}

        @asked(SOURCE)
        def ask() -> tuple[str, pd.DataFrame]:
            path = f"{self._project}/functions/{quote(slug, safe='')}/body"
            response = self._http.get(path, headers={"accept": "multipart/form-data"}, missing=f"{slug} is not deployed")
            found.update(_files(response, Shape(SOURCE, f"GET {path}")))
            rows = [(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in sorted(found.items())]
            table = pd.DataFrame(rows, columns=["path", "bytes", "sha256"])
            return f"GET {path}", table.astype({"path": "string", "bytes": "Int64", "sha256": "string"})

        facts = ask()
        facts.extra["files"] = found
        return facts

    def function_bundle(self, slug: str) -> Facts:
        """One row: bytes, sha256 of the bundle the platform runs. `extra["content"]` holds it, which is never shown."""
        found: dict[str, bytes] = {}

        @asked(SOURCE)
        def ask() -> tuple[str, pd.DataFrame]:
            path = f"{self._project}/functions/{quote(slug, safe='')}/body"
            found["content"] = self._http.get(path, missing=f"{slug} is not deployed").content
            row = (len(found["content"]), hashlib.sha256(found["content"]).hexdigest())
            return f"GET {path}", pd.DataFrame([row], columns=["bytes", "sha256"]).astype({"bytes": "Int64", "sha256": "string"})

        facts = ask()
        facts.extra.update(found)
        return facts

    @asked(SOURCE)
    def secrets(self) -> tuple[str, pd.DataFrame]:
        """One row per variable: name, digest (confidential: SHA-256 of the value), updated_at."""
        shape, body = self._read("/secrets")
        columns: dict[str, Kind] = {"name": "text", "value": "text", "updated_at": "time"}
        table = shape.table(shape.entries(body), columns, required=("name", "value"), unique="name")
        return shape.question, table.rename(columns={"value": "digest"})

    @asked(SOURCE)
    def api_key_names(self) -> tuple[str, pd.DataFrame]:
        """One row per API key: name, type (legacy, publishable, secret). The keys themselves are dropped as they arrive."""
        shape, body = self._read("/api-keys")
        return shape.question, shape.table(shape.entries(body), {"name": "text", "type": "text"}, required=("name",))

    @asked(SOURCE)
    def third_party_auth(self) -> tuple[str, pd.DataFrame]:
        """One row per trusted identity provider: id, type, oidc_issuer_url, jwks_url, kids (of the keys the platform resolved)."""
        shape, body = self._read("/config/auth/third-party-auth")
        entries = shape.entries(body)
        columns: dict[str, Kind] = {"id": "text", "type": "text", "oidc_issuer_url": "text", "jwks_url": "text"}
        kids = [", ".join(_kids(entry.get("resolved_jwks") or entry.get("custom_jwks"), shape)) for entry in entries]
        return shape.question, shape.table(entries, columns, required=("id",), unique="id").assign(kids=pd.Series(kids, dtype="string"))

    @asked(SOURCE)
    def backups(self) -> tuple[str, pd.DataFrame]:
        """One row per way back: kind, status, at (UTC). Point-in-time recovery shows its window; what is switched off says so."""
        shape, body = self._read("/database/backups")
        answer = shape.mapping(body)
        if answer.get("backups") is None:
            raise shape.wrong("the answer has no backups")
        rows: list[tuple[str, str | None, pd.Timestamp | None]] = []
        for each in shape.entries(answer.get("backups"), "backups"):
            kind = "physical backup" if shape.value(each, "is_physical_backup", "boolean") else "logical backup"
            rows.append((kind, shape.value(each, "status", "text"), shape.value(each, "inserted_at", "time")))
        window = shape.mapping(answer.get("physical_backup_data"), "physical_backup_data")
        for which in ("earliest", "latest"):
            moment = shape.value(window, f"{which}_physical_backup_date_unix", "epoch_s")
            if moment is not None:
                rows.append((f"point in time, {which}", "restorable", moment))
        enabled = shape.value(answer, "pitr_enabled", "boolean")
        rows.append(("point-in-time recovery", "not told" if enabled is None else "enabled" if enabled else "not enabled", None))
        table = pd.DataFrame(rows, columns=["kind", "status", "at"])
        return shape.question, table.astype({"kind": "string", "status": "string", "at": TIME_DTYPE})

    @asked(SOURCE)
    def disk(self) -> tuple[str, pd.DataFrame]:
        """One row: type, size_gb, iops, throughput_mibps of the disk as provisioned."""
        shape, body = self._read("/config/disk")
        columns: dict[str, Kind] = {"type": "text", "size_gb": "integer", "iops": "integer", "throughput_mibps": "integer"}
        attributes = shape.mapping(shape.mapping(body).get("attributes"), "attributes")
        return shape.question, shape.table([attributes], columns, required=("size_gb",))

    @asked(SOURCE)
    def disk_util(self) -> tuple[str, pd.DataFrame]:
        """One row: fs_size_bytes, fs_avail_bytes, fs_used_bytes of the whole disk (database, WAL and system)."""
        shape, body = self._read("/config/disk/util")
        columns: dict[str, Kind] = dict.fromkeys(("fs_size_bytes", "fs_avail_bytes", "fs_used_bytes"), "number")
        return shape.question, shape.table([shape.mapping(shape.mapping(body).get("metrics"), "metrics")], columns, required=columns)

    @asked(SOURCE)
    def pooler(self) -> tuple[str, pd.DataFrame]:
        """One row per pooler: database_type, db_host, db_port, pool_mode, default_pool_size, max_client_conn. No connection string."""
        shape, body = self._read("/config/database/pooler")
        return shape.question, shape.table(shape.entries(body), _POOLER)

    @asked(SOURCE)
    def pgbouncer(self) -> tuple[str, pd.DataFrame]:
        """One row: the dedicated pooler's mode, sizes and time-outs (s), as far as they are set. No connection string."""
        shape, body = self._read("/config/database/pgbouncer")
        return shape.question, shape.table([shape.mapping(body)], _PGBOUNCER)

    @asked(SOURCE)
    def postgres_config(self) -> tuple[str, pd.DataFrame]:
        """One row per setting of Postgres that the project overrides: setting, value (text)."""
        shape, body = self._read("/config/database/postgres")
        rows = [(name, str(value)) for name, value in shape.mapping(body).items()]
        return shape.question, pd.DataFrame(rows, columns=["setting", "value"]).astype("string")

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of one log query; raises SourceError. A 200 may carry an error."""
        path = f"{self._project}/analytics/endpoints/logs"
        shape = Shape("logs", f"GET {path}\n{sql}")
        params = {"sql": sql, "iso_timestamp_start": start, "iso_timestamp_end": end}
        try:
            response = self._http.get(path, params=params, missing=_NO_LOGS)
            body = shape.mapping(self._http.json(response, shape.question))
        except SourceError as error:
            error.source = "logs"
            raise
        if body.get("error"):  # its text may quote a log line
            text = "the logs refused the query; their dialect or columns differ from what was expected"
            raise SourceError(text, source="logs", question=shape.question)
        if body.get("result") is None:
            raise shape.wrong("the answer has no result")
        return shape.entries(body["result"], "result")

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @property
    def _project(self) -> str:
        return f"/v1/projects/{quote(self.ref, safe='')}"

    def _read(self, path: str, *, params: Any = None) -> tuple[Shape, Any]:
        """The JSON answer to a GET below the project, and what reads it; a null answer is nonsense."""
        shape = Shape(SOURCE, f"GET {self._project}{path}")
        body = self._http.json(self._http.get(f"{self._project}{path}", params=params), shape.question)
        if body is None:
            raise shape.wrong("the answer is null")
        return shape, body


def _kids(keys: Any, shape: Shape) -> list[str]:
    """Ids of the keys in a key set, which may come as an object, a list or JSON text of either."""
    if isinstance(keys, str):
        try:
            keys = json.loads(keys)
        except ValueError:
            raise shape.wrong("a key set is no JSON") from None
    entries = keys if isinstance(keys, list) else shape.mapping(keys, "a key set").get("keys")
    return [kid for entry in shape.entries(entries, "keys") if (kid := shape.value(entry, "kid", "text"))]


def _files(response: httpx.Response, shape: Shape) -> dict[str, bytes]:
    """The parts of a multipart answer that are files, by their full path."""
    kind = response.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        raise shape.wrong(f"expected multipart/form-data, answered {kind.partition(';')[0] or 'no type'}")
    raw = b"content-type: " + kind.encode() + b"\r\n\r\n" + response.content
    try:
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
        whole = message.is_multipart() and not message.defects
        parts: Callable[[], Any] = message.iter_parts
        # the whole path stands in a header of its own; a file name may have lost its folders
        found = [(str(part.get("supabase-path") or part.get_filename() or ""), part.get_payload(decode=True)) for part in parts()]
    except (LookupError, ValueError, TypeError, AttributeError, email.errors.MessageError):  # the parser itself breaks on some headers
        whole = False
    if not whole:
        raise shape.wrong("the multipart answer is cut off or malformed")
    files: dict[str, bytes] = {}
    for name, content in found:
        if not name:
            continue
        if name in files or not isinstance(content, bytes):
            raise shape.wrong("a source file comes twice or is no file")
        files[name] = content
    return files
