"""Reads the whole catalogue for a comparison: what Postgres was told, never what it holds.

A fixed number of statements, whatever the size of the catalogue, in one short read-only transaction, so of one moment. An object is one
row: its kind, its name, and what it is as JSON, where what is absent is as Postgres makes it by itself. Names are written in full, as
expressions are, because they are read with an empty search path. Not read: comments, statistics, storage settings and tablespaces,
operators, casts, text search, and the options of foreign servers, user mappings and subscriptions, which may hold a password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import psycopg

from opsnb.errors import SourceNonsense
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres
from opsnb.sources.refusals import SOURCE
from opsnb.sources.statements import statement

COLUMNS = ("kind", "object", "properties")
PLATFORM = (
    r"^(auth|storage|realtime|_realtime|_analytics|_supavisor|vault|extensions|graphql|graphql_public|pgbouncer|pgsodium|pgsodium_masks|"
    r"pgtle|supabase_.*|cron|net)$"
)
"""Schemas the platform keeps and changes by itself (a regular expression)."""
GUARDED = ("storage.objects", "storage.buckets", "storage.s3_multipart_uploads", "storage.s3_multipart_uploads_parts", "realtime.messages",
           "auth.users")  # fmt: skip
"""Tables of the platform whose policies are the project's."""
SERVER = "server"
"""The kind of the one row that is no object: which server answered, which schemas were asked for, and what could not be read."""
WITHIN_S = 90.0

# what Postgres prints depends on these; a baseline must not
_PRINTING = """
select pg_catalog.set_config(name, value, true)
from (values ('search_path', ''), ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'), ('xmlbinary', 'base64'),
             ('extra_float_digits', '1'), ('quote_all_identifiers', 'off'), ('row_security', 'off'),
             ('max_parallel_workers_per_gather', '0'), ('work_mem', '16MB'), ('enable_sort', 'off')) as setting (name, value)
"""
_OF_SCHEMAS = ("relations", "columns", "constraints", "indexes", "functions", "triggers", "rules", "policies", "types", "sequences",
               "extensions", "publications", "published", "event_triggers", "defaults")  # fmt: skip
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)')
_GRANT = re.compile(r'(?:"((?:[^"]|"")*)"|([^=]*))=([a-zA-Z*]*)/')
_PRIVILEGES = {
    "r": "select", "a": "insert", "w": "update", "d": "delete", "D": "truncate", "x": "references", "t": "trigger", "m": "maintain",
    "X": "execute", "U": "usage", "C": "create", "c": "connect", "T": "temporary", "s": "set", "A": "alter system",
}  # fmt: skip
_OWNERS = {frozenset("arwdDxt"), frozenset("arwdDxtm"), frozenset("rwU"), frozenset("X"), frozenset("U"), frozenset("UC")}
_quoted = json.encoder.encode_basestring  # a string alone, where dumps would make an encoder for each
_TRUE = frozenset(("true", "on", "1", "yes"))


def read(db: Postgres, *, schemas: Sequence[str] | None = None) -> Facts:
    """One row per object, COLUMNS: kind, object, properties (JSON). *schemas* None: all but the server's and the platform's own.

    The first row is of the kind SERVER. What an extension brought is left out; of roles, those are read that own, hold or are named in
    something. Storage buckets are read where the role may, else the first row says so.
    `extra`: server_version, version_number.
    """
    told: dict[str, Any] = {}

    def ask(connection: Connection) -> pd.DataFrame:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction isolation level repeatable read, read only")
            connection.execute(_PRINTING)
            return frame(_read(connection, None if schemas is None else list(schemas), told))

    where = "every schema but the server's and the platform's own" if schemas is None else f"the schemas {', '.join(schemas)}"
    question = f"begin read only, repeatable read: the catalogue of {where} (opsnb/sql/postgres/catalogue_*.sql)"
    facts = db.ask(question, ask, within_s=WITHIN_S)
    facts.extra.update(told)
    return facts


Rows = list[tuple[str, list[str], str]]
"""Objects of one kind that are alike: the kind, their names, and what each is."""


def frame(rows: Rows) -> pd.DataFrame:
    """*rows* as a table, one object a row: COLUMNS."""
    kinds: list[str] = []
    objects: list[str] = []
    properties: list[str] = []
    for kind, names, said in rows:
        kinds += [kind] * len(names)
        objects += names
        properties += [said] * len(names)
    return pd.DataFrame({"kind": kinds, "object": objects, "properties": properties}, dtype="object")


def _read(connection: Connection, asked: list[str] | None, told: dict[str, Any]) -> Rows:
    server = next(_rows(connection, "server", {}), None)
    if server is None:
        raise SourceNonsense("the server did not say which version it is", source=SOURCE)
    version, number, buckets = server
    told.update(server_version=version, version_number=number)
    seen = Seen()
    params: dict[str, Any] = {"platform": PLATFORM, "guarded": list(GUARDED) if asked is None else [], "schemas": asked}
    schemas = list(_rows(connection, "schemas", params))
    found: Rows = [(kind, [name], seen.json(("owner", "grants"), (owner, grants)))
                   for kind, name, owner, grants, _, _, of_extension in schemas if not of_extension]  # fmt: skip
    params |= {"schemas": [row[4] for row in schemas], "namespaces": [row[5] for row in schemas]}
    for part in _OF_SCHEMAS:
        found += _objects(connection, part, params, seen)
    not_read = {} if buckets == "readable" else {"buckets": buckets}
    if buckets == "readable":
        try:
            with connection.transaction():
                found += _objects(connection, "buckets", {}, seen)
        except psycopg.errors.InsufficientPrivilege:  # row-level security would have hidden some
            not_read = {"buckets": "denied"}
    found += [row for row in _objects(connection, "roles", {}, seen) if row[1][0] in seen.roles]
    first = {"version": version, "number": number, "schemas": "all" if asked is None else ", ".join(sorted(asked)), "not_read": not_read}
    return [(SERVER, ["PostgreSQL"], json.dumps(first)), *found]


def _rows(connection: Connection, part: str, params: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    asked = statement("postgres", f"catalogue_{part}")
    given = {name: params[name] for name in asked.params}
    return iter(connection.execute(asked.text.encode(), given or None).fetchall())


def _objects(connection: Connection, part: str, params: dict[str, Any], seen: Seen) -> Rows:
    """The objects of catalogue_<part>: of each row the second column is a name, or an array of them."""
    columns = statement("postgres", f"catalogue_{part}").columns
    names = tuple(column.name for column in columns[2:])
    many = columns[1].type == "text[]"
    return [(row[0], row[1] if many else [row[1]], seen.json(names, row[2:])) for row in _rows(connection, part, params)]


class Seen:
    """Turns rows into JSON, and remembers the roles that own, hold or are named in something."""

    def __init__(self) -> None:
        self.roles: set[str] = set()

    def json(self, names: tuple[str, ...], values: tuple[Any, ...]) -> str:
        """The JSON of *values* by *names* without what is null, false or nothing; texts and true are all there is."""
        parts = []
        for name, value in zip(names, values, strict=True):
            if value is None or value is False:
                continue
            if name in _LISTS:
                owner = values[names.index("owner")] if "owner" in names else ""
                text, roles = _LISTS[name](value, owner)
                self.roles.update(roles)
                if not text:
                    continue
            elif name == "owner":
                self.roles.add(value)
                text = _quoted(value)
            else:
                text = "true" if value is True else _quoted(value)
            parts.append(f'"{name}": {text}')
        return f"{{{', '.join(parts)}}}"


@cache
def granted(acl: str, owner: str) -> tuple[tuple[str, str], ...]:
    """Who holds which privileges by an access list as Postgres writes it; the owner only where something is taken from it."""
    held: dict[str, dict[str, bool]] = {}
    for element in _elements(acl):
        matched = _GRANT.match(element)
        if matched is None:
            raise SourceNonsense("an access privilege of the catalogue is not written as grantee=privileges/grantor", source=SOURCE)
        grantee = matched[1].replace('""', '"') if matched[1] is not None else matched[2] or "public"
        letters = held.setdefault(grantee, {})
        for letter, option in re.findall(r"([a-zA-Z])(\*?)", matched[3]):
            letters[letter] = letters.get(letter, False) or bool(option)
    if owner and acl:
        own = held.pop(owner, {})
        if frozenset(own) not in _OWNERS:
            held["(owner)"] = own
    return tuple((name, _words(letters) or "nothing") for name, letters in sorted(held.items()))


def _words(letters: Mapping[str, bool]) -> str:
    told = [(word, letters[letter]) for letter, word in _PRIVILEGES.items() if letter in letters]
    told += [(letter, option) for letter, option in letters.items() if letter not in _PRIVILEGES]
    return ", ".join(f"{word} with grant option" if option else word for word, option in told)


def _elements(array: str) -> list[str]:
    """The elements of an array as Postgres writes it."""
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in _ELEMENT.findall(array)]


@cache
def _grants(acl: str, owner: str) -> tuple[str, tuple[str, ...]]:
    held = dict(granted(acl, owner))
    return json.dumps(held, ensure_ascii=False) if held else "", tuple(held)


@cache
def _roles(array: str, _owner: str) -> tuple[str, tuple[str, ...]]:
    """Names out of an array of roles, where `-` is everybody."""
    bare = [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in _elements(array)]
    names = sorted("public" if name == "-" else name for name in bare)
    return json.dumps(names, ensure_ascii=False), tuple(names)


@cache
def _options(text: str, _owner: str) -> tuple[str, tuple[str, ...]]:
    """Options one way: a security_invoker of `on`, `1` or `yes` is `true`."""
    parts = []
    for option in text.split(", "):
        name, _, value = option.partition("=")
        if name.startswith("security_"):
            value = "true" if value.lower() in _TRUE else "false"
        parts.append(f"{name}={value}")
    return json.dumps(", ".join(parts), ensure_ascii=False), ()


_LISTS: Mapping[str, Callable[[str, str], tuple[str, tuple[str, ...]]]] = {"grants": _grants, "roles": _roles, "options": _options}
