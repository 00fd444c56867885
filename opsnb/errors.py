"""Everything opsnb raises on purpose.

OpsnbError
├── UsageError            the operator's input is wrong; exit code 2, nothing was written
│   ├── ConfigError       a parameter file: names file, line, key, value and expectation
│   └── ReferenceError_   a reference (env:NAME, file:PATH) that does not resolve
├── SourceError           a system could not be asked; the check becomes ERROR
│   ├── SourceAbsent      the environment or release declares none; the check becomes NOT_APPLICABLE
│   ├── SourceTimeout     it did not answer in time
│   ├── SourceDenied      it answered that we may not ask
│   └── SourceNonsense    it answered something outside its contract
├── ActionRefused         a plan was not applied; says why
├── ActionFailed          a plan was begun and did not end; says what is left behind
└── GateFailed            a phase ended with FAIL or ERROR; raised by a notebook's last cell
"""

from __future__ import annotations

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_HELD = 3
EXIT_UNMEASURED = 4
EXIT_STOPPED = 130
"""Stopped by the operator or a scheduler, as shells count it."""


class OpsnbError(Exception):
    """Base of every error opsnb raises on purpose. The text is safe to show: no secret, no patient."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback: the sentence says what to do, frames of ours do not."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(OpsnbError):
    """The operator's input is wrong."""


class ConfigError(UsageError):
    """A parameter file does not say what it should."""

    @classmethod
    def at(cls, file: str, line: int | None, key: str, value: str, expected: str, hint: str = "") -> ConfigError:
        """Builds the one form of message: where, what it says, what was expected, what to do."""
        where = f"{file}:{line}" if line else file
        shown = f" = {value}" if value else ""
        return cls(f"{where}: {key}{shown}: expected {expected}" + (f". {hint}" if hint else ""))


class ReferenceError_(UsageError):  # noqa: N801  (Python has a ReferenceError of another kind)
    """A reference (env:NAME, file:PATH) does not resolve."""


class SourceError(OpsnbError):
    """A system could not be asked. `source` names the system, `question` what was asked of it."""

    def __init__(self, message: str, *, source: str = "", question: str = "") -> None:
        super().__init__(message)
        self.source = source
        self.question = question


class SourceAbsent(SourceError):
    """There is no such system: the environment or the release does not name one."""


class SourceTimeout(SourceError):
    """The system did not answer in time."""


class SourceDenied(SourceError):
    """The system answered that this caller may not ask."""


class SourceNonsense(SourceError):
    """The system answered something outside its contract."""


class ActionRefused(OpsnbError):
    """A plan was not applied."""


class ActionFailed(OpsnbError):
    """A plan was begun and did not end as planned."""


class GateFailed(OpsnbError):
    """A phase ended with FAIL or ERROR."""
