"""What an expression may be, as far as it can be told without running it, and what it was made from (its labels).

Labels: ``request`` and ``request:NAME`` (what the caller asks for), ``caller`` (who the caller is or says to be), ``env:NAME``
(a variable), ``auth+`` (true only for a verified caller) and ``auth-`` (false only for one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsnb.checks.audit.syntax import Place

if TYPE_CHECKING:
    from tree_sitter import Node

    from opsnb.checks.audit.scopes import Scope

Labels = frozenset[str]
NONE: Labels = frozenset()
AUTH: Labels = frozenset({"auth+", "auth-"})
NOWHERE = Place("", 0)
HOLE = "\ufffc"
"""Stands in a text for a part that is not known."""


@dataclass(eq=False)
class Value:
    """Something of which nothing is known but its labels."""

    labels: Labels = NONE


@dataclass(eq=False)
class Constant(Value):
    """A number, true, false, null or undefined (both None)."""

    value: float | bool | None = None


@dataclass(eq=False)
class Text(Value):
    """A string: literal pieces with their places, and values in between."""

    pieces: tuple[tuple[str | Value, Place], ...] = ()

    @property
    def literal(self) -> str | None:
        """The whole string, where all of it is written in the source."""
        flat = list(flattened(self))
        return "".join(str(piece) for piece, _ in flat) if all(isinstance(piece, str) for piece, _ in flat) else None


@dataclass(eq=False)
class Record(Value):
    """An object; `open` where it may have more fields than are known. `methods` belong to an instance of a class."""

    fields: dict[str, Value] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    open: bool = False
    instance: bool = False


@dataclass(eq=False)
class Items(Value):
    """An array; `open` where it may have more items than are known."""

    items: list[Value] = field(default_factory=list)
    open: bool = False


@dataclass(eq=False)
class Choice(Value):
    """One of several."""

    options: tuple[Value, ...] = ()


@dataclass(eq=False)
class Function(Value):
    """A function, method or class of the sources, with the scope it was written in."""

    node: Node = None  # type: ignore[assignment]
    scope: Scope = None  # type: ignore[assignment]
    this: Value | None = None


@dataclass(eq=False)
class Guarded(Function):
    """A handler that ``withSupabase`` wraps: `way` says how the caller is verified before it runs (person, machine or '')."""

    way: str = ""


@dataclass(eq=False)
class Known(Value):
    """Something of the platform or of a library, by its path: ``Deno.env.get``, ``import.createClient``."""

    path: str = ""


@dataclass(eq=False)
class Bound(Value):
    """A member of a value that is known by its kind: `path` is how it is reached."""

    of: Value = field(default_factory=Value)
    path: tuple[str, ...] = ()


@dataclass(eq=False)
class Env(Value):
    """The value of an environment variable."""

    name: str = ""


@dataclass(eq=False)
class Request(Value):
    """What a handler is given."""


@dataclass(eq=False)
class Params(Value):
    """The query string of an address."""

    pairs: list[tuple[Value, Value]] = field(default_factory=list)


@dataclass(eq=False)
class Address(Value):
    """An address made with ``new URL``."""

    base: Value = field(default_factory=Value)
    params: Params = field(default_factory=Params)


@dataclass(eq=False)
class Client(Value):
    """A client of the project's API; `authority` is service, caller, anon or '' (not known)."""

    authority: str = ""
    schema: str = "public"


@dataclass(eq=False)
class Table(Value):
    """A table of a client, before it is said what is wanted of it."""

    client: Client = field(default_factory=Client)
    name: Value = field(default_factory=Value)
    place: Place = NOWHERE


@dataclass(eq=False)
class Query(Value):
    """One request for rows, or one call of a routine; it is sent when it is awaited.

    `filters`: column, operator, value, place of each; `logic`: text and the embedded table it is meant for.
    """

    client: Client = field(default_factory=Client)
    table: Value | None = None
    routine: Value | None = None
    operation: str = "select"
    place: Place = NOWHERE
    function: str = ""
    selects: list[Value] = field(default_factory=list)
    filters: list[tuple[Value, str, Value, Place]] = field(default_factory=list)
    logic: list[tuple[Value, Value, Place]] = field(default_factory=list)
    orders: list[tuple[Value, Value, Place]] = field(default_factory=list)
    writes: list[Value] = field(default_factory=list)
    conflict: list[Value] = field(default_factory=list)
    arguments: list[Value] = field(default_factory=list)
    throws: bool = False
    kind_of_rights: str = ""

    @property
    def asked(self) -> Labels:
        """What decides which rows are met: the labels of filters and arguments."""
        said = [value for _, _, value, _ in self.filters]
        said += [value for value, _, _ in self.logic] + self.arguments
        return frozenset(label for value in said for label in labels_of(value) if is_who(label))


@dataclass(eq=False)
class Answer(Value):
    """The answer to a query or to fetch. `checked`: somebody looks whether it failed; `tested`: whether there are data at all."""

    query: Query | None = None
    kind: str = "query"
    subject: str = ""
    writes: bool = False
    place: Place = NOWHERE
    function: str = ""
    checked: bool = False
    tested: bool = False
    auth: bool = False


@dataclass(eq=False)
class Part(Value):
    """The data or the error of an answer, or something out of its data."""

    answer: Answer = field(default_factory=Answer)
    error: bool = False


def is_who(label: str) -> bool:
    """Whether a label tells whose data are meant."""
    return label == "caller" or label.startswith("request")


def labels_of(value: Value, depth: int = 6) -> Labels:
    """The labels of *value* and of everything in it."""
    if depth == 0:
        return value.labels
    inner = [labels_of(part, depth - 1) for part in _inside(value)]
    return value.labels.union(*inner) if inner else value.labels


def _inside(value: Value) -> Iterator[Value]:
    if isinstance(value, Text):
        yield from (piece for piece, _ in value.pieces if isinstance(piece, Value))
    elif isinstance(value, Record) and not value.instance:
        yield from value.fields.values()
    elif isinstance(value, Items):
        yield from value.items
    elif isinstance(value, Choice):
        yield from value.options
    elif isinstance(value, Address):
        yield from (value.base, value.params)
    elif isinstance(value, Params):
        yield from (each for pair in value.pairs for each in pair)


def joined(values: Iterable[Value]) -> Labels:
    """The labels of all *values*."""
    return frozenset(label for value in values for label in labels_of(value))


def options(value: Value | None) -> list[Value]:
    """What *value* may be, each alternative once."""
    if value is None:
        return []
    if isinstance(value, Choice):
        return [each for option in value.options for each in options(option)]
    return [value]


def either(values: Iterable[Value], labels: Labels = NONE) -> Value:
    """One of *values*; at most 40 are told apart."""
    found: dict[int, Value] = {}
    for value in values:
        for each in options(value):
            found.setdefault(id(each), each)
        labels |= value.labels
    if len(found) == 1 and not labels - next(iter(found.values())).labels:
        return next(iter(found.values()))
    return Choice(labels, tuple(found.values())[:40]) if found else Value(labels)


def flattened(value: Value, depth: int = 30) -> Iterator[tuple[str | Value, Place]]:
    """The pieces of a text with the texts in it opened; what is no text comes as it is."""
    if not isinstance(value, Text):
        yield value, NOWHERE
        return
    for piece, place in value.pieces:
        if isinstance(piece, Constant) and piece.value is not None:
            yield str(piece.value), place
        elif isinstance(piece, Text) and depth:
            yield from flattened(piece, depth - 1)
        else:
            yield piece, place


def where(value: Value, otherwise: Place) -> Place:
    """Where a text is written; *otherwise* where it is not known."""
    return next((place for piece, place in flattened(value) if isinstance(piece, str) and place.file), otherwise)
