"""What a stranger reaches, and what each caller may write (runbook step 6).

Tables in: `opsnb.sources.reaching`: `strangers` (object, kind, identity, verb, reached, sqlstate, cause) and `writes` (identity, caller,
table, verb, allowed, others, leaked, missing, sqlstate, cause).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

import pandas as pd

from opsnb.checks.tables import bare, counted, findings, known, some
from opsnb.config import kind_of
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

NO_PRIVILEGE = "42501"
NOT_ASKED = "OPSNB"
_NOT_DECIDED = ("08", "53", "55", "57", "58", "XX", "25", "40", NOT_ASKED)
_ORDER = {"error": 0, "unmeasured": 1, "undecided": 2, "warning": 3, "note": 4}
_REACHED = ("severity", "object", "kind", "identity", "verb", "finding")
_WRITTEN = ("severity", "identity", "verb", "allowed", "others", "leaked", "missing", "finding")


class Acceptance(Protocol):
    """A finding that the release says is meant so."""

    @property
    def object(self) -> str:
        """What it is about."""

    @property
    def owner(self) -> str:
        """Who answers for it."""

    @property
    def expires(self) -> date:
        """The last day on which it holds."""


@check(
    "access.stranger",
    title="Nobody and no stranger reaches anything that is not public",
    items=("S6-5",),
    harm="Anybody on the internet reads what is named here, without an account.",
    fix="Revoke the privilege, or give the table a policy that asks for the caller's own row; set security_invoker on the view. "
    "What is for everybody goes into the release's `public`, what is meant so for now into `accepted`.",
    empty="INCONCLUSIVE: the API's roles hold no privilege on anything, so nothing was tried; look at the schemas and the roles' names.",
)
def stranger(
    reached: pd.DataFrame, *, public: Sequence[str] = (), accepted: Sequence[Acceptance] = (), today: date
) -> Outcome:  # fmt: skip
    """No row and no function is reached by nobody (anon) or by a fresh subject, but for *public* ones. No policy raises for them.

    FAIL: a row was there to read, or anybody at all may call a function that runs with its owner's rights. WARN: whoever is signed in may;
    an object of *accepted* until it expires. A policy that raises is FAIL, never "no rows". What could not be asked is ERROR.
    """
    known(reached, "object", "kind", "identity", "verb")
    if reached.empty:
        return inconclusive("The API's roles hold no privilege on anything in the schemas, so nothing was tried.", measured=0)
    meant = {each.object: each for each in accepted}
    rows = [_found(row, public, meant, today) for row in reached.to_dict("records")]
    table = findings(sorted(rows, key=lambda row: _ORDER[str(row["severity"])]), _REACHED)
    objects = counted(reached["object"].nunique(), "object")
    errors = [row for row in rows if row["severity"] == "error"]
    details: dict[str, Any] = {"table": table, "measured": len(errors), "limit": 0}
    worst = table.iloc[0]
    said = f"{worst['object']} as {worst['identity']}: {worst['finding']}"
    if errors:
        return failed(f"{counted(len({row['object'] for row in errors}), 'object')} of {objects} open: {said}.", **details)
    if worst["severity"] == "unmeasured":
        cut = sum(row["severity"] == "unmeasured" for row in rows)
        return unmeasured(f"{cut} of {counted(len(rows), 'question')} could not be asked: {said}.", **details)
    if worst["severity"] == "warning":
        return warned(f"Nothing of {objects} is open to nobody or a stranger, but {said}.", **details)
    return passed(f"Nothing of {objects} is open to nobody or a stranger, but for what is public.", **details)


def _found(row: Mapping[Any, Any], public: Sequence[str], meant: Mapping[str, Acceptance], today: date) -> dict[str, Any]:
    told = {name: row[name] for name in ("object", "kind", "identity", "verb")}
    name = str(row["object"]).partition("(")[0]
    state, cause = _text(row.get("sqlstate")), _text(row.get("cause"))
    severity, finding = "note", "no row of it"
    if state == NO_PRIVILEGE:
        finding = "refused"
    elif state.startswith(_NOT_DECIDED):
        severity, finding = "unmeasured", f"could not be asked: {cause or f'SQLSTATE {state}'}"
    elif state:
        severity, finding = "error", f"was refused with SQLSTATE {state}: {cause}"
    elif row.get("reached") is None or pd.isna(row["reached"]):
        severity, finding = "unmeasured", "no answer"
    elif bool(row["reached"]) and (name in public or bare(name) in public):
        finding = "open, as declared"
    elif bool(row["reached"]) and row["verb"] == "execute":
        everybody = row["identity"] == "anon" or not cause
        severity = "error" if everybody else "warning"
        finding = "may be called, and runs with its owner's rights" if cause else "answers"
    elif bool(row["reached"]):
        severity, finding = "error", cause or "rows can be read"
    acceptance = meant.get(str(row["object"]), meant.get(name))
    if acceptance is not None and severity in ("error", "warning"):
        if acceptance.expires < today:
            finding += f"; accepted by {acceptance.owner} until {acceptance.expires}, which has passed"
        else:
            severity, finding = "warning", f"{finding}; accepted by {acceptance.owner} until {acceptance.expires}"
    return {**told, "severity": severity, "finding": finding}


@check(
    "access.writes",
    title="Everyone writes exactly what they may",
    items=(),
    harm="Leaked: somebody alters or deletes another's record. Missing: notes of a consultation cannot be saved.",
    fix="Leaked: bind the policy's WITH CHECK and USING to the caller's row. Missing: a grant or a policy for this verb is not there.",
    empty="ERROR: nobody tried to write, so nothing was measured.",
)
def writes(tried: pd.DataFrame, *, table: str, verbs: Mapping[str, Mapping[str, str]]) -> Outcome:
    """Each caller could insert, update and delete the tried rows of *table* that *verbs* allows it, and no other; all was rolled back.

    Table: `writes`. FAIL: a row that was not allowed, a right that is missing, a policy that raises. INCONCLUSIVE: no row to try on.
    """
    declared = {verb: rights for verb, rights in verbs.items() if verb != "select"}
    if not declared:
        return inconclusive(f"The release declares nobody's right to write {table}, so nothing was tried.")
    if tried.empty:
        return unmeasured("Nobody tried to write.")
    known(tried, "identity", "table", "verb")
    here = tried[tried["table"].map(lambda name: name == table or bare(str(name)) == bare(table))].copy()
    here["kind"] = here["identity"].map(kind_of)
    pairs = set(zip(here["verb"], here["kind"], strict=True))
    unasked = [f"{verb} as {identity}" for verb, rights in declared.items() for identity in rights if (verb, identity) not in pairs]
    if unasked:
        return unmeasured(f"{table} was not tried: {some(unasked)}.")
    counts = here.assign(allowed=pd.to_numeric(here["allowed"], errors="coerce").fillna(0))
    proved = {pair for pair, part in counts.groupby(["verb", "kind"]) if part["allowed"].max() > 0}
    rows = [_tried(row, declared.get(str(row["verb"]), {}), proved) for row in here.to_dict("records")]
    shown = findings(sorted(rows, key=lambda row: _ORDER[str(row["severity"])]), _WRITTEN)
    worst = shown.iloc[0]
    errors = sum(row["severity"] == "error" for row in rows)
    details: dict[str, Any] = {"table": shown, "measured": errors, "limit": 0}
    sentence = f"{table}: {worst['verb']} as {worst['identity']}: {worst['finding']}."
    verdicts = {"error": failed, "unmeasured": unmeasured, "undecided": inconclusive}
    if worst["severity"] in verdicts:
        return verdicts[str(worst["severity"])](sentence, **details)
    tries = int(counts["allowed"].sum() + pd.to_numeric(here["others"], errors="coerce").fillna(0).sum())
    of_whom = counted(len(rows), "caller and verb", "callers and verbs")
    return passed(f"{table}: {counted(tries, 'try', 'tries')} of {of_whom} ended as declared.", **details)


def _tried(row: Mapping[Any, Any], rights: Mapping[str, str], proved: set[Any]) -> dict[str, Any]:
    told = {name: row.get(name) for name in ("identity", "verb", "allowed", "others", "leaked", "missing")}
    state, cause = _text(row.get("sqlstate")), _text(row.get("cause"))
    if state.startswith(_NOT_DECIDED):
        return {**told, "severity": "unmeasured", "finding": f"was not tried: {cause or f'SQLSTATE {state}'}"}
    if state:
        return {**told, "severity": "error", "finding": f"ended with SQLSTATE {state}: {cause}"}
    if any(pd.isna(told[name]) for name in ("allowed", "leaked", "missing")):
        return {**told, "severity": "unmeasured", "finding": "has no number of rows"}
    if row["leaked"] > 0:
        return {**told, "severity": "error", "finding": f"could write {counted(int(row['leaked']), 'row')} not meant for it"}
    if row["missing"] > 0:
        return {**told, "severity": "error", "finding": f"could not write {counted(int(row['missing']), 'row')} of its own"}
    if rights.get(str(row["kind"])) not in ("none", None) and (row["verb"], row["kind"]) not in proved:
        return {**told, "severity": "undecided", "finding": "nobody of this kind owns a row to try it on, so the right is not proved"}
    return {**told, "severity": "note", "finding": "as declared"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
