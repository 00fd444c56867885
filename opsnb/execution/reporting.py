"""Turns an executed run folder into its report; the folder says everything needed."""

from __future__ import annotations

from pathlib import Path

import nbformat

from opsnb.evidence import report


def write_report(folder: Path) -> Path:
    """Writes report.html of a run folder (notebook.ipynb and results.json are in it)."""
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    return report.render_report(notebook, folder)
