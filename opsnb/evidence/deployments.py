"""Deployments: one release into one environment, each with a folder of its own in the archive."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from opsnb.errors import UsageError
from opsnb.evidence.safe import unwritable, utc, write_atomic

STAMP = "%Y%m%dT%H%M%SZ"
FILE_NAME = "deployment.json"
LOCK_NAME = ".deployments.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Deployment:
    """One release into one environment. `folder` is reports/<environment>/<id>/; `closed_at` is None while it is open.

    `simulated`: it was lived through behind the machine's clock. It is asked for by name only, and nobody can sign it.
    """

    id: str
    environment: str
    release: str
    opened_at: datetime
    closed_at: datetime | None
    folder: Path
    simulated: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the sign-off has not closed it yet."""
        return self.closed_at is None


def open_deployment(reports_root: Path, environment: str, release: str, now: datetime) -> Deployment:
    """The newest open deployment of *release* into *environment*, else a new one; two processes at once get the same.

    Raises UsageError for a name that is no name, or a folder that cannot be written.
    """
    folder = _environment_folder(reports_root, environment)
    _require_name("release", release)
    with _locked(folder):
        newest = newest_open(reports_root, environment, release)
        return newest or _create(folder, environment, release, now)


def find_or_open(reports_root: Path, environment: str, release: str, *, identifier: str = "", now: datetime) -> Deployment:
    """The deployment called *identifier*; where none is named, the newest open one of *release*, else a new one.

    UsageError for one that was signed off: nothing is added to it.
    """
    if not identifier:
        return open_deployment(reports_root, environment, release, now)
    return require_open(find(reports_root, environment, identifier))


def open_simulated(reports_root: Path, environment: str, release: str, now: datetime) -> Deployment:
    """A new deployment that began at *now*, a moment of the past."""
    folder = _environment_folder(reports_root, environment)
    _require_name("release", release)
    with _locked(folder):
        return _create(folder, environment, release, now, simulated=True)


def require_open(deployment: Deployment) -> Deployment:
    """*deployment*; UsageError where it was signed off."""
    if deployment.closed_at is not None:
        moment = utc(deployment.closed_at)
        raise UsageError(f"{deployment.id} was signed off at {moment} and is closed; leave --deployment out to open a new one.")
    return deployment


def newest_open(reports_root: Path, environment: str, release: str | None = None) -> Deployment | None:
    """The newest deployment into *environment* that is not closed; of *release* only, where one is named."""
    for deployment in all_deployments(reports_root, environment):
        if deployment.is_open and not deployment.simulated and release in (None, deployment.release):
            return deployment
    return None


def find(reports_root: Path, environment: str, identifier: str) -> Deployment:
    """The deployment called *identifier*; UsageError with the nearest name where there is none."""
    known = {deployment.id: deployment for deployment in all_deployments(reports_root, environment)}
    if identifier in known:
        return known[identifier]
    near = difflib.get_close_matches(identifier, known, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif known:
        hint = f"The newest is {next(iter(known))}."
    else:
        hint = "There is none yet: leave the name out to open one."
    raise UsageError(f"The environment {environment} has no deployment {identifier!r} in {reports_root}. {hint}")


def named(reports_root: Path, name: str) -> Deployment:
    """The deployment called *name* in any environment; or, where *name* is an environment, its newest open deployment, else its newest.

    UsageError with the nearest names where there is none.
    """
    if (reports_root / name).is_dir() and _NAME.fullmatch(name):
        found = all_deployments(reports_root, name)
        if not found:
            raise UsageError(f"The environment {name} has no deployment in {reports_root} yet; `opsnb run {name}` opens one.")
        found = [each for each in found if not each.simulated] or found
        return next((each for each in found if each.is_open), found[0])
    folders = [path.parent for path in reports_root.glob(f"*/*/{FILE_NAME}")]
    if match := [folder for folder in folders if folder.name == name]:
        if len(match) > 1:
            raise UsageError(
                f"{name} is a deployment of {' and of '.join(sorted(each.parent.name for each in match))}: name the environment"
            )
        return read_deployment(match[0])
    known = sorted({folder.name for folder in folders} | {folder.parent.name for folder in folders})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(known[-6:]) or 'none'}."
    raise UsageError(f"No deployment and no environment with a deployment is called {name!r} in {reports_root}. {hint}")


def all_deployments(reports_root: Path, environment: str) -> list[Deployment]:
    """Every deployment into *environment*, newest first; UsageError for one whose deployment.json is damaged."""
    folder = _environment_folder(reports_root, environment)
    found = [read_deployment(path.parent) for path in folder.glob(f"*/{FILE_NAME}")]
    return sorted(found, key=lambda deployment: (deployment.opened_at, deployment.id), reverse=True)


def read_deployment(folder: Path) -> Deployment:
    """The deployment that owns *folder*; UsageError where its deployment.json is missing or damaged."""
    path = folder / FILE_NAME
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        closed_at = kept["closed_at"]
        return Deployment(
            id=str(kept["id"]),
            environment=str(kept["environment"]),
            release=str(kept["release"]),
            opened_at=datetime.fromisoformat(kept["opened_at"]),
            closed_at=None if closed_at is None else datetime.fromisoformat(closed_at),
            folder=folder,
            simulated=bool(kept.get("simulated", False)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not say what it should ({type(error).__name__}): expected JSON with id, environment, release, opened_at "
            "and closed_at. Restore it from a backup, or move its folder out of the archive."
        ) from error


def close_deployment(deployment: Deployment, now: datetime) -> Deployment:
    """Closes *deployment*, as the sign-off does; closing a closed one changes nothing."""
    with _locked(deployment.folder.parent):
        kept = read_deployment(deployment.folder)
        if not kept.is_open:
            return kept
        closed = replace(kept, closed_at=now)
        _write(closed)
        return closed


def require_writable(reports_root: Path) -> None:
    """UsageError naming the folder where *reports_root* cannot be written; leaves nothing behind in it."""
    probe = reports_root / f".writable-{os.getpid()}"
    missing = [folder for folder in (reports_root, *reports_root.parents) if not folder.exists()]
    write_atomic(probe, b"")
    probe.unlink(missing_ok=True)
    for folder in missing:
        with contextlib.suppress(OSError):  # somebody else may have begun to use it
            folder.rmdir()


def _create(folder: Path, environment: str, release: str, now: datetime, *, simulated: bool = False) -> Deployment:
    base = f"{now.astimezone(UTC).strftime(STAMP)}-{release}"
    identifier, count = base, 1
    while True:
        try:
            (folder / identifier).mkdir()
            break
        except FileExistsError:  # closed and opened again within a second
            count += 1
            identifier = f"{base}-{count}"
        except OSError as error:
            raise unwritable(folder, error) from error
    opened = Deployment(identifier, environment, release, now.astimezone(UTC), None, folder / identifier, simulated)
    _write(opened)
    return opened


def _write(deployment: Deployment) -> None:
    content: dict[str, object] = {
        "id": deployment.id,
        "environment": deployment.environment,
        "release": deployment.release,
        "opened_at": utc(deployment.opened_at),
        "closed_at": None if deployment.closed_at is None else utc(deployment.closed_at),
    }
    content |= {"simulated": True} if deployment.simulated else {}
    write_atomic(deployment.folder / FILE_NAME, json.dumps(content, indent=2) + "\n")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the environment's lock; the system releases it when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _environment_folder(reports_root: Path, environment: str) -> Path:
    _require_name("environment", environment)
    return reports_root / environment


def _require_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"The {kind} {name!r} is no name: expected letters, digits, dots, dashes and underscores, starting with a letter or digit."
        )
