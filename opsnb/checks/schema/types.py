"""Whether two spellings mean the same type, and two lists of arguments the same signature."""

from __future__ import annotations

import re
from collections.abc import Sequence

# the spellings people use for what format_type() calls otherwise
_NAMES = {
    "bool": "boolean", "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "serial": "integer", "serial4": "integer",
    "bigserial": "bigint", "serial8": "bigint", "smallserial": "smallint", "serial2": "smallint",
    "float8": "double precision", "float4": "real", "float": "double precision", "decimal": "numeric", "dec": "numeric",
    "varchar": "character varying", "char varying": "character varying", "national character varying": "character varying",
    "nchar varying": "character varying", "char": "character", "bpchar": "character", "nchar": "character",
    "national character": "character", "national char": "character", "varbit": "bit varying",
    "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
    "timetz": "time with time zone", "time": "time without time zone",
}  # fmt: skip
_ONE = frozenset({"character", "bit"})
"""Without a length they have the length 1."""
_TYPE = re.compile(
    r"(?P<base>(?:\"(?:[^\"]|\"\")+\"|[^\"(\[])+?)\s*(?P<size>\([^)]*\))?\s*(?P<rest>(?:with|without)\s+time\s+zone|varying(?:\s*\([^)]*\))?)?"
    r"\s*(?P<array>(?:\[\d*\]\s*)*|array(?:\s*\[\d*\])?)",
    re.IGNORECASE,
)
_MODES = frozenset({"in", "out", "inout", "variadic"})


def same_type(one: str, other: str) -> bool:
    """Whether two type names mean the same type: ``timestamptz`` and ``timestamp with time zone``, ``int[]`` and ``integer array``.

    A type named without a schema is the type of that name wherever it is: format_type() leaves out a schema that is on the path.
    """
    (schema, name), (other_schema, other_name) = _type(one), _type(other)
    return name == other_name and (not schema or not other_schema or schema == other_schema)


def _type(text: str) -> tuple[str, str]:
    """Schema ('' where none is said) and the name as format_type() writes it."""
    words = " ".join(text.split())
    if words.lower().startswith("setof "):
        schema, name = _type(words[6:])
        return schema, f"setof {name}"
    if words.lower().startswith("table(") or words.lower().startswith("table ("):
        inside = words[words.index("(") + 1 : words.rindex(")") if ")" in words else len(words)]
        return "", "table(" + ", ".join(_column(part) for part in split_arguments(inside)) + ")"
    matched = _TYPE.fullmatch(words)
    if matched is None:
        return "", words
    schema, base = _qualified(matched["base"].strip())
    size, rest = re.sub(r"\s", "", matched["size"] or "").lower(), " ".join((matched["rest"] or "").lower().split())
    if rest.startswith("varying"):  # character varying(10): the size comes last
        base, size, rest = f"{base} varying", re.sub(r"\s", "", rest[7:]), ""
    if base == "float" and size:
        base, size = ("real" if int(size.strip("()") or 0) < 25 else "double precision"), ""
    if rest and base in ("timestamp", "time"):
        base = f"{base} {rest}"
    base = _NAMES.get(base, base)
    if matched["base"].strip().lower() == "bpchar" and not size:
        base = "bpchar"  # as long as one likes
    if base in _ONE and not size:
        size = "(1)"
    if base == "numeric" and re.fullmatch(r"\(\d+\)", size):
        size = size[:-1] + ",0)"
    kind, _, zone = base.partition(" ") if base.startswith("time") else (base, "", "")
    brackets = "[]" if matched["array"] else ""
    return schema, f"{kind}{size}{' ' + zone if zone else ''}{brackets}"


def _qualified(base: str) -> tuple[str, str]:
    parts = [part for part in re.findall(r"\"(?:[^\"]|\"\")+\"|[^.\"]+", base) if part != "."]
    folded = [part[1:-1].replace('""', '"') if part.startswith('"') else part.strip().lower() for part in parts]
    if parts[-1] == '"char"':
        folded[-1] = '"char"'  # a type of its own, one byte long
    schema = folded[-2] if len(folded) > 1 else ""
    return ("" if schema == "pg_catalog" else schema), folded[-1] if folded else base


def _column(text: str) -> str:
    name, _, type_ = text.strip().partition(" ")
    return f"{name.lower()} {_type(type_)[1]}"


def split_arguments(text: str) -> list[str]:
    """The parts of a list of arguments: commas inside parentheses and quotes do not part them."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
            if letter == "," and not depth:
                parts.append(text[start:place].strip())
                start = place + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def same_arguments(actual: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether two lists of arguments (types, names with types, modes, defaults) are of the same signature; OUT ones are none of it."""
    one, other = ([part for text in texts if (part := _argument(text)) is not None] for texts in (actual, expected))
    return len(one) == len(other) and all(map(_same_argument, one, other))


def _argument(text: str) -> str | None:
    """An argument without its mode and default; None for one that is only given back."""
    words = re.split(r"\s+default\s+|\s*:?=\s*", text.strip(), maxsplit=1, flags=re.IGNORECASE)[0].split()
    if words and words[0].lower() in _MODES and len(words) > 1:
        if words[0].lower() == "out":
            return None
        words = words[1:]
    return " ".join(words)


def _same_argument(actual: str, expected: str) -> bool:
    if same_type(actual, expected):
        return True
    (name, _, type_), (wanted, _, wanted_type) = actual.partition(" "), expected.partition(" ")
    if type_ and name.strip('"').lower() == wanted.strip('"').lower() and same_type(type_, wanted_type):
        return True
    return bool(type_) and same_type(type_, expected)
