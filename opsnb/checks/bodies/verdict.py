"""Does every body resolve: the check, from the server's own checker where it was asked, else from syntax trees."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.bodies.catalogue import Catalogue
from opsnb.checks.bodies.program import created, sets_search_path
from opsnb.checks.bodies.reading import Body, Finding, Reading, reading
from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, not_applicable, passed, unmeasured, warned

COLUMNS = ("severity", "object", "line", "kind", "finding", "read by")
TREES, CHECKER, BOUND = "syntax tree", "plpgsql_check", "bound by Postgres"
_ORDER = ("error", "warning", "not read")
_QUOTED = re.compile(r'"([^"]+)"')

# what the checker's errors mean; its own text may quote the body, so it is not shown
_KINDS: Mapping[str, tuple[str, str]] = {
    "42P01": ("table", "{name} is no table here"),
    "42703": ("column", "column or field {name} does not exist"),
    "42883": ("function", "function or operator {name} does not exist"),
    "42704": ("type", "{name} does not exist"),
    "3F000": ("schema", "schema {name} does not exist"),
    "42601": ("statement", "a statement does not fit the table or the language"),
    "42702": ("two meanings", "column {name} may mean two things"),
    "42725": ("two meanings", "function {name} may mean two things"),
    "42804": ("value", "a value has another type than its place"),
    "42846": ("value", "a value cannot be cast to the type of its place"),
    "42803": ("statement", "a column neither grouped nor aggregated"),
    "42P10": ("statement", "a column reference that does not fit, or no unique key for ON CONFLICT"),
    "42P18": ("value", "the type of a value cannot be told"),
    "22P02": ("value", "a constant does not fit its type"),
    "42809": ("kind of object", "{name} is another kind of object"),
}  # fmt: skip


@check(
    "schema.bodies_resolve",
    title="Every function, trigger and view body resolves",
    items=("S5-10",),
    harm="The function, trigger or view fails when it is first used, which may be the first real patient.",
    fix="Change the function, or bring back what it names; then run this phase again.",
    empty="NOT_APPLICABLE: the schemas hold no function, trigger or view with a body.",
)
def resolve(
    routines: pd.DataFrame,
    views: pd.DataFrame,
    relations: pd.DataFrame,
    functions: pd.DataFrame,
    types: pd.DataFrame,
    paths: pd.DataFrame,
    checked: pd.DataFrame,
) -> Outcome:
    """No body names a table, column, function or type that is not there, and no INSERT has more or fewer values than columns.

    Tables: those of `opsnb.sources.bodies.bodies`. FAIL for a name that is missing for every caller; WARN for one that only a caller's
    search_path can bring, for one that a handler of all errors hides, and for a materialised view never filled. What cannot be read
    (dynamic SQL, other languages) is counted, and never fails; where nothing at all could be read it is INCONCLUSIVE.
    """
    known(routines, "oid", "schema", "name", "language", "body", "bound", "argument_names", "argument_types", "trigger_tables")
    known(views, "schema", "name", "kind", "populated")
    if routines.empty and views.empty:
        return not_applicable("The schemas hold no function, trigger or view with a body.")
    if paths.empty and not routines.empty:
        return unmeasured("The catalogue named no schema, so no name could be looked up.")
    catalogue = Catalogue.of(relations, functions, types, paths)
    by_checker = _by_checker(checked)
    temporary = (
        frozenset(name for body in routines["body"] for name in created(str(body), temporary=True)) if not routines.empty else frozenset()
    )
    rows: list[dict[str, object]] = []
    used: Counter[str] = Counter()
    read = 0
    unread: list[str] = []
    dynamic = 0
    for row in routines.to_dict("records"):
        if bool(row["bound"]):
            used[BOUND] += 1
            continue
        body = Body(row)
        seen = reading(body, catalogue, made_elsewhere=temporary)
        asked = by_checker.get(int(row["oid"]))
        method = TREES if asked is None else CHECKER
        found = seen.findings if asked is None else _merged(seen, asked, catalogue, body)
        rows += [_row(body, finding, method) for finding in found]
        missed = seen.unread if asked is None else [(line, why) for line, why in seen.unread if why.startswith("dynamic")]
        rows += [
            {"severity": "not read", "object": body.name, "line": line, "kind": "", "finding": why, "read by": method}
            for line, why in missed
        ]
        dynamic += sum(why.startswith("dynamic") for _, why in missed)
        if asked is None and not seen.read and seen.unread:
            unread.append(f"{row['schema']}.{row['name']}")
        else:
            used[method] += 1
            read += 1
    for row in views.to_dict("records"):
        used[BOUND] += 1
        if not bool(row["populated"]):
            rows.append(
                {"severity": "warning", "object": f"{row['schema']}.{row['name']}", "line": pd.NA, "kind": "materialised view",
                 "finding": "it was never filled: reading it is an error until it is refreshed", "read by": BOUND}
            )  # fmt: skip
    return _judged(rows, used, unread, dynamic, total=len(routines) + len(views))


def _judged(rows: Sequence[Mapping[str, Any]], used: Counter[str], unread: Sequence[str], dynamic: int, *, total: int) -> Outcome:
    errors = [row for row in rows if row["severity"] == "error"]
    warnings = [row for row in rows if row["severity"] == "warning"]
    partly = len({row["object"] for row in rows if row["severity"] == "not read"}) - len(unread)
    how = _how(used, unread, partly, dynamic)
    details: dict[str, Any] = {"table": findings(rows, COLUMNS, worst_first=_ORDER), "measured": len(errors), "limit": 0}
    if errors:
        objects = list(dict.fromkeys(str(row["object"]) for row in errors))
        first = errors[0]
        return failed(
            f"{len(objects)} of {counted(total, 'body', 'bodies')} {'does' if len(objects) == 1 else 'do'} not resolve: {some(objects)}. "
            f"{first['object']}, line {first['line']}: {first['finding']}. {how}",
            **details,
        )
    if not used.total():
        return inconclusive(f"None of {counted(total, 'body', 'bodies')} could be read: {some(list(unread))}.", **details)
    if warnings:
        objects = list(dict.fromkeys(str(row["object"]) for row in warnings))
        return warned(f"No body fails for every caller, but {some(objects)} may: {warnings[0]['finding']}. {how}", **details)
    return passed(
        f"All {counted(used.total(), 'body', 'bodies')} that could be read resolve{'' if not unread else f', of {total}'}. {how}", **details
    )


def _how(used: Counter[str], unread: Sequence[str], partly: int, dynamic: int) -> str:
    parts = []
    if used[CHECKER]:
        parts.append(f"{used[CHECKER]} by plpgsql_check")
    if used[TREES]:
        parts.append(f"{used[TREES]} by syntax trees against the catalogue (names and numbers of arguments, no types)")
    if used[BOUND]:
        parts.append(f"{used[BOUND]} kept resolved by Postgres itself")
    sentence = f"Read: {', '.join(parts)}." if parts else ""
    if unread:
        sentence += f" Not read: {some(list(unread))}."
    if partly > 0:
        sentence += f" {counted(partly, 'body', 'bodies')} read in part"
        sentence += f" ({counted(dynamic, 'statement')} of dynamic SQL)." if dynamic else "."
    return sentence.strip()


def _row(body: Body, finding: Finding, method: str) -> dict[str, object]:
    kind = "missing " + finding.kind if finding.kind in ("table", "column", "function", "type", "schema") else finding.kind
    return {
        "severity": finding.severity,
        "object": body.name,
        "line": finding.line,
        "kind": kind,
        "finding": finding.sentence,
        "read by": method,
    }


def _by_checker(checked: pd.DataFrame) -> dict[int, list[tuple[int, int, str, str]]]:
    """Oid → its errors (relation, line, sqlstate, message); no entry where it was not asked."""
    known(checked, "oid", "relation", "outcome", "line", "sqlstate", "message")
    found: dict[int, list[tuple[int, int, str, str]]] = {}
    for row in checked.to_dict("records"):
        errors = found.setdefault(int(row["oid"]), [])
        if row["outcome"] == "error":
            errors.append((int(row["relation"]), int(row["line"]), str(row["sqlstate"]), str(row["message"])))
        else:
            errors.append((int(row["relation"]), 0, "", ""))
    return found


def _merged(seen: Reading, asked: Sequence[tuple[int, int, str, str]], catalogue: Catalogue, body: Body) -> list[Finding]:
    """The checker's errors as findings; what the body expects to be missing, and what only another path brings, as the trees say."""
    relations = {relation for relation, *_ in asked}
    counts: dict[Finding, set[int]] = {}
    for relation, line, sqlstate, message in asked:
        if sqlstate not in _KINDS or (sqlstate == "42601" and not message.startswith("syntax error")):
            # 42601: it takes the query of an unbound cursor for an expression; 55000: a record not filled yet; others: nothing about names
            continue
        kind, sentence = _KINDS[sqlstate]
        name = _object(message)
        shield = seen.shields.get(line, "")
        bare = name.partition("(")[0].rpartition(".")[2]
        if shield == "named" or bare in seen.probed or bare in seen.own:
            continue
        severity = "warning" if shield == "others" else "error"
        text = sentence.format(name=name or "a name")
        if (
            sqlstate in ("42P01", "42883", "42704")
            and severity == "error"
            and "." not in name
            and _elsewhere(bare, sqlstate, catalogue, body)
        ):
            if sets_search_path(body.text):
                continue
            severity, text = "warning", f"{text}: found only where the caller's search_path names it"
        finding = Finding(severity, line, kind, name, text)
        counts.setdefault(finding, set()).add(relation)
    branches = re.search(r"\btg_(table_name|relname|relid|table_schema|argv|name)\b", body.text, re.IGNORECASE) is not None
    return [finding for finding, where in counts.items() if where == relations or not branches]


def _elsewhere(name: str, sqlstate: str, catalogue: Catalogue, body: Body) -> bool:
    """Whether an unqualified name exists in some schema, and the body leaves the path to its caller."""
    if catalogue.path(body.search_path).fixed and not sets_search_path(body.text):
        return False
    held: Mapping[str, Mapping[str, object]] = {"42P01": catalogue.relations, "42883": catalogue.routines, "42704": catalogue.types}
    return bool(held[sqlstate].get(name))


def _object(message: str) -> str:
    """The name an error is about; messages of the kinds above quote names only."""
    quoted = _QUOTED.findall(message)
    if quoted:
        return ".".join(reversed(quoted)) if "record" in message or "variable" in message else str(quoted[0])
    matched = re.search(r"(?:column|function|table|operator|procedure) ([\w.$]+(?:\([^)]*\))?)", message)
    return matched[1] if matched else ""
