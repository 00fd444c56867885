"""What a release would probably say of who may see what: proposed from foreign keys, for a person to confirm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opsnb.firstday.looking import Found, Table

USER = "%(user_id)s"
SUBJECTS = {
    "firebase_uid": "firebase", "firebase_id": "firebase", "auth0_id": "auth0", "auth0_sub": "auth0", "clerk_id": "clerk",
    "clerk_user_id": "clerk", "cognito_sub": "cognito", "workos_id": "workos",
}  # fmt: skip
"""Columns that are usually called so where a provider's subjects are kept."""
FIRST_AND_LAST = (("first_name", "last_name"), ("given_name", "family_name"), ("firstname", "lastname"), ("forename", "surname"))
NAMES_SOMEBODY = re.compile(
    r"(?i)(?:(?:full|display|legal|patient|contact|emergency_contact)_?name|(?:.*_)?e?mail(?:_address)?|(?:.*_)?(?:tele)?phone(?:_number)?"
    r"|(?:.*_)?mobile(?:_number)?|mrn|medical_record_number|ssn|social_security_number|(?:national|insurance|nhs|health_card)_(?:id|number))"
)
"""Columns that are usually called so where they say who somebody is."""
ROLES = ("role", "user_role", "kind", "user_type", "account_type")
DEPTH = 4
"""So many references are followed from a row to the person it belongs to."""


@dataclass(frozen=True)
class People:
    """Where the people are: `table` and its `id_column`, the subject's and the role's column, and the roles themselves."""

    provider: str
    table: str
    id_column: str
    subject: str
    role_column: str
    roles: tuple[str, ...]
    issuer: str
    project: str
    sure_of_roles: bool


def people(found: Found, *, project_ref: str = "") -> People | None:
    """The table that ties an identity provider's subjects to rows; None where nothing looks like one."""
    for table in found.tables.values():
        subject = next((column for column in table.columns if column in SUBJECTS), None)
        role = next((column for column in ROLES if column in table.columns), None)
        if subject is not None and role is not None:
            provider = SUBJECTS[subject]
            issuer = next((issuer for _, issuer in found.providers if issuer not in ("", "None", "nan", "<NA>")), "")
            roles = tuple(value for value in table.values.get(role, ()) if value != "admin")
            key = "id" if "id" in table.columns else next(iter(table.unique - {subject}), subject)
            return People(
                provider, table.name, key, subject, role, roles or ("user",), issuer, issuer.rstrip("/").rpartition("/")[2], bool(roles),
            )  # fmt: skip
    if any(target == "auth.users" for table in found.tables.values() for target, _ in table.keys.values()):
        issuer = f"https://{project_ref}.supabase.co/auth/v1" if project_ref else ""
        return People("supabase", "auth.users", "id", "id", "role", ("authenticated",), issuer, "authenticated", True)
    return None


def personal_data(found: Found) -> dict[str, list[str]]:
    """Table → columns that by their names say who somebody is; a first and a last name as one entry."""
    proposed: dict[str, list[str]] = {}
    for table in found.tables.values():
        pairs = [f"{first} {last}" for first, last in FIRST_AND_LAST if first in table.columns and last in table.columns]
        if columns := [*pairs, *(column for column in table.columns if NAMES_SOMEBODY.fullmatch(column))]:
            proposed[table.name] = columns
    return proposed


def access(found: Found, who: People) -> Iterator[tuple[str, dict[str, str], str]]:
    """(table, identity → what it may see, why so) for every table; ``none`` where no foreign key leads to a person."""
    for table in found.tables.values():
        rights = {"anon": "none", "stranger": "none", **{role: _whose(found, who, role, table, "", DEPTH) or "none" for role in who.roles}}
        leads = any(text != "none" for text in rights.values())
        yield table.name, rights, "" if leads else "no foreign key leads to a person: `all` where everybody signed in may read it"


def _is_a_person(found: Found, who: People, table: Table, column: str, depth: int) -> bool:
    """Whether *column* holds the id of a person: by its own key, or by a composite one to a column that does."""
    target, theirs = table.keys.get(column, ("", ""))
    if (target, theirs) == (who.table, who.id_column):
        return True
    parent = found.tables.get(target)
    return depth > 0 and parent is not None and _is_a_person(found, who, parent, theirs, depth - 1)


def _whose(found: Found, who: People, role: str, table: Table, alias: str, depth: int) -> str:
    """The expression over a row of *table* that says it is the caller's; empty where nothing says so."""
    dot = f"{alias}." if alias else ""
    if table.name == who.table:
        return f"{dot}{who.id_column} = {USER}"
    mine = [column for column in table.keys if _is_a_person(found, who, table, column, DEPTH)]
    if mine:
        named = [column for column in mine if role in column]
        anybodys = [column for column in mine if not any(other in column for other in who.roles)]
        return " or ".join(f"{dot}{column} = {USER}" for column in named or anybodys)
    if not depth:
        return ""
    inner = chr(ord("a") + DEPTH - depth)
    for column, (target, theirs) in table.keys.items():
        parent = found.tables.get(target)
        if parent is None or parent.name == table.name:
            continue
        condition = _whose(found, who, role, parent, inner, depth - 1)
        if condition == f"{inner}.{theirs} = {USER}":
            return f"{dot}{column} = {USER}"
        if condition:
            return f"{dot}{column} in (select {inner}.{theirs} from {target} {inner} where {condition})"  # noqa: S608  (written, not run)
    return ""
