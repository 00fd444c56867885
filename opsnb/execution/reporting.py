"""Turns an executed run folder into its report; the folder says everything needed."""

from __future__ import annotations

from pathlib import Path

from opsnb.evidence import agreement, archive, leaks, report
from opsnb.execution import secrecy

ABOUT_PEOPLE = "signoff"
"""The phase whose page names people on purpose: who attested, whom to call."""


def publish(folder: Path, environment: str, root: Path) -> None:
    """Takes out of a run's files what must not leave, writes its report, and looks once more: where something is left, nothing else is."""
    people = folder.parent.name != ABOUT_PEOPLE
    secrets = secrecy.of_name(environment, root, people=people)
    before = leaks.stamps(folder)
    dirty = {leak.place for leak in leaks.clean_folder(folder, secrets)}
    if said := agreement.disagreement(folder):
        archive.disown(folder, said)
    write_report(folder, people=secrecy.sentence(environment, root) if people else "")
    known = {path: stamp for path, stamp in before.items() if str(path.relative_to(folder)) not in dirty}
    left = leaks.scan_folder(folder, secrets, known=known)
    if left:
        archive.withhold(folder, "; ".join(dict.fromkeys(leak.sentence for leak in left)))


def write_report(folder: Path, *, people: str = "") -> Path:
    """Writes report.html of a run folder; a notebook that was cut short still gives a page of the verdicts."""
    return report.render_report(report.read_notebook(folder), folder, people=people)
