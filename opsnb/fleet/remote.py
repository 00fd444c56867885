"""An archive elsewhere: any URL fsspec knows (s3://bucket/prefix, gs://, file:///, memory://)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsnb.errors import UsageError


class Archive:
    """The folder at *url*. UsageError for a URL nobody can open here, and for every write that does not succeed."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise UsageError("--reports needs fsspec, which cannot be imported here: pip install 'opsnb[fleet]'") from None
        self.url = url.rstrip("/")
        if "://" not in url:
            raise UsageError(f"--reports {url}: expected a URL (s3://bucket/prefix, file:///folder); a plain folder is OPSNB_REPORTS")
        try:
            self._system, self._base = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"--reports {self._shown}: expected a URL that fsspec can open here. {error}") from None

    @property
    def _shown(self) -> str:
        """The URL without what may be a password before an @."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def copy(self, folder: Path, name: str) -> int:
        """Copies every file of *folder* to *name* below the URL; how many. Locks and half-written files are left out."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        for path in files:
            self.write(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return len(files)

    def write(self, name: str, content: bytes) -> None:
        """Writes one object, *name* below the URL."""
        path = f"{self._base.rstrip('/')}/{name}"
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, content)
        except Exception as error:  # each store raises its own; their texts may quote keys
            raise UsageError(
                f"{self._shown}/{name} could not be written ({type(error).__name__}): expected a URL this user may write to"
            ) from None

    def newest_results(self, before: str) -> Mapping[str, Any] | None:
        """results.json of the newest fleet run kept there that is older than *before*; None where there is none."""
        try:
            found = sorted(str(path) for path in self._system.glob(f"{self._base.rstrip('/')}/fleet/*/results.json"))
            older = [path for path in found if path.split("/")[-2] < before]
            kept = json.loads(self._system.cat_file(older[-1])) if older else None
        except Exception:  # a trend is a convenience: what cannot be read is no reason to stop
            return None
        return kept if isinstance(kept, dict) else None
