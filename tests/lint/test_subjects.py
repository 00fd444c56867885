"""Faults of a policy's expression: found however they are written, and quiet where it is sound."""

from __future__ import annotations

import pytest

from opsnb.checks.lint.subjects import faults

UUID, EDITED = "subject-cast", "editable-claim"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("(owner = auth.uid())", UUID),
        ("(owner = ( SELECT auth.uid() AS uid))", UUID),
        ("((( SELECT auth.jwt() AS jwt) ->> 'sub'::text))::uuid = owner", UUID),
        ("(((current_setting('request.jwt.claims'::text, true))::jsonb ->> 'sub'::text))::uuid = owner", UUID),
        ("EXISTS ( SELECT 1 FROM members m WHERE ((m.id = auth.uid()) AND (m.role = 'admin'::text)))", UUID),
        ("(((auth.jwt() -> 'user_metadata'::text) ->> 'role'::text) = 'admin'::text)", EDITED),
        ("((auth.jwt() #>> '{user_metadata,role}'::text[]) = 'admin'::text)", EDITED),
        ("(( SELECT u.raw_user_meta_data FROM auth.users u) ->> 'role'::text) = 'admin'::text", EDITED),
    ],
)
def test_faults_are_found(expression: str, found: str) -> None:
    told = faults(expression, subject_is_uuid=False)
    assert [rule for rule, _ in told] == [found]


@pytest.mark.parametrize(
    "expression",
    [
        "(owner = (auth.jwt() ->> 'sub'::text))",
        "(owner_id = ( SELECT private.caller_id() AS caller_id))",
        "(((auth.jwt() -> 'app_metadata'::text) ->> 'role'::text) = 'admin'::text)",
        "(note_id IN ( SELECT n.id FROM archive.notes n))",
        "(tenant = ((auth.jwt() ->> 'tenant'::text))::uuid)",
        "(title = 'auth.uid()'::text)",
        "EXISTS ( SELECT 1 FROM notes_shared s WHERE (s.note_id = notes.id))",
        "not an expression (",
        "true",
    ],
)
def test_sound_expressions_are_quiet(expression: str) -> None:
    assert faults(expression, subject_is_uuid=False) == ()


def test_uuid_subjects_may_be_read_as_uuids() -> None:
    assert faults("(owner = auth.uid())", subject_is_uuid=True) == ()
