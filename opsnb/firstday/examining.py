"""``opsnb doctor``: every setting of an environment tried by itself, with what to do where it does not work.

Names and counts are shown, never a value that a reference leads to.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from opsnb.config import Environment, Release, load_environment, load_release, settings, text_of
from opsnb.errors import OpsnbError, ReferenceError_, UsageError
from opsnb.evidence import deployments, sealed
from opsnb.facts import Facts
from opsnb.firstday import beside
from opsnb.firstday.finding import Finding, State
from opsnb.sources import Absent, Doors, notices
from opsnb.sources.backup.programs import find_programs

SKEW_S = 5.0
"""How far the clocks of this machine and the server may be apart: windows of logs are cut by them."""
ROOM_GB = 1.0
CURRENT = 15
"""The oldest major version of PostgreSQL the statements are tested on."""
ROLE_SQL = "opsnb init --role-sql prints the SQL of a role that can do just this"


def examine(name: str, root: Path) -> Iterator[Finding]:
    """Tries everything the environment *name* says, in the order a phase would use it. Raises UsageError for files that do not load."""
    environment = load_environment(name, root)
    release = load_release(environment.release, root)
    yield Finding("parameter files", "well", f"environment {environment.name}, release {release.name}: {release.title}")
    yield from _references(environment, root)
    doors = Doors(environment, release, phase="doctor", root=root)
    try:
        yield from _guarded("database", lambda: _database(doors, environment, release))
        yield from _guarded("platform", lambda: _platform(doors, environment))
        yield from _guarded("logs", lambda: _logs(doors, environment))
        yield from _guarded("functions", lambda: _functions(doors, release, environment, root))
        yield from _guarded("metrics", lambda: _metrics(doors))
        yield from _guarded("identity provider", lambda: _identity(doors, release))
        yield from _guarded("openEHR", lambda: beside.openehr(doors, environment, release))
        yield from _guarded("AWS role", lambda: beside.aws(doors, environment, release, root))
        yield from _guarded("feature's switch", lambda: beside.switch(doors, release, root))
        yield from _guarded("client programs", lambda: _programs(doors, environment))
    finally:
        doors.close()
    yield from _guarded("encryption", lambda: _encryption(environment, root))
    yield from _guarded("notifications", lambda: _addresses(environment, root))
    yield from _guarded("dead man's switch", lambda: beside.heartbeat(environment, root))
    yield from _guarded("reports", lambda: _reports(root))
    yield from _guarded("notebooks", _notebooks)


def _guarded(what: str, tried: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What *tried* finds; an error of ours is a finding, so that the rest is tried all the same."""
    try:
        yield from tried()
    except ReferenceError_ as error:
        yield Finding(what, "note", f"not tried: {str(error).partition(':')[0]}… does not resolve", "mend the reference above")
    except OpsnbError as error:
        yield Finding(what, "broken", str(error))


def _references(environment: Environment, root: Path) -> Iterator[Finding]:
    good = 0
    for key, reference in environment.references():
        try:
            reference.resolve(root)
            good += 1
        except ReferenceError_ as error:
            yield Finding(key, "broken", str(error), f"set it, or take {key} out of the environment's file")
    yield Finding("references", "well" if good else "note", f"{good} lead to a value")


def _answered(what: str, facts: Facts, found: Callable[[], str], mend: str) -> Finding:
    if facts.error is not None:
        return Finding(what, "broken", str(facts.error), mend)
    return Finding(what, "well", found())


def _database(doors: Doors, environment: Environment, release: Release) -> Iterator[Finding]:
    before = datetime.now(UTC)
    server = doors.database.query("server")
    after = datetime.now(UTC)
    if server.error is not None:
        yield Finding("database", "broken", str(server.error), "look at postgres.dsn: host, port (5432, session mode), user, sslmode")
        return
    row = server.table.iloc[0]
    yield Finding("database", "well", f"PostgreSQL {row['version']}, database {row['database']}, answers in {server.seconds * 1000:.0f} ms")
    if int(row["version_number"]) // 10000 < CURRENT:
        yield Finding("server version", "warning", f"older than {CURRENT}", "the statements are tested on 15 to 18; some may not run")
    if bool(row["in_recovery"]):
        yield Finding("server", "warning", "a standby: what it says is as old as its replay", "name the primary for deployments")
    apart = max(timedelta(0), before - row["now"], row["now"] - after).total_seconds()
    clocks = f"{apart:.1f} s apart" if apart >= 0.1 else "agree with this machine's"
    late = apart > SKEW_S
    yield Finding(
        "clocks", "warning" if late else "well", clocks, "set this machine's clock: windows of logs are cut by it" if late else ""
    )
    yield from _reader(doors, environment, release)


def _reader(doors: Doors, environment: Environment, release: Release) -> Iterator[Finding]:
    reader = doors.database.query("reader", api_roles=list(release.api_roles)).table.iloc[0]
    role = str(reader["role"])
    if bool(reader["superuser"]) or bool(reader["writes"]):
        yield Finding("role", "warning", f"{role} may write; opsnb only reads through it", ROLE_SQL)
    else:
        yield Finding("role", "well", f"{role} may only read")
    for right, why in (
        ("reads_everything", "pg_read_all_data: counts and fingerprints of every table"),
        ("monitors", "pg_monitor: statements and locks of other sessions"),
        ("bypasses_rls", "BYPASSRLS: a count that saw only some rows would be wrong"),
    ):
        if not bool(reader[right]):
            yield Finding("role", "warning", f"{role} lacks {why}; checks that need it will be ERROR", ROLE_SQL)
    may, wanted = set(reader["may_become"]), set(release.api_roles)
    if release.identity is not None or environment.platform is not None:
        missing = ", ".join(sorted(wanted - may))
        if missing:
            yield Finding("role", "warning", f"{role} may not become {missing}: access cannot be proved", ROLE_SQL)
        else:
            yield Finding("role", "well", f"{role} may become {', '.join(sorted(may))}, to prove what they see")
    if not bool(reader["encrypted"]):
        here = _on_this_machine(doors)
        found = "not encrypted" + (", on this machine" if here else "")
        yield Finding(
            "connection", "note" if here else "broken", found, "" if here else "add sslmode=verify-full and sslrootcert to the DSN"
        )
    extensions = set(reader["extensions"])
    for extension, use in (("pg_stat_statements", "response times as the server saw them"), ("plpgsql_check", "types in function bodies")):
        if extension not in extensions:
            yield Finding("extension", "note", f"{extension} is not installed: {use} are judged another way, or not")


def _on_this_machine(doors: Doors) -> bool:
    host = doors.database.host
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _platform(doors: Doors, environment: Environment) -> Iterator[Finding]:
    platform = doors.platform
    if isinstance(platform, Absent):
        yield Finding("platform", "note", f"{platform.why}: functions, secrets, logs and backups are NOT_APPLICABLE")
        return
    membership = "look at platform.access_token: is it of an account that is a member of the project's organisation?"
    project = platform.project()
    yield _answered("platform", project, lambda: f"{environment.project_ref}, {project.table['status'].iloc[0]}", membership)
    if project.error is not None:
        return
    for what, facts in (
        ("functions listed", platform.functions()),
        ("secrets listed", platform.secrets()),
        ("backups", platform.backups()),
    ):
        yield _answered(what, facts, partial(_rows, facts), "the token needs read access to this part of the project")


def _logs(doors: Doors, environment: Environment) -> Iterator[Finding]:
    logs = doors.logs
    if isinstance(logs, Absent):
        return  # said of the platform
    now = datetime.now(UTC)
    facts = logs.query("streams", now - timedelta(minutes=5), now)
    mend = "look at logs.clickhouse" if environment.logs.clickhouse else "the token needs access to the logs"
    yield _answered("logs", facts, lambda: f"{len(facts)} streams in the last five minutes", mend)


def _rows(facts: Facts) -> str:
    return f"{len(facts)} rows"


def _functions(doors: Doors, release: Release, environment: Environment, root: Path) -> Iterator[Finding]:
    gateway = doors.functions
    if isinstance(gateway, Absent):
        state: State = "warning" if release.functions else "note"
        yield Finding(
            "functions", state, gateway.why, "name functions.url and anon_key, so that probes can be sent" if release.functions else ""
        )
        return
    if not release.functions:
        yield Finding("functions", "note", "the release names none")
        return
    slug = next(iter(release.functions))
    values = {name: text_of(value, root) for name, value in environment.probe_values.items()}
    try:
        refused = gateway.strangers({slug: release.functions[slug]}, values=values)
    except UsageError as error:
        yield Finding("functions", "broken", str(error), "name the value in probe_values")
        return
    yield _answered(
        "functions", refused, lambda: f"{slug} answers calls without credentials with {', '.join(map(str, refused.table['status']))}",
        "look at functions.url",
    )  # fmt: skip


def _metrics(doors: Doors) -> Iterator[Finding]:
    if isinstance(doors.metrics, Absent):
        yield Finding("metrics", "note", f"{doors.metrics.why}: pool, memory and disk are asked of the database alone")
        return
    samples = doors.metrics.samples()
    yield _answered("metrics", samples, lambda: f"{len(samples):,} samples", "look at metrics.url, user and password (the service key)")


def _identity(doors: Doors, release: Release) -> Iterator[Finding]:
    firebase = doors.firebase
    if isinstance(firebase, Absent):
        yield Finding("identity provider", "note" if release.identity is None else "warning", firebase.why)
        return
    keys = firebase.jwks()
    yield _answered("identity provider", keys, lambda: f"{len(keys)} signing keys", "look at firebase.jwks_url")
    token = firebase.token()
    if token.error is None and len(token):
        row = token.table.iloc[0]
        valid = bool(row["valid"])
        yield Finding("test caller's token", "well" if valid else "broken", "verified" if valid else str(row["reason"]),
                      "" if valid else "sign the test caller in again: Firebase's tokens live for an hour")  # fmt: skip


def _programs(doors: Doors, environment: Environment) -> Iterator[Finding]:
    """An older pg_dump refuses a newer server, so the server's version decides; 0 where it does not answer."""
    named = Path(environment.backup.programs) if environment.backup.programs else None
    server = doors.database.query("server")
    major = int(server.table.iloc[0]["version_number"]) // 10000 if server.error is None else 0
    try:
        programs = find_programs(major, named=named)
    except UsageError as error:
        yield Finding("client programs", "warning", str(error), "needed by snapshot, rehearse and rollback alone")
        return
    server_said = f", for a server of version {major}" if major else "; the server's version is not known"
    yield Finding("client programs", "well", f"pg_dump {programs.version}{server_said}")


def _encryption(environment: Environment, root: Path) -> Iterator[Finding]:
    if environment.encryption is None:
        yield Finding("encryption", "note", "no age key is named: nothing of a patient can be kept (before-images, dumps), so actions that "
                      "need it refuse", "age-keygen makes one; name its public half in encryption.recipient")  # fmt: skip
        return
    sealed.require_recipient(text_of(environment.encryption.recipient, root))
    yield Finding("encryption", "well", "the recipient is an age key")
    identity = environment.encryption.identity
    if identity is None:
        yield Finding("encryption", "note", "no identity is named here: a restore or an undo will ask for it")
        return
    try:
        text = identity.resolve(root).get_secret_value()
    except ReferenceError_:
        return  # told among the references; many keep it off this machine on purpose
    sealed.require_pair(text, text_of(environment.encryption.recipient, root))
    yield Finding("encryption", "well", "the identity opens what is encrypted to the recipient")


def _addresses(environment: Environment, root: Path) -> Iterator[Finding]:
    addresses = [*environment.notify, *environment.on_call]
    if not addresses:
        yield Finding("notifications", "note", "nobody is named: announcements and alerts are printed, not sent")
        return
    unknown = notices.unknown([(str(reference), reference.resolve(root)) for reference in addresses])
    if unknown:
        yield Finding(
            "notifications",
            "broken",
            f"no Apprise URL: {', '.join(unknown)}",
            "expected mailto://…, slack://…, msteams://… or another of Apprise's",
        )
        return
    yield Finding("notifications", "well", f"{len(addresses)} addresses are understood; nothing was sent")


def _reports(root: Path) -> Iterator[Finding]:
    folder = settings().reports_folder(root)
    deployments.require_writable(folder)
    free = shutil.disk_usage(folder if folder.exists() else root).free / 2**30
    state: State = "well" if free >= ROOM_GB else "warning"
    yield Finding(
        "reports", state, f"the folder can be written, {free:,.0f} GB free", "" if state == "well" else "make room: a run needs some MB"
    )


def _notebooks() -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("notebooks", "broken", "there is no kernel python3", "install ipykernel beside opsnb")
        return
    other = Path(program).name != program and Path(program).resolve() != Path(sys.executable).resolve()
    if other:
        yield Finding(
            "notebooks",
            "broken",
            "the kernel python3 is another Python's, which need not have opsnb",
            "python -m ipykernel install --sys-prefix",
        )
        return
    yield Finding("notebooks", "well", f"{version}, kernel python3")
