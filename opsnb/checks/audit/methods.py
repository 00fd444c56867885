"""Methods of values that are known by their kind, and what is made of calls that nothing is known of."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from opsnb.checks.audit.callers import is_machine_secret, verifier
from opsnb.checks.audit.doors import refined, said_text, unknown
from opsnb.checks.audit.members import Members
from opsnb.checks.audit.syntax import Place, field, parts, text
from opsnb.checks.audit.values import (
    NONE,
    Answer,
    Bound,
    Choice,
    Client,
    Env,
    Function,
    Items,
    Known,
    Labels,
    Params,
    Part,
    Query,
    Request,
    Table,
    Text,
    Value,
    either,
    joined,
    labels_of,
)

_ROUTES = ("get", "post", "put", "patch", "delete", "all", "use", "on", "route")
_SAME_TEXT = ("trim", "toString", "valueOf", "normalize", "trimStart", "trimEnd", "toLocaleString")
_PICKING = ("find", "at", "pop", "shift", "findLast")
_KEEPING = ("filter", "slice", "sort", "reverse", "toSorted", "concat", "flat", "values")
_ASKING = ("some", "every", "includes", "has", "indexOf", "startsWith", "endsWith", "localeCompare")
_SQL = ("queryObject", "queryArray", "query", "unsafe", "execute", "begin")
_HANDLER_NAMES = ("req", "request", "_req", "_request", "c", "ctx", "context", "event")


class Methods(Members):
    """Calls methods."""

    def call(self, called: Value, args: list[Value], place: Place) -> Value:
        """``called(...args)``."""
        raise NotImplementedError

    def invoke(self, called: Function, args: Sequence[Value], place: Place, missing: Value | None = None) -> Value:
        """What a function of the sources gives; *missing* stands for arguments that are not passed."""
        raise NotImplementedError

    def enter(self, handler: Value, place: Place, *, middleware: bool = False) -> None:
        """Follows a handler of requests."""
        raise NotImplementedError

    def _bound(self, called: Bound, args: list[Value], place: Place) -> Value:
        if isinstance(called.of, Client):
            return self.call_client(called.of, called.path, args, place)
        if called.path[0] == "headers" and called.path[-1] in ("get", "has"):
            return self.ask_header(args[0] if args else Value(), frozenset({"request"}))
        return Value(frozenset({"request", "caller"}) if isinstance(called.of, Request) else called.labels)

    def _of_query(self, query: Query, name: str, args: list[Value], place: Place) -> Value:
        if name in ("then", "catch", "finally"):
            answer = self.sent(query, place)
            if name == "then" and args:
                return self._callback(args[0], [answer], place)
            return answer
        return self.call_query(query, name, args, place)

    def _of_answer_call(self, answer: Answer, name: str, args: list[Value], place: Place) -> Value:
        if name in ("then", "catch", "finally"):
            return self._callback(args[0], [answer], place) if name == "then" and args else answer
        if name == "clone":
            return answer
        return self.member(answer, "data", place)

    def _of_params(self, params: Params, name: str, args: list[Value]) -> Value:
        key = said_text(args[0]) if args else None
        if name in ("set", "append") and len(args) > 1:
            params.pairs.append((args[0], args[1]))
            return Value()
        if name == "get" and key is not None:
            return next((value for known, value in params.pairs if said_text(known) == key), Value(refined(params.labels, key)))
        return params if name == "toString" else Value(labels_of(params))

    def _of_text(self, of: Text | Env, name: str, args: list[Value], place: Place) -> Value:
        literal = of.literal if isinstance(of, Text) else None
        if name in _SAME_TEXT or (isinstance(of, Env) and name in ("replace", "replaceAll", "toLowerCase", "toUpperCase")):
            return of
        if literal is not None and isinstance(of, Text):
            at = of.pieces[0][1] if of.pieces else place
            if name in ("toLowerCase", "toUpperCase"):
                return Text(NONE, ((literal.lower() if name == "toLowerCase" else literal.upper(), at),))
            if name == "split" and (separator := said_text(args[0] if args else None)):
                return Items(NONE, [Text(NONE, ((part, at),)) for part in literal.split(separator)])
        if name == "concat":
            return Text(NONE, tuple((each, place) for each in (of, *args)))
        if name in _ASKING:
            return self.compare(of, args[0] if args else Value(), equal=True)
        return self._through(labels_of(of), args, place)

    def _of_items(self, of: Items, name: str, args: list[Value], place: Place) -> Value:
        if name == "join":
            separator = said_text(args[0]) if args else ","
            pieces: list[tuple[str | Value, Place]] = []
            for each in of.items:
                pieces += [(separator or "", place)] if pieces else []
                pieces.append((each, place))
            return Text(of.labels, tuple(pieces)) if not of.open else Value(labels_of(of))
        if name == "push":
            of.items += args
            return Value()
        if name in ("includes", "indexOf", "has"):
            found = [self.compare(each, args[0] if args else Value(), equal=True) for each in of.items or [Value(of.labels)]]
            return Value(joined(found))
        if name == "get":  # of Map or Headers given as pairs
            return Value(labels_of(of))
        one = either(of.items, of.labels) if of.items else Value(labels_of(of))
        if not args or not isinstance(args[0], Function):
            return of if name in _KEEPING else one if name in _PICKING else Value(labels_of(of) | joined(args))
        given = self._callback(args[0], [Value(), one] if name == "reduce" else [one], place)
        if name in _PICKING:
            return one
        if name in ("map", "flatMap"):
            return Items(of.labels, [given], open=True)
        return of if name in _KEEPING else Value(labels_of(of) | labels_of(given))

    def _of_function(self, of: Function, name: str, args: list[Value], place: Place) -> Value:
        if name == "bind":
            return of
        if name == "call":
            return self.call(of, args[1:], place)
        return self.unknown_call(name, NONE, args, place)

    def _of_unknown(self, of: Value, name: str, args: list[Value], place: Place) -> Value:
        labels = labels_of(of)
        if name in ("header", "get", "has") and "request" in labels and args and said_text(args[0]) is not None:
            return self.ask_header(args[0], labels)
        if name == "from" and args and said_text(args[0]) is not None and unknown(of):
            return Table(labels, Client(labels), args[0], place)
        if name == "rpc" and args and said_text(args[0]) is not None and unknown(of):
            return self.call_client(Client(labels), ("rpc",), args, place)
        if name in ("getUser", "getClaims") and unknown(of):
            return self.call_client(Client(labels), ("auth", name), args, place)
        if name in _SQL and (sent := self.database(labels, args, place)):
            return sent
        if name in ("then", "map", "forEach", "flatMap") and args and isinstance(args[0], Function):
            given = self._callback(args[0], [of], place)
            return given if name == "then" else Items(labels, [given], open=True)
        if name in _ASKING and args and not isinstance(args[0], Function):
            return self.compare(of, args[0], equal=True)
        if isinstance(of, Part) and (name in _PICKING or name in _KEEPING):
            self._through(labels, args, place)
            return of
        return self.unknown_call(f".{name}", labels, args, place)

    # what is not known

    def unknown_call(self, name: str, labels: Labels, args: list[Value], place: Place) -> Value:
        """A call of something that is not among the sources; *name* begins with a dot where it is a method."""
        self.escape(args)
        last = name.rpartition(".")[2]
        handlers = [each for each in args if isinstance(each, Function) and self._is_handler(each)]
        if self.flow.entry is None and handlers and (last in _ROUTES or not name.startswith(".")):
            for each in handlers:
                self.enter(each, place, middleware=last == "use")
            return Value(labels)
        kind = verifier(name) if name else ""
        said = joined(args) | labels
        if kind and (said & {"caller", "context"} or any(isinstance(each, Request) for each in args)):
            # a web hook's object is made with the secret; a token is verified with one that is passed
            secret = is_machine_secret(labels) or (is_machine_secret(joined(args)) and last.startswith("construct"))
            self.verified_by(person=not secret)
            if kind == "throws":
                self.flow.verified = True
            return Value(frozenset({"caller", "auth+", "auth-"}))
        return self._through(labels, args, place)

    def _through(self, labels: Labels, args: list[Value], place: Place) -> Value:
        """What has passed through something unknown: made from all that went in."""
        labels = labels | joined(args)
        if any(isinstance(each, Request) for each in args):
            labels |= {"request", "caller"}
        given = [self._callback(each, [Value(labels)], place) for each in args if isinstance(each, Function)]
        return Value(labels | joined(given))

    def _callback(self, called: Value, args: list[Value], place: Place) -> Value:
        """What a function gives that somebody else calls, perhaps."""
        if not isinstance(called, Function):
            return self.call(called, args, place) if isinstance(called, Known) else Value(joined(args))
        before, ended = self.flow.verified, self.flow.ended
        self.flow.branch += 1
        value = self.invoke(called, args, place, Value())
        self.flow.branch -= 1
        self.flow.verified, self.flow.ended = before, ended
        return value

    @staticmethod
    def _is_handler(called: Function) -> bool:
        parameters = field(called.node, "parameters")
        first: Node | None = field(called.node, "parameter") or (parts(parameters)[0] if parameters and parts(parameters) else None)
        if first is None:
            return False
        name = text(field(first, "pattern") or first)
        return name in _HANDLER_NAMES or text(field(first, "type")).strip(": ") == "Request"

    def awaited(self, value: Value, place: Place) -> Value:
        """``await value``."""
        if isinstance(value, Choice):
            return either([self.awaited(each, place) for each in value.options], value.labels)
        if isinstance(value, Query):
            return self.sent(value, place)
        if isinstance(value, Items):
            each_at = [(each, each.place if isinstance(each, Query) else place) for each in value.items]
            return Items(value.labels, [self.awaited(each, at) for each, at in each_at], value.open)
        return value
