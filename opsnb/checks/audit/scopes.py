"""Names and what they stand for, from the inside out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opsnb.checks.audit.values import Value

Lookup = Callable[[], Value]


@dataclass
class Scope:
    """The names of one block; `path` is the file they stand in. An import is looked up when it is used, so that circles do no harm."""

    path: str
    parent: Scope | None = None
    names: dict[str, Value | Lookup] = field(default_factory=dict)
    branch: int = 0
    """How many branches deep the block stands: an assignment from deeper down may or may not have happened."""

    def get(self, name: str) -> Value | None:
        """What *name* stands for; None where no scope knows it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                found = scope.names[name]
                return found if isinstance(found, Value) else found()
            scope = scope.parent
        return None

    def holder(self, name: str) -> Scope | None:
        """The scope that declares *name*."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope
