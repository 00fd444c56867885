"""pg_dump and pg_restore, run as programs: the password goes through their environment, and what they complain of is told in words.

Their own complaints quote values of rows (COPY errors do): only the kind and the object leave.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from opsnb.config import child_environment
from opsnb.errors import SourceDenied, SourceError, SourceTimeout
from opsnb.sources.backup.programs import Programs
from opsnb.sources.postgres import dsn_parts, place

SOURCE = "backup"
COMPRESSION = 1
"""gzip's level. A transaction is open as long as the dump takes; pg_dump's default, 6, takes about twice as long."""
_VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "options": "PGOPTIONS",
    "channel_binding": "PGCHANNELBINDING", "gssencmode": "PGGSSENCMODE",
}  # fmt: skip
_COMMAND = re.compile(r'Command was: ([A-Z]+(?: [A-Z]+)*) ("(?:[^"]|"")*"|[^\s(;]+)[^\n]*?(?: ON ([^\s(;]+))?')
_THERE = "create schema public"
"""Every database has it, with grants of its own; a dump of it alone wants to make it again."""
_LONG_KINDS = (
    "MATERIALIZED VIEW DATA", "MATERIALIZED VIEW", "TABLE DATA", "TABLE ATTACH", "INDEX ATTACH", "FK CONSTRAINT", "CHECK CONSTRAINT",
    "ROW SECURITY", "EVENT TRIGGER", "SEQUENCE SET", "SEQUENCE OWNED BY", "DEFAULT ACL", "SHELL TYPE", "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "FOREIGN TABLE", "OPERATOR CLASS", "OPERATOR FAMILY",
)  # fmt: skip
_ENTRY = re.compile(rf"^(\d+); \d+ \d+ ({'|'.join(_LONG_KINDS)}|[A-Z]+) (\S+) ([^\n]+)$", re.M)
_COPY = re.compile(r'COPY failed for table "([^"]*)"')


@dataclass(frozen=True)
class Entry:
    """One object of a dump: its number there, its kind (TABLE, FK CONSTRAINT …), its schema, and the words of its name, the owner last."""

    number: str
    kind: str
    schema: str
    name: tuple[str, ...]


def dump(
    programs: Programs, dsn: SecretStr, folder: Path, *, schemas: Sequence[str], snapshot: str, jobs: int, timeout_s: float, lock_ms: float
) -> None:
    """Writes *schemas* as they are in the exported *snapshot* into the new *folder* (directory format). SourceError in words.

    It takes AccessShareLock on every table and holds a transaction open for as long as it takes; a table that is locked for longer
    than *lock_ms* ends it.
    """
    names = [f"--schema={_quoted(schema)}" for schema in schemas]
    options = [
        "--format=directory",
        f"--compress={COMPRESSION}",
        f"--jobs={jobs}",
        f"--snapshot={snapshot}",
        "--no-password",
        f"--lock-wait-timeout={lock_ms:.0f}",
        *names,
    ]
    _run(programs, "pg_dump", [*options, f"--file={folder}"], dsn, timeout_s)


def dump_text(programs: Programs, dsn: SecretStr, *, schemas: Sequence[str], timeout_s: float) -> str:
    """The definitions of *schemas*, without their rows, as SQL."""
    names = [f"--schema={_quoted(schema)}" for schema in schemas]
    return _run(programs, "pg_dump", ["--format=plain", "--schema-only", "--no-owner", "--no-password", *names], dsn, timeout_s)


def restore(programs: Programs, dsn: SecretStr, folder: Path, *, jobs: int, timeout_s: float) -> list[str]:
    """Restores the dump in *folder*; the objects that could not be restored, empty where all were. SourceError where it did not run."""
    options = [f"--jobs={jobs}", "--no-password", f"--dbname={_database(dsn)}"]
    done = _started(programs, "pg_restore", [*options, str(folder)], dsn, timeout_s, "")
    broken = [f"{kind.lower()} {name}{f' on {table}' if table else ''}" for kind, name, table in _COMMAND.findall(done.stderr)]
    broken += [f"rows of {table}" for table in _COPY.findall(done.stderr)]
    if done.returncode and not broken:
        raise _refused("pg_restore", done, dsn)
    return [name for name in dict.fromkeys(broken) if name != _THERE]


def listed(programs: Programs, folder: Path, *, timeout_s: float) -> list[Entry]:
    """What the dump in *folder* holds, in the order in which it is restored."""
    done = _program(programs, "pg_restore", ["--list", str(folder)], {}, timeout_s, "")
    if done.returncode:
        raise SourceError("pg_restore: the dump is cut short or damaged", source=SOURCE)
    return [Entry(found[0], found[1].strip(), found[2], tuple(found[3].split())) for found in _ENTRY.findall(done.stdout)]


def restore_entries(programs: Programs, dsn: SecretStr, folder: Path, entries: Sequence[Entry], *, timeout_s: float) -> list[str]:
    """Restores *entries* of the dump alone, in one transaction; SourceError where one of them fails, and nothing is changed then."""
    chosen = folder / "chosen.list"
    chosen.write_text("".join(f"{entry.number};\n" for entry in entries), encoding="utf-8")
    options = [
        "--single-transaction",
        "--exit-on-error",
        "--no-password",
        f"--use-list={chosen}",
        f"--dbname={_database(dsn)}",
        str(folder),
    ]
    _run(programs, "pg_restore", options, dsn, timeout_s)
    return [f"{entry.kind.lower()} {' '.join(entry.name[:-1])}" for entry in entries]


def restore_text(programs: Programs, dsn: SecretStr, sql: str, *, timeout_s: float) -> int:
    """Runs definitions as they come, errors passed over; how many statements failed."""
    options = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=0", f"--dbname={_database(dsn)}"]
    done = _started(programs, "psql", options, dsn, timeout_s, sql)
    return done.stderr.count("ERROR:")


def _run(programs: Programs, name: str, options: Sequence[str], dsn: SecretStr, timeout_s: float) -> str:
    done = _started(programs, name, options, dsn, timeout_s, "")
    if done.returncode:
        raise _refused(name, done, dsn)
    return done.stdout


def _started(
    programs: Programs, name: str, options: Sequence[str], dsn: SecretStr, timeout_s: float, text: str
) -> subprocess.CompletedProcess[str]:
    parts = dsn_parts(dsn, "the DSN")
    variables = {variable: str(parts[key]) for key, variable in _VARIABLES.items() if parts.get(key) is not None}
    return _program(programs, name, options, variables, timeout_s, text)


def _program(
    programs: Programs, name: str, options: Sequence[str], variables: Mapping[str, str], timeout_s: float, text: str
) -> subprocess.CompletedProcess[str]:
    environment = child_environment(**variables, PGAPPNAME=f"opsnb/{name}", PGCLIENTENCODING="UTF8", LC_ALL="C", PGCONNECT_TIMEOUT="10")
    try:
        return subprocess.run(
            [programs.folder / name, *options], input=text, capture_output=True, text=True, errors="replace", timeout=timeout_s,
            env=environment, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SourceTimeout(f"{name} did not end within {timeout_s:g} s and was stopped", source=SOURCE) from None
    except OSError as error:
        raise SourceError(f"{name} could not be started from {programs.folder} ({error.strerror})", source=SOURCE) from None


def _refused(name: str, done: subprocess.CompletedProcess[str], dsn: SecretStr) -> SourceError:
    """Why a program ended badly, in words of our own."""
    said = done.stderr
    where = place(dsn_parts(dsn, "the DSN"))
    if done.returncode == -signal.SIGXFSZ or any(words in said for words in ("No space left", "File too large", "quota exceeded")):
        return SourceError(f"{name}: the disk is full; nothing of this dump is kept", source=SOURCE)
    if "server version mismatch" in said:
        return SourceError(f"{name} is older than the server at {where}; install a newer one", source=SOURCE)
    if "permission denied" in said or "row-level security" in said:
        if name == "pg_restore":
            why = "may not create what the dump holds (its tables' owner may, with EXECUTE on the functions of their triggers)"
            return SourceDenied(f"{name}: the role at {where} {why}; give it that (postgres.write_dsn)", source=SOURCE)
        why = "may not read everything, or row-level security hides rows from it"
        return SourceDenied(f"{name}: the role at {where} {why}; use one with pg_read_all_data and BYPASSRLS (backup.dsn)", source=SOURCE)
    if "authentication failed" in said or "no password supplied" in said:
        return SourceDenied(f"{name}: {where} refused the role or its password", source=SOURCE)
    if "could not connect" in said or ("connection to server" in said and "failed" in said):
        return SourceError(f"{name}: nothing answers at {where}", source=SOURCE)
    if "could not obtain lock" in said or "lock timeout" in said:
        return SourceTimeout(f"{name}: a table was locked by somebody else; try again", source=SOURCE)
    if (
        "input file" in said
        or "could not read" in said
        or "unexpected end of file" in said
        or "toc.dat" in said
        or "could not uncompress" in said
    ):
        return SourceError(f"{name}: the dump is cut short or damaged", source=SOURCE)
    return SourceError(f"{name} ended with an error of a kind that is not known here", source=SOURCE)


def _quoted(schema: str) -> str:
    """A schema as a pattern of pg_dump that matches it alone."""
    return '"' + schema.replace('"', '""') + '"'


def _database(dsn: SecretStr) -> str:
    return str(dsn_parts(dsn, "the DSN").get("dbname") or "postgres")
