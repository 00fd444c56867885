"""Point-in-time recovery of the embedded cluster: base backups, the archive of its write-ahead log, and the way back to a second.

Under ``<cluster>/archive``: `bases/<epoch s>` is a copy of the data folder that can be recovered to that second or any later one,
`wal/` holds the log since the oldest of them, written there by the server itself (postgres/postgresql.conf).

A recovery is made ready beside the running server, which is stopped only to change the folders over. The folder it had stays until
the recovered server answers, and comes back where it does not. What was promised is kept: a recovery that was interrupted, or not
even begun, goes on at the next start.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from opsnb.errors import OpsnbError
from opsnb.local.cluster import HOST, SUPERUSER, Cluster, ClusterError
from opsnb.local.store import write_private

RECOVERY_TIMEOUT_S = 600.0
ARCHIVING_TIMEOUT_S = 15.0
BASES_KEPT = 3
SEGMENTS_A_BASE = 2000
"""A recovery reads every segment since its base backup, some 150 of them a second."""
AGE_OF_A_BASE_S = 24 * 3600
SECONDS_BETWEEN_LOOKS = 60.0
MAINTENANCE = "template1"

_SEGMENT = re.compile(r"([0-9A-F]{24})\.gz")
_START = re.compile(r"^START WAL LOCATION: .*\(file ([0-9A-F]{24})\)$", re.MULTILINE)
_OURS = "# Written for a recovery, and taken out after it."


class NotRestorable(OpsnbError):
    """The moment asked for cannot be recovered."""


@dataclass(frozen=True, order=True)
class Base:
    """One base backup: the earliest second it can be recovered to (epoch s), and its folder."""

    at: int
    folder: Path


class Backups:
    """The ways back of *cluster*. One operation at a time; `restore` and `take` wait for each other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._bases = cluster.archive / "bases"
        self._wal = cluster.archive / "wal"
        self._before = cluster.folder / "data.before"
        self._restoring = cluster.folder / "data.restoring"
        self._promise = cluster.folder / "restore-target"
        self._one = threading.Lock()

    # What there is

    def bases(self) -> list[Base]:
        """The complete base backups, oldest first."""
        with suppress(FileNotFoundError):
            return sorted(Base(int(folder.name), folder) for folder in self._bases.iterdir() if folder.name.isdigit())
        return []

    def window(self) -> tuple[int, int] | None:
        """The earliest and the latest second that can be recovered (epoch s); None where nothing can.

        The latest is when the newest archived segment was last written: it stands still while nothing is written.
        """
        bases, latest = self.bases(), self._archived_until()
        return (bases[0].at, latest) if bases and latest >= bases[0].at else None

    def due(self) -> bool:
        """Whether it is time for a base backup: there is none, or recovery from the newest would have much to read."""
        bases = self.bases()
        if not bases or time.time() - bases[-1].at > AGE_OF_A_BASE_S:
            return True
        first = _first_segment(bases[-1])
        return sum(_place(name) >= first for name in self._segments()) > SEGMENTS_A_BASE

    def _segments(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [match[1] for path in self._wal.iterdir() if (match := _SEGMENT.fullmatch(path.name))]
        return []

    def _archived_until(self) -> int:
        latest = 0.0
        for name in self._segments():
            with suppress(FileNotFoundError):  # an old one that goes meanwhile
                latest = max(latest, (self._wal / f"{name}.gz").stat().st_mtime)
        return int(latest)

    # Taking

    def take(self) -> Base:
        """Takes a base backup of the running cluster, about a second's work, and removes those it makes needless.

        Raises ClusterError, psycopg.Error or OSError where that does not work; what there was stays.
        """
        with self._one:
            for folder in (self._cluster.archive, self._bases, self._wal):
                self._cluster.private_folder(folder)
            making = self._bases / "making"
            shutil.rmtree(making, ignore_errors=True)
            password = {"PGPASSWORD": self._cluster.password(SUPERUSER)}
            self._cluster.run(
                "the base backup was not taken", "pg_basebackup", "--pgdata", str(making),
                "--host", HOST, "--port", str(self._cluster.port), "--username", SUPERUSER, "--no-password",
                "--wal-method", "none", "--checkpoint", "fast", "--no-manifest", "--no-sync",
                environment=password,
            )  # fmt: skip
            at = math.ceil(time.time())
            time.sleep(max(0.0, at - time.time()) + 0.01)
            self._write_on()
            self._wait_until_archived(at)
            base = Base(at, self._bases / str(at))
            making.rename(base.folder)
            self._remove_needless()
            return base

    def clear(self) -> None:
        """Forgets every backup: what they are of is no more."""
        with self._one:
            self._promise.unlink(missing_ok=True)
            shutil.rmtree(self._cluster.archive, ignore_errors=True)

    def _write_on(self) -> None:
        """A commit later than every moment asked for, which recovery has to meet, and a segment that ends with it."""
        with psycopg.connect(self._cluster.dsn(SUPERUSER, MAINTENANCE), autocommit=True, connect_timeout=3) as connection:
            connection.execute("select pg_current_xact_id()")
            connection.execute("select pg_switch_wal()")

    def _wait_until_archived(self, moment: int) -> None:
        deadline = time.monotonic() + ARCHIVING_TIMEOUT_S
        while self._archived_until() < moment:
            if time.monotonic() > deadline:
                raise ClusterError(f"the write-ahead log does not reach the archive; why is in {self._cluster.log}")
            time.sleep(0.02)

    def _remove_needless(self) -> None:
        *needless, oldest = self.bases()[: -BASES_KEPT + 1] or self.bases()[:1]
        for base in needless:
            shutil.rmtree(base.folder, ignore_errors=True)
        first = _first_segment(oldest)
        for path in self._wal.iterdir():
            if re.match(r"[0-9A-F]{24}", path.name) and _place(path.name) < first:
                path.unlink(missing_ok=True)

    # Going back

    def restorable(self, target: int) -> Base:
        """The base backup a recovery to *target* (epoch s) starts from. Raises NotRestorable outside the window."""
        window = self.window()
        if window is None:
            raise NotRestorable("There is no backup to recover from yet.")
        if not window[0] <= target <= window[1]:
            raise NotRestorable(f"The recovery time target must be from {window[0]} to {window[1]} ({utc(window[0])} to {utc(window[1])}).")
        return max(base for base in self.bases() if base.at <= target)

    def promise(self, target: int) -> None:
        """Notes that `restore` will be called with *target*, or was to be. Raises NotRestorable outside the window."""
        self.restorable(target)
        write_private(self._promise, str(target).encode())

    def promised(self) -> int | None:
        """The target of a restore that was promised and is not at its end."""
        try:
            return int(self._promise.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def restore(self, target: int) -> None:
        """Takes the whole cluster back to *target* (epoch s): every commit up to that second, none after it. Its connections end.

        Raises NotRestorable outside the window, and ClusterError where recovery does not work: then it is as it was before.
        """
        with self._one:
            try:
                self._restore(target)
            finally:  # also where it failed: that was said
                self._promise.unlink(missing_ok=True)

    def _restore(self, target: int) -> None:
        base = self.restorable(target)
        self._running()
        with suppress(psycopg.Error, OSError):  # a server that is beyond starting has its log in the archive all the same
            self._write_on()
        shutil.rmtree(self._restoring, ignore_errors=True)
        shutil.copytree(base.folder, self._restoring, symlinks=True)
        self._prepare(target)
        self._cluster.stop()
        known = set(self._wal.iterdir())
        for later in self.bases():
            if later.at > target:  # of what is being undone
                shutil.rmtree(later.folder, ignore_errors=True)
        self._cluster.data.rename(self._before)
        self._restoring.rename(self._cluster.data)
        try:
            self._recover()
        except ClusterError:
            self._put_back(known)
            raise

    def mend(self) -> None:
        """Called before the cluster is started: ends a recovery that its process did not live to end, if the folders were changed over.

        Where they were not yet, or where it fails, everything is as before the recovery, and `promised` still tells of it.
        """
        with self._one:
            shutil.rmtree(self._restoring, ignore_errors=True)
            if not self._before.exists():
                return
            if not self._cluster.data.exists():
                self._before.rename(self._cluster.data)
                return
            try:
                self._recover()
                self._promise.unlink(missing_ok=True)
            except ClusterError:
                self._put_back(set(self._wal.iterdir()))

    def _running(self) -> None:
        if not self._cluster.running():
            with suppress(ClusterError):
                self._cluster.start()

    def _prepare(self, target: int) -> None:
        settings = {
            "restore_command": 'if test -f "../archive/wal/%f.gz"; then gzip -dc "../archive/wal/%f.gz" > "%p"; '
            'else cp "../data.before/pg_wal/%f" "%p" 2>&1; fi',
            "recovery_target_time": datetime.fromtimestamp(target, UTC).isoformat(sep=" "),
            "recovery_target_timeline": "latest",
            "recovery_target_action": "promote",
        }
        with (self._restoring / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join([_OURS, *(f"{name} = '{value}'" for name, value in settings.items())]) + "\n")
        (self._restoring / "recovery.signal").touch()
        self._cluster.hand_over(self._restoring)

    def _recover(self) -> None:
        """Starts the server, which recovers, and starts it again without the settings it needed for that."""
        self._cluster.start(timeout_s=RECOVERY_TIMEOUT_S)
        kept = self._cluster.data / "postgresql.auto.conf"
        settings, ours, _ = kept.read_text(encoding="utf-8").partition(_OURS)
        if ours:
            self._cluster.stop()
            os.truncate(kept, len(settings.encode()))
            self._cluster.start()
        shutil.rmtree(self._before, ignore_errors=True)

    def _put_back(self, known: set[Path]) -> None:
        """The folder the server had, and the archive as it was: its new history is of a server that never was."""
        self._cluster.stop()
        for path in self._wal.iterdir():
            if path not in known:
                path.unlink(missing_ok=True)
        shutil.rmtree(self._cluster.data)
        self._before.rename(self._cluster.data)
        with suppress(ClusterError):
            self._cluster.start()


def _place(segment: str) -> str:
    """Where a segment is in the log, whatever its timeline."""
    return segment[8:24]


def _first_segment(base: Base) -> str:
    """The place of the first segment a recovery from *base* reads."""
    found = _START.search((base.folder / "backup_label").read_text(encoding="utf-8"))
    if found is None:
        raise ClusterError(f"{base.folder} is no base backup: its label does not say where the log starts")
    return _place(found[1])


def utc(epoch_s: int) -> str:
    """*epoch_s* in ISO 8601."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat().replace("+00:00", "Z")
