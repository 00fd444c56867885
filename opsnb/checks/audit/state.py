"""What is remembered while the sources are followed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from opsnb.checks.audit.callers import Entry, Use, administrators, is_machine_secret
from opsnb.checks.audit.modules import Modules
from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.table import function_of, row
from opsnb.checks.audit.values import (
    NONE,
    Answer,
    Constant,
    Env,
    Function,
    Items,
    Known,
    Labels,
    Part,
    Query,
    Record,
    Text,
    Value,
    is_who,
    joined,
    labels_of,
    options,
    where,
)

STEPS = 150_000
"""Expressions looked at for one file and what it calls; a file that needs more is not followed to its end."""
DEPTH = 9
"""Calls followed into one another."""


class Exhausted(Exception):
    """A file needs more steps than there are."""


@dataclass
class Flow:
    """Where the reading stands: `verified` holds on every path to here, `ended` that none goes on from here."""

    entry: Entry | None = None
    verified: bool = False
    ended: bool = False
    branch: int = 0
    returns: list[tuple[Value, bool]] = field(default_factory=list)
    calls: tuple[tuple[str, int], ...] = ()


class State:
    """The sources, and what was learnt of them so far."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self.rows: list[dict[str, Any]] = []
        self.queries: list[Query] = []
        self.answers: list[Answer] = []
        self.functions: dict[tuple[str, int], Function] = {}
        self.followed: set[tuple[str, int]] = set()
        self.looked: list[Answer] = []
        self.flow = Flow()
        self.main = ""
        self.steps: dict[str, int] = {}
        self.at = ""
        self.guard: Entry | None = None

    def step(self) -> None:
        """Counts; raises Exhausted."""
        taken = self.steps[self.at] = self.steps.get(self.at, 0) + 1
        if taken > STEPS:
            raise Exhausted

    def function(self, place: Place) -> str:
        """The function of which something at *place* is part."""
        return function_of(self.main or place.file)

    def branches(self, *ways: tuple[Callable[[], Value | None], bool]) -> list[Value]:
        """Follows several ways of which one is gone, each with whether the caller is verified on it; what they give."""
        found: list[Value] = []
        ends: list[tuple[bool, bool]] = []
        for follow, verified in ways:
            self.flow.verified, self.flow.ended = verified, False
            self.flow.branch += 1
            value = follow()
            self.flow.branch -= 1
            ends.append((self.flow.verified, self.flow.ended))
            if value is not None:
                found.append(value)
        going = [verified for verified, ended in ends if not ended]
        self.flow.ended = not going
        self.flow.verified = all(going) if going else True
        return found

    # the environment

    def read_variable(self, name: Value, place: Place) -> Value:
        """The variable *name*; records that it is read."""
        texts = [each for each in options(name) if isinstance(each, Text) and each.literal]
        if not texts:
            self.rows.append(row("variable", place, operation="computed"))
            return Value(labels_of(name) | {"env:"})
        names = [str(each.literal) for each in texts]
        for each, at in zip(names, (where(each, place) for each in texts), strict=True):
            self.rows.append(row("variable", at, name=each, operation="read", function=function_of(at.file)))
        return Env(frozenset(f"env:{each}" for each in names), names[0])

    def fallback(self, variable: Value, otherwise: Value, place: Place) -> None:
        """Records that a literal stands in where a variable is not set."""
        for env in options(variable):
            if not isinstance(env, Env):
                continue
            for each in options(otherwise):
                if isinstance(each, Text) and each.literal is not None:
                    at, kind = where(each, place), "fallback" if each.literal.strip() else "empty fallback"
                    self.rows.append(row("variable", at, name=env.name, operation=kind, function=function_of(at.file)))

    # answers

    def sent(self, query: Query, place: Place) -> Answer:
        """The answer to a query."""
        labels = query.asked or (frozenset({"caller"}) if query.client.authority == "caller" else NONE)
        answer = Answer(labels, query=query, writes=query.operation != "select", place=place, function=self.function(place))
        answer.checked = query.throws
        self.answers.append(answer)
        return answer

    def touch(self, value: Value) -> Value:
        """Notes that *value* is read: the error of an answer is then looked at."""
        for each in options(value):
            if isinstance(each, Part):
                if each.error:
                    each.answer.checked = True
                else:
                    self.looked.append(each.answer)
        return value

    def escape(self, values: Iterable[Value], depth: int = 3) -> None:
        """Notes that *values* go where they cannot be followed: an answer among them counts as looked at."""
        for value in values:
            for each in options(value):
                if isinstance(each, Answer):
                    each.checked = True
                elif isinstance(each, Part) and each.error:
                    each.answer.checked = True
                elif isinstance(each, Known) and each.path in ("Deno.env.object", "process.env", "Deno.env"):
                    self.rows.append(row("variable", Place(self.main, 1), operation="computed"))
                elif depth and isinstance(each, Record) and not each.instance:
                    self.escape(each.fields.values(), depth - 1)
                elif depth and isinstance(each, Items):
                    self.escape(each.items, depth - 1)

    # authority

    def register(self, query: Query, subject: str) -> Query:
        """Remembers a query, and that it is a use of the service role where it is one."""
        query.function = self.function(query.place)
        self.queries.append(query)
        if self.flow.entry is not None:
            self.flow.entry.queries.append(query)
            if query.client.authority == "service":
                self.flow.entry.uses.append(Use(query, subject, self.flow.verified))
        return query

    def verified_by(self, *, person: bool) -> None:
        """Notes how the handler verifies its caller."""
        if self.flow.entry is not None:
            self.flow.entry.person |= person
            self.flow.entry.machine |= not person

    def compare(self, left: Value, right: Value, *, equal: bool) -> Value:
        """The answer to whether *left* is *right* (or is not, without *equal*); relates what both were made from."""
        one, other = labels_of(left), labels_of(right)
        who = frozenset(label for label in one | other if is_who(label))
        entry = self.flow.entry
        if entry is not None:
            if any(map(is_who, one)) and any(map(is_who, other)):
                entry.links.join(who)
            for said, against in ((one, right), (other, left)):
                if "caller" in said and any(administrators(each) for each in options(against)):
                    entry.privileged = True
        if any(isinstance(side, Text) and side.literal == "OPTIONS" for side in (left, right)) and "method" in one | other:
            return Value(frozenset({"auth+" if equal else "auth-"}))  # a preflight carries no token and is told nothing
        auth = (one | other) & {"auth+", "auth-"}
        for side in (left, right):
            if isinstance(side, Constant) and side.value in (None, False):
                return Value(who | (swapped(auth) if equal else auth))
            if isinstance(side, Constant) and side.value is True:
                return Value(who | (auth if equal else swapped(auth)))
        for secret, presented in ((one, other), (other, one)):
            if is_machine_secret(secret) and any(map(is_who, presented)) and not is_machine_secret(presented):
                self.verified_by(person=False)
                return Value(who | {"auth+" if equal else "auth-"})
        return Value(who | ({"auth+" if equal else "auth-"} if "auth+" in auth else NONE))

    def asked_of(self, values: Iterable[Value]) -> Labels:
        """Whose data *values* are about."""
        return frozenset(label for label in joined(values) if is_who(label))


def swapped(labels: Labels) -> Labels:
    """The labels of ``not x``."""
    return frozenset({"auth+": "auth-", "auth-": "auth+"}.get(label, label) for label in labels)
