"""An answer against the JSON Schema its release declares: where it differs and what was expected, never what stands there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

AT_MOST = 8
"""Differences told of one answer: the first few say what is wrong with the others."""
_BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of", "minLength": "characters, at least", "maxLength": "characters, at most",
    "minItems": "entries, at least", "maxItems": "entries, at most", "minProperties": "fields, at least",
    "maxProperties": "fields, at most", "format": "the format", "pattern": "text that matches",
}  # fmt: skip
_SENTENCES = {
    "additionalProperties": "no field that is not declared", "unevaluatedProperties": "no field that is not declared",
    "unevaluatedItems": "no entry that is not declared", "propertyNames": "names as declared", "uniqueItems": "no entry twice",
    "contains": "an entry as declared", "anyOf": "one of the declared alternatives", "oneOf": "exactly one of the declared alternatives",
    "not": "none of what is excluded", "dependentRequired": "the fields that belong together",
}  # fmt: skip
_FORMATS: dict[str, tuple[re.Pattern[str], Callable[[str], object]]] = {
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), date.fromisoformat),
    "date-time": (re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)"), datetime.fromisoformat),
    "uuid": (re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), str),
}
"""How each format is written, and who knows whether there is such a day or moment."""


def differences(answer: Any, schema: Mapping[str, Any]) -> list[str]:
    """Where *answer* is not what *schema* declares, as ``path: expectation``; empty where it is.

    Paths hold only names the schema declares, and no number of an entry: any other name in an answer may be a person's.
    """
    # the package builds a grammar for a second, of a format that no schema here may name
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jsonschema import Draft202012Validator, FormatChecker  # not for whoever probes nothing
    from referencing import Registry

    formats = FormatChecker(formats=())
    for name, (pattern, reader) in _FORMATS.items():
        formats.checks(name)(_reads(pattern, reader))
    # an empty registry: a reference to elsewhere is an error, and nothing is fetched
    validator = Draft202012Validator(dict(schema), registry=Registry(), format_checker=formats)
    known = frozenset(_declared(schema))
    told: dict[str, None] = {}
    for error in validator.iter_errors(answer):
        told.update(dict.fromkeys(f"{_path(error, known)}: expected {expected}" for expected in _expectations(error)))
    return sorted(told)


def answered_at_all(answer: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether *answer* has a single field the schema declares; where it declares none, any answer will do."""
    declared = {*schema.get("properties", {}), *schema.get("required", ())}
    return not declared or any(name in declared for name in answer)


def _reads(pattern: re.Pattern[str], reader: Callable[[str], object]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, str):
            return True  # of another type, which is another keyword's
        if not pattern.fullmatch(value):
            return False
        try:
            reader(value)
        except ValueError:
            return False
        return True

    return check


def _expectations(error: ValidationError) -> Iterator[str]:
    keyword = str(error.validator)
    expected: Any = error.validator_value
    there: Any = error.instance
    if keyword == "required":
        yield from (f"a field {name}" for name in expected if name not in there)
    elif keyword == "type":
        yield expected if isinstance(expected, str) else " or ".join(expected)
    elif keyword == "const":
        yield _shown(expected)
    elif keyword == "enum":
        yield "one of " + ", ".join(map(_shown, expected))
    elif keyword in _BOUNDS:
        yield f"{_BOUNDS[keyword]} {expected}"
    else:
        yield _SENTENCES.get(keyword, f"what {keyword} declares")


def _shown(value: Any) -> str:
    """A value of the release: it wrote it down itself."""
    return {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)


def _path(error: ValidationError, known: frozenset[str]) -> str:
    parts = ("[*]" if isinstance(part, int) else f".{part}" if part in known else ".*" for part in error.absolute_path)
    return "$" + "".join(parts)


def _declared(schema: Any) -> Iterator[str]:
    """The names of fields that *schema* writes down, anywhere."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            yield from map(str, properties)
        for below in schema.values():
            yield from _declared(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from _declared(below)
