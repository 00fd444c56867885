"""The JSON Schema of an answer, as a release declares it: read from a file beside the release, and refused where it would judge nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsnb.config.documents import Document, Mistake, dotted
from opsnb.config.mistakes import with_nearest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS = ("date", "date-time", "uuid")
"""The formats that are judged; any other would be taken for met by whatever stands there."""
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_BY_NAME = ("$defs", "dependentSchemas", "patternProperties", "properties")
_ONE = (
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems")
_COUNTS = ("maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength", "minProperties")
_NUMBERS = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")
_NAMES = ("required",)
_OTHERS = ("$ref", "const", "dependentRequired", "enum", "format", "pattern", "type", "uniqueItems")
_NOTES = ("$comment", "$schema", "default", "deprecated", "description", "examples", "title")
_KEYWORDS = (*_BY_NAME, *_ONE, *_SEVERAL, *_COUNTS, *_NUMBERS, *_NAMES, *_OTHERS, *_NOTES)


def wrong_schema(schema: Any) -> str | None:
    """What was expected of *schema*, where it is none that can be judged; None where it is one.

    JSON Schema lets pass what it does not know: a misspelt keyword, a format nobody checks. Here each of them is a mistake.
    """
    if not isinstance(schema, dict) or not schema:
        return "a JSON Schema (keys and values), or the name of a .json file beside the release"
    if schema.get("$schema", DIALECT) != DIALECT:
        return f"a JSON Schema of the draft 2020-12 ({DIALECT})"
    return next(_mistakes(schema, "", schema), None)


def with_files(document: Document, folder: Path) -> list[Mistake]:
    """Puts the contents of the files beside the release into *document*, where a function's response names one."""
    mistakes = []
    functions = document.data.get("functions")
    for slug, said in functions.items() if isinstance(functions, dict) else ():
        response = said.get("response") if isinstance(said, dict) else None
        name = response.get("json_schema") if isinstance(response, dict) else None
        if not isinstance(response, dict) or not isinstance(name, str):
            continue
        place = ("functions", str(slug), "response", "json_schema")
        try:
            response["json_schema"] = _read(folder, name)
        except ValueError as error:
            response.pop("json_schema")
            mistakes.append(Mistake(document.file, document.line(place), dotted(place), "", str(error)))
    return mistakes


def _read(folder: Path, name: str) -> Any:
    """The schema in the file *name* of *folder*; ValueError with what was expected."""
    if "/" in name or "\\" in name or not name.endswith(".json"):
        raise ValueError("the name of a .json file in the release's own folder")
    try:
        read = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"a file that can be read beside the release; {name} cannot ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise ValueError(f"JSON in UTF-8; {name} is none") from None
    if not isinstance(read, dict):
        raise ValueError(f"a JSON object; {name} holds something else")  # noqa: TRY004 - what a mistake in a file is
    return read


def _mistakes(schema: Any, where: str, whole: dict[str, Any]) -> Iterator[str]:
    at = where or "at its top"
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"keys and values (or true, false) {at}"
        return
    for keyword, value in schema.items():
        if keyword not in _KEYWORDS:
            yield f"a keyword of JSON Schema {at}; {with_nearest(str(keyword), _KEYWORDS)} is none that is judged"
        elif keyword in _BY_NAME and not isinstance(value, dict):
            yield f"keys and values for {keyword} {at}"
        elif keyword in _SEVERAL and not (isinstance(value, list) and value):
            yield f"a list of schemas for {keyword} {at}"
        elif expected := _expected(keyword, value, whole):
            yield f"{expected} for {keyword} {at}"
        for inside, below in _below(keyword, value):
            yield from _mistakes(below, f"{where}/{inside}", whole)


def _below(keyword: str, value: Any) -> Iterator[tuple[str, Any]]:
    if keyword in _BY_NAME and isinstance(value, dict):
        yield from ((f"{keyword}/{name}", below) for name, below in value.items())
    elif keyword in _ONE:
        yield keyword, value
    elif keyword in _SEVERAL and isinstance(value, list):
        yield from ((f"{keyword}/{number}", below) for number, below in enumerate(value))


def _expected(keyword: str, value: Any, whole: dict[str, Any]) -> str:
    """What was expected as the value of *keyword*; '' where it is good."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if keyword in _COUNTS and not (isinstance(value, int) and number and value >= 0):
        return "a whole number of at least 0"
    if keyword in _NUMBERS and not (number and (keyword != "multipleOf" or value > 0)):
        return "a number"
    if keyword in _NAMES and not texts:
        return "a list of names"
    if keyword == "type" and not (value in TYPES if isinstance(value, str) else texts and value and set(value) <= set(TYPES)):
        return f"one or more of {', '.join(TYPES)}"
    if keyword == "enum" and not (isinstance(value, list) and value):
        return "a list of values"
    if keyword == "format" and value not in FORMATS:
        return f"one of {', '.join(FORMATS)}"
    if keyword == "pattern" and not _compiles(value):
        return "a regular expression"
    if keyword == "patternProperties" and not all(map(_compiles, value)):
        return "regular expressions"
    if keyword == "uniqueItems" and not isinstance(value, bool):
        return "true or false"
    if keyword == "dependentRequired" and not (isinstance(value, dict) and all(isinstance(each, list) for each in value.values())):
        return "lists of names by name"
    if keyword == "$ref" and not _leads_somewhere(value, whole):
        return "a place of this schema that is there, such as #/$defs/name,"
    return ""


def _compiles(pattern: Any) -> bool:
    try:
        re.compile(pattern)
    except (re.error, TypeError):
        return False
    return True


def _leads_somewhere(reference: Any, whole: dict[str, Any]) -> bool:
    """Whether *reference* is a place in the schema itself: nothing is fetched."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return False
    here: Any = whole
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(here, dict) or name not in here:
            return False
        here = here[name]
    return isinstance(here, dict | bool)
