"""Walks the queries of a statement: their sources, joins, common table expressions and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from opsnb.checks.bodies.catalogue import Shape
from opsnb.checks.bodies.names import Names, Scope
from opsnb.checks.bodies.trees import alias_of, name_of, output_name, renamed, result_width, type_name


class Queries(Names):
    """What reads."""

    def _query(self, node: exp.Expr, outer: Scope) -> Shape:
        if isinstance(node, exp.Subquery):
            scope = self._with(node, outer)
            shape = self._query(node.this, scope)
            for key in ("order", "limit", "offset"):
                self._visit(node.args.get(key), Scope(scope, results=set(shape or ()), sources=[(None, shape)]))
            return shape
        if isinstance(node, exp.Select):
            return self._select(node, outer)
        if isinstance(node, exp.SetOperation):
            scope = self._with(node, outer)
            left = self._query(node.this, scope)
            self._query(node.expression, scope)
            for key in ("order", "limit", "offset"):
                self._visit(node.args.get(key), Scope(scope, results=set(left or ()), sources=[(None, left)]))
            return left
        if isinstance(node, exp.Values):
            self._visit_all(node.expressions, outer)
            return None
        if isinstance(node, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
            return self._write(node, outer)
        if isinstance(node, exp.Paren):
            return self._query(node.this, outer)
        if isinstance(node, exp.Table):
            scope = Scope(outer)
            self._source(node, scope)
            return scope.sources[-1][1]
        self._visit(node, outer)
        return None

    def _write(self, node: exp.Expr, outer: Scope) -> Shape:
        """A statement that writes; the columns it gives back."""
        raise NotImplementedError

    def _with(self, node: exp.Expr, outer: Scope) -> Scope:
        clause = node.args.get("with_") or node.args.get("with")
        scope = Scope(outer)
        if clause is None:
            return scope
        recursive = bool(clause.args.get("recursive"))
        for cte in clause.expressions:
            name, columns = alias_of(cte)
            if recursive:
                scope.ctes[name or ""] = None
            inner = cte.this
            shape = self._query(inner, scope)
            if cte.args.get("search") or cte.args.get("cycle") or clause.args.get("search") or clause.args.get("cycle"):
                shape = None
            whole = isinstance(inner, exp.Select) and result_width(inner) == len(columns or ())
            scope.ctes[name or ""] = renamed(shape, columns, whole=whole)
        return scope

    def _select(self, node: exp.Select, outer: Scope) -> Shape:
        around = self._with(node, outer)
        scope = Scope(around)
        start = node.args.get("from_") or node.args.get("from")
        if start is not None:
            self._source(start.this, scope)
        self._joins(node, scope)
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, scope)
        self._visit_all(node.expressions, scope)
        shape = self._results(node.expressions, scope)
        named = Scope(scope, results={name for each in node.expressions if (name := output_name(each, self._text))})
        for key, value in node.args.items():
            if key in (
                "expressions",
                "from_",
                "from",
                "joins",
                "laterals",
                "with_",
                "with",
                "into",
                "locks",
                "hint",
                "kind",
                "operation_modifiers",
            ):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, exp.Expr):
                    self._visit(each, named if key in ("group", "order", "distinct") else scope)
        return shape

    def _results(self, expressions: Sequence[exp.Expr], scope: Scope) -> Shape:
        """The names a list of results gives; None where one cannot be known."""
        names: set[str] = set()
        for each in expressions:
            if isinstance(each, exp.Star):
                for _, shape in scope.sources:
                    if shape is None:
                        return None
                    names |= shape
            elif isinstance(each, exp.Column) and isinstance(each.this, exp.Star):
                shape = self._shape_of(name_of(each.args.get("table")), scope)
                if shape is None:
                    return None
                names |= shape
            elif isinstance(each, exp.Dot) and isinstance(each.expression, exp.Star):
                return None
            else:
                name = output_name(each, self._text)
                if name is None:
                    return None
                names.add(name)
        return frozenset(names)

    def _shape_of(self, alias: str, scope: Scope) -> Shape:
        for each in scope.up():
            for name, shape in each.sources:
                if name == alias:
                    return shape
        return self.variables[alias].shape if alias in self.variables else None

    def _joins(self, node: exp.Expr, scope: Scope) -> None:
        for join in node.args.get("joins") or ():
            left = list(scope.sources)
            self._source(join.this, scope)
            right = scope.sources[len(left) :]
            self._visit(join.args.get("on"), scope)
            for column in join.args.get("using") or ():
                name = name_of(column)
                for side, sources in (("left", left), ("right", right)):
                    if name and all(shape is not None and name not in shape for _, shape in sources):
                        self.say("column", name, f"column {name} of JOIN ... USING is missing on the {side} side")

    def _source(self, node: exp.Expr, scope: Scope) -> None:
        """Adds what stands in FROM to *scope*."""
        if isinstance(node, exp.Table):
            alias, columns = alias_of(node)
            if isinstance(node.this, exp.Func) or node.args.get("rows_from"):
                self._function_source(node, scope, alias, columns)
            elif isinstance(node.this, exp.Identifier):
                shape = self._relation(node, scope)
                scope.sources.append((alias or name_of(node.this), renamed(shape, columns)))
            else:
                self._visit(node.this, scope)
                scope.sources.append((alias, None))
            self._joins(node, scope)
        elif isinstance(node, exp.Subquery):
            alias, columns = alias_of(node)
            if isinstance(node.this, (exp.Table, exp.Paren)) or (isinstance(node.this, exp.Subquery) and node.this.args.get("joins")):
                inner = Scope(scope)
                self._source(node.this, inner)
                self._joins(node, inner)
                if alias:
                    scope.sources.append((alias, None))
                scope.sources.extend(inner.sources)
                return
            shape = self._query(node, scope)
            whole = isinstance(node.this, exp.Values) or (
                isinstance(node.this, exp.Select) and result_width(node.this) == len(columns or ())
            )
            scope.sources.append((alias, renamed(shape, columns, whole=whole)))
            self._joins(node, scope)
        elif isinstance(node, exp.Values):
            alias, columns = alias_of(node)
            self._visit_all(node.expressions, scope)
            scope.sources.append((alias, renamed(None, columns, whole=True)))
        elif isinstance(node, exp.Paren):
            self._source(node.this, scope)
        elif isinstance(node, exp.Lateral):
            alias, columns = alias_of(node)
            inner = node.this
            if isinstance(inner, exp.Subquery):
                shape = self._query(inner, scope)
                scope.sources.append((alias, renamed(shape, columns)))
            else:
                self._function_source(node, scope, alias, columns)
        elif isinstance(node, exp.Unnest):
            alias, columns = alias_of(node)
            self._visit_all(node.expressions, scope)
            scope.sources.append((alias or "unnest", None))
        else:
            alias, _ = alias_of(node)
            self._visit(node, scope)
            scope.sources.append((alias, None))

    def _function_source(self, node: exp.Expr, scope: Scope, alias: str | None, columns: list[str] | None) -> None:
        function = node.this
        if node.args.get("rows_from"):
            for each in node.args["rows_from"]:
                self._visit(each.this if isinstance(each, exp.Table) else each, scope)
            scope.sources.append((alias, None))
            return
        schema, call = name_of(node.args.get("db")), function
        if isinstance(function, exp.Dot):
            schema, call = name_of(function.this), function.expression
        name = self._call_name(call)
        self._call(call, schema, scope)
        shape: Shape = None
        definitions = node.args.get("alias")
        typed = definitions is not None and any(isinstance(each, exp.ColumnDef) for each in definitions.args.get("columns") or ())
        if typed and columns is not None:
            shape = frozenset(columns)
        elif name is not None:
            shape = self._function_shape(schema, name, alias, columns, call)
        scope.sources.append((alias or name, shape))
        self._joins(node, scope)

    def _function_shape(self, schema: str, name: str, alias: str | None, columns: list[str] | None, call: exp.Expr) -> Shape:
        overloads, _ = self.catalogue.overloads(schema, name, self.path)
        if not overloads:
            return None
        names = {name, *(columns or ()), *([alias] if alias else ()), "ordinality"}
        for each in overloads:
            if each.relation:
                shape = self.catalogue.shape(each.relation)
                if shape is None:
                    return None
                names |= shape
            elif each.output:
                names |= each.output
            elif each.opaque:
                row = self._row_argument(call)
                if row is None:
                    return None
                names |= row
        return frozenset(names)

    def _row_argument(self, call: exp.Expr) -> Shape:
        """The columns of ``f(null::schema.table)``: a polymorphic function gives back the row type it was given."""
        first = next(iter(call.expressions), None) if isinstance(call, exp.Anonymous) else call.this
        to = first.args.get("to") if isinstance(first, exp.Cast) else None
        schema, name = type_name(to) if isinstance(to, exp.DataType) else ("", "")
        if not name or not isinstance(first, exp.Cast) or not isinstance(first.this, (exp.Null, exp.Column, exp.Anonymous)):
            return None
        oid, _ = self.catalogue.type(schema, name, self.path)
        return self.catalogue.shape(oid) if oid else None

    def _visit_all(self, nodes: Sequence[Any], scope: Scope) -> None:
        for node in nodes:
            self._visit(node, scope)

    def _visit(self, node: Any, scope: Scope) -> None:
        if not isinstance(node, exp.Expr):
            return
        if isinstance(node, exp.Column):
            self._column(node, scope)
            return
        if isinstance(node, (exp.Query, exp.DML)):
            self._query(node, scope)
            return
        if isinstance(node, exp.Values):
            self._visit_all(node.expressions, scope)
            return
        if isinstance(node, (exp.Table, exp.Lock)):
            return
        if isinstance(node, exp.DataType):
            self._type(node)
            for each in node.expressions:
                if isinstance(each, exp.DataType):
                    self._visit(each, scope)
            return
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            inner = node.this
            if isinstance(inner, exp.Identifier):
                self._call(node.expression, name_of(inner), scope)
                return
        if isinstance(node, (exp.PropertyEQ, exp.Kwarg)):
            self._visit(node.expression, scope)
            return
        if isinstance(node, exp.Cast):
            self._cast(node)
        elif isinstance(node, exp.Func):
            self._call(node, "", scope)
            return
        for value in node.args.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, exp.Expr):
                    self._visit(each, scope)

    def _cast(self, node: exp.Cast) -> None:
        if isinstance(node.this, exp.Literal) and node.this.is_string and not self.any_relation:
            to = node.args.get("to")
            if to is not None and "regclass" in str(to).lower():
                self._regclass(str(node.this.this))
