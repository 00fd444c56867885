"""Who reaches which rows: what leaks fails, what proves nothing does not pass."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from opsnb.checks import access
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
