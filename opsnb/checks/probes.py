"""What the functions answered when they were probed (POST-1). Used as `opsnb.checks.functions`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

_PROBE = ("function", "at", "status", "seconds", "error_code", "found")
_FOREIGN = ("not a JSON object", "no declared field")
"""Error codes of `Gateway.probe` for answers that are none of the function's."""
ANOTHER_USER = "another signed-in user"
"""How `Gateway.strangers` calls a caller who is signed in and has nothing to do with the record."""
_NO_PROBE = "INCONCLUSIVE: no probe was sent, so nothing is known about any answer."
_ANSWERS = "The error code says who refused: BOOT_ERROR and UNAUTHORIZED_* come from the platform, anything else from the function."


@check(
    "functions.answers",
    title="Every function answers with real credentials",
    items=("POST-1.1",),
    harm="Real callers with real credentials get the same refusal or error.",
    fix=_ANSWERS,
    empty=_NO_PROBE,
)
def answers(probes: pd.DataFrame, *, names: Iterable[str], status: int = 200) -> Outcome:
    """Every probe of every function was answered with *status*. Table: `Gateway.probe`. No answer at all of any is ERROR."""
    rows, unprobed = _probed(probes, names)
    if rows is None or unprobed:
        return inconclusive(f"Not probed: {some(unprobed) or 'no function is named'}.", table=rows)
    if rows["status"].isna().all():
        return unmeasured(
            f"None of {counted(len(rows), 'probe')} was answered: the gateway was not reached.", table=_shown(rows, ""), limit=status
        )
    wrong = rows["status"].isna() | (rows["status"] != status)
    return _probes(rows, wrong, f"answered {status}", f"did not answer {status}", 0)


@check(
    "functions.fields",
    title="Every response has its expected fields",
    items=("POST-1.2",),
    harm="The app reads a field that is not there and shows nothing, or breaks, with a status of 200.",
    fix="The response is not what the release declares: compare the function's version with the release's; declare response.json_schema.",
    empty=_NO_PROBE,
)
def fields(probes: pd.DataFrame, *, names: Iterable[str], status: int = 200) -> Outcome:
    """Every answer of *status* is valid under the JSON Schema its release declares. Table: `Gateway.probe`.

    FAIL names path and expectation, never what stands there. Where no answer has any declared field, something else answered: ERROR.
    A function without such an answer (`functions.answers` fails for it) or without a declared schema is not judged: INCONCLUSIVE.
    """
    rows, unprobed = _probed(probes, names)
    if rows is None or unprobed:
        return inconclusive(f"Not probed: {some(unprobed) or 'no function is named'}.", table=rows)
    if "differs" not in rows:  # an unknown one is an answer nobody judged
        raise SourceNonsense("the answer has no column differs")
    good = rows[(rows["status"] == status).fillna(False).astype(bool)]
    unjudged = good["differs"].isna()
    shown = good.assign(found=good["differs"].fillna("not judged"))
    bad = shown[~unjudged & (shown["found"] != "")]
    if len(good) and "error_code" in good and good["error_code"].isin(_FOREIGN).all():
        return unmeasured(
            f"None of {counted(len(good), 'answer')} has a single declared field: what answers there is not the release's functions.",
            table=_shown(shown), limit=0,
        )  # fmt: skip
    if len(bad):
        worst = sorted({f"{row.function}: {row.found}" for row in bad.itertuples()})
        return failed(
            f"{len(bad)} of {counted(len(good), 'answer')} not as declared ({some(worst)}).",
            table=_shown(shown),
            measured=len(bad),
            limit=0,
        )
    silent = sorted(set(names) - set(good["function"]))
    if silent:
        return inconclusive(f"{some(silent)} gave no answer {status} to look at.", table=_shown(rows, ""), limit=0)
    if unjudged.any():
        undeclared = sorted(set(good.loc[unjudged, "function"]))
        return inconclusive(
            f"The release declares no response.json_schema of {some(undeclared)}: its answers were not judged.",
            table=_shown(shown),
            limit=0,
        )
    return passed(
        f"All {counted(len(good), 'answer')} are valid under their declared JSON Schema.", table=_shown(shown), measured=0, limit=0
    )


@check(
    "functions.no_error_codes",
    title="No error code in the answers",
    items=("POST-1.3",),
    harm="Callers meet the same code; a 401 or 403 for everybody locks the whole clinic out.",
    fix=_ANSWERS,
    empty=_NO_PROBE,
)
def no_error_codes(probes: pd.DataFrame, *, names: Iterable[str]) -> Outcome:
    """No probe was answered with 4xx or 5xx (401, 403 and 500 above all). Table: `Gateway.probe`."""
    rows, unprobed = _probed(probes, names)
    if rows is None or unprobed:
        return inconclusive(f"Not probed: {some(unprobed) or 'no function is named'}.", table=rows)
    coded = (rows["status"] >= 400).fillna(False).astype(bool)
    silent = int(rows["status"].isna().sum())
    if silent and not coded.any():
        return unmeasured(
            f"{silent} of {counted(len(rows), 'probe')} had no answer, so no code to look at.", table=_shown(rows, ""), limit=0
        )
    return _probes(rows, coded, "without an error code", "with an error code", 0)


@check(
    "functions.response_time",
    title="Response time below the limit",
    items=("POST-1.4",),
    harm="A clinician waits before every call; with many at once, connections are held that others need.",
    fix="Slow on the first call only: a cold start. Slow on all: look at the database's response time and at the pool.",
    empty=_NO_PROBE,
)
def response_time(probes: pd.DataFrame, *, names: Iterable[str], limit_s: float) -> Outcome:
    """Every probe was answered in less than *limit_s* seconds; one without an answer was not. Table: `Gateway.probe`."""
    rows, unprobed = _probed(probes, names)
    if rows is None or unprobed:
        return inconclusive(f"Not probed: {some(unprobed) or 'no function is named'}.", table=rows)
    known(rows, "seconds")
    if rows["status"].isna().all():
        return unmeasured(
            f"None of {counted(len(rows), 'probe')} was answered: there is no time to judge.", table=_shown(rows, ""), limit=limit_s
        )
    slow = rows["status"].isna() | (rows["seconds"] >= limit_s)
    slowest = float(rows["seconds"].max())
    outcome = _probes(rows, slow, f"under {limit_s:g} s", f"not under {limit_s:g} s", limit_s)
    return Outcome(outcome.verdict, f"{outcome.summary} The slowest took {slowest:.2f} s.", outcome.table, round(slowest, 3), limit_s)


@check(
    "functions.refuse_strangers",
    title="Every function refuses who may not call it",
    items=(),
    harm="Patients' histories are served to whoever knows the address, or to any patient who asks for another's.",
    fix="Answered: verify the caller's token (verify_jwt alone lets every holder of the public key in), then ask what the caller has to "
    "do with the record. Broke: refuse in words.",
    empty=_NO_PROBE,
)
def refuse_strangers(calls: pd.DataFrame, probes: pd.DataFrame, *, names: Iterable[str], public: Iterable[str] = ()) -> Outcome:
    """No function answered a call without credentials, with the public key alone, with a forged token, or of another signed-in user.

    Tables: `Gateway.strangers` (function, credentials, status), and `Gateway.probe` to tell whether the functions answer there at all.
    Right is 401 or 403; also 404 to a signed-in user, who need not learn what exists. FAIL: an answer below 400. WARN: refused by an
    error (5xx) or as a bad request (other 4xx). *public* functions are for everybody and are not judged.
    """
    wanted = sorted(set(names) - set(public))
    if calls.empty or not wanted:
        return inconclusive("No function is named that should refuse anybody." if not wanted else f"Not called: {some(wanted)}.")
    known(calls, "function", "credentials", "status")
    if len(probes) and "error_code" in probes and probes["error_code"].isin(_FOREIGN).all():
        return unmeasured("What answers there is not the release's functions: no answer has a single declared field.")
    rows = calls[calls["function"].isin(wanted)]
    whose = zip(rows["status"].fillna(0), rows["credentials"], strict=True)
    rows = rows.assign(finding=[_refusal(int(status), credentials) for status, credentials in whose])
    order = {"answered": 0, "no answer": 1, "refused by an error": 2, "refused as a bad request": 3, "refused": 4}
    table = rows.iloc[rows["finding"].map(order).argsort(kind="stable")].reset_index(drop=True)
    found = {name: [f"{row.function} ({row.credentials})" for row in table.itertuples() if row.finding == name] for name in order}
    details: dict[str, Any] = {"table": table, "measured": len(found["answered"]), "limit": 0}
    if found["answered"]:
        return failed(f"{len(found['answered'])} of {counted(len(table), 'such call')} answered: {some(found['answered'])}.", **details)
    unasked = [name for name in wanted if name not in set(rows["function"])]
    if found["no answer"] or unasked:
        return unmeasured(f"Without an answer: {some(found['no answer'] or unasked)}.", **details)
    odd = found["refused by an error"] + found["refused as a bad request"]
    if odd:
        return warned(f"Nobody was let in, but {len(odd)} were refused by neither 401 nor 403: {some(odd)}.", **details)
    return passed(f"All {counted(len(table), 'call')} of {counted(len(wanted), 'function')} that should be refused were.", **details)


def _refusal(status: int, credentials: object) -> str:
    if status == 0:
        return "no answer"
    if status < 400:
        return "answered"
    if status in (401, 403) or (status == 404 and credentials == ANOTHER_USER):
        return "refused"
    return "refused as a bad request" if status < 500 else "refused by an error"


def _probed(probes: pd.DataFrame, names: Iterable[str]) -> tuple[pd.DataFrame | None, list[str]]:
    """The probes of *names*, and those never probed; None where there is nothing at all."""
    wanted = sorted(set(names))
    if probes.empty or not wanted:
        return None, wanted
    known(probes, "function")
    if "status" not in probes:
        raise SourceNonsense("the answer has no column status")
    rows = probes[probes["function"].isin(wanted)]
    statuses = pd.to_numeric(rows["status"]).astype("Float64")
    rows = rows.assign(status=statuses.where(statuses != 0))  # 0: there was no answer
    rows = rows.sort_values("function", kind="stable").reset_index(drop=True)
    return rows, [name for name in wanted if name not in set(rows["function"])]


def _probes(rows: pd.DataFrame, wrong: pd.Series, good: str, bad: str, limit: float) -> Outcome:
    wrong = wrong.fillna(True).astype(bool)
    table = _shown(rows.assign(found=[bad if each else good for each in wrong]))
    n = len(rows)
    if wrong.any():
        statuses = ["no answer" if pd.isna(status) else f"{status:.0f}" for status in rows.loc[wrong, "status"]]
        worst = sorted({f"{name} ({status})" for name, status in zip(rows.loc[wrong, "function"], statuses, strict=True)})
        return failed(
            f"{int(wrong.sum())} of {counted(n, 'probe')} {bad}: {some(worst)}.", table=table, measured=int(wrong.sum()), limit=limit
        )
    return passed(
        f"{n} of {counted(n, 'probe')} of {counted(rows['function'].nunique(), 'function')} {good}.", table=table, measured=0, limit=limit
    )


def _shown(rows: pd.DataFrame, found: str | None = None) -> pd.DataFrame:
    if found is not None:
        rows = rows.assign(found=found)
    return rows[[column for column in _PROBE if column in rows]]
