"""What calls of known things give: the platform's, the language's, libraries' by their names."""

from __future__ import annotations

from collections.abc import Sequence

from opsnb.checks.audit.doors import inner, query_pairs, said_text
from opsnb.checks.audit.methods import Methods
from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.values import (
    NONE,
    Address,
    Answer,
    Bound,
    Choice,
    Client,
    Env,
    Function,
    Guarded,
    Items,
    Known,
    Params,
    Query,
    Record,
    Request,
    Table,
    Text,
    Value,
    either,
    is_who,
    joined,
    labels_of,
    options,
)

_CLIENTS = ("createClient", "createServerClient", "createBrowserClient", "SupabaseClient", "PostgrestClient")


class Calls(Methods):
    """Knows what calls give."""

    def construct(self, called: Function, args: Sequence[Value], place: Place) -> Value:
        """An instance of a class of the sources."""
        raise NotImplementedError

    def call(self, called: Value, args: list[Value], place: Place) -> Value:
        """``called(...args)``."""
        if isinstance(called, Choice):
            return either([self.call(each, args, place) for each in called.options])
        if isinstance(called, Function):
            return self.invoke(called, args, place)
        if isinstance(called, Known):
            return self._known_call(called, args, place)
        if isinstance(called, Bound):
            return self._bound(called, args, place)
        sent = self.database(labels_of(called), args, place)
        return sent or self.unknown_call("", called.labels, args, place)

    def call_member(self, of: Value, name: str, args: list[Value], place: Place) -> Value:
        """``of.name(...args)``."""
        if isinstance(of, Choice):
            return either([self.call_member(each, name, args, place) for each in of.options], of.labels)
        if isinstance(of, Record) and name in of.fields:
            return self.call(of.fields[name], args, place)
        if isinstance(of, Known | Bound | Client):
            return self.call(self.member(of, name, place), args, place)
        if isinstance(of, Table):
            return self.call_table(of, name, args, place)
        if isinstance(of, Query):
            return self._of_query(of, name, args, place)
        if isinstance(of, Answer):
            return self._of_answer_call(of, name, args, place)
        if isinstance(of, Request):
            return of if name == "clone" else Value(frozenset({"request"}))
        if isinstance(of, Params):
            return self._of_params(of, name, args)
        if isinstance(of, Address):
            return of if name in ("toString", "toJSON") else Value(labels_of(of))
        if isinstance(of, Items):
            return self._of_items(of, name, args, place)
        if isinstance(of, Text | Env):
            return self._of_text(of, name, args, place)
        if isinstance(of, Function):
            return self._of_function(of, name, args, place)
        return self._of_unknown(of, name, args, place)

    # what is known by its name

    def _known_call(self, called: Known, args: list[Value], place: Place) -> Value:
        path, first = called.path, (args[0] if args else Value())
        last = path.rpartition(".")[2]
        if path == "Deno.env.get":
            return self.read_variable(first, place)
        if path == "Deno.env.toObject":
            return Known(NONE, "Deno.env.object")
        if path == "Deno.env.has":
            self.read_variable(first, place)
            return Value()
        if path in ("Deno.serve", "import.serve") or (path == "addEventListener" and said_text(first) == "fetch"):
            for each in args:
                self._serve(each, place)
            return Value()
        if path == "addEventListener":
            return Value()
        if last == "withSupabase" and len(args) > 1 and isinstance(args[1], Function):
            return Guarded(NONE, args[1].node, args[1].scope, args[1].this, _way(first))
        if path.startswith("import.") and last in ("verifyAuth", "verifyCredentials", "createSupabaseContext"):
            self.verified_by(person=True)
            return Answer(frozenset({"caller"}), kind="auth", place=place, checked=True, auth=True)
        if path in ("fetch", "globalThis.fetch", "window.fetch"):
            return self.fetch(args, place)
        if path.startswith("import.") and last in _CLIENTS:
            return self.create_client(args)
        if path == "Deno.exit":
            self.flow.ended = True
            return Value()
        if path == "middleware.next" and self.flow.entry is not None:
            self.flow.entry.passed.append(self.flow.verified)
            return Value()
        if path == "crypto.subtle.verify":
            self.verified_by(person=True)
            return Value(frozenset({"auth+"}) | {label for label in joined(args) if is_who(label)})
        if last in ("timingSafeEqual", "safeCompare", "secureCompare", "constantTimeEqual") and len(args) > 1:
            return self.compare(args[0], args[1], equal=True)
        if (given := self._of_language(path, args, place)) is not None:
            return given
        if path.startswith("console."):
            return Value()
        return self.unknown_call(path if path.startswith("import") else f".{last}" if "." in path else path, called.labels, args, place)

    def _of_language(self, path: str, args: list[Value], place: Place) -> Value | None:
        """What the language's own functions give; None for others."""
        first = args[0] if args else Value()
        if path in ("JSON.stringify", "structuredClone", "Object.freeze", "Object.seal", "Promise.resolve", "encodeURIComponent"):
            return first
        if path == "Promise.allSettled":
            settled = self.awaited(first, place)
            each_one = settled.items if isinstance(settled, Items) else [settled]
            items: list[Value] = [Record(NONE, {"status": Value(), "value": each, "reason": Value()}) for each in each_one]
            return Items(NONE, items, isinstance(settled, Items) and settled.open)
        if path in ("String", "Promise.all", "Promise.any", "Promise.race", "Boolean"):
            if path == "String":
                return first if isinstance(first, Text | Env) else Value(labels_of(first))
            if path == "Boolean":
                return Value(labels_of(first))
            each = self.awaited(first, place)
            return each if path == "Promise.all" else either(each.items) if isinstance(each, Items) and each.items else each
        if path == "Object.assign":
            merged = Record(joined(args), {}, {}, open=True)
            for record in args:
                if isinstance(record, Record):
                    merged.fields |= record.fields
                    merged.places |= record.places
            merged.open = any(not isinstance(record, Record) or record.open for record in args)
            return merged
        if path in ("Object.values", "Object.keys", "Object.entries") and isinstance(first, Record):
            keys: list[Value] = [Text(NONE, ((key, first.places.get(key, place)),)) for key in first.fields]
            values = list(first.fields.values())
            pairs: list[Value] = [Items(NONE, [key, value]) for key, value in zip(keys, values, strict=True)]
            return Items(first.labels, {"values": values, "keys": keys, "entries": pairs}[path[7:]], first.open)
        if path == "Object.fromEntries":
            return Record(labels_of(first), open=True)
        return None

    def construct_known(self, called: Value, args: list[Value], place: Place) -> Value:
        """``new called(...args)`` of something that is not among the sources."""
        first = args[0] if args else Value()
        path = called.path if isinstance(called, Known) else ""
        if isinstance(called, Function):
            return self.construct(called, args, place)
        if path == "URL":
            base = next(iter(options(first)), first)
            if len(args) > 1:
                base = Text(NONE, ((args[1], place), (base, place)))
            labels = frozenset(label for label in labels_of(first) if label == "request")
            return Address(NONE, base, Params(labels))
        if path == "URLSearchParams":
            return Params(NONE if query_pairs(first) else labels_of(first), query_pairs(first))
        if path in ("Headers", "Map") and args:
            return first if isinstance(first, Record | Items) else Value(labels_of(first))
        if path == "Headers":
            return Record(NONE, open=True)
        if path == "Request" and isinstance(first, Text | Address):
            return Value(joined(args))
        if path == "Promise" and isinstance(first, Function):
            return self.invoke(first, [Value(), Value()], place, Value())
        if path.rpartition(".")[2] in _CLIENTS:
            return self.create_client(args)
        self.escape(args)
        return self.unknown_call("", called.labels, args, place)

    def _serve(self, handler: Value, place: Place) -> None:
        for each in options(handler):
            if isinstance(each, Function):
                self.enter(each, place)
            elif isinstance(each, Record):
                for name in ("fetch", "handler"):
                    if isinstance(each.fields.get(name), Function):
                        self.enter(each.fields[name], place)


def _way(said: Value) -> str:
    """How ``withSupabase({ auth })`` verifies the caller: person, machine, or '' where it lets others in as well."""
    modes = inner(said, "auth") or inner(said, "allow")
    listed = [each for mode in options(modes) for each in (mode.items if isinstance(mode, Items) else [mode])]
    names = [each.literal or "?" for each in listed if isinstance(each, Text)]
    if modes is None:
        return "person"
    if not names or any(not name.startswith(("user", "secret")) for name in names):
        return ""
    return "person" if "user" in names else "machine"
