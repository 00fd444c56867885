"""papermill's notebooks, written whole or not at all: it saves after each cell, and may be killed while it does."""

from __future__ import annotations

from pathlib import Path

from papermill.iorw import LocalHandler, papermill_io

from opsnb.evidence.safe import write_atomic


class WholeFiles(LocalHandler):  # type: ignore[misc]  # papermill has no types
    """papermill's handler of local files, with an atomic `write`."""

    def write(self, buf: str, path: str) -> None:
        """Writes *buf* to *path*, as papermill sees it."""
        at = Path(path) if self._cwd is None else Path(self._cwd) / path
        if not at.parent.is_dir():
            raise FileNotFoundError(f"output folder {at.parent} doesn't exist.")
        write_atomic(at, buf)


def keep_whole(output_path: str | Path | None) -> None:
    """Has papermill write *output_path* that way from now on; other paths, and those of other schemes, stay its own."""
    if output_path is None or "://" in str(output_path):
        return
    if not any(scheme == str(output_path) for scheme, _ in papermill_io._handlers):
        handler = WholeFiles()
        handler.cwd(papermill_io.get_handler("local")._cwd)  # relative paths mean where papermill was started
        papermill_io.register(str(output_path), handler)
