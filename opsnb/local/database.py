"""The database of the local target: built once into a template, copied from it as often as wanted.

`pristine` is the template; `postgres`, named as on the hosted platform, is the copy everybody works on.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from opsnb.local import patients
from opsnb.local.cluster import LOGINS, SUPERUSER, Cluster

DATABASE = "postgres"
PRISTINE = "pristine"
BUILDING = "pristine_building"
NEXT = "postgres_next"
OWNER = "postgres"
MAINTENANCE = "template1"
ROLES = ("opsnb_reader", "supabase_read_only_user", "postgres", "authenticator", "service_role", "authenticated", "anon")
"""What the roles files create, in an order in which they can be dropped."""
STALE = timedelta(minutes=10)
"""A template older than this is brought up to now when it is copied."""

_HERE = Path(__file__).parent
_SQL = _HERE / "sql"
_READER = _HERE.parent / "sql" / "roles" / "opsnb_reader.sql"
MIGRATIONS = _HERE / "clinic" / "supabase" / "migrations"

_TOKEN = re.compile(
    r"""
    (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)   # dollar-quoted
    | '(?:[^']|'')*' | "[^"]*"                  # quoted
    | --[^\n]* | /\*.*?\*/                      # comment
    | (?P<end>;)
    | [^;'"$/-]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Migration:
    """One file of the migrations folder; `statements` as the history table keeps them."""

    version: str
    name: str
    statements: tuple[str, ...]


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of *folder*, oldest first."""
    found = []
    for file in sorted(folder.glob("*.sql")):
        version, _, name = file.stem.partition("_")
        found.append(Migration(version, name, tuple(split_statements(file.read_text(encoding="utf-8")))))
    return found


def split_statements(text: str) -> list[str]:
    """The statements of an SQL text, without their semicolons; quotes, dollar quotes and comments are left whole.

    Statements of the form ``begin atomic ... end`` are not understood.
    """
    statements, start = [], 0
    for token in _TOKEN.finditer(text):
        if token["end"]:
            statements.append(text[start : token.start()].strip())
            start = token.end()
    rest = text[start:].strip()
    if re.sub(r"--[^\n]*|/\*.*?\*/|\s", "", rest, flags=re.DOTALL):
        statements.append(rest)
    return [statement for statement in statements if statement]


def build(cluster: Cluster, *, now: datetime | None = None, seed: int = patients.SEED) -> bool:
    """Builds the pristine database and `postgres` from it, unless that was done from the same files; whether it built.

    An interrupted or outdated build is replaced. *now* (aware) is the moment the clinic is seen at.
    """
    seen_at = now or datetime.now(UTC)
    fingerprint = _fingerprint(seed)
    with _maintenance(cluster) as connection:
        if _label(connection).get("fingerprint") == fingerprint:
            if not _usable(connection, DATABASE):  # a reset was interrupted in its last steps
                _copy_pristine(cluster, connection)
            return False
        # Every database: a forgotten one would keep the roles it belongs to.
        for (database,) in connection.execute("select datname from pg_database where datname not in ('template0', 'template1')").fetchall():
            _drop(connection, database)
        for role in ROLES:
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
        _run_file(connection, _SQL / "roles.sql")
        connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(BUILDING), sql.Identifier(OWNER)))
        with psycopg.connect(cluster.dsn(SUPERUSER, BUILDING)) as inside:
            _run_file(inside, _SQL / "platform.sql")
        _set_passwords(connection, cluster)
        with psycopg.connect(cluster.dsn(OWNER, BUILDING)) as inside:
            _run_file(inside, _READER)
            _apply_migrations(inside)
            patients.fill(inside, patients.clinic(seen_at, seed))
            _run_file(inside, _SQL / "documents.sql")
        _set_passwords(connection, cluster)
        with psycopg.connect(cluster.dsn(SUPERUSER, BUILDING), autocommit=True) as inside:
            inside.execute("vacuum (freeze, analyze)")
        label = json.dumps({"fingerprint": fingerprint, "seen_at": seen_at.isoformat()})
        connection.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(BUILDING), sql.Literal(label)))
        connection.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(BUILDING), sql.Identifier(PRISTINE)))
        connection.execute(sql.SQL("alter database {} with is_template true allow_connections false").format(sql.Identifier(PRISTINE)))
        _copy_pristine(cluster, connection)
    return True


def reset(cluster: Cluster) -> None:
    """Makes `postgres` what it was when it was built: its sessions end, its data and statistics go, its last day ends now.

    Roles belong to the cluster and are left alone. The time `postgres` is away is short: the copy is made beside it.
    """
    with _maintenance(cluster) as connection:
        _copy_pristine(cluster, connection)
        connection.execute("select pg_stat_reset_shared()")


def insert_test_records(connection: psycopg.Connection[Any]) -> None:
    """Inserts the test records the guide's clean-up names, in the caller's transaction; those that are there already stay."""
    _run_file(connection, _SQL / "test_records.sql")


def _maintenance(cluster: Cluster) -> psycopg.Connection[Any]:
    return psycopg.connect(cluster.dsn(SUPERUSER, MAINTENANCE), autocommit=True)


def _run_file(connection: psycopg.Connection[Any], file: Path) -> None:
    connection.execute(file.read_bytes())


def _copy_pristine(cluster: Cluster, connection: psycopg.Connection[Any]) -> None:
    _drop(connection, NEXT)
    connection.execute(
        sql.SQL("create database {} template {} owner {}").format(sql.Identifier(NEXT), sql.Identifier(PRISTINE), sql.Identifier(OWNER))
    )
    seen_at = datetime.fromisoformat(_label(connection)["seen_at"])
    age = datetime.now(UTC) - seen_at
    if age > STALE:
        with psycopg.connect(cluster.dsn(SUPERUSER, NEXT)) as inside:
            inside.execute(
                "select set_config('opsnb.seen_at', %s, true), set_config('opsnb.shift', %s, true)",
                [seen_at.isoformat(), f"{age.total_seconds()} seconds"],
            )
            _run_file(inside, _SQL / "freshen.sql")
    _drop(connection, DATABASE)
    connection.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(NEXT), sql.Identifier(DATABASE)))


def _drop(connection: psycopg.Connection[Any], database: str) -> None:
    row = connection.execute("select datistemplate from pg_database where datname = %s", [database]).fetchone()
    if row is None:
        return
    if row[0]:
        connection.execute(sql.SQL("alter database {} is_template false").format(sql.Identifier(database)))
    connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


def _usable(connection: psycopg.Connection[Any], database: str) -> bool:
    """Whether *database* is there as a whole: the server marks one whose removal was interrupted with -2."""
    query = "select 1 from pg_database where datname = %s and datconnlimit <> -2"
    return connection.execute(query, [database]).fetchone() is not None


def _label(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """What the template says about itself; empty where there is none. It is named last, so that one with a label is complete."""
    row = connection.execute("select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [PRISTINE]).fetchone()
    try:
        label: dict[str, str] = json.loads(row[0]) if row and row[0] else {}
    except ValueError:  # written by another version
        return {}
    return label


def _fingerprint(seed: int) -> str:
    """What the pristine database is made from: a changed file makes a new one."""
    digest = hashlib.sha256(str(seed).encode())
    for file in [*sorted(_SQL.glob("*.sql")), _READER, *sorted(MIGRATIONS.glob("*.sql")), Path(patients.__file__), Path(__file__)]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _apply_migrations(connection: psycopg.Connection[Any]) -> None:
    for migration in migrations():
        for statement in migration.statements:
            connection.execute(statement.encode())
        connection.execute(
            "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
            [migration.version, list(migration.statements), migration.name],
        )


def _set_passwords(connection: psycopg.Connection[Any], cluster: Cluster) -> None:
    """Gives every login role that exists its password. Hashed here: the server never sees it."""
    for role in LOGINS:
        if connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None:
            hashed = connection.pgconn.encrypt_password(cluster.password(role).encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(hashed)))
