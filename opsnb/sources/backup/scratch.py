"""A PostgreSQL server of one's own for as long as a block lasts: no network, made in a private folder, thrown away whole."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from opsnb.config import child_environment
from opsnb.errors import SourceError
from opsnb.sources.backup.client import SOURCE
from opsnb.sources.backup.private import private_folder
from opsnb.sources.backup.programs import Programs

SERVER_USER = "nobody"
"""Who the server is where we are root, whom PostgreSQL refuses to run as."""
_OPTIONS = {
    # what is lost with the machine is made again: nothing here is the only copy
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal", "max_wal_senders": "0",
    "listen_addresses": "", "autovacuum": "off", "max_wal_size": "4GB", "maintenance_work_mem": "256MB", "shared_buffers": "256MB",
    "timezone": "UTC", "logging_collector": "off", "log_min_messages": "panic", "log_statement": "none",
}  # fmt: skip


@contextmanager
def scratch_server(programs: Programs, *, where: Path | None = None) -> Iterator[SecretStr]:
    """The DSN of a new, empty server; stopped and removed with the block. *where*: the folder to make it in, /tmp by default.

    It listens on a socket in a folder that only its user can enter. SourceError where it does not start.
    """
    owner = _owner()
    with private_folder("pg", where=where) as folder:  # a short name: a socket's path has at most 107 characters
        if owner:
            os.chown(folder, owner["user"], owner["group"])
        data = folder / "d"
        _initialise(programs, data, folder, owner)
        server = _start(programs, data, folder, owner)
        try:
            dsn = SecretStr(f"host={folder} user=postgres dbname=postgres")
            _wait(dsn, server)
            yield dsn
        finally:
            server.terminate()  # "smart" waits for clients; ours are gone, and what is not is not waited for
            with suppress(subprocess.TimeoutExpired):
                server.wait(5)
            if server.poll() is None:
                server.kill()
                server.wait(10)


def prepare(dsn: SecretStr, *, roles: Sequence[str]) -> None:
    """Makes a scratch server ready for a dump: the *roles* it names, without a login."""
    try:
        with psycopg.connect(dsn.get_secret_value(), autocommit=True) as connection:
            there = {str(row[0]) for row in connection.execute("select rolname from pg_catalog.pg_roles")}
            for role in roles:
                if role not in there and not role.startswith("pg_"):
                    connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    except psycopg.Error as error:
        raise SourceError(f"the scratch server refused ({type(error).__name__})", source=SOURCE) from None


def _initialise(programs: Programs, data: Path, folder: Path, owner: dict[str, Any]) -> None:
    command: list[str | Path] = [
        programs.folder / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    making = subprocess.Popen(
        command, cwd=folder, env=_variables(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, **owner,
    )  # fmt: skip
    try:
        _, said = making.communicate(timeout=120)
    except BaseException as error:  # a Ctrl-C too: initdb starts servers of its own, which would write on
        with suppress(ProcessLookupError):
            os.killpg(making.pid, signal.SIGKILL)
        making.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise SourceError("a scratch server was not made within two minutes", source=SOURCE) from None
        raise
    if making.returncode:
        full = "the disk is full" if "No space left" in said else "its folder or its programs may be out of reach"
        raise SourceError(f"a scratch server could not be made in {folder.parent}: {full}", source=SOURCE)


def _start(programs: Programs, data: Path, folder: Path, owner: dict[str, Any]) -> subprocess.Popen[bytes]:
    options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
    command: list[str | Path] = [programs.folder / "postgres", "-D", data, "-k", folder, "-c", "unix_socket_permissions=0777", *options]
    return subprocess.Popen(
        command, cwd=folder, env=_variables(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, **owner,
    )  # fmt: skip


def _wait(dsn: SecretStr, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(dsn.get_secret_value(), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > ends:
                raise SourceError("a scratch server was made and did not start", source=SOURCE) from None
            time.sleep(0.05)


def _owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(SERVER_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _variables() -> dict[str, str]:
    return child_environment(LC_ALL="C", TZ="UTC")
