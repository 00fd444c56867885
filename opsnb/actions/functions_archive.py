"""``opsnb functions archive``: sources, bundle, settings and hash of every function that runs now, kept with the deployment.

The platform keeps one version of a function and no history: what is not archived before it is replaced cannot come back. An archive is
``archives/<UTC>/`` of a deployment: a manifest, and a folder per function with its source files and its bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from opsnb.errors import ActionRefused, SourceError, UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.manifest import source_hash
from opsnb.evidence.safe import slug as safe_name
from opsnb.evidence.safe import unwritable, utc
from opsnb.facts import Facts
from opsnb.sources import Absent, Doors

FOLDER = "archives"
MANIFEST = "manifest.json"
FORMAT = 1
COLUMNS = ("slug", "version", "verify_jwt", "updated_at", "archived_at", "sha256", "bytes", "files", "whole", "place")


@dataclass(frozen=True)
class Source:
    """One archived function, read back and found whole. `files`: path → content."""

    slug: str
    version: int
    verify_jwt: bool | None
    sha256: str
    entrypoint: str
    import_map: str
    files: Mapping[str, bytes]


def archive(doors: Doors, deployment: Deployment, *, now: datetime | None = None) -> Path:
    """Archives every deployed function; whole, or not at all. SourceError where the platform does not answer."""
    platform = doors.platform
    if isinstance(platform, Absent):
        raise UsageError(f"{platform.why}: there are no functions to archive")
    listed = platform.functions().table
    if listed.empty:
        raise UsageError("the platform lists no function, so there is nothing to archive")
    at = now or datetime.now(UTC)
    place = deployment.folder / FOLDER / at.strftime(STAMP)
    making = place.with_name(f".making-{at.strftime(STAMP)}-{os.getpid()}")
    if place.exists():
        raise ActionRefused(f"{place} exists: an archive was made this second")
    try:
        making.mkdir(parents=True, mode=0o755)
        functions = {}
        for row in listed.to_dict("records"):
            name = str(row["slug"])
            source, bundle = platform.function_source(name), platform.function_bundle(name)
            files = _files(source)
            folder = making / safe_name(name)
            hashes = {path: _write(folder / "source" / _safe(path, name), content) for path, content in files.items()}
            kept = bundle.extra.get("content", b"") if bundle.error is None else b""
            functions[name] = {
                "folder": folder.name, "version": int(row["version"]), "verify_jwt": _flag(row["verify_jwt"]),
                "status": str(row["status"]), "updated_at": pd.Timestamp(row["updated_at"]).isoformat(),
                "ezbr_sha256": _text(row["ezbr_sha256"]), "entrypoint_path": _entry(name, source, files),
                "import_map_path": _import_map(files), "files": hashes, "source_sha256": source_hash(hashes.items()),
                "bytes": sum(len(content) for content in files.values()),
                "bundle_sha256": _write(folder / "bundle.eszip", kept) if kept else None,
            }  # fmt: skip
        about = {"environment": deployment.environment, "deployment": deployment.id, "archived_at": utc(at)}
        said = {"format": FORMAT, **about, "functions": functions}
        _write(making / MANIFEST, (json.dumps(said, indent=1) + "\n").encode())
        making.rename(place)
    except OSError as error:
        raise unwritable(making.parent, error) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return place


def archived(reports: Path, environment: str) -> Facts:
    """One row per function and archive of *environment*, newest first: COLUMNS. `whole`: every file is there and as it was written."""
    rows: list[dict[str, Any]] = []
    for deployment in deployments.all_deployments(reports, environment):
        for path in sorted(deployment.folder.glob(f"{FOLDER}/*/{MANIFEST}"), reverse=True):
            rows += _rows(path)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("updated_at", "archived_at"):
        table[name] = pd.to_datetime(table[name], utc=True)
    table = table.astype({"version": "Int64", "verify_jwt": "boolean", "bytes": "Int64", "files": "Int64", "whole": "boolean"})
    return Facts("archive", f"archives of functions of {environment}", 0.0, answer=table.sort_values("archived_at", ascending=False))


def before(reports: Path, deployment: Deployment) -> dict[str, Path]:
    """Slug → the archive that holds what ran before *deployment*: its own first one, else the newest of an earlier deployment."""
    table = archived(reports, deployment.environment).table
    opened = table["place"].map(lambda place: deployments.read_deployment(Path(str(place)).parents[1]).opened_at)
    rows = table[opened <= deployment.opened_at].sort_values("archived_at", ascending=True)
    own = deployment.folder / FOLDER
    found: dict[str, Path] = {}
    for row in rows.itertuples(index=False):
        slug, place = str(row.slug), Path(str(row.place))
        if slug in found and found[slug].parent == own:
            continue  # later archives of the same deployment may hold what it deployed
        found[slug] = place
    return found


def read(place: Path, slug: str) -> Source:
    """The function *slug* of the archive *place*, every file compared with its hash. ActionRefused where one is not as it was."""
    said = _manifest(place / MANIFEST)
    if slug not in said["functions"]:
        raise ActionRefused(f"{place / MANIFEST}: it holds no function {slug}. Nothing was changed.")
    about = said["functions"][slug]
    files = {}
    for path, digest in about["files"].items():
        where = place / about["folder"] / "source" / _safe(path, slug)
        try:
            content = where.read_bytes()
        except OSError:
            raise ActionRefused(f"{where} is missing: {slug} cannot be deployed from this archive. Nothing was changed.") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise ActionRefused(f"{where} is not the file that was archived: its SHA-256 differs. Nothing was changed.")
        files[path] = content
    return Source(
        slug, int(about["version"]), about["verify_jwt"], str(about["source_sha256"]), str(about["entrypoint_path"]),
        str(about["import_map_path"] or ""), files,
    )  # fmt: skip


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    said = _manifest(path)
    for name, about in said["functions"].items():
        try:
            whole = bool(read(path.parent, name).files)
        except ActionRefused:
            whole = False
        yield {
            "slug": name, "version": about["version"], "verify_jwt": about["verify_jwt"], "updated_at": about["updated_at"],
            "archived_at": said["archived_at"], "sha256": about["source_sha256"], "bytes": about["bytes"], "files": len(about["files"]),
            "whole": whole, "place": str(path.parent),
        }  # fmt: skip


def _manifest(path: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT or not isinstance(said["functions"], dict):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: expected a manifest as `opsnb functions archive` writes it (format {FORMAT})") from None
    return said


def _files(source: Facts) -> dict[str, bytes]:
    if source.error is not None:
        raise source.error if isinstance(source.error, SourceError) else SourceError(str(source.error))
    files: dict[str, bytes] = source.extra["files"]
    if not files:
        raise SourceError("the platform answered with no source file, so there is nothing to go back to", source="platform")
    return files


def _safe(path: str, slug: str) -> str:
    """A path of the platform below the archive's folder; SourceError where it would leave it."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or not pure.parts:
        raise SourceError(f"a source file of {slug} has a path that leaves its folder", source="platform")
    return pure.as_posix()


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def _entry(slug: str, source: Facts, files: Mapping[str, bytes]) -> str:
    said = str(source.extra.get("entrypoint") or "")
    if said in files:
        return said
    entries = [path for path in files if PurePosixPath(path).name in ("index.ts", "index.js", "main.ts")]

    def far(path: str) -> tuple[bool, int, str]:  # its own folder first, then the one nearest to the top
        return PurePosixPath(path).parent.name != slug, path.count("/"), path

    return min(entries or list(files), key=far)


def _import_map(files: Mapping[str, bytes]) -> str | None:
    return next((path for path in sorted(files) if PurePosixPath(path).name in ("deno.json", "deno.jsonc", "import_map.json")), None)


def _flag(value: Any) -> bool | None:
    return None if value is None or value is pd.NA or value != value else bool(value)


def _text(value: Any) -> str | None:
    return None if value is None or value is pd.NA or value != value else str(value)
