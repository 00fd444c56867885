"""What the doctor says of one thing it tried."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["well", "warning", "broken", "note"]
STATES: dict[str, tuple[str, str]] = {"well": ("✔", "green"), "warning": ("▲", "yellow"), "broken": ("✘", "bold red"), "note": ("–", "dim")}


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. `mend` says what to do next, where there is something to do."""

    what: str
    state: State
    found: str
    mend: str = ""

    def for_machines(self) -> dict[str, str]:
        """As it goes into JSON."""
        return asdict(self)
