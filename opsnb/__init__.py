"""A deployment runbook you can run. This is what a notebook uses; everything else has a room of its own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsnb import charts, checks
    from opsnb.facts import Facts
    from opsnb.phase import Phase, open_phase
    from opsnb.verdicts import CheckResult, Gate, Verdict

__version__ = "0.1.0"

__all__ = ["CheckResult", "Facts", "Gate", "Phase", "Verdict", "charts", "checks", "open_phase"]

_HOMES = {
    "CheckResult": "opsnb.verdicts",
    "Facts": "opsnb.facts",
    "Gate": "opsnb.verdicts",
    "Phase": "opsnb.phase",
    "Verdict": "opsnb.verdicts",
    "open_phase": "opsnb.phase",
}


def __getattr__(name: str) -> Any:
    # loaded when first used: the command line needs little of what a notebook needs, and starts in a third of the time
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("charts", "checks"):
        return importlib.import_module(f"opsnb.{name}")
    raise AttributeError(f"module 'opsnb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))
