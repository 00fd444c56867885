"""Follows the sources as they would run: modules, statements, and the functions of the sources into one another.

Every branch is taken, no loop is run twice, and nothing is executed: a value is what can be told of it from the text.
"""

from __future__ import annotations

from collections.abc import Callable

from tree_sitter import Node

from opsnb.checks.audit.functions import CLASSES
from opsnb.checks.audit.loading import Loading
from opsnb.checks.audit.scopes import Scope
from opsnb.checks.audit.state import Exhausted, Flow
from opsnb.checks.audit.syntax import Place, field, parts, text
from opsnb.checks.audit.table import row
from opsnb.checks.audit.values import NONE, Function, Items, Query, Record, Text, Value, either, labels_of, options

_CALLABLE = ("function_declaration", "generator_function_declaration")
_LOOPS = ("while_statement", "do_statement", "for_statement")


class Interpreter(Loading):
    """Reads the files of a release."""

    def run(self) -> None:
        """Follows every file: those that are served first, then what none of them reaches."""
        sources = [source for source in self.modules.sources.values() if source.root is not None and source.followed]
        for source in sorted(sources, key=lambda each: (not _is_main(each.path), each.path)):
            self._safely(source.path, lambda path=source.path: self._serve_main(path))  # type: ignore[misc]
        self.main = ""
        while waiting := [key for key in self.functions if key not in self.followed]:
            for key in waiting:
                self.followed.add(key)
                self._safely(key[0], lambda key=key: self._alone(self.functions[key]))  # type: ignore[misc]

    def _safely(self, path: str, follow: Callable[[], None]) -> None:
        self.flow, self.at, self.guard = Flow(), path, None
        try:
            follow()
        except (Exhausted, RecursionError):
            sentence = "the file is too large or too deeply nested to be followed to its end: look at it yourself"
            self.rows.append(row("unfollowed", Place(path, 1), object=path, severity="warning", finding=sentence))
        self.flow = Flow()

    def _serve_main(self, path: str) -> None:
        self.main = path if _is_main(path) else ""
        self.load(path)
        served = self.exported(path, "default") if _is_main(path) and "default" in self.modules.exports(path).names else None
        for each in options(served):
            if isinstance(each, Function):
                self.enter(each, Place(path, 1))
            elif isinstance(each, Record) and isinstance(each.fields.get("fetch"), Function):
                self.enter(each.fields["fetch"], Place(path, 1))

    def _alone(self, called: Function) -> None:
        self.escape([self.invoke(called, [], Place(called.scope.path, called.node.start_point[0] + 1), Value())])

    # statements

    def block(self, node: Node, scope: Scope) -> None:
        """Follows the statements of a block; functions and classes of it are known from its beginning."""
        for child in parts(node):
            declared = (field(child, "declaration") or field(child, "value") or child) if child.type == "export_statement" else child
            if declared.type in (*_CALLABLE, *CLASSES):
                name = text(field(declared, "name")) or "*default*"
                scope.names[name] = self.written(declared, scope)
                if child is not declared and any(each.type == "default" for each in child.children):
                    scope.names["*default*"] = scope.names[name]
        for child in parts(node):
            if self.flow.ended:
                break
            self.statement(child, scope)

    def statement(self, node: Node, scope: Scope) -> None:
        """Follows one statement."""
        self.step()
        kind = node.type
        if kind in ("lexical_declaration", "variable_declaration"):
            self._declare(node, scope)
        elif kind == "expression_statement":
            self._alone_standing(node, scope)
        elif kind == "statement_block":
            self.block(node, Scope(scope.path, scope, branch=self.flow.branch))
        elif kind == "if_statement":
            self._if(node, scope)
        elif kind == "return_statement":
            inside = parts(node)
            self.flow.returns.append((self.evaluate(inside[0] if inside else None, scope), self.flow.verified))
            self.flow.ended = True
        elif kind == "throw_statement":
            self.evaluate(parts(node)[0] if parts(node) else None, scope)
            self.flow.ended = True
        elif kind == "for_in_statement":
            self._for_each(node, scope)
        elif kind in _LOOPS:
            self._loop(node, scope)
        elif kind == "try_statement":
            self._try(node, scope)
        elif kind == "switch_statement":
            self._switch(node, scope)
        elif kind == "export_statement":
            self._export(node, scope)
        elif kind == "enum_declaration":
            self._enum(node, scope)
        elif kind in ("labeled_statement", "else_clause"):
            self.statement(parts(node)[-1], scope)
        elif kind in (*_CALLABLE, *CLASSES) and text(field(node, "name")) not in scope.names:
            scope.names[text(field(node, "name"))] = self.written(node, scope)

    def _declare(self, node: Node, scope: Scope) -> None:
        scope.branch = max(scope.branch, self.flow.branch)
        for declarator in parts(node):
            value = self.evaluate(field(declarator, "value"), scope)
            self.bind(field(declarator, "name"), self.hinted(value, text(field(declarator, "type"))), scope)

    def _alone_standing(self, node: Node, scope: Scope) -> None:
        value = self.evaluate(parts(node)[0] if parts(node) else None, scope)
        inside = parts(node)[0] if parts(node) else node
        assigned = inside.type in ("assignment_expression", "augmented_assignment_expression", "await_expression")
        chained = inside.type == "call_expression" and text(field(field(inside, "function") or inside, "property")) in ("then", "push")
        for each in options(value) if not assigned and not chained else ():
            if isinstance(each, Query) and (each.table is not None or each.routine is not None):
                place = self.place(node, scope)
                self.rows.append(row("unsent", place, object=_subject(each), function=self.function(place)))

    def _if(self, node: Node, scope: Scope) -> None:
        self.looked = []
        truth = self.condition(field(node, "condition"), scope)
        looked, sure = list(self.looked), self.flow.verified
        yes, no = field(node, "consequence"), field(node, "alternative")
        ended: list[bool] = []

        def follow(way: Node | None) -> None:
            if way is not None:
                self.statement(way, Scope(scope.path, scope, branch=self.flow.branch))
            ended.append(self.flow.ended)

        self.branches((lambda: follow(yes), sure or "auth+" in truth), (lambda: follow(no), sure or "auth-" in truth))
        if any(ended):
            for answer in looked:
                answer.tested = True

    def _for_each(self, node: Node, scope: Scope) -> None:
        items = self.evaluate(field(node, "right"), scope)
        one = either(items.items, items.labels) if isinstance(items, Items) and items.items else items
        one = Value(labels_of(one)) if isinstance(one, Items | Record) and one is items else one
        inner = Scope(scope.path, scope, branch=self.flow.branch + 1)
        self.bind(field(node, "left"), one, inner, declare=field(node, "kind") is not None)
        sure = self.flow.verified
        self.branches((lambda: self.statement(body, inner) if (body := field(node, "body")) else None, sure), (lambda: None, sure))

    def _loop(self, node: Node, scope: Scope) -> None:
        inner = Scope(scope.path, scope, branch=self.flow.branch + 1)
        if (first := field(node, "initializer")) is not None:
            self.statement(first, inner)
        self.condition(field(node, "condition"), inner)
        sure = self.flow.verified

        def body() -> None:
            if (inside := field(node, "body")) is not None:
                self.statement(inside, inner)
            if (step := field(node, "increment")) is not None:
                self.evaluate(step, inner)

        self.branches((body, sure), (lambda: None, sure))

    def _try(self, node: Node, scope: Scope) -> None:
        body, handler, last = field(node, "body"), field(node, "handler"), field(node, "finalizer")
        sure = self.flow.verified

        def caught() -> None:
            if handler is None:
                self.flow.ended = True
                return
            inner = Scope(scope.path, scope, branch=self.flow.branch)
            self.bind(field(handler, "parameter"), Value(), inner)
            if (inside := field(handler, "body")) is not None:
                self.block(inside, inner)

        self.branches((lambda: self.statement(body, scope) if body else None, sure), (caught, sure))
        if last is not None and (inside := field(last, "body")) is not None:
            ended, self.flow.ended = self.flow.ended, False
            self.statement(inside, scope)
            self.flow.ended |= ended

    def _switch(self, node: Node, scope: Scope) -> None:
        subject = self.evaluate(field(node, "value"), scope)
        inner, sure = Scope(scope.path, scope, branch=self.flow.branch + 1), self.flow.verified
        ways: list[tuple[Callable[[], None], bool]] = []
        default = False
        for case in parts(body) if (body := field(node, "body")) else []:
            value = field(case, "value")
            default |= value is None
            if value is not None:
                self.compare(subject, self.evaluate(value, inner), equal=True)
            inside = [child for child in parts(case) if value is None or child.id != value.id]
            ways.append((lambda inside=inside: self._statements(inside, inner), sure))  # type: ignore[misc]
        self.branches(*ways, *([] if default else [(lambda: None, sure)]))

    def _statements(self, nodes: list[Node], scope: Scope) -> None:
        for node in nodes:
            if not self.flow.ended:
                self.statement(node, scope)

    def _export(self, node: Node, scope: Scope) -> None:
        if (declared := field(node, "declaration")) is not None:
            self.statement(declared, scope)
        elif (value := field(node, "value")) is not None:
            scope.names["*default*"] = self.evaluate(value, scope)

    def _enum(self, node: Node, scope: Scope) -> None:
        made = Record(NONE)
        for member in parts(body) if (body := field(node, "body")) else []:
            name = text(field(member, "name")) if member.type == "enum_assignment" else text(member)
            made.fields[name] = self.evaluate(field(member, "value"), scope) if member.type == "enum_assignment" else Value()
        scope.names[text(field(node, "name"))] = made


def _is_main(path: str) -> bool:
    """Whether a file is what the platform serves: the entry of a function's folder, not something shared."""
    *folders, name = path.split("/")
    return name.partition(".")[0] in ("index", "main") and not any(folder.startswith(("_", ".")) for folder in folders)


def _subject(query: Query) -> str:
    named = query.table if query.table is not None else query.routine
    return next((each.literal for each in options(named) if isinstance(each, Text) and each.literal is not None), "")
