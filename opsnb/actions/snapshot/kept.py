"""Snapshots in the archive: ``backups/<UTC>/`` of a deployment, with a manifest that says what each file is and holds.

manifest.json           everything below, and when, from which server, which tables with how many rows and which fingerprint
dump/*.age              pg_dump's directory format, each file encrypted to the environment's age key
definitions.sql.age     schemas whose definitions a copy needs (backup.schema_only), without rows
secrets.json.age        names and digests of the platform's variables
catalogue.jsonl         every object of the schemas, as `opsnb schema capture` writes it
rehearsal-<UTC>.json    what a rehearsal of it found
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence.deployments import Deployment

FOLDER = "backups"
MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """One snapshot of the archive. `at` is T0, by the database's clock."""

    folder: Path
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How it is called: the name of its folder."""
        return self.folder.name

    @property
    def at(self) -> datetime:
        """T0."""
        return datetime.fromisoformat(str(self.data["at"]))

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """Table → rows, fingerprint, why."""
        return {str(each["table"]): dict(each) for each in self.data["tables"]}


def all_kept(deployment: Deployment) -> list[Kept]:
    """Every snapshot of *deployment*, newest first; UsageError for one whose manifest is damaged."""
    return [read(path.parent) for path in sorted(deployment.folder.glob(f"{FOLDER}/*/{MANIFEST}"), reverse=True)]


def newest_kept(deployment: Deployment) -> Kept | None:
    """The newest snapshot of *deployment*; None where none was taken."""
    return next(iter(all_kept(deployment)), None)


def read(folder: Path) -> Kept:
    """The snapshot in *folder*; UsageError where its manifest does not say what it should."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError
        kept = Kept(folder, data)
        _ = kept.at, kept.tables, data["files"], data["server"]["version_number"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: expected a manifest as `opsnb snapshot` writes it (format {FORMAT}); take a new snapshot") from None
    return kept


def check_files(kept: Kept) -> None:
    """ActionRefused naming the first file that is missing, was added, or is not as it was written."""
    files: Mapping[str, Mapping[str, Any]] = kept.data["files"]
    for name, said in files.items():
        path = kept.folder / name
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise ActionRefused(f"{path} is missing: this snapshot cannot be restored whole. Nothing was changed.") from None
        if digest != said["sha256"]:
            raise ActionRefused(f"{path} is not the file that was written: its SHA-256 differs from the manifest's. Nothing was changed.")
    dumped = {path.relative_to(kept.folder).as_posix() for path in (kept.folder / "dump").glob("*")}
    if added := sorted(dumped - set(files)):
        raise ActionRefused(f"{kept.folder / added[0]} was added after the snapshot was taken. Nothing was changed.")
