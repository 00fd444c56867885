"""The ways in which functions reach the database: supabase-js, and plain requests to the REST door."""

from __future__ import annotations

import re
from urllib.parse import unquote

from opsnb.checks.audit.callers import CREDENTIAL, DATABASE_NAME, authority
from opsnb.checks.audit.state import State
from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.values import (
    AUTH,
    HOLE,
    NONE,
    NOWHERE,
    Address,
    Answer,
    Client,
    Items,
    Labels,
    Params,
    Query,
    Record,
    Table,
    Text,
    Value,
    either,
    flattened,
    labels_of,
    options,
)

OPERATIONS = ("select", "insert", "update", "upsert", "delete")
_OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "is", "in", "contains", "containedBy", "overlaps", "rangeGt",
              "rangeGte", "rangeLt", "rangeLte", "rangeAdjacent", "likeAllOf", "likeAnyOf", "ilikeAllOf", "ilikeAnyOf", "textSearch",
              "isDistinct", "regexMatch", "regexIMatch")  # fmt: skip
_REST = re.compile(r"/rest/v1/(rpc/)?([^?/#]*)")
_WRITTEN = re.compile(r"^(not\.)?([a-z]+)(?:\((?:any|all|\w+)\))?\.(.*)$", re.DOTALL)
_METHODS = {"POST": "insert", "PATCH": "update", "PUT": "upsert", "DELETE": "delete", "GET": "select", "HEAD": "select"}
_PARAMETERS = ("select", "order", "limit", "offset", "on_conflict", "columns", "and", "or", "not.and", "not.or", "apikey")
_WHO_ANSWERS = re.compile(r"/auth/v1/user\b|accounts:lookup|/oauth2?/(?:v\d/)?(?:tokeninfo|userinfo)|tokeninfo")
_PRIVILEGED_DOOR = re.compile(r"/auth/v1/admin|/storage/v1/")


class Doors(State):
    """Makes queries out of calls."""

    def create_client(self, args: list[Value]) -> Value:
        """``createClient(url, key, options)``."""
        key = args[1] if len(args) > 1 else Value()
        said = options(args[2])[0] if len(args) > 2 and options(args[2]) else None
        schema = said_text(inner(said, "db", "schema"))
        headers = inner(said, "global", "headers")
        return Client(NONE, authority(key, header(headers, "authorization")), schema or "public")

    def call_client(self, client: Client, path: tuple[str, ...], args: list[Value], place: Place) -> Value:
        """A method of a client, or of a part of one."""
        first = args[0] if args else Value()
        if path == ("from",):
            return Table(client.labels, client, first, place)
        if path == ("schema",):
            return Client(client.labels, client.authority, said_text(first) or "?")
        if path == ("rpc",):
            query = Query(client=client, routine=first, operation="call", place=place, arguments=args[1:2])
            return self.register(query, f"the routine {said_text(first) or 'called here'}")
        if path[0] == "auth":
            return self._auth(client, path[1:], args, place)
        if path[-1] in ("channel", "removeChannel", "setAuth"):
            return Value()
        if path in (("storage", "from"), ("functions", "setAuth")):
            return Table(frozenset({"storage"}), client, first, place)
        if path[0] in ("functions", "storage"):
            return self._other(client, f"{path[0]}.{path[-1]}", args, place)
        return Value(client.labels)

    def _auth(self, client: Client, path: tuple[str, ...], args: list[Value], place: Place) -> Value:
        name = path[-1] if path else ""
        if name in ("getUser", "getClaims") and len(path) == 1:
            self.verified_by(person=True)
            return Answer(frozenset({"caller"}), kind="auth", place=place, checked=True, auth=True)
        if path[:1] == ("admin",):
            return self._other(client, f"auth.admin.{name}", args, place)
        return Answer(frozenset({"caller"}), kind="auth", place=place, checked=True)

    def _other(self, client: Client, subject: str, args: list[Value], place: Place) -> Answer:
        query = Query(client=client, operation="call", place=place, arguments=list(args))
        self.register(query, subject)
        answer = self.sent(query, place)
        answer.kind, answer.subject = "call", subject
        return answer

    def call_table(self, table: Table, name: str, args: list[Value], place: Place) -> Value:
        """A method of ``client.from(table)``: what is wanted of it."""
        if "storage" in table.labels:
            bucket = said_text(table.name)
            return self._other(table.client, f"storage.{name}" + (f" of the bucket {bucket}" if bucket else ""), args, place)
        if name not in OPERATIONS:
            return Value(table.labels)
        query = Query(client=table.client, table=table.name, operation=name, place=table.place)
        first = args[0] if args else Value()
        if name == "select":
            query.selects += args[:1]
        elif name != "delete":
            query.writes.append(first)
        if len(args) > 1 and (conflict := inner(args[1], "onConflict")) is not None:
            query.conflict.append(conflict)
        return self.register(query, f"the table {said_text(table.name) or 'named here'}")

    def call_query(self, query: Query, name: str, args: list[Value], place: Place) -> Value:
        """A method of a query: a filter, an order, how the answer is wanted."""
        first, second = (args[0] if args else Value()), (args[1] if len(args) > 1 else Value())
        if name in _OPERATORS:
            query.filters.append((first, name, second, place))
        elif name in ("not", "filter"):
            operator = said_text(second) or "?"
            query.filters.append((first, operator if name == "filter" else f"not {operator}", args[2] if len(args) > 2 else Value(), place))
        elif name == "match":
            for record in options(first):
                if isinstance(record, Record):
                    for column, value in record.fields.items():
                        at = record.places.get(column, place)
                        query.filters.append((Text(NONE, ((column, at),)), "eq", value, at))
        elif name == "or":
            query.logic.append((first, _foreign(second), place))
        elif name == "order":
            query.orders.append((first, _foreign(second), place))
        elif name == "select":
            query.selects.append(first if args else Text(NONE, (("*", place),)))
        elif name == "throwOnError":
            query.throws = True
        elif name == "schema":
            query.client = Client(query.client.labels, query.client.authority, said_text(first) or "?")
        return query

    # plain requests

    def fetch(self, args: list[Value], place: Place) -> Value:
        """``fetch(address, init)``; a query where the address is the REST door's."""
        address = args[0] if args else Value()
        said = options(args[1])[0] if len(args) > 1 and options(args[1]) else None
        init = said if isinstance(said, Record) else None
        text, pairs = split_address(address)
        headers = inner(init, "headers")
        key, authorization = header(headers, "apikey"), header(headers, "authorization")
        method = (said_text(inner(init, "method")) or ("GET" if init is None or "method" not in init.fields else "")).upper()
        body = inner(init, "body") or Value()
        rights = Client(NONE, authority(key or Value(), authorization), said_text(header(headers, "accept-profile")) or "public")
        answer = Answer(NONE, kind="fetch", place=place, function=self.function(place), writes=method not in ("GET", "HEAD"))
        literal = "".join(piece if isinstance(piece, str) else HOLE for piece in text)
        self.escape(args)
        if (match := _REST.search(literal)) and init is not None:
            answer.query = self._rest(match, address, pairs, method, body, rights, place)
            answer.labels = answer.query.asked
        elif _WHO_ANSWERS.search(literal):
            self.verified_by(person=True)
            answer.labels, answer.auth = frozenset({"caller"}) | AUTH, True
        elif rights.authority == "service" and _PRIVILEGED_DOOR.search(literal):
            answer.query = self.register(
                Query(client=rights, operation="call", place=place, arguments=[address, body]), "the platform's API"
            )
        else:
            answer.labels = frozenset(label for label in labels_of(address) | labels_of(body) if not label.startswith("auth"))
        self.answers.append(answer)
        return answer

    def _rest(self, match: re.Match[str], address: Value, pairs: list[tuple[Value, Value]], method: str, body: Value, rights: Client,
              place: Place) -> Query:  # fmt: skip
        name = unquote(match[2])
        at = _place_of(address, name) or place
        subject: Value = Value() if HOLE in name else Text(NONE, ((name, at),))
        if match[1]:
            query = Query(client=rights, routine=subject, operation="call", place=at if at.file else place, arguments=[body])
            return self.register(query, f"the routine {said_text(subject) or 'called here'}")
        query = Query(client=rights, table=subject, operation=_METHODS.get(method, "select"), place=at if at.file else place)
        if method in ("POST", "PATCH", "PUT"):
            query.writes.append(body)
        for key, value in pairs:
            column = said_text(key)
            if column == "select":
                query.selects.append(value)
            elif column == "order":
                query.orders.append((value, Value(), place))
            elif column == "on_conflict":
                query.conflict.append(value)
            elif column is not None and column.rpartition(".")[2] in ("or", "and"):
                query.logic.append((value, Value(), place))
            elif column is not None and column not in _PARAMETERS:
                query.filters.append((key, *_condition(value), place))
        return self.register(query, f"the table {said_text(subject) or 'named here'}")

    def database(self, receiver: Labels, args: list[Value], place: Place) -> Query | None:
        """A statement sent with the database's own login, where *receiver* was made from one."""
        if not any(label.startswith("env:") and DATABASE_NAME.search(label[4:]) for label in receiver):
            return None
        rights = Client(NONE, "service")
        query = Query(client=rights, operation="call", place=place, arguments=list(args), kind_of_rights="database", throws=True)
        return self.register(query, "a statement of SQL")

    def ask_header(self, name: Value, labels: Labels) -> Value:
        """A header of the request: who the caller says to be, or something that is asked for."""
        literal = said_text(name)
        if literal is None:
            return Value(labels)
        if CREDENTIAL.search(literal):
            return Value((labels - {"request"}) | {"caller"})
        return Value(refined(labels, literal))


def _foreign(said: Value) -> Value:
    return inner(said, "referencedTable") or inner(said, "foreignTable") or Value()


def inner(value: Value | None, *path: str) -> Value | None:
    """What *value* holds under the names of *path*."""
    for name in path:
        record = next((each for each in options(value) if isinstance(each, Record)), None)
        if record is None or name not in record.fields:
            return None
        value = record.fields[name]
    return value


def header(headers: Value | None, name: str) -> Value | None:
    """A header by its name in any case."""
    for record in options(headers):
        if isinstance(record, Record):
            for key, value in record.fields.items():
                if key.lower() == name:
                    return value
        elif isinstance(record, Items):
            for pair in record.items:
                if isinstance(pair, Items) and len(pair.items) == 2 and (said_text(pair.items[0]) or "").lower() == name:
                    return pair.items[1]
    return None


def said_text(value: Value | None) -> str | None:
    """The string that *value* is, where it is written in the source; of a choice the first."""
    return next((each.literal for each in options(value) if isinstance(each, Text) and each.literal is not None), None)


def refined(labels: Labels, name: str) -> Labels:
    """The labels of the part *name* of something."""
    labels -= {"context"}
    transparent = (
        "req",
        "request",
        "params",
        "query",
        "body",
        "json",
        "param",
        "headers",
        "searchParams",
        "input",
        "data",
        "raw",
        "length",
    )
    if "request" in labels and name not in transparent:
        return (labels - {"request"}) | {f"request:{name}"}
    return labels


def split_address(value: Value) -> tuple[list[str | Value], list[tuple[Value, Value]]]:
    """The pieces of an address up to its question mark, and the parameters after it."""
    value = next(iter(options(value)), value)
    if isinstance(value, Address):
        text, pairs = split_address(value.base)
        return text, pairs + value.params.pairs
    head: list[str | Value] = []
    tail: list[tuple[str | Value, Place]] = []
    pairs = []
    for piece, place in flattened(value):
        if isinstance(piece, Params):
            pairs += piece.pairs
        elif isinstance(piece, Address):
            text, more = split_address(piece)
            head += text
            pairs += more
        elif tail:
            tail.append((piece, place))
        elif isinstance(piece, str) and "?" in piece:
            before, _, after = piece.partition("?")
            head.append(before)
            tail.append((after, place))
        else:
            head.append(piece)
    return head, _pairs(tail) + pairs


def query_pairs(value: Value) -> list[tuple[Value, Value]]:
    """The parameters that ``new URLSearchParams(value)`` has."""
    found: list[tuple[Value, Value]] = []
    for each in options(value):
        if isinstance(each, Params):
            found += each.pairs
        elif isinstance(each, Record):
            found += [(Text(NONE, ((key, each.places.get(key, NOWHERE)),)), inside) for key, inside in each.fields.items()]
        elif isinstance(each, Items):
            found += [(pair.items[0], pair.items[1]) for pair in each.items if isinstance(pair, Items) and len(pair.items) == 2]
        elif isinstance(each, Text):
            found += _pairs([(piece.lstrip("?") if isinstance(piece, str) else piece, place) for piece, place in flattened(each)])
    return found


def _pairs(pieces: list[tuple[str | Value, Place]]) -> list[tuple[Value, Value]]:
    pairs: list[tuple[list[tuple[str | Value, Place]], list[tuple[str | Value, Place]]]] = [([], [])]
    key = True
    for piece, place in pieces:
        if not isinstance(piece, str):
            pairs[-1][0 if key else 1].append((piece, place))
            continue
        for number, part in enumerate(piece.split("&")):
            if number:
                pairs.append(([], []))
                key = True
            if key:
                name, equals, rest = part.partition("=")
                pairs[-1][0].append((unquote(name), place))
                key = not equals
                part = rest if equals else ""
            if part:
                pairs[-1][1].append((unquote(part.replace("+", " ")), place))
    return [(Text(NONE, tuple(name)), Text(NONE, tuple(value))) for name, value in pairs if any(piece for piece, _ in name)]


def _condition(value: Value) -> tuple[str, Value]:
    """The operator and the value of ``eq.17``."""
    pieces = list(flattened(value))
    if pieces and isinstance(pieces[0][0], str) and (match := _WRITTEN.match(pieces[0][0])):
        rest = ([(match[3], pieces[0][1])] if match[3] or len(pieces) == 1 else []) + pieces[1:]
        return ("not " if match[1] else "") + match[2], Text(value.labels, tuple(rest))
    return "?", value


def _place_of(address: Value, name: str) -> Place | None:
    """Where *name* is written in an address."""
    base = address.base if isinstance(address, Address) else either(options(address)[:1])
    for piece, place in flattened(base):
        if isinstance(piece, str) and name and name in unquote(piece):
            return place
    return None


def unknown(value: Value) -> bool:
    """Whether nothing is known of *value* but its labels."""
    return type(value) is Value
