"""Who can reach which rows (runbook step 6).

Tables in: `relations` and `exposure` of opsnb/sql/postgres, and the access matrix the source makes by
becoming each identity: one row per table and identity with the numbers of rows expected, seen, leaked (seen, not expected) and missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.tables import bare, counted, findings, known, named, role_names, some
from opsnb.config import kind_of
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

_SEVERITIES = ("error", "warning", "note")
_FINDINGS = ("severity", "object", "roles", "finding")
_MATRIX = ("identity", "table", "expected", "seen", "leaked", "missing", "capped", "sqlstate")

_NOTHING_EXPOSED = "No API role holds a privilege on any table: nothing is exposed, or the schemas or roles are misnamed."

NO_PRIVILEGE = "42501"
"""The caller may not read the table at all: for one who should see nothing, a right answer."""
NOT_ASKED = "OPSNB"
"""Where an SQLSTATE would stand: the source did not get as far as asking this caller, and the cause says why."""
# the statement did not get as far as the policies: connection, resources, operator, system
_NOT_DECIDED = ("08", "53", "55", "57", "58", "XX", "25", "40")


@check(
    "access.in_place",
    title="Policies are in place on every listed table",
    items=("PRE-2.5",),
    harm="A table without row level security is read whole by anybody who holds the public key, which every browser does.",
    fix="alter table ... enable row level security, and apply the migration with the table's policies.",
    empty="FAIL: the schemas hold no table at all.",
)
def in_place(relations: pd.DataFrame, *, tables: Sequence[str]) -> Outcome:
    """Every table of *tables* has row level security on and at least one policy.

    Tables: `relations`. FAIL for a table that is missing, has it off, or has no policy (nobody would see a row).
    """
    if not tables:
        return failed("The release lists no table to protect, so nothing can be shown.")
    known(relations, "schema", "name", "rls", "policies")
    rows = []
    for name in tables:
        here = named(relations, name) if not relations.empty else relations
        if here.empty:
            finding = "the table is missing"
        elif not here["rls"].astype(bool).all():
            finding = "row level security is off"
        elif (here["policies"] < 1).any():
            finding = "row level security is on, but there is no policy"
        else:
            finding = ""
        policies = int(here["policies"].sum()) if len(here) else 0
        rows.append({"severity": "error" if finding else "note", "object": name, "policies": policies, "finding": finding or "in place"})
    table = findings(rows, ("severity", "object", "policies", "finding"), worst_first=_SEVERITIES)
    wrong = [str(row["object"]) for row in rows if row["severity"] == "error"]
    details: dict[str, Any] = {"table": table, "measured": len(rows) - len(wrong), "limit": len(rows)}
    if wrong:
        return failed(f"{len(wrong)} of {counted(len(rows), 'listed table')} not protected by policies: {some(wrong)}.", **details)
    return passed(f"All {counted(len(rows), 'listed table')} have row level security on and at least one policy.", **details)


@check(
    "access.rls_enabled",
    title="Row level security is on for every exposed table",
    items=("S6-4",),
    harm="Whoever holds the public key reads and, where granted, writes every row of the table.",
    fix="alter table ... enable row level security, or revoke the API roles' privileges on the table.",
    empty="INCONCLUSIVE: no API role holds a privilege on any table, so none is exposed; check the schemas and the roles' names.",
)
def rls_enabled(exposure: pd.DataFrame) -> Outcome:
    """Every table on which an API role holds any privilege has row level security on.

    Tables: `exposure`. FAIL for a table with it off. A materialised view or foreign table cannot have it: WARN.
    """
    known(exposure, "schema", "name", "kind", "rls", "policies", "role")
    if exposure.empty:
        return inconclusive(_NOTHING_EXPOSED, measured=0)
    rows = []
    tables = 0
    for (schema, name), held in exposure[exposure["kind"] != "view"].groupby(["schema", "name"], sort=True):
        kind, rls, policies = held["kind"].iloc[0], bool(held["rls"].all()), int(held["policies"].iloc[0])
        if kind in ("table", "partitioned table"):
            tables += 1
            severity, finding = ("note", "on") if rls else ("error", "row level security is off: every row is open to these roles")
            if rls and not policies:
                finding = "on, without a policy: nobody but its owner sees a row"
        else:
            severity, finding = "warning", f"a {kind} has no row level security: every row is open to these roles"
        rows.append({"severity": severity, "object": f"{schema}.{name}", "roles": role_names(held["role"]), "finding": finding})
    table = findings(rows, _FINDINGS, worst_first=_SEVERITIES)
    off = [str(row["object"]) for row in rows if row["severity"] == "error"]
    details: dict[str, Any] = {"table": table, "measured": tables - len(off), "limit": tables}
    if off:
        return failed(f"Row level security is off on {len(off)} of {counted(tables, 'exposed table')}: {some(off)}.", **details)
    if not tables:
        return inconclusive("No table is exposed to an API role, only views: nothing to show for row level security.", **details)
    without = [str(row["object"]) for row in rows if row["severity"] == "warning"]
    if without:
        also = f"but API roles also reach {some(without)}, which cannot have it"
        return warned(f"On for all {counted(tables, 'exposed table')}, {also}.", **details)
    return passed(f"Row level security is on for all {counted(tables, 'exposed table')}.", **details)


@check(
    "access.matrix",
    title="Everyone sees exactly their own rows",
    items=("S6-1", "S6-2", "S6-3"),
    harm="Leaked: one person reads another's medical history, a breach to be reported. Missing: care without the record.",
    fix="Leaked: narrow the table's policies. Missing: the policy does not know the caller; compare its subject with the identity column.",
    empty="ERROR: nobody was impersonated, so nothing was measured.",
)
def matrix(access: pd.DataFrame, *, table: str, select: Mapping[str, str]) -> Outcome:
    """Each identity of *select* sees of *table* the rows it is declared to see, no more and no fewer.

    Tables: the access matrix. *select* is the release's declaration (identity: expression, ``none`` or ``all``).
    FAIL: a row leaked or missing, or a policy that raises. INCONCLUSIVE: no row to prove it with, or the count was capped.
    """
    if not select:
        return failed(f"The release declares nobody's access to {table}, so nothing can be shown.")
    if access.empty:
        return unmeasured(f"Nobody was impersonated on {table}.")
    known(access, "identity", "table")
    here = access[access["table"].map(lambda name: name == table or bare(str(name)) == bare(table))].copy()
    here["kind"] = here["identity"].map(kind_of)
    unasked = [identity for identity in select if identity not in set(here["kind"])]
    if unasked:
        return unmeasured(f"{table} was not asked as {some(unasked)}.", table=here)
    # who owns nothing proves nothing, unless another caller of the same kind owns something
    proved = set(here[pd.to_numeric(here["expected"], errors="coerce").fillna(0) > 0]["kind"]) if "expected" in here else set()
    rows = [_seen(row, select.get(str(row["kind"]), "none"), proved=row["kind"] in proved) for row in here.to_dict("records")]
    shown = findings(rows, ("severity", "identity", "expected", "seen", "leaked", "missing", "finding"))
    order = {"error": 0, "unmeasured": 1, "undecided": 2, "note": 3}
    shown = shown.iloc[shown["severity"].map(order).argsort(kind="stable")].reset_index(drop=True)
    worst = shown.iloc[0]
    leaked = sum(row["leaked"] or 0 for row in rows)
    details: dict[str, Any] = {"table": shown, "measured": leaked, "limit": 0}
    if worst["severity"] == "note":
        each = counted(len(rows), "caller")
        return passed(f"{table}: {each} each saw exactly what is declared, nothing leaked.", **details)
    sentence = f"{table}: {worst['identity']} {worst['finding']}."
    verdict = {"error": failed, "unmeasured": unmeasured, "undecided": inconclusive}[worst["severity"]]
    return verdict(sentence, **details)


def _seen(row: Mapping[Any, Any], declared: str, *, proved: bool) -> dict[str, Any]:
    """One identity's row of the matrix with a severity and a finding in words."""
    expected, seen, leaked, missing = (_number(row.get(name)) for name in ("expected", "seen", "leaked", "missing"))
    told = {"identity": row["identity"], "expected": expected, "seen": seen, "leaked": leaked, "missing": missing}
    state = _text(row.get("sqlstate"))
    if state == NO_PRIVILEGE and declared == "none":
        return {**told, "severity": "note", "finding": "may not read the table at all, as declared"}
    if state == NOT_ASKED:
        return {**told, "severity": "unmeasured", "finding": f"was not asked{_because(row)}"}
    if state.startswith(_NOT_DECIDED):
        return {**told, "severity": "unmeasured", "finding": f"could not be asked (SQLSTATE {state})"}
    if state:
        return {**told, "severity": "error", "finding": f"was refused with SQLSTATE {state}{_because(row)}"}
    if expected is None or seen is None or leaked is None or missing is None:
        return {**told, "severity": "unmeasured", "finding": f"has no number of rows{_because(row)}"}
    if leaked > 0:
        return {**told, "severity": "error", "finding": f"saw {counted(leaked, 'row')} not meant for it"}
    if missing > 0:
        return {**told, "severity": "error", "finding": f"did not see {counted(missing, 'row')} of its own"}
    if declared == "none" and seen > 0:
        return {**told, "severity": "error", "finding": f"saw {counted(seen, 'row')}, none is declared"}
    if bool(row.get("capped")) and not pd.isna(row.get("capped")):
        return {**told, "severity": "undecided", "finding": f"was compared on the first {counted(seen, 'row')} only; raise the cap"}
    if declared != "none" and expected == 0 and proved:
        return {**told, "severity": "note", "finding": "owns no row and saw none"}
    if declared != "none" and expected == 0:
        return {**told, "severity": "undecided", "finding": "has no row it should see, so nothing is proved; name another"}
    return {**told, "severity": "note", "finding": "saw nothing, as declared" if declared == "none" else "saw exactly the rows declared"}


@check(
    "access.identity_works",
    title="The identity provider's subjects work in the policies",
    items=("S6-6",),
    harm="Signed-in people see an empty history or an error: to a clinician, a patient without allergies.",
    fix="Compare (select auth.jwt() ->> 'sub') with the identity column; auth.uid() cannot read a subject that is no UUID (22P02).",
    empty="ERROR: nobody was impersonated, so nothing was measured.",
)
def identity_works(access: pd.DataFrame, *, prove: Sequence[str] = ("patient",)) -> Outcome:
    """No policy raises for a real subject, and each identity of *prove* saw rows of its own on some table.

    Tables: the access matrix. FAIL: an SQLSTATE that a policy raised, or own rows not seen. INCONCLUSIVE: no own row to see.
    A missing privilege (42501) is a refusal, not an error of a policy. ERROR: somebody was not asked.
    """
    if access.empty or not prove:
        return unmeasured("Nobody was impersonated.")
    known(access, "identity", "table")
    rows: list[dict[str, Any]] = []
    undecided: list[str] = []
    not_asked: list[str] = []
    for row in access.to_dict("records"):
        state = _text(row.get("sqlstate"))
        where = {"object": row["table"], "roles": row["identity"]}
        if state == NOT_ASKED:
            not_asked.append(f"{row['table']} as {row['identity']}")
        elif state.startswith(_NOT_DECIDED):
            undecided.append(f"{row['table']} as {row['identity']} (SQLSTATE {state})")
        elif state and state != NO_PRIVILEGE:
            what = "a policy reads the subject as a UUID" if state == "22P02" else "a policy raised"
            rows.append({**where, "severity": "error", "finding": f"{what} (SQLSTATE {state}){_because(row)}"})
    for identity in prove:
        own = access[access["identity"].map(kind_of) == identity]
        if own.empty:
            return unmeasured(f"Nobody was impersonated as {identity}.")
        expected, seen, leaked = (pd.to_numeric(own[name], errors="coerce").fillna(0) for name in ("expected", "seen", "leaked"))
        proofs = own[(expected > 0) & (seen - leaked > 0)]["table"].tolist()
        where = {"object": some([str(name) for name in proofs]), "roles": identity}
        if proofs:
            rows.append({**where, "severity": "note", "finding": f"saw rows of its own on {counted(len(proofs), 'table')}"})
        elif (expected > 0).any():
            asked = some([str(name) for name in own["table"]])
            rows.append({**where, "object": asked, "severity": "error", "finding": "saw no row of its own, though there are some"})
        else:
            undecided.append(f"{identity} owns no row on any table asked")
    table = findings(rows, _FINDINGS, worst_first=_SEVERITIES)
    errors = [row for row in rows if row["severity"] == "error"]
    details: dict[str, Any] = {"table": table, "measured": len(errors), "limit": 0}
    if errors:
        first = errors[0]
        cases = counted(len(errors), "such case")
        return failed(f"{first['object']} as {first['roles']}: {first['finding']} ({cases}).", **details)
    if not_asked:
        return unmeasured(f"Not everybody was asked: {some(not_asked)}.", **details)
    if undecided:
        return inconclusive(f"No policy raised where it could be asked, but: {some(undecided)}.", **details)
    return passed(f"No policy raised, and {some(list(prove))} saw rows of their own.", **details)


@check(
    "access.grants_beyond_rls",
    title="No privilege that policies do not govern",
    items=("S6-5",),
    harm="TRUNCATE empties a table past every policy; a caller who finds a way to send SQL needs no hole in them.",
    fix="revoke truncate, references, trigger on all tables in schema ... from anon, authenticated; alter default privileges likewise.",
    empty="INCONCLUSIVE: no API role holds a privilege on any table, so none is exposed; check the schemas and the roles' names.",
)
def grants_beyond_rls(exposure: pd.DataFrame) -> Outcome:
    """No API role holds TRUNCATE, REFERENCES or TRIGGER on a table: row level security does not govern them.

    Tables: `exposure`. WARN at most: hosted projects grant them by default and the REST door offers no way to use them.
    """
    known(exposure, "schema", "name", "kind", "role", "privileges")
    if exposure.empty:
        return inconclusive(_NOTHING_EXPOSED, measured=0)
    rows = []
    tables = exposure[exposure["kind"].isin(("table", "partitioned table"))]
    for row in tables.to_dict("records"):
        beyond = [privilege for privilege in ("TRUNCATE", "REFERENCES", "TRIGGER") if privilege in list(row["privileges"])]
        if beyond:
            finding = f"holds {', '.join(beyond)}, which no policy governs"
            rows.append({"severity": "warning", "object": f"{row['schema']}.{row['name']}", "roles": row["role"], "finding": finding})
    table = findings(rows, _FINDINGS)
    details: dict[str, Any] = {"table": table, "measured": len(rows), "limit": 0}
    looked_at = tables.groupby(["schema", "name"]).ngroups
    if rows:
        over = len({row["object"] for row in rows})
        return warned(f"API roles hold TRUNCATE, REFERENCES or TRIGGER on {over} of {counted(looked_at, 'exposed table')}.", **details)
    if not looked_at:
        return inconclusive("No table is exposed to an API role, only views.", **details)
    return passed(f"API roles hold only privileges that policies govern on {counted(looked_at, 'exposed table')}.", **details)


def _number(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _because(row: Mapping[Any, Any]) -> str:
    cause = _text(row.get("cause"))
    return f": {cause}" if cause else ""
