"""How names come to stand for values: assignments, and patterns that take values apart."""

from __future__ import annotations

from tree_sitter import Node

from opsnb.checks.audit.expressions import Expressions
from opsnb.checks.audit.scopes import Scope
from opsnb.checks.audit.syntax import Place, field, parts, text
from opsnb.checks.audit.values import NONE, Client, Constant, Record, Request, Text, Value, either, labels_of, options


class Patterns(Expressions):
    """Binds names."""

    def assign(self, target: Node | None, value: Value, scope: Scope, place: Place) -> None:
        """``target = value``."""
        while target is not None and target.type in ("parenthesized_expression", "non_null_expression", "as_expression"):
            target = parts(target)[0]
        if target is None:
            return
        if target.type == "identifier":
            name = text(target)
            holder = scope.holder(name) or scope
            old = holder.get(name)
            if old is not None and not isinstance(old, Constant):
                self.fallback(old, value, place)
                if self.flow.branch > holder.branch:
                    value = either([old, value])
            holder.names[name] = value
        elif target.type == "member_expression":
            self._set(self.evaluate(field(target, "object"), scope), text(field(target, "property")), value, place)
        elif target.type == "subscript_expression":
            index = self.evaluate(field(target, "index"), scope)
            owner = self.evaluate(field(target, "object"), scope)
            if isinstance(index, Text) and index.literal is not None:
                self._set(owner, index.literal, value, place)
            elif isinstance(owner, Record):
                owner.open = True
        else:
            self.bind(target, value, scope, declare=False)

    @staticmethod
    def _set(owner: Value, name: str, value: Value, place: Place) -> None:
        for each in options(owner):
            if isinstance(each, Record):
                old = each.fields.get(name)
                each.fields[name] = either([old, value]) if old is not None and not isinstance(old, Constant) else value
                each.places[name] = place

    def bind(self, pattern: Node | None, value: Value, scope: Scope, *, declare: bool = True) -> None:
        """Gives the names of *pattern* what they stand for."""
        if pattern is None:
            return
        kind, place = pattern.type, self.place(pattern, scope)
        if kind in ("identifier", "shorthand_property_identifier_pattern"):
            holder = scope if declare else scope.holder(text(pattern)) or scope
            holder.names[text(pattern)] = value
        elif kind in ("assignment_pattern", "object_assignment_pattern"):
            default = self.evaluate(field(pattern, "right"), scope)
            self.fallback(value, default, place)
            absent = isinstance(value, Constant) and value.value is None
            self.bind(field(pattern, "left"), default if absent else either([value, default]), scope, declare=declare)
        elif kind == "object_pattern":
            self._bind_object(pattern, value, scope, declare)
        elif kind == "array_pattern":
            for number, part in enumerate(self._elements(pattern)):
                if part is not None and part.type == "rest_pattern":
                    self.bind(parts(part)[0], Value(labels_of(value)), scope, declare=declare)
                elif part is not None:
                    self.bind(part, self.indexed(value, Constant(NONE, number), place), scope, declare=declare)
        elif kind == "rest_pattern":
            self.bind(parts(pattern)[0], value, scope, declare=declare)
        elif kind in ("member_expression", "subscript_expression"):
            self.assign(pattern, value, scope, place)

    def _bind_object(self, pattern: Node, value: Value, scope: Scope, declare: bool) -> None:
        for part in parts(pattern):
            place = self.place(part, scope)
            if part.type == "rest_pattern":
                self.escape([value])
                self.bind(parts(part)[0], Value(labels_of(value)), scope, declare=declare)
            elif part.type == "pair_pattern":
                name = self._key(field(part, "key"), scope)
                inner = self.member(value, name, place) if name is not None else Value(labels_of(value))
                self.bind(field(part, "value"), inner, scope, declare=declare)
            else:
                left = field(part, "left") if part.type == "object_assignment_pattern" else part
                self.bind(part, self.member(value, text(left), place), scope, declare=declare)

    @staticmethod
    def _elements(pattern: Node) -> list[Node | None]:
        """The parts of an array pattern, with None where one is left out."""
        found: list[Node | None] = []
        waiting = True
        for child in pattern.children:
            if child.type == ",":
                found += [None] if waiting else []
                waiting = True
            elif child.is_named and child.type != "comment":
                found.append(child)
                waiting = False
        return found

    @staticmethod
    def hinted(value: Value, annotation: str) -> Value:
        """*value*, made more of where nothing is known of it but the type it was declared with."""
        kind = annotation.strip(": ")
        if type(value) is not Value:
            return value
        if "SupabaseClient" in kind or "PostgrestClient" in kind:
            return Client(value.labels)
        return Request(NONE) if kind == "Request" else value
