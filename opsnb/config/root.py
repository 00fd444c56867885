"""Where a project is, and the switches of the process environment. The only reader of `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opsnb.errors import UsageError

MARK = Path("parameters") / "environments"


@dataclass(frozen=True)
class Settings:
    """Switches for how opsnb runs; what is being deployed stands in parameter files.

    `home` OPSNB_HOME, `run_dir` OPSNB_RUN_DIR (set by the runner), `journal` OPSNB_JOURNAL (set by the engine), `reports`
    OPSNB_REPORTS, `local_autostart` OPSNB_LOCAL_AUTOSTART (0 switches it off), `clock_behind_s` OPSNB_CLOCK_BEHIND_S (a simulated day).
    """

    home: Path | None
    run_dir: Path | None
    journal: Path | None
    reports: Path | None
    local_autostart: bool
    clock_behind_s: float = 0.0

    def reports_folder(self, root: Path) -> Path:
        """Where the archive is: OPSNB_REPORTS, else ``reports`` of the project."""
        return self.reports or root / "reports"


def settings() -> Settings:
    """The switches as they are now. UsageError for a switch that is neither on nor off."""
    return Settings(
        home=_path("OPSNB_HOME"),
        run_dir=_path("OPSNB_RUN_DIR"),
        journal=_path("OPSNB_JOURNAL"),
        reports=_path("OPSNB_REPORTS"),
        local_autostart=_switch("OPSNB_LOCAL_AUTOSTART"),
        clock_behind_s=_seconds("OPSNB_CLOCK_BEHIND_S"),
    )


def _path(name: str) -> Path | None:
    value = os.environ.get(name, "")
    return Path(value).expanduser() if value else None


def _switch(name: str) -> bool:
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise UsageError(f"{name}: expected 1 (on, as when it is not set) or 0 (off)")
    return value != "0"


def _seconds(name: str) -> float:
    value = os.environ.get(name, "")
    try:
        seconds = float(value or 0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 7 * 86_400:
        raise UsageError(f"{name}: expected seconds, from 0 to a week")
    return seconds


def environment_variable(name: str) -> str | None:
    """The value of a process-environment variable; None where it is not set."""
    return os.environ.get(name)


def child_environment(**extra: str) -> dict[str, str]:
    """The process environment for a process of ours, with *extra*; the switches of this process's own run are left out."""
    inherited = {name: value for name, value in os.environ.items() if name != "OPSNB_JOURNAL"}
    return {**inherited, **extra}


def set_clock_behind(seconds: float) -> None:
    """Sets this process, and those it starts, so far behind the machine's clock."""
    os.environ["OPSNB_CLOCK_BEHIND_S"] = f"{seconds:.3f}"


def become(environment: Mapping[str, str]) -> None:
    """Makes *environment* that of this process: a fork takes what a new process would have been started with."""
    os.environ.clear()
    os.environ.update(environment)


def find_root(start: Path | None = None) -> Path:
    """The project: OPSNB_HOME, else the nearest folder at or above *start* that has parameters/environments. UsageError."""
    home = settings().home
    if home is not None:
        if not (home / MARK).is_dir():
            raise UsageError(f"OPSNB_HOME={home}: no {MARK} in it; name the folder of a project, or unset it")
        return home.resolve()
    try:
        here = (start or Path.cwd()).resolve()
    except FileNotFoundError:
        raise UsageError("the current folder is gone; change to a project, or set OPSNB_HOME to one") from None
    for folder in (here, *here.parents):
        if (folder / MARK).is_dir():
            return folder
    raise UsageError(f"{here}: no project here or above (a folder with {MARK}); change to one, or set OPSNB_HOME to it")
