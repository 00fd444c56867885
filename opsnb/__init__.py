"""A deployment runbook you can run. This is what a notebook uses; everything else has a room of its own."""

from opsnb import charts, checks
from opsnb.facts import Facts
from opsnb.phase import Phase, open_phase
from opsnb.verdicts import CheckResult, Gate, Verdict

__version__ = "0.1.0"

__all__ = ["CheckResult", "Facts", "Gate", "Phase", "Verdict", "charts", "checks", "open_phase"]
