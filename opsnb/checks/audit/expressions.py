"""What expressions give."""

from __future__ import annotations

from collections.abc import Callable

from tree_sitter import Node

from opsnb.checks.audit.calls import Calls
from opsnb.checks.audit.scopes import Scope
from opsnb.checks.audit.state import swapped
from opsnb.checks.audit.syntax import Place, cooked, field, parts, text
from opsnb.checks.audit.values import (
    NONE,
    Constant,
    Env,
    Function,
    Items,
    Known,
    Labels,
    Record,
    Text,
    Value,
    either,
    is_who,
    joined,
    labels_of,
    options,
)

_TRUTH = frozenset({"auth+", "auth-"})
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "undefined": None}
_FUNCTIONS = ("arrow_function", "function_expression", "function_declaration", "generator_function", "generator_function_declaration")


class Expressions(Calls):
    """Evaluates expressions."""

    def place(self, node: Node, scope: Scope) -> Place:
        """Where *node* begins."""
        return Place(scope.path, node.start_point[0] + 1)

    def evaluate(self, node: Node | None, scope: Scope) -> Value:
        """The value of an expression."""
        if node is None:
            return Constant(NONE, None)
        self.step()
        method: Callable[[Node, Scope], Value] | None = getattr(self, f"_{node.type}", None)
        return method(node, scope) if method is not None else self._any(node, scope)

    def _any(self, node: Node, scope: Scope) -> Value:
        if node.type in _CONSTANTS:
            return Constant(NONE, _CONSTANTS[node.type])
        if node.type in (*_FUNCTIONS, "class"):
            return self.written(node, scope)
        if "type" in node.type:
            return Value()
        return Value(joined([self.evaluate(part, scope) for part in parts(node)]))

    def written(self, node: Node, scope: Scope, this: Value | None = None) -> Function:
        """A function as a value, remembered so that it is followed even if nobody calls it."""
        made = Function(NONE, node, scope, this)
        self.functions.setdefault((scope.path, node.start_byte), made)
        return made

    # names and literals

    def _identifier(self, node: Node, scope: Scope) -> Value:
        name = text(node)
        if name == "undefined":
            return Constant(NONE, None)
        found = scope.get(name)
        return self.touch(found) if found is not None else Known(NONE, name)

    def _this(self, _: Node, scope: Scope) -> Value:
        return scope.get("this") or Value()

    def _number(self, node: Node, _: Scope) -> Value:
        try:
            return Constant(NONE, float(text(node).replace("_", "")))
        except ValueError:
            return Value()

    def _string(self, node: Node, scope: Scope) -> Value:
        return Text(NONE, ((cooked(node), self.place(node, scope)),))

    def _template_string(self, node: Node, scope: Scope) -> Value:
        pieces: list[tuple[str | Value, Place]] = []
        for part in node.named_children:
            if part.type == "template_substitution":
                inside = parts(part)
                pieces.append((self.evaluate(inside[0] if inside else None, scope), self.place(part, scope)))
            else:
                pieces.append((cooked(part), self.place(part, scope)))
        return Text(NONE, tuple(pieces or [("", self.place(node, scope))]))

    def _object(self, node: Node, scope: Scope) -> Value:
        made = Record(NONE)
        for child in parts(node):
            if child.type == "spread_element":
                self._spread_into(made, self.evaluate(parts(child)[0], scope))
                continue
            if child.type == "shorthand_property_identifier":
                key: str | None = text(child)
                value: Value = self._identifier(child, scope)
            elif child.type == "method_definition":
                key, value = text(field(child, "name")), self.written(child, scope)
            else:
                key, value = self._key(field(child, "key"), scope), self.evaluate(field(child, "value"), scope)
            if key is None:
                made.open = True
                made.labels |= labels_of(value)
            else:
                made.fields[key], made.places[key] = value, self.place(child, scope)
        return made

    def _key(self, node: Node | None, scope: Scope) -> str | None:
        if node is not None and node.type == "computed_property_name":
            found = self.evaluate(parts(node)[0], scope)
            return found.literal if isinstance(found, Text) else None
        return None if node is None else cooked(node) if node.type == "string" else text(node)

    @staticmethod
    def _spread_into(made: Record, value: Value) -> None:
        for each in options(value):
            if isinstance(each, Record):
                for key, inside in each.fields.items():
                    made.fields[key] = inside
                    made.places[key] = each.places.get(key, Place("", 0))
                made.open |= each.open
                made.labels |= each.labels
            elif not isinstance(each, Constant):
                made.open = True
                made.labels |= labels_of(each)

    def _array(self, node: Node, scope: Scope) -> Value:
        made = Items(NONE)
        for child in parts(node):
            value = self.evaluate(child, scope)
            if child.type != "spread_element":
                made.items.append(value)
            elif isinstance(value, Items):
                made.items += value.items
                made.open |= value.open
            else:
                made.open = True
                made.labels |= labels_of(value)
        return made

    def _spread_element(self, node: Node, scope: Scope) -> Value:
        return self.evaluate(parts(node)[0], scope)

    # wrappers that change nothing

    def _first(self, node: Node, scope: Scope) -> Value:
        inside = parts(node)
        return self.evaluate(inside[0] if inside else None, scope)

    _parenthesized_expression = _as_expression = _satisfies_expression = _non_null_expression = _first
    _expression_statement = _instantiation_expression = _first

    def _type_assertion(self, node: Node, scope: Scope) -> Value:
        return self.evaluate(parts(node)[-1], scope)

    def _sequence_expression(self, node: Node, scope: Scope) -> Value:
        return [self.evaluate(part, scope) for part in parts(node)][-1]

    def _await_expression(self, node: Node, scope: Scope) -> Value:
        return self.awaited(self._first(node, scope), self.place(node, scope))

    # members and calls

    def _member_expression(self, node: Node, scope: Scope) -> Value:
        owner = field(node, "object")
        name = text(field(node, "property"))
        if owner is not None and owner.type == "import":
            return Known(NONE, "import.meta")
        return self.touch(self.member(self.evaluate(owner, scope), name, self.place(node, scope)))

    def _meta_property(self, node: Node, _: Scope) -> Value:
        return Known(NONE, text(node))

    def _subscript_expression(self, node: Node, scope: Scope) -> Value:
        owner, index = self.evaluate(field(node, "object"), scope), self.evaluate(field(node, "index"), scope)
        return self.touch(self.indexed(owner, index, self.place(node, scope)))

    def _given(self, node: Node | None, scope: Scope) -> list[Value]:
        given: list[Value] = []
        for part in parts(node) if node is not None else ():
            value = self.evaluate(part, scope)
            given += value.items if part.type == "spread_element" and isinstance(value, Items) else [value]
        return given

    def _call_expression(self, node: Node, scope: Scope) -> Value:
        called, given = field(node, "function"), field(node, "arguments")
        place = self.place(node, scope)
        while called is not None and called.type in ("parenthesized_expression", "non_null_expression", "as_expression"):
            called = parts(called)[0]
        if given is not None and given.type == "template_string":
            template = self.evaluate(given, scope)
            made_by = self.evaluate(called, scope)
            asked = [piece for piece, _ in template.pieces if isinstance(piece, Value)] if isinstance(template, Text) else []
            return self.database(labels_of(made_by), asked, place) or Value(joined(asked))
        if called is not None and called.type == "member_expression":
            owner = self.evaluate(field(called, "object"), scope)
            name = field(called, "property")
            return self.call_member(owner, text(name), self._given(given, scope), self.place(name or node, scope))
        if called is not None and called.type == "import":
            return self.imported(self._given(given, scope), scope)
        if called is not None and called.type == "super":
            return Value(joined(self._given(given, scope)))
        return self.call(self.evaluate(called, scope), self._given(given, scope), place)

    def imported(self, args: list[Value], scope: Scope) -> Value:
        """``import(args)``."""
        raise NotImplementedError

    def _new_expression(self, node: Node, scope: Scope) -> Value:
        called = self.evaluate(field(node, "constructor"), scope)
        return self.construct_known(called, self._given(field(node, "arguments"), scope), self.place(node, scope))

    # operators

    def _binary_expression(self, node: Node, scope: Scope) -> Value:
        operator = text(field(node, "operator"))
        left, right = field(node, "left"), field(node, "right")
        if operator == "+":
            return self._sum(node, scope)
        if operator in ("===", "==", "!==", "!="):
            return self.compare(self.evaluate(left, scope), self.evaluate(right, scope), equal=operator[0] == "=")
        if operator in ("<", ">", "<=", ">=", "in", "instanceof"):
            one, other = self.evaluate(left, scope), self.evaluate(right, scope)
            return Value(labels_of(self.compare(one, other, equal=True)) - _TRUTH)
        if operator in ("&&", "||", "??"):
            one = self.evaluate(left, scope)
            truth = labels_of(one) & _TRUTH
            sure = self.flow.verified
            holds = "auth+" in truth if operator == "&&" else "auth-" in truth
            found: list[Value] = []
            ways = ((lambda: found.append(self.evaluate(right, scope)), sure or holds), (lambda: None, sure))
            self.branches(*ways)
            self.fallback(one, found[0], self.place(right or node, scope)) if operator != "&&" else None
            return either([one, *found])
        return Value(joined([self.evaluate(left, scope), self.evaluate(right, scope)]) - _TRUTH)

    def _sum(self, node: Node, scope: Scope) -> Value:
        """Texts put together; without recursion, for a long one is deep."""
        terms: list[Node | None] = []
        current: Node | None = node
        while current is not None and current.type == "binary_expression" and text(field(current, "operator")) == "+":
            terms.append(field(current, "right"))
            current = field(current, "left")
        values = [self.evaluate(term, scope) for term in reversed([*terms, current])]
        if any(isinstance(each, Text | Env) for value in values for each in options(value)):
            return Text(NONE, tuple((value, self.place(node, scope)) for value in values))
        return Value(joined(values))

    def condition(self, node: Node | None, scope: Scope) -> Labels:
        """Evaluates a condition: 'auth+' where its truth means that the caller is verified, 'auth-' where its falsehood does."""
        while node is not None and node.type in ("parenthesized_expression", "as_expression", "non_null_expression"):
            node = parts(node)[0]
        if node is None:
            return NONE
        if node.type == "unary_expression" and text(field(node, "operator")) == "!":
            return swapped(self.condition(field(node, "argument"), scope))
        operator = text(field(node, "operator")) if node.type == "binary_expression" else ""
        if operator in ("&&", "||"):
            one, sure = self.condition(field(node, "left"), scope), self.flow.verified
            second: list[Labels] = []
            holds = ("auth+" if operator == "&&" else "auth-") in one
            self.branches(
                (lambda: second.append(self.condition(field(node, "right"), scope)), sure or holds), (lambda: None, sure)
            )  # fmt: skip
            some, both = one | second[0], one & second[0]
            told = (("auth+", some), ("auth-", both)) if operator == "&&" else (("auth+", both), ("auth-", some))
            return frozenset(label for label, within in told if label in within)
        return labels_of(self.evaluate(node, scope)) & _TRUTH

    def _unary_expression(self, node: Node, scope: Scope) -> Value:
        if text(field(node, "operator")) == "!":
            return Value(self.condition(node, scope))
        value = self.evaluate(field(node, "argument"), scope)
        operator = text(field(node, "operator"))
        if operator == "-" and isinstance(value, Constant) and isinstance(value.value, float):
            return Constant(NONE, -value.value)
        return Constant(NONE, None) if operator == "void" else Value(frozenset(label for label in labels_of(value) if is_who(label)))

    def _ternary_expression(self, node: Node, scope: Scope) -> Value:
        truth = self.condition(field(node, "condition"), scope)
        yes, no = field(node, "consequence"), field(node, "alternative")
        sure = self.flow.verified
        found = self.branches(
            (lambda: self.evaluate(yes, scope), sure or "auth+" in truth), (lambda: self.evaluate(no, scope), sure or "auth-" in truth)
        )
        self.fallback(found[0], found[1], self.place(no or node, scope))
        return either(found)

    def _assignment_expression(self, node: Node, scope: Scope) -> Value:
        value = self.evaluate(field(node, "right"), scope)
        self.assign(field(node, "left"), value, scope, self.place(node, scope))
        return value

    def _augmented_assignment_expression(self, node: Node, scope: Scope) -> Value:
        left, right = field(node, "left"), field(node, "right")
        old, new = self.evaluate(left, scope), self.evaluate(right, scope)
        operator = text(field(node, "operator"))
        if operator in ("??=", "||="):
            self.fallback(old, new, self.place(right or node, scope))
        if operator == "+=" and any(isinstance(each, Text) for each in options(old)):
            new = Text(NONE, ((old, self.place(node, scope)), (new, self.place(node, scope))))
        else:
            new = either([old, new])
        self.assign(left, new, scope, self.place(node, scope))
        return new

    def assign(self, target: Node | None, value: Value, scope: Scope, place: Place) -> None:
        """``target = value``."""
        raise NotImplementedError
