"""The callers of the proofs: nobody, a stranger, and of each kind of people somebody and somebody else.

A caller is become inside a transaction that is rolled back: role and claims. It is shown as a hash.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from opsnb.config import ANOTHER, IdentitySpec, kind_of
from opsnb.errors import SourceDenied, SourceError
from opsnb.sources.postgres import Connection

SEARCH_MS = 1000
"""How long somebody who owns rows of a table is looked for."""
FIREBASE_SUBJECT_LENGTH = 28
USER_ID = "%(user_id)s"


@dataclass(frozen=True)
class Caller:
    """Somebody to become. `user_id` is empty for those the database does not know."""

    identity: str
    role: str
    claims: Mapping[str, str]
    user_id: str = ""

    @property
    def kind(self) -> str:
        """What is declared of: ``patient`` for another patient too."""
        return kind_of(self.identity)

    @property
    def shown(self) -> str:
        """Eight characters that tell callers apart and nobody who they are; '' for one without a subject."""
        subject = self.claims.get("sub", "")
        return hashlib.sha256(subject.encode()).hexdigest()[:8] if subject else ""


class People:
    """Who is asked: nobody and a stranger, and of each kind somebody (*known*, or sampled) and another, who is sampled.

    *known*: identity → user id. Where a table's rows belong to people, the other one is somebody who owns some of them: who owns
    nothing proves no right.
    """

    def __init__(self, connection: Connection, identity: IdentitySpec, known: Mapping[str, str]) -> None:
        self._connection, self._identity = connection, identity
        self._everybody = nobody_and_a_stranger(identity)
        self._id_type = self._type_of_ids()
        self._owners: dict[tuple[str, str, str], Caller | None] = {}
        for kind in (*identity.roles, *(each for each in known if each not in identity.roles)):
            first = self._somebody(kind, kind, known=known.get(kind))
            if first is not None:
                self._everybody.append(first)
                another = self._somebody(ANOTHER + kind, kind, but=first.user_id)
                self._everybody += [another] if another is not None else []

    def __iter__(self) -> Iterator[Caller]:
        return iter(self._everybody)

    def of(self, table: str, rights: Mapping[str, str], *, search: bool = True) -> list[Caller]:
        """Those of whom *rights* of *table* (schema.table) says something; of each kind that owns rows, somebody who does."""
        asked = [person for person in self._everybody if person.kind in rights]
        for kind, expression in rights.items():
            if USER_ID not in expression or not search:
                continue
            place = (table, kind, expression)
            if place not in self._owners:
                self._owners[place] = self._owner(table, kind, expression)
            owner = self._owners[place]
            if owner is not None:
                asked = [person for person in asked if person.identity != owner.identity]
                before = sum(list(rights).index(person.kind) <= list(rights).index(kind) for person in asked)
                asked.insert(before, owner)
        return asked

    def _somebody(self, identity: str, kind: str, *, known: str | None = None, but: str = "") -> Caller | None:
        """The one of that id, or the first from a random place on; None where the database has nobody such."""
        if known is not None:
            typed = self._id_type in ("uuid", "text", "integer", "bigint")  # so that an index serves
            one = sql.SQL("caller_.{} = %(known)s::{}" if typed else "caller_.{}::text = %(known)s").format(
                *(sql.Identifier(self._identity.id_column), sql.SQL(self._id_type))[: 2 if typed else 1]
            )
            return self._first(identity, kind, one, {"known": known})
        return self._from_anywhere(identity, kind, sql.SQL("true"), but)

    def _owner(self, table: str, kind: str, expression: str) -> Caller | None:
        """Somebody of *kind* who owns rows, other than the first that is asked of that kind. The search is short."""
        whose = sql.Identifier(self._identity.id_column)
        first = next((person for person in self._everybody if person.identity == kind), None)
        own = sql.SQL(expression.replace(USER_ID, f"caller_.{whose.as_string()}"))
        owns = sql.SQL("exists (select from {table} where {own})").format(table=name_of(table), own=own)
        try:
            return self._from_anywhere(
                kind if first is None else ANOTHER + kind, kind, owns, "" if first is None else first.user_id
            )  # fmt: skip
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            return None  # too slow, or an expression that is wrong: asking the others says which

    def _type_of_ids(self) -> str:
        schema, table, _ = self._identity.subject_column.split(".")
        found = self._connection.execute(
            "select pg_catalog.format_type(a.atttypid, null) from pg_catalog.pg_attribute a "
            "where a.attrelid = pg_catalog.to_regclass(%s) and a.attname = %s",
            (sql.Identifier(schema, table).as_string(), self._identity.id_column),
        ).fetchone()  # fmt: skip
        return str(found[0]) if found is not None else ""

    def _from_anywhere(self, identity: str, kind: str, condition: sql.Composable, but: str) -> Caller | None:
        """The first for whom *condition* holds from a random id on, then from the start; ids that are numbers from the start."""
        start = f"{secrets.randbelow(0x100):02x}000000-0000-4000-8000-000000000000"
        for side in (">=", "<") if self._id_type in ("uuid", "text") else ("",):
            there = sql.SQL("{} and not caller_.{}::text = %(but)s").format(condition, sql.Identifier(self._identity.id_column))
            if side:  # typed, so that an index serves
                there += sql.SQL(" and caller_.{} {} %(from)s::{}").format(
                    sql.Identifier(self._identity.id_column), sql.SQL(side), sql.SQL(self._id_type)
                )
            found = self._first(identity, kind, there, {"but": but, "from": start})
            if found is not None:
                return found
        return None

    def _first(self, identity: str, kind: str, condition: sql.Composable, told: Mapping[str, str]) -> Caller | None:
        schema, table, subject = self._identity.subject_column.split(".")
        statement = sql.SQL(
            "select caller_.{id}::text, caller_.{subject}::text from {table} caller_ where caller_.{role}::text = %(kind)s "
            "and caller_.{subject} is not null and {condition} order by caller_.{id} limit 1"
        ).format(
            id=sql.Identifier(self._identity.id_column), subject=sql.Identifier(subject), table=sql.Identifier(schema, table),
            role=sql.Identifier(self._identity.role_column), condition=condition,
        )  # fmt: skip
        with unbound(self._connection):
            self._connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(SEARCH_MS)))
            found = self._connection.execute(statement, {"kind": kind, **told}).fetchone()
        return _signed_in(identity, str(found[1]), self._identity, str(found[0])) if found is not None else None


def nobody_and_a_stranger(identity: IdentitySpec) -> list[Caller]:
    """A caller without a token, and one whose subject the database has never seen."""
    alphabet = string.ascii_letters + string.digits
    subject = "".join(secrets.choice(alphabet) for _ in range(FIREBASE_SUBJECT_LENGTH))
    return [Caller("anon", "anon", {"role": "anon"}), _signed_in("stranger", subject, identity)]


def _signed_in(label: str, subject: str, identity: IdentitySpec, user_id: str = "") -> Caller:
    claims = {"sub": subject, "user_id": subject, "role": "authenticated", "iss": identity.issuer, "aud": identity.project_id}
    return Caller(label, "authenticated", claims, user_id)


STATEMENT_MS = 2000
"""The longest that one statement of the proofs may take, where the door does not say less."""
_SHORT = """select pg_catalog.set_config('statement_timeout',
    least(nullif(extract(epoch from pg_catalog.current_setting('statement_timeout')::interval) * 1000, 0), %d)::integer::text, true)"""


def begin(connection: Connection, mode: str = "read only") -> None:
    """Makes the transaction that has begun one of a single snapshot: what comes between two would look like a leak."""
    connection.execute(f"set transaction isolation level repeatable read, {mode}; {_SHORT % STATEMENT_MS}".encode())


@contextmanager
def unbound(connection: Connection) -> Iterator[None]:
    """A piece of a transaction as the reading role, which must not be bound by row-level security: what it counts would be wrong."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local row_security = off")  # an error instead of fewer rows
            yield
    except psycopg.errors.InsufficientPrivilege:
        raise SourceDenied(
            "the reading role may not read past row-level security, so it cannot count what others should see; "
            "it needs BYPASSRLS and pg_read_all_data, see opsnb/sql/roles/opsnb_reader.sql",
            source="postgres",
        ) from None


def become(connection: Connection, caller: Caller) -> None:
    """Takes the caller's role and claims, until the transaction or savepoint ends. SourceDenied where the reading role may not."""
    try:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(caller.role)))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
        raise SourceDenied(
            f"the reading role may not become {caller.role}, or there is no such role; see opsnb/sql/roles/opsnb_reader.sql",
            source="postgres",
        ) from None
    connection.execute("select pg_catalog.set_config('request.jwt.claims', %s, true)", (json.dumps(dict(caller.claims)),))


def condition(expression: str, caller: Caller) -> sql.Composable:
    """The release's expression as SQL; SourceError where it needs an id the caller does not have."""
    text = expression.strip()
    if text in ("none", "all"):
        return sql.SQL("false" if text == "none" else "true")
    if USER_ID in text and not caller.user_id:
        raise SourceError(f"the access matrix allows {caller.kind} rows by {USER_ID}, but such a caller has no id", source="postgres")
    return sql.SQL("({})").format(sql.SQL(text))


def name_of(name: str) -> sql.Identifier:
    """``schema.table`` as an identifier."""
    return sql.Identifier(*name.split("."))
