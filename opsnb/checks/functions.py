"""The release's functions: deployed, the right ones, and answering (PRE-2.1, PRE-4.3, S2, POST-1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import pandas as pd

from opsnb.checks.calls import is_alive, of_functions
from opsnb.checks.probes import answers, fields, no_error_codes, refuse_strangers, response_time
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured

__all__ = [
    "active", "answers", "deployed", "fields", "no_error_codes", "no_failed_deployment", "previous_documented", "recent",
    "refuse_strangers", "response_time", "reviewed", "verify_jwt", "versions",
]  # fmt: skip

CLOCK_TOLERANCE = timedelta(minutes=5)
ACTIVE = "ACTIVE"
REMOVED = "REMOVED"
_NO_FUNCTION = "FAIL: the platform lists no function, so every expected one is missing."
_DEPLOY = "Deploy it from the release's tag (supabase functions deploy <slug>), then run this phase again."


class Expected(Protocol):
    """What the release says of a function."""

    @property
    def version(self) -> int: ...
    @property
    def verify_jwt(self) -> bool: ...


@check(
    "functions.deployed",
    title="All expected functions are deployed",
    items=("PRE-2.1",),
    harm="The app calls an address that answers 404: the part of the consultation it serves is gone.",
    fix=_DEPLOY,
    empty=_NO_FUNCTION,
)
def deployed(functions: pd.DataFrame, *, names: Iterable[str]) -> Outcome:
    """Every function of *names* is listed by the platform and not as REMOVED. Table: `functions`. Others are shown and not judged."""
    wanted = sorted(set(names))
    listed = _listed(functions, "version", "status") if not functions.empty else functions
    present = set(listed[listed["status"] != REMOVED]["slug"]) if not functions.empty else set()
    rows = [
        {"function": name, "expected": name in wanted, "deployed": name in present} for name in (*wanted, *sorted(present - set(wanted)))
    ]
    table = findings(rows, ("function", "expected", "deployed"))
    missing = [name for name in wanted if name not in present]
    details = {"table": table, "measured": len(wanted) - len(missing), "limit": len(wanted)}
    if not wanted:
        return inconclusive("The release names no function.", **details)
    if missing:
        return failed(
            f"{len(wanted) - len(missing)} of {len(wanted)} expected functions are deployed; missing: {some(missing)}.", **details
        )
    return passed(f"{len(wanted)} of {len(wanted)} expected functions are deployed.", **details)


@check(
    "functions.active",
    title="Every expected function is active",
    items=("S2-1",),
    harm="Its callers get an error, or are turned away once the quota is used up.",
    fix="REMOVED: deploy it again. THROTTLED: the project is over its quota; look at the platform's usage page.",
    empty=_NO_FUNCTION,
)
def active(functions: pd.DataFrame, *, names: Iterable[str]) -> Outcome:
    """Every function of *names* has the status ACTIVE; THROTTLED is not healthy. Table: `functions`."""
    return _each(functions, dict.fromkeys(names, ACTIVE), "status", "active", lambda found, wanted: found == wanted)


@check(
    "functions.recent",
    title="Every expected function was deployed recently",
    items=("S2-2",),
    harm="What was tested is not what runs: the deployment did not reach this function.",
    fix="It runs what was there before this deployment: deploy the release's version.",
    empty=_NO_FUNCTION,
)
def recent(functions: pd.DataFrame, *, names: Iterable[str], now: datetime, within_h: float) -> Outcome:
    """Every function of *names* was updated within *within_h* hours of *now*. Table: `functions`.

    A time in the future (by more than five minutes) is ERROR: two clocks disagree and no age can be told.
    """
    wanted = sorted(set(names))
    rows, _ = _of(functions, wanted, "updated_at")
    moments = pd.to_datetime(rows["updated_at"], utc=True) if len(rows) else pd.to_datetime(pd.Series([], dtype="object"), utc=True)
    ages = (moments - pd.Timestamp(now)).dt.total_seconds() / -3600
    table = pd.DataFrame({"function": rows["slug"], "updated_at": moments, "age_h": ages.round(2)}) if len(rows) else None
    missing = [name for name in wanted if not len(rows) or name not in set(rows["slug"])]
    if (ages < -CLOCK_TOLERANCE.total_seconds() / 3600).any():
        return unmeasured("A function was updated in the future: this clock and the platform's disagree.", table=table, limit=within_h)
    old = [f"{name} ({age:.1f} h)" for name, age in zip(rows.get("slug", ()), ages, strict=True) if age > within_h]
    details = {"table": table, "measured": None if ages.empty else round(float(ages.max()), 2), "limit": within_h}
    if not wanted:
        return inconclusive("The release names no function.", **details)
    if missing or old:
        told = "; ".join(part for part in (f"older: {some(old)}" if old else "", f"missing: {some(missing)}" if missing else "") if part)
        return failed(
            f"{len(wanted) - len(missing) - len(old)} of {len(wanted)} functions were deployed within {within_h:g} h; {told}.", **details
        )
    return passed(f"All {len(wanted)} functions were deployed within {within_h:g} h; the oldest {ages.max():.1f} h ago.", **details)


@check(
    "functions.versions",
    title="Each function is at the expected version",
    items=("S2-4",),
    harm="An older version runs than was released, or somebody deployed past the release.",
    fix="Below: the deployment did not reach it. Above: something else was deployed since; name that version in the release or redeploy.",
    empty=_NO_FUNCTION,
)
def versions(functions: pd.DataFrame, *, expected: Mapping[str, Expected]) -> Outcome:
    """The platform's version number of each function is the release's. Table: `functions`.

    A higher number is FAIL as well: the release names what was reviewed, and what runs is something else.
    """
    return _each(functions, {name: spec.version for name, spec in expected.items()}, "version", "at the release's version", _same_number)


@check(
    "functions.verify_jwt",
    title="Each function's token check is as released",
    items=("S2-4",),
    harm="Off by mistake, the gateway lets everybody through to the code; on by mistake, it refuses Firebase's tokens.",
    fix="A redeploy sets it to true unless told otherwise: deploy again with the release's setting (--no-verify-jwt or not).",
    empty=_NO_FUNCTION,
)
def verify_jwt(functions: pd.DataFrame, *, expected: Mapping[str, Expected]) -> Outcome:
    """The gateway's token check of each function is on or off as the release says. Table: `functions`.

    The platform may leave the setting out; that is not false but unknown: INCONCLUSIVE.
    """
    rows, missing = _of(functions, sorted(expected), "slug")
    if len(rows) and "verify_jwt" not in rows:
        raise SourceNonsense("the answer has no column verify_jwt")
    found = {str(row.slug): row.verify_jwt for row in rows.itertuples()}
    unknown = rows.loc[rows["verify_jwt"].isna(), "slug"].tolist() if len(rows) else []
    wrong = sorted(name for name, value in found.items() if name not in unknown and bool(value) != expected[name].verify_jwt)
    shown = [
        {"function": name, "expected": spec.verify_jwt, "found": None if name in unknown else found.get(name), "deployed": name in found}
        for name, spec in sorted(expected.items())
    ]
    right = len(expected) - len(wrong) - len(missing) - len(unknown)
    details = {"table": findings(shown, ("function", "expected", "found", "deployed")), "measured": right, "limit": len(expected)}
    if not expected:
        return inconclusive("The release names no function.", **details)
    if wrong or missing:
        told = "; ".join(
            part for part in (f"other: {some(wrong)}" if wrong else "", f"missing: {some(missing)}" if missing else "") if part
        )
        return failed(f"{right} of {len(expected)} functions check tokens as released; {told}.", **details)
    if unknown:
        return inconclusive(f"The platform does not say whether {some(unknown)} check tokens at the gateway.", **details)
    return passed(f"All {len(expected)} functions check tokens at the gateway as released.", **details)


@check(
    "functions.reviewed",
    title="Each function is the source that was reviewed",
    items=(),
    harm="Code that nobody reviewed handles patients' data.",
    fix="Deploy the reviewed source again; if what runs was reviewed since, capture it: opsnb functions capture ENVIRONMENT.",
    empty="INCONCLUSIVE: no manifest says what was reviewed, so nothing can be compared.",
)
def reviewed(manifest: pd.DataFrame, running: pd.DataFrame, *, names: Iterable[str]) -> Outcome:
    """The source of each function, as the platform hands it out, has the hash that was captured when it was reviewed.

    Tables: the manifest (function, source_sha256) and what runs (function, source_sha256; none where it is not deployed).
    A version number says nothing of this: a rollback raises it, and a redeploy of other sources raises it just the same.
    """
    wanted = sorted(set(names))
    if manifest.empty:
        return inconclusive("No manifest says what was reviewed. Capture one: opsnb functions capture ENVIRONMENT.", limit=len(wanted))
    was = dict(zip(known(manifest, "function", "source_sha256")["function"], manifest["source_sha256"], strict=True))
    runs = (
        {} if running.empty else dict(zip(known(running, "function", "source_sha256")["function"], running["source_sha256"], strict=True))
    )
    shown = []
    for name in wanted:
        state = (
            "not in the manifest" if name not in was
            else "not deployed" if not isinstance(runs.get(name), str)
            else "as reviewed" if runs[name] == was[name]
            else "another source"
        )  # fmt: skip
        shown.append({"function": name, "reviewed": _short(was.get(name)), "found": _short(runs.get(name)), "finding": state})
    table = findings(sorted(shown, key=lambda row: row["finding"] == "as reviewed"), ("function", "reviewed", "found", "finding"))
    right = sum(row["finding"] == "as reviewed" for row in shown)
    details = {"table": table, "measured": right, "limit": len(wanted)}
    other = [f"{row['function']} ({row['finding']})" for row in shown if row["finding"] in ("another source", "not deployed")]
    if other:
        return failed(f"{right} of {len(wanted)} functions run the source that was reviewed; not {some(other)}.", **details)
    if right < len(wanted) or not wanted:
        new = [str(row["function"]) for row in shown if row["finding"] == "not in the manifest"]
        return inconclusive(f"The manifest does not know {some(new) or 'any function'}: capture it again after the review.", **details)
    return passed(f"All {len(wanted)} functions run the source that was reviewed.", **details)


def _short(digest: object) -> str:
    return digest[:12] if isinstance(digest, str) else "none"


@check(
    "functions.no_failed_deployment",
    title="No recent failed deployment",
    items=("S2-3",),
    harm="The newest version never served: callers meet errors, or the version before it, unnoticed.",
    fix="The version does not start: look at its boot log, deploy a version that does, or roll back.",
    empty="PASS: no sign of a version that does not start is the healthy case; it counts only while a marked probe proves the log alive.",
)
def no_failed_deployment(failures: pd.DataFrame, seen: pd.DataFrame, functions: pd.DataFrame, *, names: Iterable[str]) -> Outcome:
    """No function failed to start since its present version was deployed. Tables: `boot_errors`, `probe_seen`, `functions`.

    The platform keeps no list of deployments; a failed one shows as 503 BOOT_ERROR and in the function's log. Signs older than the
    present version belong to one that was replaced.
    """
    wanted = sorted(set(names))
    rows, missing = _of(functions, wanted, "updated_at")
    since = {str(row.slug): pd.Timestamp(str(row.updated_at)) for row in rows.itertuples()}
    signs = of_functions(failures, functions, wanted)
    if not signs.empty:
        known(signs, "last_at", "n")
        last = pd.to_datetime(signs["last_at"], utc=True)
        begun = pd.to_datetime(signs["function"].map(since), utc=True)
        signs = signs[last >= begun].reset_index(drop=True)
    if len(signs):
        names_of = sorted(set(signs["function"]))
        return failed(
            f"{some(names_of)} failed to start since the present version was deployed.",
            table=signs,
            measured=int(signs["n"].sum()),
            limit=0,
        )
    table = pd.DataFrame({"function": list(since), "since": list(since.values()), "failed_starts": 0})
    details = {"table": table, "measured": 0, "limit": 0}
    if missing or not wanted:
        return inconclusive(f"No failed start is in the log, but {some(missing) or 'no function'} is not deployed.", **details)
    if not is_alive(seen):
        return inconclusive(
            "No failed start is in the log, but no marked probe of this run arrived in it either. Ask again later.", **details
        )
    return passed(f"None of {counted(len(wanted), 'function')} failed to start since its present version; the log is alive.", **details)


@check(
    "functions.previous_documented",
    title="Previous versions of the functions are kept",
    items=("PRE-4.3",),
    harm="There is nothing to deploy again: the platform keeps no earlier version of a function.",
    fix="Run `opsnb functions archive ENV` before deploying: an archive made when the new version is live holds the new version.",
    empty="INCONCLUSIVE: nothing was archived, so no way back is proved.",
)
def previous_documented(archived: pd.DataFrame, functions: pd.DataFrame, *, names: Mapping[str, int]) -> Outcome:
    """Of every function, what ran before the release's version is kept. *names*: slug → the release's version.

    An archive of what runs now counts until the release's version is live; from then on it holds the new version, and is no way back.
    Tables: the archive (slug, version, sha256, bytes), `functions`.
    """
    wanted = sorted(names)
    if archived.empty:
        return inconclusive(
            f"No archive of previous versions was given; the bundles of {counted(len(wanted), 'function')} are needed.", limit=len(wanted)
        )
    known(archived, "slug", "version", "sha256", "bytes")
    rows, missing = _of(functions, wanted, "version")
    live = {str(row.slug): int(str(row.version)) for row in rows.itertuples()}
    shown = []
    for name in wanted:
        kept = archived[(archived["slug"] == name) & (archived["bytes"] > 0) & (archived["sha256"] != "")]
        older = kept[kept["version"] < max(live[name], names[name])] if name in live else kept.iloc[:0]
        shown.append({"function": name, "deployed": live.get(name), "kept": int(older["version"].max()) if len(older) else None})
    lacking = [str(row["function"]) for row in shown if row["kept"] is None]
    details = {"table": findings(shown, ("function", "deployed", "kept")), "measured": len(wanted) - len(lacking), "limit": len(wanted)}
    if lacking or missing or not wanted:
        return inconclusive(
            f"A previous version is kept of {len(wanted) - len(lacking)} of {len(wanted)} functions; not of {some(lacking)}. "
            "What was not archived before it was replaced cannot come back from here.", **details
        )  # fmt: skip
    return passed(f"A previous version is kept of all {len(wanted)} functions.", **details)


def _listed(functions: pd.DataFrame, *columns: str) -> pd.DataFrame:
    known(functions, "slug", *columns)
    if functions["slug"].duplicated().any():
        raise SourceNonsense("the platform lists a function twice")
    return functions


def _of(functions: pd.DataFrame, wanted: Iterable[str], *columns: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows of *wanted* in order of name, and which are missing."""
    wanted = list(wanted)
    if functions.empty:
        return functions, wanted
    rows = _listed(functions, "slug")
    rows = known(rows[rows["slug"].isin(wanted)].sort_values("slug").reset_index(drop=True), *columns)
    return rows, [name for name in wanted if name not in set(rows.get("slug", ()))]


def _each(functions: pd.DataFrame, wanted: Mapping[str, Any], column: str, good: str, same: Any) -> Outcome:
    """One row per function: expected and found value of *column*."""
    rows, _ = _of(functions, sorted(wanted), column)
    found = {str(row["slug"]): row[column] for row in rows.to_dict("records")}
    shown = [
        {"function": name, "expected": value, "found": found.get(name, "missing"), "ok": name in found and same(found[name], value)}
        for name, value in sorted(wanted.items())
    ]
    wrong = [f"{row['function']} ({row['found']}, expected {row['expected']})" for row in shown if not row["ok"]]
    table = findings(sorted(shown, key=lambda row: bool(row["ok"])), ("function", "expected", "found", "ok"))
    details = {"table": table, "measured": len(shown) - len(wrong), "limit": len(shown)}
    if not shown:
        return inconclusive("The release names no function.", **details)
    if wrong:
        return failed(f"{len(shown) - len(wrong)} of {len(shown)} functions are {good}; not {some(wrong)}.", **details)
    return passed(f"{len(shown)} of {len(shown)} functions are {good}.", **details)


def _same_number(found: object, wanted: object) -> bool:
    try:
        return int(str(found)) == wanted
    except ValueError:
        raise SourceNonsense("a function's version is no whole number") from None
