"""A project of one's own: the folder with notebooks and parameters that every command looks for."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from opsnb.config import find_root, settings
from opsnb.errors import UsageError
from opsnb.evidence.safe import write_atomic
from opsnb.runbook import NOTEBOOKS


def root_or_here() -> tuple[Path, bool]:
    """The project, and whether it is a new one: where there is none here or above, and OPSNB_HOME names none, this folder becomes one."""
    try:
        return find_root(), False
    except UsageError:
        if settings().home is not None:
            raise
        return Path.cwd().resolve(), True


def furnish(root: Path) -> int:
    """Puts the runbook's notebooks into *root*, where they are not yet; how many. What is there is never written over."""
    written = 0
    for name in NOTEBOOKS.values():
        place = root / "notebooks" / f"{name}.ipynb"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, _text(f"{name}.ipynb"))
            written += 1
    return written


def _text(name: str) -> str:
    """A notebook as it was installed with the package, or as it stands beside it in a checkout."""
    package = resources.files("opsnb")
    installed = package.joinpath("notebooks", name)
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    beside = Path(str(package)).parent / "notebooks" / name
    if not beside.is_file():
        raise UsageError(f"{name}: the notebooks did not come with this installation of opsnb; install it anew")
    return beside.read_text(encoding="utf-8")
