"""A JSON Schema as SQL: the same verdict per document as the library, on a real server, whatever the schema and the document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import psycopg
import pytest
from clusters import bare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from opsnb.errors import UsageError
from opsnb.sources import shape_compile, shape_sql
from opsnb.sources.shape_patterns import FORMATS

# ------------------------------------------------------------------ schemas and documents that meet

KEYS = ("a", "b", "c", "odd key/~%", "é")
TEXTS = ("", "a", "ab", "abc", "é", "😀😀", "0", "12", "x y", "2024-02-29", "2023-02-29", "2026-01-17T22:04:05Z", "2026-01-17",
         "5e000000-0000-4000-8000-000000000001", "a@example.org", "it's", 'say "%s"', "back\\slash", "{}", "null")  # fmt: skip
PATTERNS = ("^a", "b$", "^[a-z]+$", "^.{2}$", "\\d", "^(?:a|é)*$", "^[^ ]*$", "^(?!a)", "\\.", "", "^\\w+@\\w+\\.org$", "😀")
NUMBERS = (0, 1, -1, 2, 3, 10, 1.0, 2.5, -0.5, 1e3)

scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS))
documents = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)), max_leaves=10
)
records = st.one_of(documents, st.dictionaries(st.sampled_from(KEYS), documents, max_size=5))
sizes = st.integers(0, 3)
types = st.sampled_from(("null", "boolean", "integer", "number", "string", "array", "object"))
keys = st.lists(st.sampled_from(KEYS), max_size=3, unique=True)

plain = st.fixed_dictionaries({}, optional={
    "type": st.one_of(types, st.lists(types, min_size=1, max_size=3, unique=True)), "enum": st.lists(documents, min_size=1, max_size=4),
    "const": documents, "minimum": st.sampled_from(NUMBERS), "maximum": st.sampled_from(NUMBERS),
    "exclusiveMinimum": st.sampled_from(NUMBERS), "exclusiveMaximum": st.sampled_from(NUMBERS), "multipleOf": st.sampled_from((1, 2, 0.5)),
    "minLength": sizes, "maxLength": sizes, "pattern": st.sampled_from(PATTERNS), "format": st.sampled_from(sorted(FORMATS)),
    "minItems": sizes, "maxItems": sizes, "uniqueItems": st.booleans(), "minProperties": sizes, "maxProperties": sizes, "required": keys,
    "dependentRequired": st.dictionaries(st.sampled_from(KEYS), keys, max_size=2), "title": st.text(max_size=3),
})  # fmt: skip


def few(strategy: st.SearchStrategy[dict[str, Any]], most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of at most *most* keywords: of more, hardly a document meets them all."""
    return st.tuples(strategy, st.randoms(use_true_random=False)).map(
        lambda drawn: {key: drawn[0][key] for key in drawn[1].sample(sorted(drawn[0]), min(most, len(drawn[0])))}
    )


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    applied = st.fixed_dictionaries({}, optional={
        "properties": named, "items": inner, "prefixItems": several, "additionalProperties": inner, "propertyNames": inner,
        "patternProperties": st.dictionaries(st.sampled_from(PATTERNS), inner, max_size=2), "contains": inner, "minContains": sizes,
        "maxContains": sizes, "allOf": several, "anyOf": several, "oneOf": several, "not": inner, "if": inner, "then": inner, "else": inner,
        "dependentSchemas": named, "$ref": st.sampled_from(("#/$defs/one", "#/$defs/two")),
    })  # fmt: skip
    return st.tuples(few(plain, 2), few(applied, 4)).map(lambda parts: {**parts[0], **parts[1]})


schemas = st.recursive(st.one_of(few(plain), st.booleans()), deeper, max_leaves=8)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    schema = draw(deeper(schemas))
    schema["$defs"] = {"one": draw(few(plain)), "two": draw(deeper(few(plain)).filter(lambda made: "$ref" not in json.dumps(made)))}
    return schema, draw(st.lists(records, min_size=12, max_size=25))


# ------------------------------------------------------------------ the library, and the SQL

formats = jsonschema.FormatChecker(formats=())


def _meant(expression: str) -> Callable[[object], bool]:
    known = re.compile(expression.replace("[:space:]", r"\s"))
    return lambda value: not isinstance(value, str) or bool(known.search(value))


for name in FORMATS:
    formats.checks(name)(_meant(FORMATS[name]))


def by_library(schema: Any, document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema, format_checker=formats).is_valid(document))


def by_sql(connection: psycopg.Connection[Any], schema: Any, among: list[Any]) -> dict[int, set[str]]:
    """The keywords each document breaks."""
    compiled = shape_sql.compile(schema)
    assert compiled.unsupported == ()
    asked = sql.SQL(
        "with records as materialized (select place as number, value from unnest({}::jsonb[]) with ordinality as given (value, place)),"
        " found as ({}) select number, rule, seen, broken from found"
    ).format(sql.Literal([json.dumps(document) for document in among]), compiled.query)
    broken: dict[int, set[str]] = {place: set() for place in range(len(among))}
    for number, rule, seen, count in connection.execute(asked):
        assert 0 <= count <= seen
        if count:
            broken[number - 1].add(compiled.rules[rule].keyword)
    return broken


@pytest.fixture(scope="module", params=(15, 18))
def server(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    with bare(request.param).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set jit = off")
        yield connection


SEEN = {"sound": 0, "broken": 0}
EXAMPLES = 50


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(pair=pairs())
def test_the_verdict_is_the_library_s(server: psycopg.Connection[Any], pair: tuple[Any, list[Any]]) -> None:
    """Per document: broken in SQL exactly where jsonschema finds it invalid; no document makes the statement raise."""
    schema, among = pair
    broken = by_sql(server, schema, among)
    for place, document in enumerate(among):
        valid = by_library(schema, document)
        SEEN["sound" if valid else "broken"] += 1
        assert (not broken[place]) == valid, (schema, document, broken[place])


def test_both_verdicts_were_met() -> None:
    """The comparison above is none if hardly a document is sound, or hardly one broken."""
    if not SEEN["sound"]:
        pytest.skip("runs after the comparison")
    assert SEEN["sound"] > 200 and SEEN["broken"] > 200


# ------------------------------------------------------------------ what is judged, named, refused


def counts(connection: psycopg.Connection[Any], schema: Any, document: Any) -> dict[str, int]:
    """Rule → how often *document* breaks it."""
    compiled = shape_sql.compile(schema)
    asked = sql.SQL(
        "with records as (select 1::bigint as number, {}::jsonb as value), found as ({}) select rule, broken from found"
    ).format(sql.Literal(json.dumps(document)), compiled.query)
    return {compiled.rules[rule].rule: count for rule, count in connection.execute(asked) if count}


def test_every_violation_is_counted_at_its_rule(server: psycopg.Connection[Any]) -> None:
    """One for each value that breaks a rule, under the pointer of the keyword; a key that is absent under its own."""
    entry = {
        "type": "object",
        "required": ["name", "code"],
        "additionalProperties": False,
        "properties": {"name": {"minLength": 2}, "code": {}},
    }
    schema = {"properties": {"list": {"items": {"$ref": "#/$defs/entry"}}}, "$defs": {"entry": entry}}
    document = {"list": [{"name": "x", "odd": 1, "odder": 2}, {"name": "y", "code": 1}, {"name": "zz", "code": 1}, 5]}
    assert counts(server, schema, document) == {
        "#/properties/list/items/$ref/type": 1,
        "#/properties/list/items/$ref/required/1": 1,
        "#/properties/list/items/$ref/additionalProperties": 2,
        "#/properties/list/items/$ref/properties/name/minLength": 2,
    }
    assert [rule.where for rule in shape_sql.compile(schema).rules] == [
        "list[]", "list[].name", "list[].code", "list[].*", "list[].name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "document", "broken"),
    [
        ({"type": "integer"}, 1.0, False),
        ({"type": "integer"}, 1.5, True),
        ({"type": "integer"}, True, True),
        ({"const": 1}, 1.0, False),
        ({"const": 1}, True, True),
        ({"enum": [[1, {"a": None}]]}, [1.0, {"a": None}], False),
        ({"enum": []}, None, True),
        ({"maxLength": 2}, "😀😀", False),
        ({"maxLength": 1}, "e\u0301", True),
        ({"required": ["a"]}, {"a": None}, False),
        ({"required": ["a\0b"]}, {"a": 1}, True),
        ({"properties": {"\ud800": False}}, {"a": 1}, False),
        ({"const": "a\0b"}, "a", True),
        ({"minimum": 10**40}, 10**40, False),
        ({"exclusiveMaximum": 1e300}, 1e300, True),
        ({"multipleOf": 0.1}, 0.3, False),
        ({"prefixItems": [{"type": "string"}]}, "scalars are no arrays", False),
        ({"prefixItems": [False]}, 5, False),
        ({"items": False, "prefixItems": [True]}, [1], False),
        ({"items": False, "prefixItems": [True]}, [1, 2], True),
        ({"uniqueItems": True}, [1, 1.0], True),
        ({"uniqueItems": True}, [1, True, "1", [1]], False),
        ({"contains": {"contains": {"const": 1}}}, [[2], [1]], False),
        ({"contains": {"contains": {"const": 1}}}, [[2], [3]], True),
        ({"properties": {"it's": {"const": 'a "quoted" %s {} \\ $$'}}}, {"it's": 'a "quoted" %s {} \\ $$'}, False),
        ({"then": False, "else": False, "minContains": 3}, [1], False),
        (False, {}, True),
        (True, None, False),
        ({"$ref": "#/$defs/a~1b%25"}, 1, True),
    ],
)  # fmt: skip
def test_the_edges(server: psycopg.Connection[Any], schema: Any, document: Any, broken: bool) -> None:
    """What JSON Schema says where Postgres, Python or a careless reading would say otherwise."""
    whole = {**schema, "$defs": {"a/b%": {"type": "string"}}} if isinstance(schema, dict) else schema
    assert bool(counts(server, whole, document)) is broken


def test_deep_and_long_documents_do_not_raise(server: psycopg.Connection[Any]) -> None:
    """A document of 800 levels and one with a number of 5,000 digits are judged like any other."""
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": [deep]}
    schema = {"type": "object", "properties": {"a": {"items": {"type": "integer"}}}, "uniqueItems": True}
    assert counts(server, schema, deep) == {"#/properties/a/items/type": 1}
    asked = sql.SQL("with records as (select 1::bigint as number, {}::jsonb as value), found as ({}) select sum(broken) from found").format(
        sql.Literal("9" * 5000), shape_sql.compile({"type": "integer", "multipleOf": 3, "maximum": 10}).query
    )
    row = server.execute(asked).fetchone()
    assert row is not None and row[0] == 1


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"unevaluatedProperties": False}, "#/unevaluatedProperties: the keyword unevaluatedProperties is not judged"),
        ({"requried": ["a"]}, "#/requried: the keyword requried is not judged"),
        (
            {"properties": {"a": {"format": "ipv4"}}},
            "#/properties/a/format: the format ipv4 is not judged; date, date-time, uuid, email are",
        ),
        ({"pattern": r"(a)\1"}, "#/pattern: the pattern has a back-reference"),
        ({"patternProperties": {r"\bx": {}}}, r"#/patternProperties: the pattern has \b"),
        ({"properties": {"a": {"$ref": "#"}}}, "#/properties/a/$ref: the reference leads back to itself, without end"),
        ({"$ref": "https://example.org/x"}, "#/$ref: a reference to anything but #/… in this schema is not followed"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "#/$schema: the schema names another draft and is read as 2020-12"),
        ({"properties": {"a": {"$id": "x"}}}, "#/properties/a/$id: references below an $id of its own are not followed"),
        ({"items": [{}]}, "#/items: a list of items is of an older draft; 2020-12 calls it prefixItems"),
    ],
)
def test_what_is_not_judged_is_named(schema: Any, named: str) -> None:
    """With the pointer and the reason; the rest of the schema is judged."""
    compiled = shape_sql.compile({**schema, "type": "object"})
    assert compiled.unsupported == (named,)
    assert [rule.keyword for rule in compiled.rules] == ["type"]
    assert list(compiled.table()["not_judged"] != "") == [False, True]


def test_a_rule_that_turns_on_something_not_judged_is_left_out_whole(server: psycopg.Connection[Any]) -> None:
    """`not` over a part nobody judged would call sound what is broken, or broken what is sound."""
    for keyword in ("not", "if", "contains"):
        compiled = shape_sql.compile({keyword: {"format": "ipv4"}, "then": False})
        assert compiled.rules == () and len(compiled.unsupported) == 1 and "turns on a part that is not judged" in compiled.unsupported[0]
    assert counts(server, {"anyOf": [{"format": "ipv4"}, False], "type": "string"}, 5) == {"#/type": 1}


def test_a_schema_that_unfolds_without_end_is_cut_and_says_so() -> None:
    """Not recursive, yet doubling with every reference."""
    definitions: dict[str, Any] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2, "minLength": n} for n in range(16)}
    compiled = shape_sql.compile({"$ref": "#/$defs/d0", "$defs": {**definitions, "d16": {"type": "string"}}})
    assert len(compiled.rules) <= shape_compile.MOST_RULES
    assert any("unfolds to more than" in named for named in compiled.unsupported)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"required": "name"}, "#/required: expected a list"),
        ({"properties": {"a": {"type": "text"}}}, "#/properties/a/type: expected one of null"),
        ({"minLength": -1}, "#/minLength: expected a whole number"),
        ({"minLength": True}, "#/minLength: expected a whole number"),
        ({"maximum": "10"}, "#/maximum: expected a number"),
        ({"multipleOf": 0}, "#/multipleOf: expected a number over zero"),
        ({"properties": {1: {}}}, "#/properties: expected a mapping"),
        ({"items": "string"}, "#/items: expected a schema"),
        ({"anyOf": []}, "#/anyOf: expected a list of at least one schema"),
        ({"$ref": "#/$defs/none"}, "#/$ref: expected a reference to a schema that is there"),
        ({"const": float("nan")}, "#/const: expected a value that JSON knows"),
        ("object", "#: expected a schema"),
    ],
)
def test_a_malformed_schema_is_the_operator_s_mistake(schema: Any, said: str) -> None:
    """It is told with its pointer, and asking with it gives Facts with that error, not an exception."""
    with pytest.raises(UsageError, match=re.escape(said)):
        shape_sql.compile(schema)
