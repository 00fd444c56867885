"""Who reaches which rows: what leaks fails, what proves nothing does not pass."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opsnb.checks import access
from opsnb.checks.policies import Reach, reach
from opsnb.verdicts import Verdict

SELECT = {"patient": "user_id = %(user_id)s", "stranger": "none", "anon": "none"}


def seen(
    identity: str, expected: int | None, seen: int | None, leaked: int | None = 0, missing: int | None = 0, **more: Any
) -> dict[str, Any]:
    row = {"identity": identity, "table": "public.records", "expected": expected, "seen": seen, "leaked": leaked, "missing": missing}
    return {**row, "capped": False, "sqlstate": None, "cause": None, "seconds": 0.01, **more}


GOOD = [seen("patient", 1, 1), seen("stranger", 0, 0), seen("anon", 0, 0)]


def matrix(*rows: dict[str, Any], select: dict[str, str] = SELECT) -> Any:
    changed = {row["identity"]: row for row in rows}
    return access.matrix(
        pd.DataFrame([changed.get(row["identity"], row) for row in GOOD]), table="records", select=select, subject="records"
    )


def test_matrix_passes_on_exactly_the_declared_rows() -> None:
    """Own rows seen, nothing else."""
    assert matrix().verdict is Verdict.PASS
    denied = seen("anon", None, None, None, None, sqlstate="42501")
    assert matrix(denied).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (seen("stranger", 0, 3, 3), Verdict.FAIL),
        (seen("anon", 0, 1, 1), Verdict.FAIL),
        (seen("anon", 0, 1, 0), Verdict.FAIL),
        (seen("patient", 2, 1, 0, 1), Verdict.FAIL),
        (seen("patient", 1, None, None, None, sqlstate="22P02", cause="invalid uuid"), Verdict.FAIL),
        (seen("patient", 1, None, None, None, sqlstate="42501"), Verdict.FAIL),
        (seen("patient", 1, None, None, None, sqlstate="57014"), Verdict.ERROR),
        (seen("patient", 1, None), Verdict.ERROR),
        (seen("patient", 1, 1, None), Verdict.ERROR),
        (seen("patient", 0, 0), Verdict.INCONCLUSIVE),
        (seen("patient", 1000, 1000, capped=True), Verdict.INCONCLUSIVE),
    ],
)
def test_matrix_never_passes_on(row: dict[str, Any], verdict: Verdict) -> None:
    """A leak, a miss, a raising policy fail; what was not measured is ERROR, what proves nothing INCONCLUSIVE."""
    assert matrix(row).verdict is verdict


def test_a_leak_is_worse_than_what_was_not_measured() -> None:
    """The worst finding is first in table and summary."""
    result = matrix(seen("patient", 1, None, None, None, sqlstate="57014"), seen("anon", 0, 5, 5))
    assert result.verdict is Verdict.FAIL
    assert "anon saw 5 rows" in result.summary
    assert result.table.iloc[0]["identity"] == "anon"


def test_matrix_needs_every_identity() -> None:
    """An identity that was not asked is not measured."""
    assert access.matrix(pd.DataFrame(GOOD[:2]), table="records", select=SELECT).verdict is Verdict.ERROR
    assert access.matrix(pd.DataFrame(GOOD), table="other", select=SELECT).verdict is Verdict.ERROR
    assert access.matrix(pd.DataFrame(GOOD), table="records", select={}).verdict is Verdict.FAIL


def test_identity_works() -> None:
    """A policy that reads the subject as a UUID fails; a proof is needed to pass."""
    assert access.identity_works(pd.DataFrame(GOOD)).verdict is Verdict.PASS
    raised = pd.DataFrame([*GOOD, seen("stranger", 0, None, None, None, sqlstate="22P02", table="public.notes")])
    result = access.identity_works(raised)
    assert result.verdict is Verdict.FAIL
    assert "UUID" in result.summary
    assert access.identity_works(pd.DataFrame([seen("patient", 1, 0, 0, 1), *GOOD[1:]])).verdict is Verdict.FAIL
    assert access.identity_works(pd.DataFrame([seen("patient", 0, 0), *GOOD[1:]])).verdict is Verdict.INCONCLUSIVE
    assert access.identity_works(pd.DataFrame(GOOD[1:])).verdict is Verdict.ERROR
    late = pd.DataFrame([*GOOD, seen("anon", 0, None, None, None, sqlstate="57014", table="public.notes")])
    assert access.identity_works(late).verdict is Verdict.INCONCLUSIVE


def test_a_leaked_row_is_no_proof() -> None:
    """Rows of others do not prove that the patient's subject works."""
    assert access.identity_works(pd.DataFrame([seen("patient", 1, 4, 4, 1), *GOOD[1:]])).verdict is Verdict.FAIL


def relations(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{"schema": "public", "name": "records", "kind": "table", "rls": True, "policies": 2, **changes}])


def test_in_place() -> None:
    """Off, without a policy, and missing each fail."""
    assert access.in_place(relations(), tables=["records"]).verdict is Verdict.PASS
    assert access.in_place(relations(rls=False), tables=["records"]).verdict is Verdict.FAIL
    assert access.in_place(relations(policies=0), tables=["records"]).verdict is Verdict.FAIL
    assert access.in_place(relations(), tables=["records", "notes"]).verdict is Verdict.FAIL
    assert access.in_place(relations(), tables=[]).verdict is Verdict.FAIL


def exposed(**changes: Any) -> dict[str, Any]:
    row = {"schema": "public", "name": "records", "kind": "table", "rls": True, "policies": 1, "role": "anon"}
    return {**row, "privileges": ["SELECT"], "owners_rights": False, **changes}


def test_rls_enabled() -> None:
    """Off on any exposed table fails; what cannot have it warns; views are judged elsewhere."""

    def judge(*rows: dict[str, Any]) -> Verdict:
        return access.rls_enabled(pd.DataFrame(list(rows))).verdict

    assert judge(exposed()) is Verdict.PASS
    assert judge(exposed(), exposed(name="notes", rls=False)) is Verdict.FAIL
    assert judge(exposed(), exposed(name="summary", kind="materialised view", rls=False)) is Verdict.WARN
    assert judge(exposed(kind="view", rls=False)) is Verdict.INCONCLUSIVE


def test_grants_beyond_rls() -> None:
    """TRUNCATE is a warning, never more."""
    assert access.grants_beyond_rls(pd.DataFrame([exposed()])).verdict is Verdict.PASS
    assert access.grants_beyond_rls(pd.DataFrame([exposed(privileges=["SELECT", "TRUNCATE"])])).verdict is Verdict.WARN


def policy(using: str | None, **changes: Any) -> dict[str, Any]:
    row = {
        "schema": "public",
        "table_name": "records",
        "name": "p",
        "permissive": True,
        "command": "select",
        "api_roles": ["anon", "authenticated"],
    }
    return {**row, "using_expression": using, "check_expression": None, **changes}


OWN = "(user_id = (select auth.uid()))"
NO_ROUTINE = pd.DataFrame(
    columns=["schema", "name", "arguments", "volatility", "owner_ignores_rls", "executable_by"], dtype=object
)  # fmt: skip


def excess(*policies: dict[str, Any], exposure: tuple[dict[str, Any], ...] = (), routines: pd.DataFrame = NO_ROUTINE, **more: Any) -> Any:
    rows = pd.DataFrame(list(exposure) or [exposed()])
    return access.no_excess(pd.DataFrame(list(policies)), rows, routines, **{"select": {"records": SELECT}, **more})


@pytest.mark.parametrize(
    ("using", "verdict"),
    [
        (OWN, Verdict.PASS),
        ("true", Verdict.FAIL),
        ("((user_id = 1) OR true)", Verdict.FAIL),
        ("(auth.uid() IS NOT NULL)", Verdict.FAIL),
        ("(auth.role() = 'authenticated'::text)", Verdict.FAIL),
        ("(deleted_at IS NULL)", Verdict.WARN),
        ("app.is_admin()", Verdict.PASS),
        ("(auth.uid() IS NULL) OR (user_id = auth.uid())", Verdict.FAIL),
        ("COALESCE((user_id = auth.uid()), true)", Verdict.FAIL),
        ("(user_id = auth.uid()) IS NOT FALSE", Verdict.FAIL),
        ("(app.caller() IS NULL) OR (user_id = app.caller())", Verdict.WARN),
        ("COALESCE((user_id = auth.uid()), false)", Verdict.PASS),
        ("this is (no expression", Verdict.WARN),
    ],
)
def test_no_excess_reads_policies(using: str, verdict: Verdict) -> None:
    """Always true and any login fail on a protected table; what cannot be read is a warning."""
    assert excess(policy(OWN, name="own"), policy(using)).verdict is verdict


def test_no_excess_reads_what_is_wrong_by_itself() -> None:
    """A subject that is no UUID, a claim that users edit, a policy about its own table."""
    firebase = policy("(user_id = auth.uid())")
    assert excess(firebase).verdict is Verdict.PASS
    assert excess(firebase, subject_is_uuid=False).verdict is Verdict.FAIL
    assert excess(policy("(((auth.jwt() -> 'user_metadata'::text) ->> 'user_id'::text) = user_id)")).verdict is Verdict.FAIL
    assert excess(policy("(user_id IN ( SELECT r.user_id FROM records r))")).verdict is Verdict.FAIL


def test_no_excess_knows_what_the_release_opens() -> None:
    """A table opened to strangers may be read by any login, not written; an undeclared table warns; a restriction softens."""
    signed_in = policy("(auth.uid() IS NOT NULL)", api_roles=["authenticated"])
    opened = {"records": {**SELECT, "stranger": "all"}}
    assert excess(signed_in, select=opened).verdict is Verdict.PASS
    assert excess({**signed_in, "command": "update"}, select=opened).verdict is Verdict.FAIL
    assert excess(policy("true"), select=opened).verdict is Verdict.FAIL, "anon is still kept out"
    assert excess(policy("true"), select={}).verdict is Verdict.WARN
    narrowed = policy(OWN, name="restrict", permissive=False, command="all")
    assert excess(policy("true"), narrowed).verdict is Verdict.WARN
    assert excess(policy(None, command="insert", check_expression="true"), policy(OWN, name="own")).verdict is Verdict.FAIL
    assert excess(policy("true", api_roles=[])).verdict is Verdict.PASS


def definer(**changes: Any) -> pd.DataFrame:
    row = {
        "schema": "public",
        "name": "merge",
        "arguments": "",
        "volatility": "volatile",
        "owner_ignores_rls": True,
        "executable_by": ["anon"],
    }
    return pd.DataFrame([{**row, **changes}])


def test_no_excess_sees_back_doors() -> None:
    """A view or writing function with its owner's rights that anyone may use fails; accepted ones are listed as warnings."""
    assert excess(policy(OWN), exposure=(exposed(kind="view", owners_rights=True),)).verdict is Verdict.FAIL
    assert excess(policy(OWN), exposure=(exposed(kind="view", owners_rights=True, role="authenticated"),)).verdict is Verdict.WARN
    assert excess(policy(OWN), routines=definer()).verdict is Verdict.FAIL
    assert excess(policy(OWN), routines=definer(), accepted=["public.merge"]).verdict is Verdict.WARN
    assert excess(policy(OWN), routines=definer(executable_by=["authenticated"])).verdict is Verdict.WARN
    assert excess(policy(OWN), routines=definer(executable_by=["authenticated"]), accepted=["public.merge"]).verdict is Verdict.PASS
    assert excess(policy(OWN), routines=definer(volatility="stable")).verdict is Verdict.WARN
    assert excess(policy(OWN), routines=definer(executable_by=[])).verdict is Verdict.PASS
    assert excess(policy(OWN), routines=definer(executable_by=["authenticated"], owner_ignores_rls=False)).verdict is Verdict.PASS


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
