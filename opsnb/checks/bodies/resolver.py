"""Resolves the names in one SQL statement against the catalogue, on its syntax tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from opsnb.checks.bodies.catalogue import Shape
from opsnb.checks.bodies.names import Scope
from opsnb.checks.bodies.queries import Queries
from opsnb.checks.bodies.trees import alias_of, inner_query, name_of, parsed, result_width, table_name, target_column
from opsnb.errors import SourceNonsense


class Resolver(Queries):
    """Statements that write, and the way in."""

    def statement(self, text: str) -> Shape:
        """Resolves *text*; the columns it answers. SourceNonsense where it cannot be read."""
        text = inner_query(text)
        tree = parsed(text)
        self._text = text
        if isinstance(tree, exp.Create):
            return self._create(tree)
        if isinstance(tree, exp.TruncateTable):
            for table in tree.expressions:
                if isinstance(table, exp.Table):
                    self._relation(table, Scope())
            return None
        if isinstance(tree, (exp.Query, exp.Values, exp.DML)):
            return self._query(tree, Scope())
        raise SourceNonsense("a command that is not looked into")

    def _write(self, node: exp.Expr, outer: Scope) -> Shape:
        if isinstance(node, exp.Insert):
            return self._insert(node, outer)
        if isinstance(node, exp.Update):
            return self._update(node, outer)
        if isinstance(node, exp.Delete):
            return self._delete(node, outer)
        return self._merge(node, outer)

    def _written(self, table: Any, scope: Scope) -> tuple[str, Shape, tuple[str, ...], str]:
        """The table a statement writes to: alias, columns, columns in order, name."""
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            return "", None, (), ""
        shape = self._relation(table, Scope())  # a CTE cannot be written to
        found, _ = self.catalogue.relation(name_of(table.args.get("db")), name_of(table.this), self.path)
        alias = alias_of(table)[0] or name_of(table.this)
        scope.sources.append((alias, shape))
        return alias, shape, found.ordered if found and shape is not None else (), table_name(table)

    def _insert(self, node: exp.Insert, outer: Scope) -> Shape:
        scope = self._with(node, outer)
        target = Scope(scope)
        into = node.this.this if isinstance(node.this, exp.Schema) else node.this
        alias, shape, ordered, name = self._written(into, target)
        listed = [target_column(each) for each in node.this.expressions] if isinstance(node.this, exp.Schema) else []
        self._targets(listed, shape, name)
        value = node.args.get("expression")
        width: int | None = None
        if isinstance(value, exp.Values):
            self._visit_all(value.expressions, scope)
            widths = {len(each.expressions) if isinstance(each, exp.Tuple) else 1 for each in value.expressions}
            # `values (r.*)` and `values (row)` stand for as many columns as they have
            if len(widths) == 1 and not any(part.find(exp.Star) for each in value.expressions for part in each.expressions):
                width = widths.pop()
        elif value is not None:
            self._query(value, scope)
            width = result_width(value)
        self._widths(width, listed, ordered, name)
        conflict = node.args.get("conflict")
        if conflict is not None:
            both = Scope(target, sources=[("excluded", shape)])
            for key in conflict.args.get("conflict_keys") or ():
                column = key.this if isinstance(key, exp.Ordered) else key
                if isinstance(column, (exp.Identifier, exp.Column)):
                    self._targets([target_column(column)], shape, name)
                else:
                    self._visit(key, target)
            self._settings(conflict.expressions, both, shape, name)
            for key in ("where", "index_predicate", "conflict_where"):
                self._visit(conflict.args.get(key), both)
        return self._returning(node, Scope(scope, sources=[(alias, shape), *self._before_and_after(shape)] if alias else []))

    def _widths(self, width: int | None, listed: list[str | None], ordered: tuple[str, ...], name: str) -> None:
        if width is None:
            return
        if listed and width != len(listed):
            self.say("insert", name, f"its INSERT into {name} names {len(listed)} columns and gives {width} values")
        elif not listed and ordered and width > len(ordered):
            self.say("insert", name, f"{name} takes {len(ordered)} columns, its INSERT gives {width} values")

    def _update(self, node: exp.Update, outer: Scope) -> Shape:
        around = self._with(node, outer)
        scope = Scope(around)
        _, shape, _, name = self._written(node.this, scope)
        start = node.args.get("from_") or node.args.get("from")
        if start is not None:
            self._source(start.this, scope)
        self._joins(node, scope)
        if isinstance(node.this, exp.Expr):
            self._joins(node.this, scope)
        self._settings(node.expressions, scope, shape, name)
        self._visit(node.args.get("where"), scope)
        return self._returning(node, Scope(scope, sources=self._before_and_after(shape)), scope)

    def _delete(self, node: exp.Delete, outer: Scope) -> Shape:
        around = self._with(node, outer)
        scope = Scope(around)
        _, shape, _, _ = self._written(node.this, scope)
        for table in node.args.get("using") or ():
            self._source(table, scope)
        self._visit(node.args.get("where"), scope)
        return self._returning(node, Scope(scope, sources=self._before_and_after(shape)), scope)

    def _merge(self, node: exp.Expr, outer: Scope) -> Shape:
        around = self._with(node, outer)
        scope = Scope(around)
        _, shape, ordered, name = self._written(node.this, scope)
        using = node.args.get("using")
        if isinstance(using, exp.Expr):
            self._source(using, scope)
        self._visit(node.args.get("on"), scope)
        whens = node.args.get("whens")
        for when in whens.expressions if whens is not None else node.expressions:
            self._visit(when.args.get("condition"), scope)
            then = when.args.get("then")
            if isinstance(then, exp.Update):
                self._settings(then.expressions, scope, shape, name)
            elif isinstance(then, exp.Insert):
                columns = (
                    then.this.expressions if isinstance(then.this, exp.Tuple) else [then.this] if isinstance(then.this, exp.Column) else []
                )
                listed = [target_column(each) for each in columns]
                self._targets(listed, shape, name)
                values = then.expression
                if isinstance(values, exp.Tuple):
                    self._visit_all(values.expressions, scope)
                    self._widths(len(values.expressions), listed, ordered, name)
        return self._returning(node, Scope(scope, sources=self._before_and_after(shape)), scope)

    def _settings(self, expressions: Sequence[exp.Expr], scope: Scope, shape: Shape, name: str) -> None:
        """``set a = 1, (b, c) = (2, 3)``."""
        for each in expressions:
            if not isinstance(each, exp.EQ):
                self._visit(each, scope)
                continue
            left = each.this.expressions if isinstance(each.this, (exp.Tuple, exp.Paren)) and each.this.expressions else [each.this]
            left = [part.this if isinstance(part, exp.Paren) else part for part in left]
            self._targets([target_column(part) for part in left], shape, name)
            for part in left:
                if isinstance(part, exp.Bracket):
                    self._visit_all(part.expressions, scope)
            self._visit(each.expression, scope)

    def _targets(self, columns: Sequence[str | None], shape: Shape, table: str) -> None:
        for column in columns:
            if column is not None and shape is not None and column not in shape:
                self.say("column", f"{table}.{column}", f"{table} has no column {column}")

    def _returning(self, node: exp.Expr, scope: Scope, rows: Scope | None = None) -> Shape:
        clause = node.args.get("returning")
        if clause is None:
            return None
        self._visit_all(clause.expressions, scope)
        return self._results(clause.expressions, rows or Scope(sources=scope.sources[:1]))

    def _before_and_after(self, shape: Shape) -> list[tuple[str | None, Shape]]:
        """``old`` and ``new`` of RETURNING (PostgreSQL 18); in a trigger function they may be the trigger's: nothing is said."""
        return [] if "new" in self.variables else [("old", shape), ("new", shape)]

    def _create(self, node: exp.Create) -> Shape:
        if isinstance(node.expression, exp.Query):
            self._query(node.expression, Scope())
        return None
