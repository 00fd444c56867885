"""How long evidence is kept: a plan first, whole deployments only, never one that is held, open or too young.

`reports/<environment>/record.jsonl` keeps, chained like a deployment's own record, who held what and who removed what, with the digest of
the seal: that something was removed is evidence too. A removal is recorded as begun, moves the folder aside in one step, deletes it, and is
recorded as done; broken off at any point, the next one finishes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence import ledger
from opsnb.evidence.deployments import STAMP, Deployment, all_deployments, find
from opsnb.evidence.results import read_runs
from opsnb.evidence.safe import unwritable, utc
from opsnb.evidence.seal import FILE_NAME as SEAL_NAME

ASIDE = ".removed"
HOLD, RELEASE, BEGUN, REMOVAL = "hold", "release of a hold", "removal begun", "removal"


@dataclass(frozen=True)
class Kept:
    """One deployment and what becomes of it. `due`: when its time is over; `why` it stays, empty where it goes."""

    deployment: Deployment
    due: datetime
    why: str
    files: int
    bytes: int
    sealed: bool

    @property
    def goes(self) -> bool:
        """Whether the plan removes it."""
        return not self.why


@dataclass(frozen=True)
class Hold:
    """Why a deployment stays however old it gets."""

    by: str
    role: str
    reason: str
    at: str


def plan(reports_root: Path, environment: str, *, years: float, now: datetime) -> list[Kept]:
    """Every deployment into *environment*, oldest first, and whether its *years* are over. Raises RecordDamaged."""
    held = holds(reports_root, environment)
    return [_kept(each, held.get(each.id), years, now) for each in reversed(all_deployments(reports_root, environment))]


def holds(reports_root: Path, environment: str) -> dict[str, Hold]:
    """The deployments that are held now."""
    found: dict[str, Hold] = {}
    for entry in _record(reports_root / environment):
        name = str(entry.data.get("deployment", ""))
        if entry.kind == HOLD:
            found[name] = Hold(str(entry.data["by"]), str(entry.data["role"]), str(entry.data["reason"]), entry.at)
        elif entry.kind == RELEASE:
            found.pop(name, None)
    return found


def hold(reports_root: Path, environment: str, deployment: str, *, by: str, role: str, reason: str, now: datetime) -> ledger.Entry:
    """Keeps *deployment* until it is released. UsageError without a name and a reason."""
    return _say(HOLD, reports_root, environment, deployment, by=by, role=role, reason=reason, now=now)


def release(reports_root: Path, environment: str, deployment: str, *, by: str, role: str, reason: str, now: datetime) -> ledger.Entry:
    """Ends the hold of *deployment*; ActionRefused where there is none."""
    if deployment not in holds(reports_root, environment):
        raise ActionRefused(f"{deployment} is not held: there is nothing to release.")
    return _say(RELEASE, reports_root, environment, deployment, by=by, role=role, reason=reason, now=now)


def remove(reports_root: Path, environment: str, *, years: float, by: str, role: str, now: datetime) -> dict[str, int]:
    """Removes what the plan says goes, and finishes what an earlier removal left: deployment → bytes. UsageError without a name."""
    if not by.strip() or not role.strip():
        raise UsageError("A removal needs --by and --role: the record says who removed evidence.")
    folder = reports_root / environment
    aside = folder / ASIDE
    if aside.is_symlink():
        raise UsageError(f"{aside} is a link, and links are not followed: remove the link.")
    for kept in plan(reports_root, environment, years=years, now=now):
        # asked again before each: somebody may hold it while others go
        if not kept.goes or kept.deployment.id in holds(reports_root, environment):
            continue
        if kept.deployment.id not in _pending(folder):
            said = {
                "deployment": kept.deployment.id, "release": kept.deployment.release, "opened_at": utc(kept.deployment.opened_at),
                "due": utc(kept.due), "files": kept.files, "bytes": kept.bytes, "seal_sha256": _seal(kept.deployment.folder), "by": by,
                "role": role,
            }  # fmt: skip
            ledger.append(folder, BEGUN, said, now=now)
        _set_aside(kept.deployment.folder, aside)
    return _delete(folder, now=now)


def _pending(folder: Path) -> dict[str, ledger.Entry]:
    """Removals that were begun and not done, by deployment."""
    found: dict[str, ledger.Entry] = {}
    for entry in _record(folder):
        if entry.kind == BEGUN:
            found[str(entry.data["deployment"])] = entry
        elif entry.kind == REMOVAL:
            found.pop(str(entry.data["deployment"]), None)
    return found


def _say(
    kind: str, reports_root: Path, environment: str, deployment: str, *, by: str, role: str, reason: str, now: datetime
) -> ledger.Entry:
    for name, value in (("--by", by), ("--role", role), ("--reason", reason)):
        if not value.strip():
            raise UsageError(f"A {kind} needs {name}: somebody will ask who and why.")
    found = find(reports_root, environment, deployment)
    said: Mapping[str, str] = {"deployment": found.id, "by": by, "role": role, "reason": reason}
    return ledger.append(reports_root / environment, kind, said, now=now)


def _record(folder: Path) -> list[ledger.Entry]:
    return ledger.read(folder) if ledger.path_of(folder).is_file() else []


def _kept(deployment: Deployment, held: Hold | None, years: float, now: datetime) -> Kept:
    due = _years_after(_last_word(deployment), years)
    if deployment.folder.is_symlink():
        why = "it is a link, and links are not followed: remove what it leads to by hand"
    elif held is not None:
        why = f"held by {held.by} since {held.at}: {held.reason}"
    elif deployment.is_open:
        why = "still open: nobody has signed it"
    elif due > now:
        why = f"kept until {due:%Y-%m-%d}"
    else:
        why = ""
    files = list(_files(deployment.folder))
    return Kept(deployment, due, why, len(files), sum(path.lstat().st_size for path in files), (deployment.folder / SEAL_NAME).is_file())


def _last_word(deployment: Deployment) -> datetime:
    """When something was last added to it; the time counts from there."""
    runs = [datetime.strptime(run.folder.name[:16], STAMP).replace(tzinfo=UTC) for run in read_runs(deployment)]
    return max([deployment.closed_at or deployment.opened_at, *runs])


def _years_after(moment: datetime, years: float) -> datetime:
    whole, rest = divmod(round(years * 12), 12)
    month = moment.month - 1 + rest
    year = moment.year + whole + month // 12
    try:
        return moment.replace(year=year, month=month % 12 + 1)
    except ValueError:  # the 29th of February, the 31st of a short month: the day after
        return moment.replace(year=year + (month % 12 + 1) // 12, month=(month % 12 + 1) % 12 + 1, day=1)


def _files(folder: Path) -> Iterator[Path]:
    """Every file below *folder*; links are files here, and never followed."""
    for root, _folders, names in os.walk(folder, followlinks=False):
        yield from (Path(root) / name for name in names)


def _seal(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / SEAL_NAME).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(
            f"{folder / SEAL_NAME} cannot be read ({error.strerror}): its digest has to be recorded before it goes."
        ) from error


def _set_aside(folder: Path, aside: Path) -> None:
    try:
        aside.mkdir(exist_ok=True)
        folder.rename(aside / folder.name)
    except OSError as error:
        raise unwritable(folder.parent, error) from error


def _delete(folder: Path, *, now: datetime) -> dict[str, int]:
    """Deletes what stands aside, and records each as done."""
    aside, pending, gone = folder / ASIDE, _pending(folder), dict[str, int]()
    for path in sorted(aside.iterdir()) if aside.is_dir() else []:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise unwritable(aside, error) from error
    for name, entry in pending.items():
        if not (folder / name).exists():
            ledger.append(folder, REMOVAL, dict(entry.data), now=now)
            gone[name] = int(entry.data["bytes"])
    with contextlib.suppress(OSError):
        aside.rmdir()
    return gone
