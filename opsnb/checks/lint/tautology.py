"""Whether an expression is true whatever the row holds: every way its parts can fall is tried."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import cast

from sqlglot import exp

from opsnb.checks.lint.trees import bare

MOST_PARTS = 9
"""Expressions of more distinct parts are not tried: two ways each."""
_OPPOSITE = {exp.NEQ: exp.EQ, exp.LT: exp.GTE, exp.GT: exp.LTE, exp.NullSafeNEQ: exp.NullSafeEQ}
_MIRRORED = {exp.EQ: exp.EQ, exp.GTE: exp.LTE, exp.LTE: exp.GTE}


Part = tuple[object, ...]


def is_tautology(node: exp.Expr) -> bool:
    """Whether *node* is true for every row whose columns are not NULL, however its parts are arranged."""
    whole = bare(node)
    if isinstance(whole, exp.Case) and whole.this is None and whole.args.get("default") is not None:
        return all(is_tautology(each) for each in (*(branch.args["true"] for branch in whole.args["ifs"]), whole.args["default"]))
    formula = _formula(whole)
    parts: dict[Part, int] = {}
    constant = _count(formula, parts)
    # parts that come once each can fall either way, and then nothing is certain
    if not constant and all(times == 1 for times in parts.values()):
        return False
    if len(parts) > MOST_PARTS:
        return False
    names = list(parts)
    return all(_value(formula, dict(zip(names, values, strict=True))) for values in itertools.product((True, False), repeat=len(names)))


Formula = bool | tuple[str, "list[Formula]"] | tuple[str, Part, bool]


def _formula(node: exp.Expr) -> Formula:
    """*node* as AND, OR and NOT over its parts."""
    node = bare(node)
    if isinstance(node, exp.And | exp.Or):
        return ("and" if isinstance(node, exp.And) else "or", [_formula(node.this), _formula(node.args["expression"])])
    if isinstance(node, exp.Not):
        return ("not", [_formula(node.this)])
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if _same(node):
        return True
    part, turned = _part(node)
    return ("part", part, turned)


def _count(formula: Formula, parts: dict[Part, int]) -> bool:
    """Counts each part into *parts*; whether there is a constant among them."""
    if isinstance(formula, bool):
        return True
    if formula[0] == "part":
        part = cast(Part, formula[1])
        parts[part] = parts.get(part, 0) + 1
        return False
    found = [_count(each, parts) for each in cast("list[Formula]", formula[1])]
    return any(found)


def _value(formula: Formula, given: Mapping[Part, bool]) -> bool:
    if isinstance(formula, bool):
        return formula
    if formula[0] == "part":
        _, part, turned = cast("tuple[str, Part, bool]", formula)
        return given[part] is not turned
    inner = [_value(each, given) for each in cast("list[Formula]", formula[1])]
    return all(inner) if formula[0] == "and" else any(inner) if formula[0] == "or" else not inner[0]


def _same(node: exp.Expr) -> bool:
    """``id = id``, ``1 = 1``, and ``length(a) >= 0``."""
    if not isinstance(node, exp.EQ | exp.GTE | exp.LTE | exp.NullSafeEQ):
        return False
    left, right = bare(node.this), bare(node.args["expression"])
    if isinstance(node, exp.GTE) and isinstance(left, exp.Length) and isinstance(right, exp.Literal) and str(right.this) == "0":
        return True
    return left == right


def _part(node: exp.Expr) -> tuple[Part, bool]:
    """A part by a name that its opposite has too, and whether it is the opposite."""
    if isinstance(node, exp.Is):
        return ("is", bare(node.this), node.args["expression"]), bool(node.args.get("negate"))
    if isinstance(node, exp.Binary):
        left, right = bare(node.this), bare(node.args["expression"])
        kind, turned = type(node), False
        if kind is exp.EQ and isinstance(right, exp.Any):
            return ("any", left, bare(right.this)), False
        if kind is exp.NEQ and isinstance(right, exp.Anonymous) and right.name.lower() == "all" and right.expressions:
            return ("any", left, bare(right.expressions[0])), True  # <> all is the opposite of = any
        if kind in _OPPOSITE:
            kind, turned = _OPPOSITE[kind], True
        if kind in _MIRRORED and hash(right) < hash(left):
            left, right, kind = right, left, _MIRRORED[kind]
        # a <= b and b >= a are one part; a >= b and a <= b are two
        return (kind, left, right), turned
    if isinstance(node, exp.In):
        return ("in", bare(node.this), frozenset(bare(each) for each in node.expressions), node.args.get("query")), False
    return ("whole", node), False
