"""Which tables are about people, and which are reference data that anybody may read."""

from __future__ import annotations

import itertools
import re

from opsnb.checks.lint.database import Database, Name

_PEOPLE = {("auth", "users")}
# whole words of a column's name; `name` alone is a drug's as often as a person's
_WORDS = frozenset({
    "patient", "patients", "firstname", "lastname", "fullname", "surname", "birth", "birthdate", "birthday", "dob", "email", "ssn", "nhs",
    "passport", "iban", "salary", "gender", "sex", "owner", "user", "member", "author", "sender", "recipient", "profile", "customer",
    "client", "employee",
})  # fmt: skip
_PAIRS = frozenset({("first", "name"), ("last", "name"), ("full", "name"), ("family", "name"), ("given", "name"), ("national", "id")})


def personal(database: Database) -> frozenset[Name]:
    """Tables about people: of people, referring to one (also over other tables), or with a column named like something personal."""
    found = {name for name, columns in database.columns.items() if any(_sounds_personal(column) for column in columns)}
    found |= _PEOPLE
    if database.people is not None:
        found.add(database.people[0])
    parents = {
        name: {tuple(target.rsplit(".", 1)[0].split(".", 1)) for column in columns.values() for target in column.refers_to}
        for name, columns in database.columns.items()
    }
    # a detail of a personal record is personal too; what such a record refers to (a list of codes) is not
    grown = True
    while grown:
        new = {name for name, targets in parents.items() if name not in found and targets & found}
        found |= new
        grown = bool(new)
    return frozenset(found)


def _sounds_personal(column: str) -> bool:
    words = re.findall(r"[a-z]+|[A-Z][a-z]*", column)
    lower = [word.lower() for word in words]
    return any(word in _WORDS for word in lower) or any(pair in _PAIRS for pair in itertools.pairwise(lower))
