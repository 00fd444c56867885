"""The platform's Management API, as far as a client of the runbook uses it.

Every operation answers in the shape of the published description; nothing is invented: what this
target does not have is empty, off or 501. All of it needs the access token and counts against a rate limit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from opsnb.local import analytics, backups_api, functions_api, query
from opsnb.local.answers import Problem, RateLimits, json_body
from opsnb.local.identity import ISSUER
from opsnb.local.state import REGION, Context
from opsnb.local.store import StoreError

Handler = Callable[[Request, Context], Awaitable[Response]]


def operation(handler: Handler, name: str, limits: RateLimits) -> Callable[[Request], Awaitable[Response]]:
    """*handler* behind the access token, the rate limit and the project's reference."""

    async def answer(request: Request) -> Response:
        context: Context = request.app.state.context
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not context.identity.is_access_token(token.strip()):
            return JSONResponse({"message": "Unauthorized"}, 401)
        allowed, headers = limits.take(name)
        if not allowed:
            return JSONResponse({"message": "ThrottlerException: Too Many Requests"}, 429, headers)
        try:
            if request.path_params.get("ref", context.project_ref) != context.project_ref:
                raise Problem(404, "Project not found")
            response = await handler(request, context)
        except Problem as problem:
            response = JSONResponse({"message": str(problem)}, problem.status)
        except StoreError as error:
            response = JSONResponse({"message": str(error)}, 400)
        except (psycopg.Error, OSError, TimeoutError) as error:
            # the exception's own text may carry connection data or a row
            response = JSONResponse({"message": f"The database does not answer ({type(error).__name__})"}, 500)
        response.headers.update(headers)
        return response

    return answer


def routes(limits: RateLimits | None = None) -> list[BaseRoute]:
    """Every operation, and last of all the answer for those that are not here."""
    limits = limits or RateLimits()
    project = "/v1/projects/{ref}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/projects", projects),
        ("GET", project, get_project),
        ("GET", f"{project}/health", health),
        ("GET", f"{project}/api-keys", api_keys),
        ("GET", f"{project}/secrets", list_secrets),
        ("POST", f"{project}/secrets", create_secrets),
        ("DELETE", f"{project}/secrets", delete_secrets),
        ("GET", f"{project}/postgrest", postgrest),
        ("GET", f"{project}/ssl-enforcement", ssl_enforcement),
        ("GET", f"{project}/network-restrictions", network_restrictions),
        ("GET", f"{project}/readonly", readonly),
        ("GET", f"{project}/billing/addons", addons),
        ("GET", f"{project}/config/auth/third-party-auth", third_party_auth),
        ("GET", f"{project}/config/auth/third-party-auth/{{tpa_id}}", one_third_party_auth),
        ("GET", f"{project}/config/disk", disk),
        ("GET", f"{project}/config/disk/util", disk_util),
        ("GET", f"{project}/config/disk/autoscale", disk_autoscale),
        ("GET", f"{project}/config/database/pooler", pooler),
        ("GET", f"{project}/config/database/pgbouncer", pgbouncer),
        ("GET", f"{project}/config/database/postgres", postgres_config),
        *[(method, f"{project}{path}", handler) for method, path, handler in backups_api.TABLE],
        *[(method, f"{project}{path}", handler) for method, path, handler in functions_api.TABLE],
        *[(method, f"{project}{path}", handler) for method, path, handler in query.TABLE],
        *[(method, f"{project}{path}", handler) for method, path, handler in analytics.TABLE],
    ]
    made: list[BaseRoute] = [
        Route(path, operation(handler, f"{method} {path}", limits), methods=[method]) for method, path, handler in table
    ]
    everything_else = operation(not_here, "not implemented", limits)
    made.append(Route("/v1/{rest:path}", everything_else, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]))
    return made


async def not_here(request: Request, _context: Context) -> Response:
    """Every operation this target does not have."""
    raise Problem(501, f"The local target does not have the operation {request.method} {request.url.path}")


# -- the project


async def projects(_request: Request, context: Context) -> Response:
    """All projects: this one."""
    return JSONResponse([await _project(context)])


async def get_project(_request: Request, context: Context) -> Response:
    """The project: unhealthy while its database does not answer, on its way back while it is restored."""
    return JSONResponse(await _project(context))


async def _project(context: Context) -> dict[str, Any]:
    try:
        [told] = await context.rows("select current_setting('server_version') as version")
        version, status = str(told["version"]), "ACTIVE_HEALTHY"
    except (psycopg.Error, OSError, TimeoutError):
        version, status = "", "ACTIVE_UNHEALTHY"
    status = context.way_back or status
    return {
        "id": context.project_ref,
        "ref": context.project_ref,
        "organization_id": "local-clinic",
        "organization_slug": "local-clinic",
        "name": "Local clinic",
        "region": REGION,
        "created_at": _iso(context.identity.created_at),
        "status": status,
        "database": {
            "host": _dsn(context)["host"],
            "version": version,
            "postgres_engine": version.partition(".")[0],
            "release_channel": "ga",
        },
    }


async def health(request: Request, context: Context) -> Response:
    """The health of every service asked for (``services`` is repeated), measured now."""
    known = ("auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer")
    asked = [name for given in request.query_params.getlist("services") for name in given.split(",") if name]
    if not asked or any(name not in known for name in asked):
        raise Problem(400, f"services: each value must be one of the following values: {', '.join(known)}")
    database = await context.database_error()
    rest = database or ("" if context.rest else "the REST door is not running")
    errors = {"auth": "", "db": database, "db_postgres_user": database, "pooler": database, "rest": rest}
    answer: list[dict[str, Any]] = []
    for name in dict.fromkeys(asked):
        error = errors.get(name, f"the local target has no {name} service")
        service = {"name": name, "healthy": not error, "status": "UNHEALTHY" if error else "ACTIVE_HEALTHY"}
        answer.append({**service, "error": error} if error else service)
    return JSONResponse(answer)


async def api_keys(request: Request, context: Context) -> Response:
    """The project's keys; in clear with ``reveal=true`` only."""
    identity = context.identity
    reveal = request.query_params.get("reveal", "").lower() == "true"
    made = _iso(identity.created_at)

    def told(key: str) -> dict[str, str]:
        prefix = key[: key.rindex("_") + 6] if key.startswith("sb_") else key[:6]
        digest = hashlib.sha256(key.encode()).hexdigest()
        return {"api_key": key if reveal else f"{prefix}{'·' * 16}", "prefix": prefix, "hash": digest}

    def legacy(name: str, key: str) -> dict[str, Any]:
        return {"name": name, "id": name, "type": "legacy", "description": f"Legacy {name} API key", **told(key)}

    def new(kind: str, key: str, template: dict[str, str] | None) -> dict[str, Any]:
        own = {"name": "default", "id": _uuid(context, kind), "type": kind, "description": None, "secret_jwt_template": template}
        return {**own, **told(key), "inserted_at": made, "updated_at": made}

    return JSONResponse([
        legacy("anon", identity.anon_key),
        legacy("service_role", identity.service_key),
        new("publishable", identity.publishable_key, None),
        new("secret", identity.secret_key, {"role": "service_role"}),
    ])  # fmt: skip


# -- secrets


async def list_secrets(_request: Request, context: Context) -> Response:
    """Names with the SHA-256 of each value."""
    listed = context.store.listed_secrets()
    return JSONResponse([{"name": name, "value": secret.digest, "updated_at": secret.updated_at} for name, secret in listed.items()])


async def create_secrets(request: Request, context: Context) -> Response:
    """Adds or replaces secrets: 201 without a body."""
    body = await json_body(request, list)
    if not all(isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("value"), str) for one in body):
        raise Problem(400, "Expected an array of {name, value}")
    context.store.set_secrets({one["name"]: one["value"] for one in body})
    return Response(status_code=201)


async def delete_secrets(request: Request, context: Context) -> Response:
    """Removes the named secrets: 200 without a body."""
    body = await json_body(request, list)
    if not all(isinstance(name, str) for name in body):
        raise Problem(400, "Expected an array of names")
    context.store.unset_secrets(body)
    return Response(status_code=200)


# -- configuration


async def postgrest(_request: Request, context: Context) -> Response:
    """The REST door's settings. The signing secret stays here: no client of the runbook needs it."""
    size = pool.max_size if (pool := context.pool()) else None
    return JSONResponse({"db_schema": "public", "max_rows": 1000, "db_extra_search_path": "public", "db_pool": size})


async def ssl_enforcement(_request: Request, context: Context) -> Response:
    """As the server has it: it listens on the loopback address, without TLS."""
    [told] = await context.rows("select current_setting('ssl')::bool as on")
    return JSONResponse({"currentConfig": {"database": told["on"]}, "appliedSuccessfully": True})


async def network_restrictions(_request: Request, _context: Context) -> Response:
    """The server listens on the loopback address only."""
    config = {"dbAllowedCidrs": ["127.0.0.1/32"], "dbAllowedCidrsV6": []}
    return JSONResponse({"entitlement": "allowed", "config": config, "status": "applied"})


async def readonly(_request: Request, context: Context) -> Response:
    """Whether writing is off for every session."""
    [told] = await context.rows("select current_setting('default_transaction_read_only')::bool as on")
    return JSONResponse({"enabled": told["on"], "override_enabled": False, "override_active_until": ""})


async def addons(_request: Request, _context: Context) -> Response:
    """No add-on is bought and none is for sale."""
    return JSONResponse({"selected_addons": [], "available_addons": []})


def _third_party(context: Context) -> dict[str, Any]:
    made = _iso(context.identity.created_at)
    return {
        "id": _uuid(context, "firebase"),
        "type": "firebase",
        "oidc_issuer_url": ISSUER,
        "jwks_url": f"{context.base_url}/identity/jwks.json",
        "custom_jwks": None,
        "resolved_jwks": context.identity.jwks(),
        "inserted_at": made,
        "updated_at": made,
        "resolved_at": _iso(context.started.timestamp()),
    }


async def third_party_auth(_request: Request, context: Context) -> Response:
    """The one integration there is, unless a fault removed it: Firebase, with its keys as resolved."""
    return JSONResponse([_third_party(context)] if context.third_party else [])


async def one_third_party_auth(request: Request, context: Context) -> Response:
    """One integration by its id."""
    found = _third_party(context)
    if not context.third_party or request.path_params["tpa_id"] != found["id"]:
        raise Problem(404, "Third-party auth integration not found")
    return JSONResponse(found)


async def disk(_request: Request, context: Context) -> Response:
    """The disk the target's folder is on; speed as a volume of that type has by default."""
    size = max(1, round(shutil.disk_usage(context.folder).total / 1e9))
    return JSONResponse({"attributes": {"type": "gp3", "size_gb": size, "iops": 3000, "throughput_mibps": 125}})


async def disk_util(_request: Request, context: Context) -> Response:
    """Real bytes of the disk the target's folder is on."""
    usage = shutil.disk_usage(context.folder)
    told = {"fs_size_bytes": usage.total, "fs_avail_bytes": usage.free, "fs_used_bytes": usage.used}
    return JSONResponse({"timestamp": _iso(time.time()), "metrics": told})


async def disk_autoscale(_request: Request, _context: Context) -> Response:
    """The disk does not grow by itself."""
    return JSONResponse({"growth_percent": None, "min_increment_gb": None, "max_size_gb": None})


async def _connections(context: Context) -> int:
    sql = "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as n"
    [told] = await context.rows(sql)
    return int(told["n"])


async def pooler(_request: Request, context: Context) -> Response:
    """There is no pooler between: the address is the server's own, one server connection per client."""
    parts, connections = _dsn(context), await _connections(context)
    text = f"postgresql://postgres:[YOUR-PASSWORD]@{parts['host']}:{parts['port']}/postgres"
    return JSONResponse([{
        "identifier": context.project_ref,
        "database_type": "PRIMARY",
        "is_using_scram_auth": True,
        "db_user": "postgres",
        "db_host": parts["host"],
        "db_port": int(parts["port"]),
        "db_name": "postgres",
        "connection_string": text,
        "connectionString": text,
        "default_pool_size": connections,
        "max_client_conn": connections,
        "pool_mode": "session",
    }])  # fmt: skip


async def pgbouncer(_request: Request, context: Context) -> Response:
    """As `pooler`, in the older shape."""
    connections = await _connections(context)
    return JSONResponse({"default_pool_size": connections, "max_client_conn": connections, "pool_mode": "session"})


POSTGRES_SETTINGS = {
    "text": (
        "effective_cache_size", "logical_decoding_work_mem", "maintenance_work_mem", "track_activity_query_size", "max_slot_wal_keep_size",
        "max_standby_archive_delay", "max_standby_streaming_delay", "max_wal_size", "session_replication_role", "shared_buffers",
        "statement_timeout", "wal_keep_size", "wal_sender_timeout", "work_mem", "checkpoint_timeout",
    ),
    "integer": (
        "max_connections", "max_locks_per_transaction", "max_parallel_maintenance_workers", "max_parallel_workers",
        "max_parallel_workers_per_gather", "max_replication_slots", "max_wal_senders", "max_worker_processes",
    ),
    "boolean": ("track_commit_timestamp", "hot_standby_feedback"),
}  # fmt: skip


async def postgres_config(_request: Request, context: Context) -> Response:
    """The overridden settings only, as the platform lists them."""
    kinds = {name: kind for kind, names in POSTGRES_SETTINGS.items() for name in names}
    told = await context.rows(
        "select name, current_setting(name) as value from pg_settings where name = any(%s) and source not in ('default', 'override')",
        (list(kinds),),
    )
    read: dict[str, Callable[[str], Any]] = {"text": str, "integer": int, "boolean": "on".__eq__}
    return JSONResponse({row["name"]: read[kinds[row["name"]]](row["value"]) for row in told})


def _dsn(context: Context) -> dict[str, str]:
    parts = conninfo_to_dict(context.cluster.dsn("postgres"))
    return {"host": str(parts.get("host", "127.0.0.1")), "port": str(parts.get("port", 5432))}


def _iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uuid(context: Context, name: str) -> str:
    """The same id for the same thing of the same target, in the shape of a random one."""
    digest = hashlib.sha256(json.dumps([context.project_ref, name, context.identity.created_at]).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
