"""Parameter files and the switches of the process environment. Nothing else reads either."""

from opsnb.config.environment import ClickHouseSpec, EncryptionSpec, Environment
from opsnb.config.limits import Limits
from opsnb.config.loading import effective_limits, load_alerts, load_environment, load_release, require_references
from opsnb.config.references import Reference, text_of
from opsnb.config.release import Contact, FunctionSpec, Period, Release, Support, Variables
from opsnb.config.root import Settings, become, child_environment, find_root, settings
from opsnb.config.schema import (
    ANOTHER,
    Accepted,
    AccessSpec,
    AttestationRule,
    CleanupGuards,
    CleanupLink,
    CleanupRecord,
    IdentitySpec,
    PatternSpec,
    RecordSpec,
    RoutineSpec,
    SchemaSpec,
    TableSpec,
    kind_of,
)
from opsnb.config.statements import SaidOfItem, Signer, read_signers, read_statements

__all__ = [
    "ANOTHER",
    "Accepted",
    "AccessSpec",
    "AttestationRule",
    "CleanupGuards",
    "CleanupLink",
    "CleanupRecord",
    "ClickHouseSpec",
    "Contact",
    "EncryptionSpec",
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
    "SaidOfItem",
    "SchemaSpec",
    "Settings",
    "Signer",
    "Support",
    "TableSpec",
    "Variables",
    "become",
    "child_environment",
    "effective_limits",
    "find_root",
    "kind_of",
    "load_alerts",
    "load_environment",
    "load_release",
    "read_signers",
    "read_statements",
    "require_references",
    "settings",
    "text_of",
]
