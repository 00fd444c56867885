"""One keyword of a JSON Schema as SQL over one jsonb value: what breaks it, and where its subschemas apply.

No expression made here raises or is null, whatever JSON it meets: functions that insist on a type stand behind CASE, which keeps its order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from psycopg import sql

from opsnb.sources.shape_patterns import FORMATS, Refused, translated
from opsnb.sources.shape_places import Part, any_of, made, number

NEVER, ALWAYS = sql.SQL("false"), sql.SQL("true")
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


class Malformed(ValueError):
    """A keyword whose value is not what JSON Schema asks for; the text says what was expected."""


def text(value: str) -> Part:
    """A text literal."""
    return made("{value}::text", value=sql.Literal(value))


def kind(x: Part) -> Part:
    """The JSON type of *x*."""
    return made("pg_catalog.jsonb_typeof({x})", x=x)


def holdable(value: Any) -> bool:
    """Whether jsonb can hold *value*: no NUL and no half of a surrogate pair in its texts."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str) and ("\0" in each or any("\ud800" <= character <= "\udfff" for character in each)):
            return False
        left += [*each.keys(), *each.values()] if isinstance(each, Mapping) else each if isinstance(each, list) else []
    return True


def document(value: Any) -> Part:
    """A jsonb literal; Malformed where *value* is no JSON."""
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Malformed("a value that JSON knows (in YAML a date is quoted)") from None
    return made("{value}::jsonb", value=sql.Literal(written))


def at_key(x: Part, key: str) -> Part:
    """The value of *key*, null where *x* is no object or lacks it."""
    return made("({x} -> {key})", x=x, key=text(key)) if holdable(key) else sql.SQL("null::jsonb")


def elements(x: Part) -> Part:
    """The elements of *x*, none where it is no array."""
    return made("pg_catalog.jsonb_array_elements(case when {kind} = 'array' then {x} else '[]'::jsonb end)", kind=kind(x), x=x)


def entries(x: Part) -> Part:
    """The keys and values of *x*, none where it is no object."""
    return made("pg_catalog.jsonb_each(case when {kind} = 'object' then {x} else '{{}}'::jsonb end)", kind=kind(x), x=x)


def matches(x: Part, pattern: str) -> Part:
    """Whether the text *x* matches an expression of Postgres."""
    return made('({x} collate pg_catalog."C" ~ {pattern})', x=x, pattern=text(pattern))


def when(x: Part, type_: str, broken: str, **parts: Part) -> Part:
    """*broken* where *x* is of that JSON type, false elsewhere; ``{number}`` and ``{text}`` in it are *x* as such."""
    as_number, as_text = made("({x})::pg_catalog.numeric", x=x), made("({x} #>> '{{}}')", x=x)
    inner = made(broken, x=x, number=as_number, text=as_text, **parts)
    return made("case when {kind} = {type} then {inner} else false end", kind=kind(x), type=sql.Literal(type_), inner=inner)


# What a keyword's value must be


def listed(value: Any) -> list[Any]:
    """A list."""
    if not isinstance(value, list | tuple):
        raise Malformed("a list")
    return list(value)


def names(value: Any) -> list[str]:
    """A list of texts."""
    if not all(isinstance(name, str) for name in listed(value)):
        raise Malformed("a list of names")
    return list(value)


def mapped(value: Any) -> dict[str, Any]:
    """A mapping from texts."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Malformed("a mapping from names")
    return dict(value)


def whole(value: Any) -> int:
    """A whole number from zero on; 2.0 is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value) or value < 0:
        raise Malformed("a whole number that is not negative")
    return min(int(value), 2**31 - 1)


def exact(value: Any) -> Part:
    """A number as numeric."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed("a number")
    return made("{value}::pg_catalog.numeric", value=sql.Literal(repr(value)))


# Keywords that speak of the value itself: their value → what breaks them


def broken_type(value: Any) -> Callable[[Part], Part]:
    """A value of none of the types; 1.0 is an integer."""
    asked = [value] if isinstance(value, str) else names(value)
    if not asked or (unknown := [name for name in asked if name not in TYPES]):
        raise Malformed(f"one of {', '.join(TYPES)}, or a list of them" + (f", not {unknown[0]}" if asked else ""))
    plain = sql.SQL(", ").join(sql.Literal(name) for name in asked if name != "integer")
    integer = "integer" in asked and "number" not in asked

    def broken(x: Part) -> Part:
        good = [made("{kind} in ({plain})", kind=kind(x), plain=plain)] if any(name != "integer" for name in asked) else []
        good += [when(x, "number", "{number} = pg_catalog.trunc({number})")] if integer else []
        return made("not {good}", good=any_of(good))

    return broken


def broken_enum(value: Any) -> Callable[[Part], Part]:
    """A value that is none of those listed; 1.0 is 1."""
    held = [document(entry) for entry in listed(value) if holdable(entry)]
    return (lambda x: made("{x} not in ({held})", x=x, held=sql.SQL(", ").join(held))) if held else lambda _: ALWAYS


def broken_format(value: Any) -> Callable[[Part], Part]:
    """A text that is not of the format."""
    if value not in FORMATS:
        raise Refused(f"the format {value} is not judged; {', '.join(FORMATS)} are")
    return lambda x: when(x, "string", "not {good}", good=matches(made("({x} #>> '{{}}')", x=x), FORMATS[value]))


def broken_pattern(value: Any) -> Callable[[Part], Part]:
    """A text that the pattern does not match."""
    if not isinstance(value, str):
        raise Malformed("a pattern in quotes")
    pattern = translated(value)
    return lambda x: when(x, "string", "not {good}", good=matches(made("({x} #>> '{{}}')", x=x), pattern))


def broken_multiple(value: Any) -> Callable[[Part], Part]:
    """A number that is no multiple."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise Malformed("a number over zero")
    factor = exact(value)
    return lambda x: when(x, "number", "{number} % {factor} <> 0", factor=factor)


def broken_unique(value: Any) -> Callable[[Part], Part]:
    """An array with one element twice."""
    if not isinstance(value, bool):
        raise Malformed("true or false")
    twice = "(select pg_catalog.count(*) <> pg_catalog.count(distinct each.value) from {elements} as each (value))"
    return (lambda x: when(x, "array", twice, elements=elements(x))) if value else lambda _: NEVER


def _bounded(type_: str, measure: str, sign: str, value: Callable[[Any], Part]) -> Callable[[Any], Callable[[Part], Part]]:
    def keyword(given: Any) -> Callable[[Part], Part]:
        bound = value(given)
        return lambda x: when(x, type_, f"{measure} {sign} {{bound}}", bound=bound)

    return keyword


def _counted(given: Any) -> Part:
    return number(whole(given))


_LENGTH, _ITEMS = "pg_catalog.char_length({text})", "pg_catalog.jsonb_array_length({x})"
_KEYS = "(select pg_catalog.count(*) from pg_catalog.jsonb_object_keys({x}))"
ASSERTIONS: dict[str, Callable[[Any], Callable[[Part], Part]]] = {
    "type": broken_type,
    "enum": broken_enum,
    "const": lambda value: broken_enum([value]),
    "format": broken_format,
    "pattern": broken_pattern,
    "multipleOf": broken_multiple,
    "uniqueItems": broken_unique,
    "minLength": _bounded("string", _LENGTH, "<", _counted),
    "maxLength": _bounded("string", _LENGTH, ">", _counted),
    "minimum": _bounded("number", "{number}", "<", exact),
    "maximum": _bounded("number", "{number}", ">", exact),
    "exclusiveMinimum": _bounded("number", "{number}", "<=", exact),
    "exclusiveMaximum": _bounded("number", "{number}", ">=", exact),
    "minItems": _bounded("array", _ITEMS, "<", _counted),
    "maxItems": _bounded("array", _ITEMS, ">", _counted),
    "minProperties": _bounded("object", _KEYS, "<", _counted),
    "maxProperties": _bounded("object", _KEYS, ">", _counted),
}
"""Keywords without subschemas."""
