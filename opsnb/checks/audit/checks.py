"""The checks of a source audit. Each judges a part of the one table that `read` makes; empty: no file was looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.audit import comparison
from opsnb.checks.audit.callers import SECRET_NAME
from opsnb.checks.audit.catalogue import catalogue
from opsnb.checks.audit.table import SEVERITIES, SHOWN
from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, warned

_NO_FILE = "INCONCLUSIVE: no source file was looked at, so nothing is known of the functions."
_READ = ("kind", "file", "line", "object", "name", "operation", "severity", "finding", "fix")
_BY_PLATFORM = re.compile(r"^(?:SB_|DENO_|SUPABASE_INTERNAL_)")
_PUBLIC = re.compile(r"ANON|PUBLISHABLE|PUBLIC")


@check(
    "audit.references",
    title="The functions' sources use what the schema has",
    items=(),
    harm="The function boots and fails at the first call that needs what is not there; a wrong value is refused by its CHECK.",
    fix="Deploy the migration that the sources need, or correct the name; where a release needs both, migrations go first.",
    empty=_NO_FILE,
)
def references(
    uses: pd.DataFrame,
    relations: pd.DataFrame,
    columns: pd.DataFrame,
    routines: pd.DataFrame,
    constraints: pd.DataFrame | None = None,
    enums: pd.DataFrame | None = None,
    *,
    accepted: Sequence[str] = (),
) -> Outcome:
    """Tables, columns, relationships, routines, arguments and values written, held against the schema.

    Tables: `read`, and the statements relations, columns, routines, constraints; *enums* (name, value) where there is one.
    Without constraints no relationship and no value is judged.
    """
    if (nothing := _nothing(uses)) is not None:
        return nothing
    if relations.empty or columns.empty:
        return inconclusive("The schema lists no table: the role may not see them, so nothing can be compared.")
    none = pd.DataFrame()
    schema = catalogue(relations, columns, routines, none if constraints is None else constraints, none if enums is None else enums)
    asked = int(uses.loc[uses["query"] != 0, "query"].nunique())
    rows = comparison.judge(uses, schema)
    return _outcome(uses, rows, counted(asked, "query", "queries"), "uses only what the schema has" if asked == 1 else
                    "use only what the schema has", measured=asked, accepted=accepted)  # fmt: skip


@check(
    "audit.variables",
    title="The sources read the variables that are listed and set",
    items=(),
    harm="A variable that is not set is undefined at run time; a literal in its place quietly talks to another project.",
    fix="Set what is read (supabase secrets set NAME=...), list it in the release, and take literals out of the sources.",
    empty=_NO_FILE,
)
def variables(
    uses: pd.DataFrame,
    secrets: pd.DataFrame,
    *,
    required: Iterable[str] = (),
    injected: Iterable[str] = (),
    optional: Iterable[str] = (),
    accepted: Sequence[str] = (),
) -> Outcome:
    """Every variable that is read is listed and set, every listed one is read, none has a literal to fall back on.

    Tables: `read` and `secrets` (name). A literal in place of a secret is FAIL, of anything else (a region) WARN.
    """
    if (nothing := _nothing(uses)) is not None:
        return nothing
    present = set() if secrets.empty else {str(name) for name in known(secrets, "name")["name"]}
    read = uses[uses["kind"] == "variable"]
    wanted, by_platform, may = set(required), set(injected), set(optional)
    rows: list[dict[str, Any]] = []
    fallen = set(read.loc[read["operation"] == "fallback", "name"])
    first = read[read["operation"] == "read"].drop_duplicates("name")
    for use in first.to_dict("records"):
        if found := _of_variable(str(use["name"]), present, wanted | by_platform, may, use["name"] in fallen):
            severity, rule, sentence, fix = found
            rows.append(_shown(use, severity, rule, str(use["name"]), sentence, fix))
    for use in read[read["operation"].isin(["fallback", "empty fallback"])].to_dict("records"):
        rows += _of_fallback(use)
    computed = read["operation"].eq("computed").any()
    for name in sorted((wanted | may) - by_platform - set(first["name"])):
        severity = "note" if computed or name in may else "warning"
        told = "; some names are computed, it may be among them" if computed else ""
        rows.append({**dict.fromkeys(SHOWN, ""), "severity": severity, "rule": "never read", "line": 0, "object": name,
                     "finding": f"{name} is listed and no source reads it{told}",
                     "fix": "Take it off the list, and unset it: a secret that nobody reads can only leak."})  # fmt: skip
    counted_ = counted(len(first), "variable")
    return _outcome(uses, rows, counted_, "is read and listed, without a literal to fall back on" if len(first) == 1 else
                    "are read and listed, without a literal to fall back on", measured=len(first), accepted=accepted)  # fmt: skip


@check(
    "audit.imports",
    title="The sources parse and every import resolves",
    items=(),
    harm="The function does not boot: every call of it is a 503 from its first second on.",
    fix="Correct the path or add what is missing: a function with an unresolved import does not boot.",
    empty=_NO_FILE,
)
def imports(uses: pd.DataFrame, *, accepted: Sequence[str] = ()) -> Outcome:
    """Every file parses; every import leads to a file that exports the name, or to one version of something elsewhere. Table: `read`."""
    if (nothing := _nothing(uses)) is not None:
        return nothing
    files = uses[(uses["kind"] == "file")]
    rows = [
        _shown(use, str(use["severity"]), "unreadable file", str(use["object"]), str(use["finding"]), "Correct the file.")
        for use in files[files["severity"] != ""].to_dict("records")
    ]
    rows += _found(uses, "import")
    number = len(files)
    return _outcome(uses, rows, counted(number, "source file"), "parses, and its imports resolve" if number == 1 else
                    "parse, and their imports resolve", measured=number, accepted=accepted, whole=True)  # fmt: skip


@check(
    "audit.authority",
    title="Nothing uses the service role for a caller who may not",
    items=(),
    harm="Whoever can call the function reads or writes any patient's rows, whatever the policies say.",
    fix="Verify the caller before anything else, relate the record to them, and use the service role only where the caller's token "
    "cannot do it.",
    empty=_NO_FILE,
)
def authority(uses: pd.DataFrame, *, accepted: Sequence[str] = ()) -> Outcome:
    """No handler uses the service role before its caller is verified, or for a record that nothing relates to the caller. Table: `read`."""
    if (nothing := _nothing(uses)) is not None:
        return nothing
    number = int((uses["kind"] == "handler").sum())
    if not number:
        return inconclusive("No source file serves requests: no handler was found, so no caller could be followed.", measured=0)
    return _outcome(uses, _found(uses, "authority"), counted(number, "handler"), "uses the service role for verified callers only"
                    if number == 1 else "use the service role for verified callers only", measured=number, accepted=accepted)  # fmt: skip


@check(
    "audit.errors",
    title="The sources look whether a query failed",
    items=(),
    harm="A failed query looks like an empty answer: a patient with allergies is shown as one without.",
    fix="Look at the error of every answer: supabase-js and fetch do not throw, and a failed query looks like an empty history.",
    empty=_NO_FILE,
)
def errors(uses: pd.DataFrame, *, accepted: Sequence[str] = ()) -> Outcome:
    """Every query is sent, and somebody looks at the error or the status of every answer. Table: `read`."""
    if (nothing := _nothing(uses)) is not None:
        return nothing
    number = len(uses[(uses["kind"] == "answer") & (uses["severity"] == "")].drop_duplicates(["file", "line"]))
    rows = _found(uses, "answer")
    return _outcome(uses, rows, counted(number, "answer"), "is looked at" if number == 1 else "are looked at", measured=number,
                    accepted=accepted)  # fmt: skip


@check(
    "audit.secrets",
    title="No credential stands in the sources",
    items=(),
    harm="Whoever reads the repository or a bundle holds the key, and past versions keep it after it is removed.",
    fix="Revoke what was found (it is in the archive of every deployment), move it to a variable, deploy again.",
    empty=_NO_FILE,
)
def secrets(uses: pd.DataFrame, *, accepted: Sequence[str] = ()) -> Outcome:
    """No file holds a credential; samples of documentation and public keys are none. Table: `read`. Values are never shown."""
    if (nothing := _nothing(uses)) is not None:
        return nothing
    number = int((uses["kind"] == "file").sum())
    rows = _found(uses, "secret")
    rows += [
        _shown(
            use, "note", "not scanned", str(use["object"]), f"the file is {use['operation']} and was not looked at", "Look at it yourself."
        )
        for use in uses[uses["kind"] == "unscanned"].to_dict("records")
    ]
    return _outcome(uses, rows, counted(number, "source file"), "holds no credential" if number == 1 else "hold no credential",
                    measured=number, accepted=accepted, whole=True)  # fmt: skip


def _nothing(uses: pd.DataFrame) -> Outcome | None:
    """The outcome where no source file was looked at."""
    if not uses.empty:
        known(uses, *_READ)
        if (uses["kind"] == "file").any():
            return None
    return inconclusive("No source file was looked at.", measured=0)


def _outcome(uses: pd.DataFrame, rows: list[dict[str, Any]], many: str, good: str, *, measured: int, accepted: Sequence[str],
             whole: bool = False) -> Outcome:  # fmt: skip
    """Any error is FAIL, any warning WARN; without either, a file that could not be followed leaves it open (unless *whole*)."""
    for each in rows:
        if each["severity"] == "error" and (each["object"] in accepted or each["file"] in accepted):
            each |= {"severity": "warning", "finding": f"accepted by the release: {each['finding']}"}
    table = findings(rows, SHOWN, worst_first=SEVERITIES)
    wrong, doubtful = table[table["severity"] == "error"], table[table["severity"] == "warning"]
    details = {"table": table, "measured": len(wrong), "limit": 0}
    if len(wrong):
        return failed(f"{counted(len(wrong), 'fault')} in the sources: {_places(wrong)}.", **details)
    left = uses[((uses["kind"] == "file") & (uses["severity"] == "error")) | (uses["kind"] == "unfollowed")
                | ((uses["kind"] == "file") & (uses["operation"] == "unread"))]  # fmt: skip
    if len(left) and not whole:
        names = some(sorted(set(left["file"])))
        return inconclusive(f"No fault was found, but {names} could not be followed to the end.", **details)
    if len(doubtful):
        return warned(f"No fault in the sources, and {counted(len(doubtful), 'doubt')}: {_places(doubtful)}.", **details)
    if not measured:
        return inconclusive(
            f"There was nothing to judge: {many} in {counted(int((uses['kind'] == 'file').sum()), 'source file')}.", **details
        )
    return passed(f"{many} {good}.", **details)


def _places(table: pd.DataFrame) -> str:
    return some([f"{row['file']}:{row['line']} ({row['rule']})" if row["file"] else f"{row['object']} ({row['rule']})"
                 for row in table.to_dict("records")])  # fmt: skip


def _found(uses: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    """The rows of a kind that are findings already."""
    asked = uses[(uses["kind"] == kind) & (uses["severity"] != "")]
    return [
        _shown(use, str(use["severity"]), str(use["operation"]), str(use["object"]), str(use["finding"]), str(use["fix"]))
        for use in asked.to_dict("records")
    ]


def _shown(use: dict[Any, Any], severity: str, rule: str, subject: str, sentence: str, fix: str) -> dict[str, Any]:
    place = {"file": str(use["file"]), "line": int(use["line"])}
    return {"severity": severity, "rule": rule, **place, "object": subject, "finding": sentence, "fix": fix}


def _of_variable(name: str, present: set[str], listed: set[str], may: set[str], fallen: bool) -> tuple[str, str, str, str] | None:
    """What is wrong with a variable that is read: severity, rule, sentence, what to do."""
    if name in listed or name in may or _BY_PLATFORM.match(name):
        platform = name.startswith("SUPABASE_")
        if name in listed and name not in present and not platform:
            return "error", "not set", f"{name} is read and listed, and not set", f"Set it: supabase secrets set {name}=..."
        return None
    if name in present or name.startswith("SUPABASE_"):
        return (
            "warning",
            "not listed",
            f"{name} is read and set, but the release does not list it",
            "List it among the release's variables.",
        )
    if fallen:
        return (
            "warning",
            "not listed",
            f"{name} is read, neither set nor listed; a literal stands in for it",
            "List it, as optional perhaps.",
        )
    return "error", "not set", f"{name} is read, and neither set nor listed", f"List it and set it: supabase secrets set {name}=..."


def _of_fallback(use: dict[Any, Any]) -> list[dict[str, Any]]:
    name = str(use["name"])
    secret = bool(SECRET_NAME.search(name)) and not _PUBLIC.search(name)
    if use["operation"] == "empty fallback":
        if not secret or name.startswith("SUPABASE_"):
            return []
        sentence = f"where {name} is not set, the empty text is taken for it: what it signs or opens is then open"
        return [_shown(use, "warning", "literal fallback", name, sentence, "Refuse to work without it.")]
    sentence = f"where {name} is not set, a literal of the source is taken for it"
    fix = "Revoke the literal, and refuse to work without the variable." if secret else "Refuse to work without it, or list it as optional."
    return [_shown(use, "error" if secret else "warning", "literal fallback", name, sentence, fix)]
