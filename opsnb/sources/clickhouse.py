"""Logs on a ClickHouse server of one's own: the same statements, over HTTP."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceNonsense, SourceTimeout
from opsnb.sources.http import Http

SOURCE = "logs"
COLUMNS = "id, toTimeZone(timestamp, 'UTC') as timestamp, event_message, severity_text, source, log_attributes"
_DENIED = {"192", "193", "194", "497", "516"}  # unknown user, wrong or missing password, no grant, authentication failed
_TIMEOUT = {"159", "209"}
_NO_TABLE = {"60", "81", "47"}  # unknown table, database, identifier


class ClickHouse:
    """*table* (database.table) holds what the platform's ``logs`` does, column by column: COLUMNS; a view will do.

    Only reads; a user that is read-only by its profile (``readonly = 1``) is enough.
    """

    def __init__(
        self, url: str, *, table: str, user: str, password: SecretStr | None, timeout_s: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        database, _, name = table.partition(".")
        self._table = f"`{database}`.`{name}`"
        told = base64.b64encode(f"{user}:{password.get_secret_value() if password else ''}".encode()).decode()
        self._http = Http(url, source=SOURCE, headers={"authorization": f"Basic {told}"}, timeout_s=timeout_s, transport=transport)

    def analytics(self, sql: str, start: str, end: str) -> list[dict[str, Any]]:
        """The rows of *sql* over ``logs`` between two moments (ISO 8601, UTC); SourceError."""
        asked = f"{bounded(COLUMNS, self._table, start, end)}{sql}\nformat JSONEachRow"
        # whole or not at all: without it an error can follow rows in an answer that began well
        response = self._http.request("POST", "/?wait_end_of_query=1", content=asked.encode())
        if response.status_code != 200:
            self._refused(response, sql)
        return rows(response.text, sql)

    def _refused(self, response: httpx.Response, sql: str) -> NoReturn:
        # of its sentence only the code: the rest may quote what it read
        found = re.match(r"Code: (\d{1,4})\b", response.text)
        code = response.headers.get("x-clickhouse-exception-code") or (found[1] if found else "")
        where = {"source": SOURCE, "question": sql}
        said = f"{self._http.where} answered {response.status_code}" + (f", ClickHouse error {code}" if code.isdigit() else "")
        if response.status_code in (401, 403) or code in _DENIED:
            raise SourceDenied(f"{said}: this user may not; look at logs.clickhouse.user, its password and its right to read", **where)
        if code in _TIMEOUT:
            raise SourceTimeout(f"{said}: out of time", **where)
        if code in _NO_TABLE:
            raise SourceNonsense(f"{said}: {self._table} is no table with the columns of the platform's logs", **where)
        raise SourceNonsense(said, **where)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def bounded(columns: str, table: str, start: str, end: str) -> str:
    """The beginning of a statement: ``logs`` is *columns* of *table* between two moments (ISO 8601, UTC)."""
    moments = [f"toDateTime64('{moment.rstrip('Z').replace('T', ' ')}', 6, 'UTC')" for moment in (start, end)]
    return f"with logs as (select {columns} from {table} where timestamp >= {moments[0]} and timestamp < {moments[1]})\n"  # noqa: S608  (columns and table are checked names)


def rows(text: str, sql: str) -> list[dict[str, Any]]:
    """JSON lines as rows. Not `splitlines`: a message may hold other characters that it takes for line ends."""
    try:
        found = [json.loads(line) for line in text.split("\n") if line]
    except ValueError:
        raise SourceNonsense("the answer is cut off or no JSON", source=SOURCE, question=sql) from None
    if not all(isinstance(row, dict) for row in found):
        raise SourceNonsense("the answer holds what is no row", source=SOURCE, question=sql)
    return found
