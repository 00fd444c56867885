"""The source audit: what the edge functions' TypeScript says, read from its syntax trees and never run.

`read` makes one table of what the files use and do; each check judges a part of it.
"""

from opsnb.checks.audit.checks import authority, errors, imports, references, secrets, variables
from opsnb.checks.audit.reading import read

__all__ = ["authority", "errors", "imports", "read", "references", "secrets", "variables"]
