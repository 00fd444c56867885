"""What is wrong in a parameter file, as sentences: place, value where it may be shown, expectation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from opsnb.config.documents import Document, Mistake, Place, dotted
from opsnb.config.references import EXPECTED

_EXPECTED = {
    "missing": "a value; this key is required",
    "string_type": "text (a number, a date or true and false need quotes to be text)",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "model_type": "keys and values",
    "dict_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
}
_MAY_BE_A_REFERENCE = ("reference", "text", "url")  # what stands there instead may be the secret itself
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_COMPARED = {"gt": "greater than", "ge": "of at least", "lt": "less than", "le": "of at most"}

# What credentials look like. A private key, a token of a known kind, a URL with a password in it.
_SECRET = re.compile(
    r"-----BEGIN|\beyJ[\w-]{8,}\.|\b(?:sbp|sb_secret|gh[opsu]|github_pat|glpat|xox[abprs])[_-]\w{6,}|\b[sr]k_(?:live|test)_\w{6,}|\bsk-[\w-]{20,}"
    r"|\bA[KS]IA[A-Z0-9]{12,}|\bAIza[\w-]{20,}|://[^\s/:@]*:[^\s/@]+@|\bpassword\s*=\s*\S"
)
_SECRET_KEY = re.compile(r"secret|password|passwd|token|credential|(?:^|_)(?:key|dsn|pwd)$", re.IGNORECASE)
# A wrong value is shown only when it is short and plain ...
_PLAIN = re.compile(r"[A-Za-z0-9_. /%\[\]()-]{0,24}")
# ... and no mixture of letters and digits as passwords are.
_MIXED = re.compile(r"(?=\S*[A-Za-z])(?=\S*[0-9])[A-Za-z0-9_./%\[\]()-]{8,}")


def mistakes_of(error: ValidationError, model: type[BaseModel], document: Document, *, at: Place = ()) -> Iterator[Mistake]:
    """Every mistake *error* tells of, for what of *document* stands below *at*."""
    for each in error.errors(include_url=False):
        yield _mistake(each["type"], (*at, *each["loc"]), str(each["msg"]), each.get("ctx", {}), model, document, len(at))


def unknown_key(place: Place, known: Sequence[str], document: Document) -> Mistake:
    """The mistake of a key that stands at *place*, where only *known* ones may."""
    name = str(place[-1])
    expected = f"a known key; {with_nearest(name, known)} is none" + ("" if nearest(name, known) else f". There are: {', '.join(known)}")
    if is_secret(name):
        expected = "a known key"
    return Mistake(document.file, document.line(place), dotted((*place[:-1], shown_key(name))), "", expected)


def literal_secrets(document: Document, already: Collection[str]) -> Iterator[Mistake]:
    """Every value that looks like a credential, wherever it stands but at the keys told of *already*."""
    for place in document.lines:
        value = document.value(place) if document.known_part(place) == place else None
        if isinstance(value, str) and is_secret(value) and _shown(place) not in already:
            yield Mistake(document.file, document.line(place), _shown(place), "", f"{EXPECTED}; this looks like a credential")


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name most like *name*; '' where none is."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.5)
    return by_lower[near[0]] if near else ""


def with_nearest(name: str, known: Sequence[str]) -> str:
    """*name* as typed, with the nearest known one where there is one."""
    near = nearest(name, known)
    return f"{name!r} (did you mean {near}?)" if near else repr(name)


def is_secret(text: str) -> bool:
    """Whether *text* has the form of a credential."""
    return bool(_SECRET.search(text))


def shown_key(name: str) -> str:
    """A key as it may be shown."""
    return "…" if is_secret(name) else name


def shown_value(value: object, key: str = "") -> str:
    """A wrong value as far as it may be shown; '' where it might be a secret."""
    if _SECRET_KEY.search(key):
        return ""
    if isinstance(value, bool | int | float):
        return repr(value) if len(repr(value)) <= 8 else ""  # longer ones are telephone numbers, codes and the like
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and not _MIXED.search(value) and not is_secret(value)
    return repr(value) if plain else ""


def _mistake(
    kind: str, loc: Place, message: str, context: Mapping[str, Any], model: type[BaseModel], document: Document, skipped: int
) -> Mistake:
    place = document.known_part(loc)
    if kind == "extra_forbidden":
        return unknown_key(loc, _keys_at(model, loc[skipped:-1]), document)
    if loc and loc[-1] == "[key]" and kind != "literal_error":
        return Mistake(document.file, document.line(place), _shown(place), "", "a key that is text; put it in quotes")
    if loc and loc[-1] == "[key]":
        known = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        return unknown_key(place, known, document)
    if kind == "missing":
        return Mistake(document.file, document.line(loc), _shown(loc), "", _EXPECTED[kind])
    value = document.value(place)
    shown = "" if kind in _MAY_BE_A_REFERENCE else shown_value(value, str(place[-1]) if place else "")
    return Mistake(document.file, document.line(place), _shown(place or loc), shown, _expectation(kind, message, context, value))


def _expectation(kind: str, message: str, context: Mapping[str, Any], value: object) -> str:
    if kind in _BOUNDS:
        bound = _BOUNDS[kind]
        return f"a number {_COMPARED[bound]} {context[bound]:g}"
    if kind == "literal_error":
        expected = str(context["expected"])
        near = nearest(value, re.findall(r"'([^']+)'", expected)) if isinstance(value, str) and shown_value(value) else ""
        return expected + (f" (did you mean {near}?)" if near else "")
    return _EXPECTED.get(kind, message.removeprefix("Value error, ").removeprefix("Input should be "))


def _shown(place: Place) -> str:
    return dotted(tuple(shown_key(part) if isinstance(part, str) else part for part in place))


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys *model* knows at *place*. `name` is no key of a file: the file's own name is meant."""
    found: Any = model
    for part in place:
        found = _entered(found, part)
    fields = _not_none(found).model_fields.items()
    return [field.alias or name for name, field in fields if place or name != "name"]


def _entered(annotation: Any, part: str | int) -> Any:
    """The annotation of what stands at *part* of a model, a mapping or a list."""
    annotation = _not_none(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return next(field.annotation for name, field in annotation.model_fields.items() if (field.alias or name) == part)
    return [each for each in get_args(annotation) if each is not Ellipsis][-1]


def _not_none(annotation: Any) -> Any:
    arguments = get_args(annotation)
    return next(each for each in arguments if each is not type(None)) if type(None) in arguments else annotation
