"""An expression read by its shape says what it says when it is read by itself."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.checks.lint.database import Column, Database
from opsnb.checks.lint.said import Readings, _shape

TABLE = ("public", "notes")
COLUMNS = {
    name: Column(name, "text", False, False, False, (), ("authenticated",), ("authenticated",))
    for name in ("owner", "status", "a b", "pages")
}
DATABASE = Database([], {}, {TABLE: COLUMNS}, {})
SIDES = st.sampled_from(
    ["owner", "status", '"a b"', "pages", "auth.uid()", "( SELECT auth.uid() AS uid)", "'a'::text", "'b'::text", "7", "8", "lower(status)",
     "(auth.jwt() ->> 'sub'::text)", "((auth.jwt() -> 'app_metadata'::text) ->> 'org'::text)", "notes.owner", "NULL::text"]
)  # fmt: skip
LEAVES = st.one_of(
    st.tuples(SIDES, st.sampled_from(["=", "<>", ">=", "<", "IS DISTINCT FROM"]), SIDES).map(" ".join),
    st.tuples(SIDES, st.sampled_from(["IS NULL", "IS NOT NULL", "= ANY (ARRAY['a'::text, 'c'::text])"])).map(" ".join),
    st.sampled_from(["true", "false", "(auth.role() = 'service_role'::text)"]),
).map("({})".format)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map("(NOT {})".format),
        st.tuples(inner, inner).map(lambda parts: f"COALESCE({', '.join(parts)})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(text=EXPRESSIONS)
def test_a_shape_says_the_same(text: str) -> None:
    by_shape, by_itself = Readings(DATABASE)(TABLE, text), Readings(DATABASE)._judged(TABLE, text)
    for field in dataclasses.fields(by_itself):
        if field.name != "tree":
            one, other = getattr(by_shape, field.name), getattr(by_itself, field.name)
            assert (sorted(one) == sorted(other)) if isinstance(one, tuple) else (one == other), (field.name, text)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("(owner = auth.uid())", "(status = auth.uid())", True),
        ("(status = 'a'::text)", "(owner = 'b'::text)", True),
        ("((status = 'a'::text) OR (status <> 'a'::text))", "((status = 'a'::text) OR (status <> 'b'::text))", False),
        ("(pages >= 3) OR (pages < 3)", "(pages >= 3) OR (pages < 4)", False),
        ("((auth.jwt() ->> 'aud'::text) = 'a'::text)", "((auth.jwt() ->> 'sub'::text) = 'a'::text)", False),
        ("(owner = status)", "(owner = owner)", False),
    ],
)
def test_what_is_one_shape(one: str, other: str, alike: bool) -> None:
    assert (_shape(one, COLUMNS)[0] == _shape(other, COLUMNS)[0]) is alike
