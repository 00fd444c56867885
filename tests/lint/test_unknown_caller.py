"""Three-valued logic without an identity: what is open is told, what is not is not, and Postgres agrees."""

from __future__ import annotations

import psycopg
import pytest
from clusters import bare
from hypothesis import given, settings
from hypothesis import strategies as st

from opsnb.checks.lint import trees
from opsnb.checks.lint.unknown_caller import Known, lets_in, outcomes

OPEN = [
    "(auth.uid() IS NULL) OR (owner = auth.uid())",
    "(( SELECT auth.uid() AS uid) IS NULL)",
    "(( SELECT auth.uid() AS uid) IS NULL) OR (owner_id = ( SELECT auth.uid() AS uid))",
    "COALESCE((auth.uid() = owner), true)",
    "(owner = auth.uid()) IS NOT FALSE",
    "(owner = auth.uid()) IS NOT TRUE",
    "NOT ((owner = auth.uid()) IS TRUE)",
    "COALESCE((auth.jwt() ->> 'role'::text), 'admin'::text) = 'admin'::text",
    "(auth.jwt() ->> 'role'::text) IS DISTINCT FROM 'banned'::text",
    "CASE WHEN (auth.uid() IS NULL) THEN true ELSE (owner = auth.uid()) END",
    "CASE WHEN (owner = auth.uid()) THEN true ELSE true END",
    "(current_setting('request.jwt.claims'::text, true) IS NULL)",
    "NOT (EXISTS ( SELECT 1 FROM banned b WHERE (b.uid = auth.uid())))",
    "(owner = auth.uid()) OR (NOT (auth.uid() IS NOT NULL))",
    "((auth.jwt() -> 'app_metadata'::text) ->> 'tenant'::text) IS NULL",
    "(NULLIF(current_setting('request.jwt.claim.sub'::text, true), ''::text))::uuid IS NULL",
    "true",
    "(status = 'a'::text) OR true",
    "NOT false",
]
BY_HELPER = [
    "(( SELECT private.caller_id() AS caller_id) IS NULL) OR (patient_id = ( SELECT private.caller_id() AS caller_id))",
    "COALESCE((private.my_tenant() = tenant_id), true)",
    "(app.current_user_id() = owner) IS NOT FALSE",
]
CLOSED = [
    "owner = auth.uid()",
    "(owner_id = ( SELECT auth.uid() AS uid))",
    "NOT (auth.uid() <> owner)",
    "(auth.uid() IS NOT NULL)",
    "owner IS NULL OR owner = auth.uid()",
    "NOT (owner IS DISTINCT FROM auth.uid())",
    "EXISTS ( SELECT 1 FROM m WHERE (m.uid = auth.uid()))",
    "COALESCE((auth.uid() = owner), false)",
    "(auth.uid() IS NULL) AND (owner = auth.uid())",
    "CASE WHEN (auth.uid() IS NULL) THEN false ELSE (owner = auth.uid()) END",
    "(owner = auth.uid()) IS TRUE",
    "COALESCE((auth.jwt() ->> 'role'::text), 'nobody'::text) = 'admin'::text",
    "(auth.jwt() ->> 'role'::text) = ANY (ARRAY['admin'::text, 'owner'::text])",
    "owner IN ( SELECT m.id FROM members m WHERE (m.uid = auth.uid()))",
    "(patient_id = ( SELECT private.caller_id() AS caller_id)) OR (provider_id = ( SELECT private.caller_id() AS caller_id))",
    "(( SELECT private.caller_id() AS caller_id) IS NOT NULL)",
    "(( SELECT private.trusted_token() AS trusted_token))",
    "(status = 'public'::text) OR (owner = auth.uid())",
    "(auth.role() = 'service_role'::text)",
    "false",
    "this is no expression (",
]


@pytest.mark.parametrize("expression", OPEN)
def test_what_is_open_to_a_caller_without_identity(expression: str) -> None:
    assert lets_in(expression) is Known.OPEN


@pytest.mark.parametrize("expression", BY_HELPER)
def test_what_is_open_by_a_helper_that_answers_null(expression: str) -> None:
    assert lets_in(expression) is Known.BY_HELPER


@pytest.mark.parametrize("expression", CLOSED)
def test_what_keeps_such_a_caller_out_is_quiet(expression: str) -> None:
    assert lets_in(expression) is Known.NO


UID, COLUMN = "auth.uid()", "owner"
SIDES = st.sampled_from([UID, COLUMN, "'a'::text", "'b'::text", "null", f"coalesce({UID}, 'a'::text)", f"nullif({UID}, 'a'::text)"])
LEAVES = st.one_of(
    st.tuples(SIDES, st.sampled_from(["=", "<>", "is distinct from", "is not distinct from"]), SIDES).map(" ".join),
    st.tuples(SIDES, st.sampled_from(["is null", "is not null", "in ('a', 'c')", "not in ('a', 'c')"])).map(" ".join),
    st.sampled_from(["true", "false", "null::boolean"]),
)
EXPRESSIONS = st.recursive(
    LEAVES.map("({})".format),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map("(not {})".format),
        st.tuples(inner, st.sampled_from(["is true", "is not true", "is false", "is not false", "is null", "is not null"])).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(inner, inner).map(lambda parts: f"coalesce({', '.join(parts)})"),
        st.tuples(inner, inner, inner).map(lambda parts: "(case when {} then {} else {} end)".format(*parts)),
    ),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None)
@given(batch=st.lists(EXPRESSIONS, min_size=20, max_size=40))
def test_postgres_never_contradicts(batch: list[str]) -> None:
    """Whatever a row holds, Postgres' own answer without an identity is among those the evaluation allows."""
    values = ", ".join(f"({text.replace(UID, 'null::text')})" for text in batch)
    with psycopg.connect(bare(18).dsn("postgres")) as connection:
        rows = connection.execute(f"select array[{values}] from (values ('a'), ('b'), (null)) as t (owner)".encode()).fetchall()
    for place, text in enumerate(batch):
        tree = trees.expression(text)
        assert tree is not None, text
        allowed = outcomes(tree)
        for (row,) in rows:
            assert row[place] in allowed, text
