"""A JSON Schema (draft 2020-12) as one SQL query that counts what breaks each of its rules.

Judged: type, enum, const, the bounds of numbers, texts, arrays and objects, pattern, format (date, date-time, uuid, email), required,
properties, patternProperties, additionalProperties, propertyNames, items, prefixItems, contains, uniqueItems, dependentRequired,
dependentSchemas, allOf, anyOf, oneOf, not, if, and $ref within the schema. What is not judged (a recursive $ref, unevaluatedProperties,
a pattern Postgres reads otherwise, a keyword nobody knows ...) is named, never skipped in silence; a rule that needs a subschema with
such a part (anyOf, not ...) is not judged as a whole, so that nothing sound is reported as broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import pandas as pd
from psycopg import sql

from opsnb.errors import UsageError
from opsnb.sources.shape_patterns import Refused, translated
from opsnb.sources.shape_places import Part, Place, Rule, Step, breaks, count, made, number
from opsnb.sources.shape_rules import (
    ALWAYS,
    ASSERTIONS,
    Malformed,
    at_key,
    elements,
    entries,
    holdable,
    kind,
    listed,
    mapped,
    matches,
    names,
    text,
    whole,
)  # fmt: skip

MOST_RULES = 600
"""A schema whose references unfold to more is not judged beyond."""
MOST_DEPTH = 24
ANNOTATIONS = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default", "examples",
    "deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema",
})  # fmt: skip
"""Keywords that break nothing."""
BESIDE = frozenset({"then", "else", "minContains", "maxContains"})
"""Keywords judged with another one."""
DRAFT = "2020-12"


@dataclass(frozen=True)
class Compiled:
    """A schema as SQL. `query` reads ``records (number bigint, value jsonb)`` and gives one row per record and rule that could break:
    number, rule (its place in `rules`), seen (values looked at), broken. `not_judged` are rules with the reason why they are not.
    """

    query: sql.Composable
    rules: tuple[Rule, ...]
    not_judged: tuple[tuple[Rule, str], ...]

    @property
    def unsupported(self) -> tuple[str, ...]:
        """What is not judged: the pointer of each rule and why."""
        return tuple(f"{rule.rule}: {why}" for rule, why in self.not_judged)

    def table(self) -> pd.DataFrame:
        """The rules, one a row: rule, keyword, where, not_judged ('' where it is)."""
        rows = [(rule, "") for rule in self.rules] + list(self.not_judged)
        columns = ["rule", "keyword", "where", "not_judged"]
        return pd.DataFrame([[rule.rule, rule.keyword, rule.where, why] for rule, why in rows], columns=columns, dtype="string")


def compile(schema: Any) -> Compiled:
    """*schema* as SQL; UsageError naming the pointer of a keyword whose value is not what JSON Schema asks for."""
    compiler = _Compiler(schema)
    record = Place(_SAME)
    compiler.read(schema, _Spot("#", "", record))
    rules: list[Rule] = []
    parts: list[Part] = [sql.SQL("p0 as (select number, value from records where value is not null)")]
    counts: list[Part] = []
    count(record, "p0", parts, counts, rules)
    empty = sql.SQL("select 0::bigint as number, 0 as rule, 0::bigint as seen, 0::bigint as broken where false")
    query = made(
        "with {parts}\n{counts}", parts=sql.SQL(",\n").join(parts), counts=sql.SQL("\nunion all\n").join(counts) if counts else empty
    )
    return Compiled(query, tuple(rules), tuple(compiler.not_judged))


_SAME = Step(lambda x: x)


@dataclass(frozen=True)
class _Spot:
    """Where a keyword stands (`pointer`), which values it speaks of (`where`, `place`), how deep, and through which references."""

    pointer: str
    where: str
    place: Place
    depth: int = 0
    refs: tuple[str, ...] = ("#",)

    def to(self, *tokens: str | int, where: str | None = None, step: Step | None = None) -> _Spot:
        """The spot of a subschema; with *step* its values are a place of their own, below."""
        place = self.place
        if step is not None:
            place = Place(step)
            self.place.below.append(place)
        return replace(
            self, pointer="/".join([self.pointer, *map(_token, map(str, tokens))]), where=self.where if where is None else where,
            place=place, depth=self.depth + 1,
        )  # fmt: skip

    def beside(self, keyword: str) -> _Spot:
        """The spot of the keyword next to this one."""
        return replace(self, pointer=f"{self.pointer.rpartition('/')[0]}/{keyword}")

    def rule(self, keyword: str) -> Rule:
        """The rule of *keyword* here."""
        return Rule(self.pointer, keyword, self.where or "the record")


class _Compiler:
    """Reads one schema. A place takes the rules of its schema; subschemas of the values below become places below."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.not_judged: list[tuple[Rule, str]] = []
        self.rules = 0
        self.turns = 0

    def read(self, schema: Any, spot: _Spot) -> None:
        """Adds what *schema* asks to the spot's place."""
        if isinstance(schema, bool):
            if not schema:
                keyword = "additionalProperties" if spot.pointer.endswith("/additionalProperties") else "false"
                self.add(spot, keyword, lambda _: ALWAYS)
            return
        if not isinstance(schema, Mapping):
            raise _malformed(spot, "a schema: a mapping, true or false")
        for name, value in schema.items():
            keyword = str(name)
            if keyword == "$schema" and DRAFT not in str(value):
                self.refuse(spot.to(keyword), keyword, f"the schema names another draft and is read as {DRAFT}")
            elif keyword == "$id" and spot.pointer != "#":
                self.refuse(spot.to(keyword), keyword, "references below an $id of its own are not followed")
            elif keyword not in ANNOTATIONS | BESIDE and not keyword.startswith("x-"):
                self.keyword(keyword, value, schema, spot.to(keyword))

    def keyword(self, keyword: str, value: Any, schema: Mapping[str, Any], spot: _Spot) -> None:
        """Adds what one keyword asks, or that it is not judged."""
        try:
            if self.rules >= MOST_RULES or spot.depth > MOST_DEPTH:
                raise Refused(f"the schema unfolds to more than {MOST_RULES} rules or {MOST_DEPTH} levels")
            if keyword in ASSERTIONS:
                self.add(spot, keyword, ASSERTIONS[keyword](value))
            elif keyword in APPLICATORS:
                APPLICATORS[keyword](self, value, schema, spot)
            else:
                raise Refused(f"the keyword {keyword} is not judged")
        except Malformed as wrong:
            raise _malformed(spot, str(wrong)) from None
        except Refused as why:
            self.refuse(spot, keyword, str(why))

    def add(self, spot: _Spot, keyword: str, broken: Callable[[Part], Part]) -> None:
        self.rules += 1
        spot.place.rules.append((spot.rule(keyword), broken))

    def refuse(self, spot: _Spot, keyword: str, why: str) -> None:
        self.not_judged.append((spot.rule(keyword), why))

    def apart(self, schema: Any, spot: _Spot) -> Callable[[Part], Part]:
        """Whether a value breaks *schema*, for rules that turn on it; Refused where a part of it is not judged."""
        known, self.not_judged = self.not_judged, []
        place = Place(_SAME)
        try:
            self.read(schema, replace(spot, place=place))
            if self.not_judged:
                rule, why = self.not_judged[0]
                raise Refused(f"it turns on a part that is not judged ({rule.rule}: {why})")
        finally:
            self.not_judged = known
        self.turns += 1
        own = 100 * self.turns  # aliases of its own, so that none hides another
        return lambda x: breaks(place, x, own)

    # One method per keyword with subschemas, or with several rules

    def required(self, value: Any, _: Any, spot: _Spot) -> None:
        for at, key in enumerate(names(value)):
            self.add(spot.to(at, where=_at(spot.where, key)), "required", _lacks(key))

    def dependent_required(self, value: Any, _: Any, spot: _Spot) -> None:
        for key, needed in mapped(value).items():
            for at, other in enumerate(names(needed)):
                self.add(spot.to(key, at, where=_at(spot.where, other)), "dependentRequired", _lacks_beside(key, other))

    def properties(self, value: Any, _: Any, spot: _Spot) -> None:
        for key, schema in mapped(value).items():
            self.read(schema, spot.to(key, where=_at(spot.where, key), step=_key_step(key)))

    def pattern_properties(self, value: Any, _: Any, spot: _Spot) -> None:
        for pattern, schema in mapped(value).items():
            step = _each_key(matches(_KEY, translated(pattern)))
            self.read(schema, spot.to(pattern, where=_any(spot.where), step=step))

    def additional_properties(self, value: Any, beside: Mapping[str, Any], spot: _Spot) -> None:
        known = [key for key in mapped(beside.get("properties", {})) if holdable(key)]
        others = [made("{key} <> all (array[{known}])", key=_KEY, known=sql.SQL(", ").join(map(text, known)))] if known else []
        others += [made("not {good}", good=matches(_KEY, translated(pattern))) for pattern in mapped(beside.get("patternProperties", {}))]
        step = _each_key(sql.SQL(" and ").join(others) if others else ALWAYS)
        self.read(value, spot.to(where=_any(spot.where), step=step))

    def property_names(self, value: Any, _: Any, spot: _Spot) -> None:
        step = Step(lambda _: sql.SQL("pg_catalog.to_jsonb(each.key)"), lambda x: made("{all} as each (key, value)", all=entries(x)))
        self.read(value, spot.to(where=f"the keys of {spot.where or 'the record'}", step=step))

    def items(self, value: Any, beside: Mapping[str, Any], spot: _Spot) -> None:
        if isinstance(value, list | tuple):
            raise Refused(f"a list of items is of an older draft; {DRAFT} calls it prefixItems")
        after = len(listed(beside.get("prefixItems", [])))
        step = Step(
            lambda _: sql.SQL("each.value"),
            lambda x: made("{all} with ordinality as each (value, place)", all=elements(x)),
            (lambda _: made("each.place > {after}", after=number(after))) if after else None,
        )
        self.read(value, spot.to(where=f"{spot.where}[]", step=step))

    def prefix_items(self, value: Any, _: Any, spot: _Spot) -> None:
        for at, schema in enumerate(_schemas(value)):
            self.read(schema, spot.to(at, where=f"{spot.where}[{at}]", step=_index_step(at)))

    def contains(self, value: Any, beside: Mapping[str, Any], spot: _Spot) -> None:
        broken = self.apart(value, spot)

        def counted(x: Part, compared: str) -> Part:
            good = made(
                "(select pg_catalog.count(*) from {all} as each (value) where not {broken})", all=elements(x), broken=broken(_VALUE)
            )
            return made(f"({{kind}} = 'array' and {{good}} {compared})", kind=kind(x), good=good)

        least = whole(beside.get("minContains", 1))
        self.add(spot, "contains", lambda x: counted(x, f"< {least}"))
        if "maxContains" in beside:
            most = whole(beside["maxContains"])
            self.add(spot.beside("maxContains"), "maxContains", lambda x: counted(x, f"> {most}"))

    def dependent_schemas(self, value: Any, _: Any, spot: _Spot) -> None:
        for key, schema in mapped(value).items():
            self.read(schema, spot.to(key, step=Step(_SAME.value, None, _key_step(key).condition)))

    def all_of(self, value: Any, _: Any, spot: _Spot) -> None:
        for at, schema in enumerate(_schemas(value)):
            self.read(schema, spot.to(at))

    def any_of(self, value: Any, _: Any, spot: _Spot) -> None:
        each = [self.apart(schema, spot.to(at)) for at, schema in enumerate(_schemas(value))]
        self.add(spot, "anyOf", lambda x: made("({each})", each=sql.SQL(" and ").join(broken(x) for broken in each)))

    def one_of(self, value: Any, _: Any, spot: _Spot) -> None:
        each = [self.apart(schema, spot.to(at)) for at, schema in enumerate(_schemas(value))]

        def broken(x: Part) -> Part:
            good = [made("(not {broken})::pg_catalog.int4", broken=broken(x)) for broken in each]
            return made("({good} <> 1)", good=sql.SQL(" + ").join(good))

        self.add(spot, "oneOf", broken)

    def not_(self, value: Any, _: Any, spot: _Spot) -> None:
        broken = self.apart(value, spot)
        self.add(spot, "not", lambda x: made("not {broken}", broken=broken(x)))

    def if_(self, value: Any, beside: Mapping[str, Any], spot: _Spot) -> None:
        broken = self.apart(value, spot)
        if "then" in beside:
            step = Step(_SAME.value, None, lambda x: made("not {broken}", broken=broken(x)))
            self.read(beside["then"], spot.beside("then").to(step=step))
        if "else" in beside:
            self.read(beside["else"], spot.beside("else").to(step=Step(_SAME.value, None, broken)))

    def ref(self, value: Any, _: Any, spot: _Spot) -> None:
        if not isinstance(value, str) or not (value == "#" or value.startswith("#/")):
            raise Refused("a reference to anything but #/… in this schema is not followed")
        if value in spot.refs:
            raise Refused("the reference leads back to itself, without end")
        target = self.schema
        for token in map(_untoken, value.split("/")[1:]):
            if isinstance(target, Mapping) and token in target:
                target = target[token]
            elif isinstance(target, list) and token.isdecimal() and int(token) < len(target):
                target = target[int(token)]
            else:
                raise Malformed("a reference to a schema that is there")
        self.read(target, replace(spot, refs=(*spot.refs, value)))


APPLICATORS: Mapping[str, Callable[[_Compiler, Any, Mapping[str, Any], _Spot], None]] = {
    "required": _Compiler.required, "dependentRequired": _Compiler.dependent_required, "properties": _Compiler.properties,
    "patternProperties": _Compiler.pattern_properties, "additionalProperties": _Compiler.additional_properties,
    "propertyNames": _Compiler.property_names, "items": _Compiler.items, "prefixItems": _Compiler.prefix_items,
    "contains": _Compiler.contains, "dependentSchemas": _Compiler.dependent_schemas, "allOf": _Compiler.all_of, "anyOf": _Compiler.any_of,
    "oneOf": _Compiler.one_of, "not": _Compiler.not_, "if": _Compiler.if_, "$ref": _Compiler.ref,
}  # fmt: skip
"""Keywords with subschemas, or with several rules."""
_KEY, _VALUE = sql.SQL("each.key"), sql.SQL("each.value")


def _malformed(spot: _Spot, expected: str) -> UsageError:
    return UsageError(f"the JSON Schema's {spot.pointer}: expected {expected}")


def _lacks(key: str) -> Callable[[Part], Part]:
    return lambda x: made("({kind} = 'object' and {value} is null)", kind=kind(x), value=at_key(x, key))


def _lacks_beside(key: str, other: str) -> Callable[[Part], Part]:
    return lambda x: made("({there} is not null and {other} is null)", there=at_key(x, key), other=at_key(x, other))


def _schemas(value: Any) -> list[Any]:
    if not listed(value):
        raise Malformed("a list of at least one schema")
    return list(value)


def _key_step(key: str) -> Step:
    return Step(lambda x: at_key(x, key), None, lambda x: made("{value} is not null", value=at_key(x, key)))


def _index_step(at: int) -> Step:
    def value(x: Part) -> Part:  # a scalar is its own first element to `->`
        return made("(case when {kind} = 'array' then {x} -> {at} end)", kind=kind(x), x=x, at=number(at))

    return Step(value, None, lambda x: made("{value} is not null", value=value(x)))


def _each_key(condition: Part) -> Step:
    return Step(lambda _: sql.SQL("each.value"), lambda x: made("{all} as each (key, value)", all=entries(x)), lambda _: condition)


def _any(where: str) -> str:
    """The place of keys without a name of their own."""
    return f"{where}.*".removeprefix(".")


def _at(where: str, key: str) -> str:
    """The place of *key* in words: a.b, or a["odd key"]."""
    if re.fullmatch(r"\w+", key):
        return f"{where}.{key}".removeprefix(".")
    return f"{where}[{json.dumps(key, ensure_ascii=False)}]"


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _untoken(token: str) -> str:
    return unquote(token).replace("~1", "/").replace("~0", "~")
