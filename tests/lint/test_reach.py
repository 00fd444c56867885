"""How far an expression reaches, read from its tree, and what is true whatever a row holds."""

from __future__ import annotations

import pytest

from opsnb.checks.lint import trees
from opsnb.checks.lint.reach import Reach, reach
from opsnb.checks.lint.tautology import is_tautology


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(1 = 1)", Reach.EVERYONE),
        ("(id = id)", Reach.EVERYONE),
        ("(NOT false)", Reach.EVERYONE),
        ("( SELECT true AS bool)", Reach.EVERYONE),
        ("COALESCE((user_id = 1), true)", Reach.EVERYONE),
        ("CASE WHEN true THEN true ELSE false END", Reach.EVERYONE),
        ("(( SELECT (auth.jwt() ->> 'sub'::text)) IS NOT NULL)", Reach.LOGIN),
        ("(current_setting('request.jwt.claims'::text, true) IS NOT NULL)", Reach.LOGIN),
        ("(( SELECT auth.role() AS role) = ANY (ARRAY['authenticated'::text, 'anon'::text]))", Reach.LOGIN),
        ("(CURRENT_USER = 'authenticated'::name)", Reach.LOGIN),
        ("((auth.uid() IS NOT NULL) OR (user_id = app.me()))", Reach.LOGIN),
        ("(deleted_at IS NULL)", Reach.SOME_ROWS),
        ("(EXISTS ( SELECT 1 FROM users u WHERE ((u.role = 'admin'::text) AND (u.uid = ( SELECT auth.uid() AS uid)))))", Reach.CALLER),
        ("(EXISTS ( SELECT 1 FROM users u WHERE ((u.id = records.user_id) AND (u.uid = ( SELECT auth.uid() AS uid)))))", Reach.OWN),
        ("(user_id IN ( SELECT a.patient_id FROM appointments a WHERE (a.provider_id = app.me())))", Reach.OWN),
        ("(app.me() = user_id)", Reach.OWN),
        ("(EXISTS ( SELECT 1 FROM notes n WHERE (n.id = parts.note_id)))", Reach.OWN),
        ("((deleted_at IS NULL) AND (user_id = auth.uid()))", Reach.OWN),
        ("false", Reach.OWN),
        ("((", Reach.UNKNOWN),
    ],
)
def test_reach(expression: str, expected: Reach) -> None:
    """Expressions as pg_get_expr prints them are read by their tree, not by their text."""
    assert reach(expression) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a = 1 or a <> 1", True),
        ("a >= 3 or 3 > a", True),
        ("(status = ANY (ARRAY['a'::text, 'b'::text])) OR (status <> ALL (ARRAY['a'::text, 'b'::text]))", True),
        ("a is null or a is not null", True),
        ("not (a = 1 and a <> 1)", True),
        ("length(a) >= 0", True),
        ("case when a = 1 then true else b = b end", True),
        ("(s = 'a') or (s <> 'a' and b = 1) or not (b = 1)", True),
        ("a = 1 or a = 2", False),
        ("a = 1 or b <> 1", False),
        ("(status = ANY (ARRAY['a'::text])) OR (status <> ALL (ARRAY['b'::text]))", False),
        ("a >= 3 or a <= 3 and b", False),
        ("case when a = 1 then true else b = c end", False),
    ],
)
def test_tautologies(expression: str, expected: bool) -> None:
    """Every way the parts can fall is tried, whatever their arrangement."""
    tree = trees.expression(expression)
    assert tree is not None
    assert is_tautology(tree) is expected
