"""Turns an executed run folder into its report; the folder says everything needed."""

from __future__ import annotations

from pathlib import Path

from opsnb.evidence import report


def write_report(folder: Path) -> Path:
    """Writes report.html of a run folder; a notebook that was cut short still gives a page of the verdicts."""
    return report.render_report(report.read_notebook(folder), folder)
