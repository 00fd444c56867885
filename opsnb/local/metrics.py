"""The metrics endpoint: Prometheus text with the platform's family names and numbers that are real here."""

from __future__ import annotations

import base64
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from opsnb.local.state import Context

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DATABASES = """
select d.datname, s.numbackends, s.xact_commit, s.xact_rollback, s.blks_read, s.blks_hit, s.deadlocks, s.temp_bytes,
       pg_database_size(d.oid) as size
from pg_database d join pg_stat_database s on s.datid = d.oid
where d.datallowconn order by d.datname
"""
SERVER = """
select (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
       current_setting('max_connections')::int as max_connections,
       current_setting('default_transaction_read_only')::bool::int as read_only,
       (select sum(size)::bigint from pg_ls_waldir()) as wal,
       extract(epoch from pg_postmaster_start_time())::float8 as started,
       (select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
        from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_transaction
"""
USERS = """
select coalesce(usename, '') as username, count(*) as n from pg_stat_activity
where backend_type = 'client backend' group by 1 order by 1
"""

Sample = tuple[str, dict[str, str], float]
"""Name of the series (the family's, but for its suffix), labels, value."""


class Page:
    """Prometheus text in the making: families in the order they were added, each with one HELP and TYPE."""

    def __init__(self, **labels: str) -> None:
        self._labels = labels
        self._lines: list[str] = []

    def add(self, name: str, kind: str, about: str, samples: Iterable[tuple[dict[str, str], float | None]]) -> None:
        """Adds one family; a sample without a value is left out, as an absent series is."""
        told = [(labels, value) for labels, value in samples if value is not None]
        if told:
            self._lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
            self._lines += [f"{name}{_labels({**self._labels, **labels})} {_number(value)}" for labels, value in told]

    def one(self, name: str, about: str, value: float | None, kind: str = "gauge", **labels: str) -> None:
        """Adds a family of one sample."""
        self.add(name, kind, about, [(labels, value)])

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    def escape(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escape(text)}"' for name, text in labels.items()) + "}"


def _number(value: float) -> str:
    value = float(value)
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


async def metrics(request: Request) -> Response:
    """GET ``/customer/v1/privileged/metrics`` with Basic auth ``service_role:<service key>``."""
    context: Context = request.app.state.context
    if not _authorised(context, request.headers.get("authorization", "")):
        return PlainTextResponse("Unauthorized\n", 401, headers={"WWW-Authenticate": 'Basic realm="metrics"'})
    page = Page(supabase_project_ref=context.project_ref, service_type="db")
    await add_database(page, context)
    add_pool(page, context)
    add_host(page, context.folder)
    return Response(str(page), media_type=CONTENT_TYPE)


def _authorised(context: Context, header: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and user == "service_role" and context.identity.is_service_key(password)


async def add_database(page: Page, context: Context) -> None:
    """Families of the database; only ``pg_up 0`` while it does not answer."""
    try:
        databases = await context.rows(DATABASES)
        [server] = await context.rows(SERVER)
        users = await context.rows(USERS)
    except (psycopg.Error, OSError, TimeoutError):
        page.one("pg_up", "Whether the last scrape reached the database.", 0)
        return
    page.one("pg_up", "Whether the last scrape reached the database.", 1)
    own = [row for row in databases if row["datname"] == "postgres"]

    def of_database(name: str, kind: str, about: str, column: str) -> None:
        page.add(name, kind, about, [({"datname": row["datname"]}, row[column]) for row in databases])

    of_database("pg_stat_database_num_backends", "gauge", "Backends connected to the database.", "numbackends")
    of_database("pg_stat_database_xact_commit_total", "counter", "Transactions committed.", "xact_commit")
    of_database("pg_stat_database_xact_rollback_total", "counter", "Transactions rolled back.", "xact_rollback")
    of_database("pg_stat_database_blks_read_total", "counter", "Disk blocks read.", "blks_read")
    of_database("pg_stat_database_blks_hit_total", "counter", "Blocks found in the buffer cache.", "blks_hit")
    of_database("pg_stat_database_deadlocks_total", "counter", "Deadlocks detected.", "deadlocks")
    of_database("pg_stat_database_temp_bytes_total", "counter", "Bytes written to temporary files.", "temp_bytes")
    of_database("pg_database_size_bytes", "gauge", "Disk space used by the database.", "size")
    page.one("pg_database_size_mb", "Disk space used by all databases.", sum(row["size"] for row in databases) / 1e6)
    page.one("pg_wal_size_mb", "Disk space used by the write-ahead log.", (server["wal"] or 0) / 1e6)
    page.add(
        "connection_stats_connection_count", "gauge", "Connections by role.", [({"username": row["username"]}, row["n"]) for row in users]
    )
    page.one("max_connections_connection_count", "The server's max_connections.", server["max_connections"])
    page.one("pg_settings_default_transaction_read_only", "Whether transactions are read-only by default.", server["read_only"])
    page.one("pg_stat_activity_max_tx_duration", "Seconds the oldest open transaction has run.", server["oldest_transaction"])
    page.one("process_start_time_seconds", "When the server started, epoch seconds.", server["started"])
    for row in own:
        page.one(
            "supavisor_connections_active", "Connections through the pooler's address.", row["numbackends"],
            mode="session", user="postgres", db_name="postgres",
        )  # fmt: skip


def add_pool(page: Page, context: Context) -> None:
    """Families of the REST door's pool, from the pool itself."""
    pool = context.pool()
    if pool is None:
        return
    told: dict[str, Any] = pool.get_stats()
    page.one("pgrst_db_pool_max", "Max pool connections.", told.get("pool_max", 0))
    # a pool grows on demand: what it may still open is available, too
    idle = told.get("pool_available", 0) + told.get("pool_max", 0) - told.get("pool_size", 0)
    page.one("pgrst_db_pool_available", "Available connections in the pool.", idle)
    page.one("pgrst_db_pool_waiting", "Requests waiting to acquire a pool connection.", told.get("requests_waiting", 0))
    page.one("pgrst_db_pool_timeouts_total", "Pool connection timeouts.", told.get("requests_errors", 0), kind="counter")


def add_host(page: Page, folder: Path) -> None:
    """Families of the machine, as far as it tells."""
    memory = _meminfo()
    page.one("node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes.", memory.get("MemTotal"))
    page.one("node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes.", memory.get("MemAvailable"))
    page.one("node_memory_MemFree_bytes", "Memory information field MemFree_bytes.", memory.get("MemFree"))
    page.one("node_memory_SwapTotal_bytes", "Memory information field SwapTotal_bytes.", memory.get("SwapTotal"))
    page.one("node_memory_SwapFree_bytes", "Memory information field SwapFree_bytes.", memory.get("SwapFree"))
    for minutes, load in zip((1, 5, 15), os.getloadavg(), strict=True):
        page.one(f"node_load{minutes}", f"{minutes}m load average.", load)
    disk = shutil.disk_usage(folder)
    where = {"mountpoint": "/data"}
    page.one("node_filesystem_size_bytes", "Filesystem size in bytes.", disk.total, **where)
    page.one("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", disk.free, **where)


def _meminfo() -> dict[str, int]:
    """Bytes by field of /proc/meminfo; empty where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in fields if len(parts) == 3 and parts[2] == "kB"}
