"""Functions over the Management API: list, read, deploy in both upload forms, activate, change, delete."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import uuid
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opsnb.local.answers import Problem, flag, json_body
from opsnb.local.state import Context
from opsnb.local.store import MAGIC, MAX_BUNDLE_BYTES, STATUSES, Deployment, FunctionStore, StoreError, UnknownFunction, unpack

ESZIP = "application/vnd.denoland.eszip"
PREPARED_KEPT = 50
_prepared: dict[FunctionStore, list[Deployment]] = {}
"""Bundles uploaded with ``bundleOnly`` and not activated yet, of each store, newest last."""


def described(context: Context, made: Deployment) -> dict[str, Any]:
    """A deployment as the API tells it: times in epoch milliseconds, paths as file URLs."""
    base = f"file:///tmp/user_fn_{context.project_ref}_{made.id}_{made.version}/source/"
    answer = {
        "id": made.id,
        "slug": made.slug,
        "name": made.name,
        "status": made.status,
        "version": made.version,
        "created_at": made.created_at_ms,
        "updated_at": made.updated_at_ms,
        "verify_jwt": made.verify_jwt,
        "import_map": made.import_map_path is not None,
        "entrypoint_path": base + made.entrypoint_path,
        "ezbr_sha256": made.ezbr_sha256,
    }
    return {**answer, "import_map_path": base + made.import_map_path} if made.import_map_path else answer


def _found(request: Request, context: Context) -> Deployment:
    try:
        return context.store.current(request.path_params["function_slug"])
    except UnknownFunction as error:
        raise Problem(404, str(error)) from None


async def list_functions(_request: Request, context: Context) -> Response:
    """Every function's current deployment."""
    return JSONResponse([described(context, made) for made in context.store.list()])


async def get_function(request: Request, context: Context) -> Response:
    """One function's current deployment."""
    return JSONResponse(described(context, _found(request, context)))


async def delete_function(request: Request, context: Context) -> Response:
    """Removes a function with all its versions."""
    context.store.delete(_found(request, context).slug)
    return Response(status_code=200)


async def get_body(request: Request, context: Context) -> Response:
    """The sources: as multipart parts where the caller accepts them, else the bundle."""
    made = _found(request, context)
    if "multipart/form-data" not in request.headers.get("accept", ""):
        return Response(context.store.bundle(made.slug), media_type="application/octet-stream")
    boundary = uuid.uuid4().hex
    metadata = json.dumps({"deno2_entrypoint_path": made.entrypoint_path}).encode()
    parts = [b'Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json\r\n\r\n' + metadata]
    for path, content in made.files().items():
        name = _quoted(path)
        head = (
            f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Supabase-Path: {name}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        parts.append(head.encode() + content)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts) + b"--%s--\r\n" % boundary.encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


def _quoted(path: str) -> str:
    """A file name as browsers write it into a header: nothing in it ends the value."""
    return path.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def deploy(request: Request, context: Context) -> Response:
    """POST ``functions/deploy``: multipart with ``metadata`` and repeated ``file`` parts. 201."""
    _refuse_large(request)
    async with request.form() as form:
        given = form.get("metadata")
        text = (await given.read()).decode() if isinstance(given, UploadFile) else given
        uploads = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        files = {_relative(upload.filename or ""): await upload.read() for upload in uploads}
    try:
        metadata = json.loads(text or "")
    except ValueError:
        raise Problem(400, "metadata must be a JSON object") from None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("entrypoint_path"), str):
        raise Problem(400, "metadata.entrypoint_path is required")
    verify_jwt, name = metadata.get("verify_jwt", True), metadata.get("name")
    if not isinstance(verify_jwt, bool) or not isinstance(name, str | None):
        raise Problem(400, "metadata.verify_jwt must be a boolean and metadata.name a string")
    slug = request.query_params.get("slug") or name
    if not slug:
        raise Problem(400, "slug is required")
    import_map = metadata.get("import_map_path")
    import_map = _relative(import_map) if isinstance(import_map, str) and import_map else None
    entrypoint = _relative(metadata["entrypoint_path"])
    if flag(request.query_params.get("bundleOnly")):
        made = context.store.prepare(slug, files, entrypoint, verify_jwt, name, import_map_path=import_map)
        _prepared[context.store] = [*_prepared.get(context.store, []), made][-PREPARED_KEPT:]
    else:
        made = context.store.deploy(slug, files, entrypoint, verify_jwt, name, import_map_path=import_map)
    return JSONResponse(described(context, made), 201)


async def bulk_update(request: Request, context: Context) -> Response:
    """PUT ``functions``: activates prepared bundles (or changes metadata) of several functions, all or none."""
    body = await json_body(request, list)
    wanted: list[Deployment] = []
    for one in body:
        if not isinstance(one, dict) or any(not isinstance(one.get(key), str) for key in ("id", "slug", "name", "status")):
            raise Problem(400, "Every function needs id, slug, name, status and version")
        if type(one.get("version")) is not int or one["status"] not in STATUSES:
            raise Problem(400, f"version must be an integer and status one of {', '.join(STATUSES)}")
        wanted.append(_chosen(context, one))
    context.store.activate(wanted)
    return JSONResponse({"functions": [described(context, made) for made in wanted]})


def _chosen(context: Context, one: dict[str, Any]) -> Deployment:
    """The bundle that an entry of a bulk update names by its hash, with the entry's metadata."""
    digest = one.get("ezbr_sha256")
    known = [made for made in _prepared.get(context.store, []) if made.slug == one["slug"]]
    try:
        known.insert(0, context.store.current(one["slug"]))
    except UnknownFunction:
        if not known:
            raise Problem(404, f"Function {one['slug']} not found") from None
    found = [made for made in known if digest is None or made.ezbr_sha256 == digest]
    if not found:
        raise Problem(400, f"No bundle of {one['slug']} has this ezbr_sha256: upload it with bundleOnly=true first")
    changes = {key: one[key] for key in ("name", "status", "version")}
    if isinstance(one.get("verify_jwt"), bool):
        changes["verify_jwt"] = one["verify_jwt"]
    return dataclasses.replace(found[-1], **changes, updated_at_ms=int(time.time() * 1000))


async def update(request: Request, context: Context) -> Response:
    """PATCH: a bundle with its metadata in the query, or JSON with ``name``, ``verify_jwt``, ``body``."""
    before = _found(request, context)
    _refuse_large(request)
    if request.headers.get("content-type", "").startswith(ESZIP):
        bundle, query = await request.body(), request.query_params
        if not bundle.startswith(MAGIC):
            raise Problem(400, "The bundle must start with EZBR")
        digest = query.get("ezbr_sha256")
        if digest and digest != hashlib.sha256(bundle).hexdigest():
            raise Problem(400, "ezbr_sha256 is not the hash of the bundle")
        files, name = unpack(bundle), query.get("name")
        verify_jwt = flag(query.get("verify_jwt"))
        entrypoint = _relative(query.get("entrypoint_path") or before.entrypoint_path)
        import_map = _relative(query["import_map_path"]) if query.get("import_map_path") else None
    else:
        body = await json_body(request, dict)
        verify_jwt, name, import_map = body.get("verify_jwt"), body.get("name"), before.import_map_path
        if not isinstance(verify_jwt, bool | None) or not isinstance(name, str | None) or not isinstance(body.get("body"), str | None):
            raise Problem(400, "verify_jwt must be a boolean, name and body strings")
        files, entrypoint = before.files(), before.entrypoint_path
        if body.get("body") is not None:
            files[entrypoint] = body["body"].encode()
    kept = before.verify_jwt if verify_jwt is None else verify_jwt
    made = context.store.deploy(before.slug, files, entrypoint, kept, name, import_map_path=import_map)
    return JSONResponse(described(context, made))


def _relative(path: str) -> str:
    """A path inside the bundle: without ``./``, and without the folder of a file URL that we told ourselves."""
    if path.startswith("file://"):
        _, found, inside = path.partition("/source/")
        if not found:
            raise Problem(400, "A file URL must lie under /source/")
        path = inside
    if path.startswith("/"):
        raise StoreError("Every path must be relative.")
    return PurePosixPath(path).as_posix()


def _refuse_large(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > 2 * MAX_BUNDLE_BYTES:
        raise Problem(413, "The bundle is too large")


TABLE = [
    ("GET", "/functions", list_functions),
    ("PUT", "/functions", bulk_update),
    ("POST", "/functions/deploy", deploy),
    ("GET", "/functions/{function_slug}/body", get_body),
    ("GET", "/functions/{function_slug}", get_function),
    ("PATCH", "/functions/{function_slug}", update),
    ("DELETE", "/functions/{function_slug}", delete_function),
]
