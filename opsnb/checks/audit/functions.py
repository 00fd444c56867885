"""Functions and classes of the sources, followed with the values they are called with; handlers of requests."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from opsnb.checks.audit.callers import Entry
from opsnb.checks.audit.patterns import Patterns
from opsnb.checks.audit.scopes import Scope
from opsnb.checks.audit.state import DEPTH, Flow
from opsnb.checks.audit.syntax import Place, field, parts, text
from opsnb.checks.audit.table import row
from opsnb.checks.audit.values import (
    NONE,
    Answer,
    Choice,
    Client,
    Constant,
    Function,
    Guarded,
    Items,
    Known,
    Record,
    Request,
    Value,
    either,
    joined,
    options,
)

CLASSES = ("class_declaration", "abstract_class_declaration", "class")


class Functions(Patterns):
    """Follows calls."""

    def block(self, node: Node, scope: Scope) -> None:
        """Follows the statements of a block."""
        raise NotImplementedError

    def enter(self, handler: Value, place: Place, *, middleware: bool = False) -> None:
        """Follows a handler of requests; what a middleware verifies holds for the handlers after it."""
        if not isinstance(handler, Function) or self.flow.entry is not None:
            return
        entry = Entry(self.function(place), place)
        verified = self.guard is not None
        if self.guard is not None:
            entry.person, entry.machine, entry.privileged = self.guard.person, self.guard.machine, self.guard.privileged
        before, self.flow = self.flow, Flow(entry, verified)
        parameters = parts(node) if (node := field(handler.node, "parameters")) else []
        named = text(field(parameters[0], "pattern")) if parameters else ""
        request = Value(frozenset({"request", "context"})) if named in ("c", "ctx", "context") else Request()
        self.escape([self.invoke(handler, [request, Known(NONE, "middleware.next")], place, Value())])
        if middleware and entry.passed and all(entry.passed):
            self.guard = entry
        self.flow = before
        self.rows.append(row("handler", place, function=entry.function))
        self.rows += entry.findings()

    def invoke(self, called: Function, args: Sequence[Value], place: Place, missing: Value | None = None) -> Value:
        """What a function of the sources gives; *missing* stands for arguments that are not passed."""
        key = (called.scope.path, called.node.start_byte)
        self.followed.add(key)
        self.step()
        if called.node.type in CLASSES:
            return self.construct(called, args, place)
        if key in self.flow.calls or len(self.flow.calls) >= DEPTH:
            return Value(joined(args))
        scope = Scope(called.scope.path, called.scope, branch=self.flow.branch)
        if called.this is not None:
            scope.names["this"] = called.this
        if isinstance(called, Guarded):
            args = [*args[:1], self._context(called)]
        outer_returns, outer_calls, was_verified = self.flow.returns, self.flow.calls, self.flow.verified
        self.flow.returns, self.flow.calls = [], (*outer_calls, key)
        self._bind_parameters(called, args, scope, missing or Constant(NONE, None))
        body = field(called.node, "body")
        if body is not None and body.type == "statement_block":
            self.block(body, scope)
        else:
            self.flow.returns.append((self.evaluate(body, scope), self.flow.verified))
            self.flow.ended = True
        if not self.flow.ended:
            self.flow.returns.append((Constant(NONE, None), self.flow.verified))
        returns = self.flow.returns
        self.flow.returns, self.flow.calls = outer_returns, outer_calls
        self.flow.ended = not returns
        self.flow.verified = all(verified for _, verified in returns) if returns else was_verified
        value = either([given for given, _ in returns], _meaning(returns)) if returns else Value()
        if any(child.type == "async" for child in called.node.children):
            value = self.awaited(value, place)
        return self._returned(value, place)

    def _context(self, called: Guarded) -> Value:
        """What ``withSupabase`` gives its handler; the caller is verified by then, where it does that."""
        if called.way:
            self.flow.verified = True
            self.verified_by(person=called.way == "person")
        mine, who = Client(NONE, "caller" if called.way == "person" else "anon"), Value(frozenset({"caller", "auth+"}))
        clients: dict[str, Value] = {"supabase": mine, "supabaseAdmin": Client(NONE, "service")}
        return Record(NONE, {**clients, "userClaims": who, "jwtClaims": who, "claims": who}, open=True)

    def _bind_parameters(self, called: Function, args: Sequence[Value], scope: Scope, missing: Value) -> None:
        single = field(called.node, "parameter")
        listed = field(called.node, "parameters")
        for number, parameter in enumerate([single] if single else parts(listed) if listed else []):
            pattern = field(parameter, "pattern") or parameter
            if text(pattern) == "this":
                continue
            value = args[number] if number < len(args) else missing
            value = self.hinted(value, text(field(parameter, "type")))
            if pattern.type == "rest_pattern":
                value = Items(NONE, list(args[number:]), open=type(missing) is Value)
            elif (default := field(parameter, "value")) is not None and number >= len(args):
                given = self.evaluate(default, scope)
                value = given if isinstance(value, Constant) else either([value, given])
            self.bind(pattern, value, scope)
            if isinstance(called.this, Record) and any(
                child.type in ("accessibility_modifier", "readonly") for child in parameter.children
            ):
                called.this.fields[text(pattern)] = value

    def _returned(self, value: Value, place: Place) -> Value:
        """What is handed on: an answer nobody looked at yet is now the caller's to look at."""
        found: list[Value] = []
        for each in options(value):
            if isinstance(each, Answer) and each.kind == "query" and each.query is not None and not each.checked:
                each.checked = True
                found.append(self.sent(each.query, place))
            else:
                found.append(each)
        return either(found, value.labels) if isinstance(value, Choice) else found[0]

    def construct(self, called: Function, args: Sequence[Value], place: Place) -> Value:
        """An instance of a class of the sources."""
        self.followed.add((called.scope.path, called.node.start_byte))
        made = Record(NONE, open=True, instance=True)
        body = field(called.node, "body")
        scope = Scope(called.scope.path, called.scope, {"this": made})
        constructor: Function | None = None
        for member in parts(body) if body else []:
            name = text(field(member, "name"))
            if member.type == "method_definition":
                method = self.written(member, called.scope, made)
                constructor = method if name == "constructor" else constructor
                made.fields[name] = method
            elif member.type == "public_field_definition":
                value = field(member, "value")
                found = self.evaluate(value, scope) if value is not None else Value()
                made.fields[name] = self.hinted(found, text(field(member, "type")))
        if constructor is not None:
            made.fields.pop("constructor", None)
            self.invoke(constructor, args, place, Value())
        return made


def _meaning(returns: list[tuple[Value, bool]]) -> frozenset[str]:
    """What the answer of a function says of the caller, where it verifies on some of its ways and not on others."""
    if len({verified for _, verified in returns}) < 2:
        return NONE

    def empty(verified: bool) -> bool:
        found = [each for value, sure in returns if sure is verified for each in options(value)]
        return all(isinstance(each, Constant) and not each.value for each in found)

    if empty(False) and not empty(True):
        return frozenset({"auth+"})
    if empty(True) and not empty(False):
        return frozenset({"auth-"})
    return frozenset({"auth+", "auth-"})
