"""Checks of what is deployed and of what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from opsnb.checks import functions
from opsnb.errors import SourceDenied
from opsnb.facts import Facts
from opsnb.verdicts import Verdict

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
NAMES = ["read", "write"]
SEEN = pd.DataFrame({"function_id": ["f1"], "status": [200], "n": [1]})


@dataclass
class Spec:
    version: int
    verify_jwt: bool = True


EXPECTED = {"read": Spec(3), "write": Spec(11)}


def listed(**changes: Any) -> pd.DataFrame:
    """The platform's list; *changes* are columns of `write`."""
    rows = [
        {
            "slug": "read",
            "id": "f1",
            "name": "read",
            "status": "ACTIVE",
            "version": 3,
            "verify_jwt": True,
            "updated_at": NOW - timedelta(hours=1),
        },
        {
            "slug": "write",
            "id": "f2",
            "name": "write",
            "status": "ACTIVE",
            "version": 11,
            "verify_jwt": True,
            "updated_at": NOW - timedelta(hours=2),
        },
        {
            "slug": "foreign",
            "id": "f3",
            "name": "foreign",
            "status": "REMOVED",
            "version": 1,
            "verify_jwt": False,
            "updated_at": NOW - timedelta(days=99),
        },
    ]
    rows[1] |= changes
    return pd.DataFrame(rows)


ONE = listed().iloc[[0]]


def test_deployed() -> None:
    result = functions.deployed(listed(), names=NAMES)
    assert (result.verdict, result.measured, result.limit) == (Verdict.PASS, 2, 2)
    missing = functions.deployed(ONE, names=NAMES)
    assert missing.verdict is Verdict.FAIL
    assert "missing: write" in missing.summary
    assert functions.deployed(listed().iloc[:0], names=NAMES).verdict is Verdict.FAIL
    assert functions.deployed(listed(status="REMOVED"), names=NAMES).verdict is Verdict.FAIL
    assert functions.deployed(listed(), names=[]).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("status", "verdict"), [("ACTIVE", Verdict.PASS), ("THROTTLED", Verdict.FAIL), ("REMOVED", Verdict.FAIL), (None, Verdict.ERROR)]
)
def test_active(status: str | None, verdict: Verdict) -> None:
    assert functions.active(listed(status=status), names=NAMES).verdict is verdict


def test_what_is_missing_is_not_active_recent_or_right() -> None:
    for table in (ONE, ONE.iloc[:0]):
        assert functions.active(table, names=NAMES).verdict is Verdict.FAIL
        assert functions.recent(table, names=NAMES, now=NOW, within_h=24).verdict is Verdict.FAIL
        assert functions.versions(table, expected=EXPECTED).verdict is Verdict.FAIL
        assert functions.verify_jwt(table, expected=EXPECTED).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("age_h", "verdict"),
    [(1, Verdict.PASS), (23.9, Verdict.PASS), (24.1, Verdict.FAIL), (-0.05, Verdict.PASS), (-1, Verdict.ERROR)],
)
def test_recent(age_h: float, verdict: Verdict) -> None:
    result = functions.recent(listed(updated_at=NOW - timedelta(hours=age_h)), names=NAMES, now=NOW, within_h=24)
    assert result.verdict is verdict, result.summary


@pytest.mark.parametrize(
    ("version", "verdict"), [(11, Verdict.PASS), (10, Verdict.FAIL), (12, Verdict.FAIL), (None, Verdict.ERROR), ("v11", Verdict.ERROR)]
)
def test_versions(version: Any, verdict: Verdict) -> None:
    result = functions.versions(listed(version=version), expected=EXPECTED)
    assert result.verdict is verdict
    if verdict is Verdict.FAIL:
        assert f"write ({version}, expected 11)" in result.summary


@pytest.mark.parametrize(("value", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL), (None, Verdict.INCONCLUSIVE)])
def test_verify_jwt(value: bool | None, verdict: Verdict) -> None:
    """A setting the platform leaves out is unknown, not false."""
    assert functions.verify_jwt(listed(verify_jwt=value), expected=EXPECTED).verdict is verdict


def signs(function_id: str, hours_ago: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "function_id": [function_id],
            "sign": ["boot failure"],
            "n": [2],
            "first_at": [NOW - timedelta(days=1)],
            "last_at": [NOW - timedelta(hours=hours_ago)],
        }
    )


@pytest.mark.parametrize(
    ("failures", "seen", "verdict"),
    [
        (signs("f1", 0.5), SEEN, Verdict.FAIL),
        (signs("f1", 5), SEEN, Verdict.PASS),  # a version that was replaced since
        (signs("f3", 0.5), SEEN, Verdict.PASS),  # not of this release
        (signs("f1", 0.5).iloc[:0], SEEN, Verdict.PASS),
        (signs("f1", 0.5).iloc[:0], SEEN.iloc[:0], Verdict.INCONCLUSIVE),
        (signs("f1", 0.5), SEEN.iloc[:0], Verdict.FAIL),
    ],
)
def test_no_failed_deployment(failures: pd.DataFrame, seen: pd.DataFrame, verdict: Verdict) -> None:
    assert functions.no_failed_deployment(failures, seen, listed(), names=NAMES).verdict is verdict


def archive(*rows: tuple[str, int, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["slug", "version", "sha256", "bytes"])


@pytest.mark.parametrize(
    ("archived", "verdict"),
    [
        (archive(), Verdict.INCONCLUSIVE),
        (archive(("read", 2, "a", 9), ("write", 10, "b", 9)), Verdict.PASS),
        (archive(("read", 2, "a", 9)), Verdict.INCONCLUSIVE),
        (archive(("read", 2, "a", 9), ("write", 11, "b", 9)), Verdict.INCONCLUSIVE),  # the new version is no way back
        (archive(("read", 2, "a", 9), ("write", 10, "b", 0)), Verdict.INCONCLUSIVE),
    ],
)
def test_previous_documented(archived: pd.DataFrame, verdict: Verdict) -> None:
    versions = {str(row.slug): int(row.version) for row in listed().itertuples() if row.slug in NAMES}
    assert functions.previous_documented(archived, listed(), names=versions).verdict is verdict


def test_what_runs_before_the_deployment_is_what_a_rollback_goes_back_to() -> None:
    live = {str(row.slug): int(row.version) for row in listed().itertuples() if row.slug in NAMES}
    kept = archive(*((slug, version, "a", 9) for slug, version in live.items()))
    coming = {slug: version + 1 for slug, version in live.items()}
    assert functions.previous_documented(kept, listed(), names=coming).verdict is Verdict.PASS
    assert functions.previous_documented(kept, listed(), names=live).verdict is Verdict.INCONCLUSIVE


def probes(**changes: Any) -> pd.DataFrame:
    """Two probes; *changes* are columns of the one of `write`."""
    good = {
        "at": NOW,
        "status": 200,
        "seconds": 0.3,
        "error_code": "",
        "differs": "",
        "completed": True,
        "mark": "m",
    }
    return pd.DataFrame([{"function": "read", **good}, {"function": "write", **good, **changes}])


def test_answers_against_their_schema() -> None:
    """What differs is told as it is; what was not judged is never passed, not even beside one that was."""
    types = {"differs": "string", "status": "Int64", "seconds": "Float64"}
    result = functions.fields(probes(differs="$: expected a field history").astype(types), names=NAMES)
    assert (result.verdict, result.measured) == (Verdict.FAIL, 1)
    assert "write: $: expected a field history" in result.summary
    unjudged = functions.fields(probes(differs=None).astype(types), names=NAMES)
    assert unjudged.verdict is Verdict.INCONCLUSIVE
    assert "no response.json_schema of write" in unjudged.summary
    assert functions.fields(probes().astype(types), names=NAMES).verdict is Verdict.PASS


def verdicts(table: pd.DataFrame) -> dict[str, str]:
    return {
        "answers": functions.answers(table, names=NAMES).verdict,
        "fields": functions.fields(table, names=NAMES).verdict,
        "codes": functions.no_error_codes(table, names=NAMES).verdict,
        "time": functions.response_time(table, names=NAMES, limit_s=2).verdict,
    }


@pytest.mark.parametrize(
    ("changes", "leaves"),
    [
        ({}, {}),
        ({"status": 500, "error_code": "EDGE_FUNCTION_ERROR"}, {"answers": "FAIL", "fields": "INCONCLUSIVE", "codes": "FAIL"}),
        ({"status": 401}, {"answers": "FAIL", "fields": "INCONCLUSIVE", "codes": "FAIL"}),
        ({"status": 204}, {"answers": "FAIL", "fields": "INCONCLUSIVE"}),
        ({"differs": "$.success: expected true"}, {"fields": "FAIL"}),
        ({"seconds": 2.0}, {"time": "FAIL"}),
        (
            {"status": None, "seconds": 10.0, "completed": False},
            {"answers": "FAIL", "fields": "INCONCLUSIVE", "codes": "ERROR", "time": "FAIL"},
        ),
    ],
)
def test_probes(changes: dict[str, Any], leaves: dict[str, str]) -> None:
    assert {name: verdict for name, verdict in verdicts(probes(**changes)).items() if verdict != "PASS"} == leaves


def test_nothing_probed_is_never_passed() -> None:
    assert set(verdicts(probes().iloc[:0]).values()) == {"INCONCLUSIVE"}
    assert set(verdicts(probes().iloc[:1]).values()) == {"INCONCLUSIVE"}
    assert set(verdicts(pd.DataFrame()).values()) == {"INCONCLUSIVE"}


def test_no_answer_at_all_is_unmeasured() -> None:
    silent = probes().assign(status=None)
    assert verdicts(silent) == {"answers": "ERROR", "fields": "INCONCLUSIVE", "codes": "ERROR", "time": "ERROR"}


def test_a_source_that_refused_makes_an_error() -> None:
    refused = Facts("supabase", "GET functions", 0.1, error=SourceDenied("the token may not list functions"))
    result = functions.deployed(refused, names=NAMES)
    assert result.verdict is Verdict.ERROR
    assert "may not list functions" in result.summary


MANIFEST = pd.DataFrame({"function": NAMES, "source_sha256": ["a" * 64, "b" * 64]})


@pytest.mark.parametrize(
    ("running", "verdict", "said"),
    [
        (MANIFEST, "PASS", "All 2 functions run the source"),
        (MANIFEST.assign(source_sha256=["a" * 64, "c" * 64]), "FAIL", "write (another source)"),
        (MANIFEST[:1], "FAIL", "write (not deployed)"),
        (MANIFEST[:0], "FAIL", "read (not deployed)"),
    ],
)
def test_what_runs_is_what_was_reviewed(running: pd.DataFrame, verdict: str, said: str) -> None:
    """By hash, whatever the version says."""
    result = functions.reviewed(MANIFEST, running, names=NAMES)
    assert result.verdict == verdict
    assert said in result.summary


def test_a_function_nobody_reviewed_is_undecided() -> None:
    """One the manifest does not know, and no manifest at all."""
    assert functions.reviewed(MANIFEST[:1], MANIFEST, names=NAMES).verdict == "INCONCLUSIVE"
    empty = functions.reviewed(MANIFEST[:0], MANIFEST, names=NAMES)
    assert empty.verdict == "INCONCLUSIVE"
    assert "opsnb functions capture" in empty.summary


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [([401, 403], "PASS"), ([401, 200], "FAIL"), ([204, 401], "FAIL"), ([302, 401], "FAIL"), ([401, 0], "ERROR"), ([401, 500], "WARN"),
     ([400, 401], "WARN")],
)  # fmt: skip
def test_strangers_are_refused(statuses: list[int], verdict: str) -> None:
    """An answer is a FAIL, a refusal by accident a warning, silence no proof."""
    calls = pd.DataFrame({"function": NAMES, "credentials": "no credentials", "status": statuses})
    assert functions.refuse_strangers(calls, probes(), names=NAMES).verdict == verdict


@pytest.mark.parametrize(("status", "verdict"), [(403, "PASS"), (404, "PASS"), (200, "FAIL"), (409, "WARN"), (500, "WARN")])
def test_another_user_need_not_learn_what_exists(status: int, verdict: str) -> None:
    """A 404 is a refusal to somebody who is signed in; from a function that nobody is let into by, it says nothing."""
    calls = pd.DataFrame({"function": NAMES, "credentials": ["another signed-in user", "no credentials"], "status": [status, 401]})
    assert functions.refuse_strangers(calls, probes(), names=NAMES).verdict == verdict
    unknown = pd.DataFrame({"function": NAMES, "credentials": "no credentials", "status": [404, 401]})
    assert functions.refuse_strangers(unknown, probes(), names=NAMES).verdict == "WARN"


def test_a_public_function_may_answer_everybody() -> None:
    calls = pd.DataFrame({"function": NAMES, "credentials": "no credentials", "status": [200, 401]})
    assert functions.refuse_strangers(calls, probes(), names=NAMES, public=["read"]).verdict == "PASS"
    assert functions.refuse_strangers(calls, probes(), names=NAMES, public=NAMES).verdict == "INCONCLUSIVE"
    assert functions.refuse_strangers(calls[:1], probes(), names=["read", "write"], public=["read"]).verdict == "ERROR"


def test_strangers_of_something_else_are_not_judged() -> None:
    """A page that answers everything with 200 is not the functions."""
    calls = pd.DataFrame({"function": NAMES, "credentials": "no credentials", "status": 200})
    assert functions.refuse_strangers(calls, probes().assign(error_code="not a JSON object"), names=NAMES).verdict == "ERROR"
