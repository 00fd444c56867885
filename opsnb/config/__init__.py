"""Parameter files and the switches of the process environment. Nothing else reads either."""

from opsnb.config.environment import Environment, text_of
from opsnb.config.loading import effective_limits, load_environment, load_release, require_references
from opsnb.config.references import Reference
from opsnb.config.release import (
    AccessSpec,
    CleanupRecord,
    Contact,
    FunctionSpec,
    IdentitySpec,
    Limits,
    PatternSpec,
    Period,
    RecordSpec,
    Release,
    RoutineSpec,
    SchemaSpec,
    Support,
    TableSpec,
    Variables,
)
from opsnb.config.root import Settings, child_environment, find_root, settings

__all__ = [
    "AccessSpec",
    "CleanupRecord",
    "Contact",
    "Environment",
    "FunctionSpec",
    "IdentitySpec",
    "Limits",
    "PatternSpec",
    "Period",
    "RecordSpec",
    "Reference",
    "Release",
    "RoutineSpec",
    "SchemaSpec",
    "Settings",
    "Support",
    "TableSpec",
    "Variables",
    "child_environment",
    "effective_limits",
    "find_root",
    "load_environment",
    "load_release",
    "require_references",
    "settings",
    "text_of",
]
