"""The environment's and the release's file, as a person would write them: every guess is marked ``# confirm``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from opsnb.firstday import proposing
from opsnb.firstday.looking import Found

CONFIRM = "  # confirm"
PLATFORM_URL = "https://api.supabase.com"
INJECTED = ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL")
"""Variables every function of the platform is given by itself."""


ANOTHER_SYSTEMS = ("S5-1", "S5-2", "S5-3", "S5-4", "S5-5", "S5-6", "S5-7", "S5-9")
"""Items that ask for named tables of the system the runbook was written for; a release that has them names them at its tables."""


@dataclass(frozen=True)
class Asked:
    """What the operator said: names and references, never a value."""

    environment: str
    release: str
    dsn: str
    at: datetime
    project_ref: str = ""
    token: str = ""
    platform_url: str = PLATFORM_URL


def environment_text(asked: Asked, found: Found) -> str:
    """parameters/environments/<name>.yaml."""
    lines = [
        f"# The environment {asked.environment}, written by `opsnb init` on {asked.at:%Y-%m-%d}. References only: a value stands in the",
        "# process environment (env:NAME) or in a file that only the operator can read (file:PATH).",
        f"# `opsnb doctor {asked.environment}` tries each.",
        f"release: {_y(asked.release)}",
    ]
    if asked.project_ref:
        lines += [f"project_ref: {_y(asked.project_ref)}", f"region: {_y(found.region)}"]
    lines += [
        "",
        "postgres:",
        f"  dsn: {_y(asked.dsn)}  # read with a role that can do no more: `opsnb init --role-sql` prints it. Looked at as {found.role}.",
        f"  # write_dsn: env:OPSNB_{_upper(asked)}_WRITE_DSN  # for actions only (cleanup, snapshot, rollback)",
        "  # write_probes: true  # rights to write are tried under savepoints that are rolled back; needs write_dsn",
        "  statement_timeout_ms: 5000",
        "  lock_timeout_ms: 50  # rather not measured than in the way",
    ]
    if asked.token:
        lines += ["", "platform:", f"  url: {_y(asked.platform_url)}", f"  access_token: {_y(asked.token)}"]
    url = f"https://{asked.project_ref or '<project>'}.supabase.co"
    if len(found.functions) or asked.project_ref:
        lines += _commented(
            "Probes of the functions, as a test caller the clinical team agreed to.",
            "functions:", f"  url: {url}/functions/v1", f"  anon_key: env:OPSNB_{_upper(asked)}_ANON_KEY",
            f"  caller_token: env:OPSNB_{_upper(asked)}_CALLER_TOKEN",
        )  # fmt: skip
        lines += _commented(
            "Pool, memory and disk.",
            "metrics:", f"  url: {url}/customer/v1/privileged/metrics", f"  password: env:OPSNB_{_upper(asked)}_SERVICE_KEY",
        )  # fmt: skip
    lines += _commented(
        "Dumps and before-images are encrypted to this age key (age-keygen); keep the identity off this machine.",
        "encryption:", f"  recipient: env:OPSNB_{_upper(asked)}_AGE_RECIPIENT",
    )  # fmt: skip
    lines += _commented("Who hears of the window: Apprise URLs.", f"notify: [env:OPSNB_{_upper(asked)}_NOTIFY]")
    return "\n".join(lines) + "\n"


def release_text(asked: Asked, found: Found) -> str:
    """parameters/releases/<name>.yaml."""
    who = proposing.people(found, project_ref=asked.project_ref)
    lines = [
        f"# The release {asked.release}, written by `opsnb init` on {asked.at:%Y-%m-%d} from what it found. It",
        "# says what must be there and who may see what. Read every line marked `confirm`: what is there is not always what should be.",
        f"title: {_y(found.title or asked.release)}{CONFIRM}",
        "",
        *_functions(found),
        "schema:",
        f"  schemas: {_y(list(found.schemas))}",
        *_tables(found),
        *_routines(found),
    ]
    if found.api_roles:
        lines += ["", "# Roles through which the platform's API reaches the database.", f"api_roles: {_y(list(found.api_roles))}"]
    lines += _access(found, who)
    lines += _personal_data(found)
    lines += _variables(found)
    if found.migrations:
        lines += _commented(
            f"{found.migrations} migrations were applied; compared with these files once the folder is named.",
            "links:", "  migrations: supabase/migrations", "  functions: supabase/functions",
        )  # fmt: skip
    lines += _left_out()
    lines += [
        "",
        "# Who to call. A name in [brackets] is nobody: the checklist fails until it is one.",
        "support:",
        *(f"  {period}:\n    - {{ role: {role}, name: '[Name]', reach: '[Reach]' }}{CONFIRM}" for period, role in (
            ("deployment_hour", "Technical Lead"), ("first_24_hours", "Duty Officer"), ("normal", "Service Desk"))),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _functions(found: Found) -> Iterator[str]:
    if not len(found.functions):
        return
    yield "# The functions that run now, with the platform's version numbers. Raise `version` to the one this release deploys."
    yield "functions:"
    for row in found.functions.to_dict("records"):
        said: dict[str, Any] = {"version": int(row["version"])}
        if isinstance(row["verify_jwt"], bool):
            said["verify_jwt"] = row["verify_jwt"]
        yield f"  {_y(str(row['slug']))}: {_y(said)}{CONFIRM}"
    yield ""


def _tables(found: Found) -> Iterator[str]:
    if not found.tables:
        yield "  tables: {}  # there is none"
        return
    yield "  tables:"
    for table in found.tables.values():
        yield f"    {_y(_short(table.name, found))}:"
        yield "      columns:"
        yield from (f"        {_y(column)}: {_y(kind)}" for column, kind in table.columns.items())


def _routines(found: Found) -> Iterator[str]:
    rows = [row for row in found.routines.to_dict("records") if row["kind"] == "function" and row["returns"] != "trigger"]
    # a release names a function with its schema where that is not the first
    first = found.schemas[0] if found.schemas else "public"
    rows = [row for row in rows if row["schema"] == first]
    if rows:
        yield "  functions:"
    for row in rows:
        arguments = [text.strip() for text in str(row["argument_types"] or "").split(",") if text.strip()]
        yield f"    - {_y({'name': str(row['name']), 'arguments': arguments, 'returns': str(row['returns'])})}"


def _access(found: Found, who: proposing.People | None) -> Iterator[str]:
    if who is None or not found.api_roles:
        if found.api_roles:
            yield from _commented(
                "Nothing looks like the table that ties an identity provider's subjects to rows: name it, and who may see what, and the",
                "rls phase proves it (docs: the access matrix). The stranger test needs neither.",
                "identity: { provider: firebase, project_id: …, issuer: …, subject_column: public.users.firebase_uid, role_column: role }",
            )
        return
    sure = "" if who.sure_of_roles else CONFIRM
    yield ""
    yield "# The identity provider, and where the database keeps its subjects."
    yield "identity:"
    yield f"  provider: {who.provider}{CONFIRM}"
    yield f"  project_id: {_y(who.project or '[project]')}{CONFIRM}"
    yield f"  issuer: {_y(who.issuer or '[issuer]')}{CONFIRM}"
    yield f"  subject_column: {who.table}.{who.subject}"
    yield f"  role_column: {who.role_column}"
    yield f"  id_column: {who.id_column}"
    yield f"  roles: {_y(list(who.roles))}{sure}"
    yield ""
    yield "# Who may see which rows: `none`, `all`, or SQL over a row; %(user_id)s is the caller's id. Proposed from foreign keys. Declare"
    yield "# insert, update and delete in the same way."
    yield "access:"
    for table, rights, why in proposing.access(found, who):
        key = next(iter(found.tables[table].columns), "id")
        key = "id" if "id" in found.tables[table].columns else next(iter(found.tables[table].unique), key)
        yield f"  {_y(_short(table, found))}:{CONFIRM}{f': {why}' if why else ''}"
        if key != "id":
            yield f"    key: {_y(key)}"
        yield "    select:"
        yield from (f"      {identity}: {_y(expression)}" for identity, expression in rights.items())


def _personal_data(found: Found) -> Iterator[str]:
    if columns := proposing.personal_data(found):
        yield ""
        yield "# Columns that say who somebody is: what stands in them is looked for in everything a run leaves, and taken out."
        yield "personal_data:"
        yield from (f"  {_y(table)}: {_y(listed)}{CONFIRM}" for table, listed in columns.items())


def _variables(found: Found) -> Iterator[str]:
    if not found.secrets:
        return
    injected = [name for name in found.secrets if name in INJECTED]
    yield ""
    yield "# Environment variables of the functions, by name. Values stand nowhere here."
    yield "variables:"
    yield f"  required: {_y(list(found.secrets))}{CONFIRM}"
    if injected:
        yield f"  injected: {_y(injected)}  # set by the platform itself"


def _left_out() -> Iterator[str]:
    yield ""
    yield "# Items of the runbook that this release does not have, each with the reason. They are shown, and count for nothing."
    yield "not_applicable:"
    yield from (f"  {item}: The runbook asks for a table or function of another system.{CONFIRM}" for item in ANOTHER_SYSTEMS)


def _commented(why: str, *lines: str) -> list[str]:
    return ["", f"# {why}", *(f"# {line}" for line in lines)]


def _short(table: str, found: Found) -> str:
    """A release names tables of its first schema bare."""
    schema, _, name = table.partition(".")
    return name if found.schemas and schema == found.schemas[0] else table


def _upper(asked: Asked) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in asked.environment).upper()


def _y(value: str | list[str] | Mapping[str, Any]) -> str:
    """One YAML value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()
