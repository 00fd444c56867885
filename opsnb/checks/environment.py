"""The functions' variables are set, and to something (S4-1, S4-2, S4-4). Values are known by their digest only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from opsnb.checks.scanner import scan
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

__all__ = ["differ", "no_hardcoded", "no_placeholder", "placeholder_digests", "required_set", "scan"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = ("name", "kind", "state", "updated_at")
_FOUND = ("name", "finding")
_PLACEHOLDERS = (
    "", "[your-anon-key]", "[json-format-key]", "[if applicable]", "[your-key]", "[key]", "[value]", "[secret]", "[password]",
    "your-anon-key", "your-key", "your-secret", "your-value", "your-...", "your-api-key", "your_api_key", "your-project-id",
    "your-project-ref", "<your-key>", "<secret>", "<value>", "changeme", "change-me", "change_me", "TODO", "TBD", "FIXME",
    "placeholder", "undefined", "null", "None", "NaN", "nil", "xxx", "xxxx", "xxxxx", "x", "-", "...", "test", "example", "secret",
    "password", "dummy", "foo", "bar", "value", "key", "n/a", "N/A", "none", "empty", "0", "{}", "[]", "true", "false",
    "arn:aws:iam::123456789012:role/example",
)  # fmt: skip


@check(
    "environment.required_set",
    title="Every required environment variable is set",
    items=("S4-2",),
    harm="The first call that reads the variable fails, often with an error that names something else.",
    fix="Set what is missing (supabase secrets set NAME=...), for the whole project: variables are not per function.",
    empty="FAIL: no variable is set, so every required one is missing (injected ones are not listed by the platform).",
)
def required_set(secrets: pd.DataFrame, *, required: Iterable[str], injected: Iterable[str] = (), optional: Iterable[str] = ()) -> Outcome:
    """Every name of *required* that the platform does not inject is set. Table: `secrets`.

    Injected ones (``SUPABASE_*``) are shown and judged by nothing: they cannot be set, and need not be listed.
    """
    present = _names(secrets)
    by_platform = set(injected)
    wanted = sorted(set(required) - by_platform)
    updated = dict(zip(secrets["name"], secrets["updated_at"], strict=True)) if "updated_at" in secrets else {}
    kinds = dict.fromkeys(present, "not in the release") | dict.fromkeys(optional, "optional") | dict.fromkeys(wanted, "required")
    kinds |= dict.fromkeys(by_platform, "injected")
    missing = [name for name in wanted if name not in present]
    rows = []
    for name, kind in sorted(kinds.items(), key=lambda pair: (pair[0] not in missing, pair[1] == "injected", pair[0])):
        state = "by the platform" if kind == "injected" else "set" if name in present else "missing" if kind == "required" else "not set"
        rows.append({"name": name, "kind": kind, "state": state, "updated_at": updated.get(name)})
    details = {"table": findings(rows, _SHOWN), "measured": len(wanted) - len(missing), "limit": len(wanted)}
    if missing:
        return failed(f"{len(wanted) - len(missing)} of {len(wanted)} required variables are set; missing: {some(missing)}.", **details)
    if not wanted:
        return inconclusive("The release requires no variable that can be set.", **details)
    return passed(
        f"{len(wanted)} of {len(wanted)} required variables are set; {len(by_platform)} more are injected by the platform.", **details
    )


@check(
    "environment.no_placeholder",
    title="No placeholder values",
    items=("S4-4",),
    harm="The variable is set, so nothing complains, and every call that uses it fails.",
    fix="Set the variable to its real value, without quotes, spaces or a line's end around it.",
    empty="INCONCLUSIVE: no variable is set, so there is no value to look at.",
)
def no_placeholder(secrets: pd.DataFrame, *, public_values: Mapping[str, str], injected: Iterable[str] = ()) -> Outcome:
    """No variable holds a placeholder, two never hold the same, and public ones hold exactly their value. Table: `secrets`.

    Judged by SHA-256 digests: of the usual placeholders and of the variable's own name, bare, quoted, with a line's end, with
    spaces around. No digest is shown or kept.
    """
    present = _names(secrets)
    by_platform = set(injected)
    digests = {name: digest for name, digest in zip(present, _digests(secrets), strict=True) if name not in by_platform}
    if not digests:
        return inconclusive("No variable is set, so there is no value to look at.", limit=0)
    usual = placeholder_digests()
    rows: list[dict[str, str]] = []
    for name, digest in digests.items():
        exact = public_values.get(name)
        if exact is not None and digest == _digest(exact):
            continue
        if exact is not None and digest in set(map(_digest, _disguises(exact))):
            rows.append({"name": name, "finding": "its value, but with quotes, spaces or a line's end around it"})
        elif digest in usual or digest in placeholder_digests(_own_placeholders(name)):
            rows.append({"name": name, "finding": "a placeholder"})
        elif exact is not None:
            rows.append({"name": name, "finding": "not the public value the release names"})
    rows.extend(_shared(digests, public_values))
    compared = sum(name in digests for name in public_values)
    if rows:
        names = sorted({row["name"] for row in rows})
        return failed(f"{counted(len(names), 'variable')} without a value of its own: {some(names)}.",
                      table=findings(rows, _FOUND), measured=len(rows), limit=0)  # fmt: skip
    table = findings(
        [{"name": name, "finding": "its public value" if name in public_values else "no placeholder"} for name in digests], _FOUND
    )
    public = f"{compared} of {counted(len(public_values), 'public value')}"
    summary = f"None of {counted(len(digests), 'variable')} is a placeholder; {public} are exactly theirs."
    return passed(summary, table=table, measured=0, limit=0)


@check(
    "environment.differ",
    title="Secrets are others than those of the other environment",
    items=(),
    harm="A leak of the test environment's secret opens production; a test run writes into it.",
    fix="Make a value of its own for this environment, set it (supabase secrets set NAME=...), and revoke the shared one.",
    empty="INCONCLUSIVE: no variable is set here, so none can be compared.",
)
def differ(secrets: pd.DataFrame, others: pd.DataFrame, *, names: Iterable[str], other: str = "", unread: str = "") -> Outcome:
    """No variable of *names* has a value that any variable of the environment *other* has. Tables: `secrets` of both, by digest.

    FAIL names the variables, and neither value nor digest. INCONCLUSIVE: the other could not be read (*unread* says why), or a variable
    is not set on one side, so that nothing was compared.
    """
    there = other or "the other environment"
    wanted = sorted(set(names))
    if not wanted:
        return inconclusive("The release names no variable that must differ.", limit=0)
    if unread:
        return inconclusive(f"{there} could not be read: {unread}", limit=0)
    here = dict(zip(_names(secrets), _digests(secrets), strict=True))
    by_digest: dict[str, list[str]] = {}
    for name, digest in zip(_names(others), _digests(others), strict=True):
        by_digest.setdefault(digest, []).append(name)
    set_there = {name for found in by_digest.values() for name in found}
    shared = {name: by_digest[here[name]] for name in wanted if name in here and here[name] in by_digest}
    rows = []
    for name in wanted:
        if name in shared:
            same = "" if name in shared[name] else f", called {some(shared[name])}"
            finding = f"the same value as in {there}{same}"
        else:
            finding = "not set here" if name not in here else f"not set in {there}" if name not in set_there else "another value"
        rows.append({"name": name, "finding": finding})
    details = {"table": findings(rows, _FOUND), "measured": len(shared), "limit": 0}
    if shared:
        return failed(f"{counted(len(shared), 'variable')} of {len(wanted)} with a value of {there} too: {some(list(shared))}.", **details)
    uncompared = [row["name"] for row in rows if row["finding"] != "another value"]
    if uncompared:
        return inconclusive(f"Not set on both sides, so not compared with {there}: {some(uncompared)}.", **details)
    return passed(f"{counted(len(wanted), 'variable')} compared with {there}: none has a value of it.", **details)


@check(
    "environment.no_hardcoded",
    title="No secrets hard-coded in the functions",
    items=("S4-1",),
    harm="The key is in every copy of the source and cannot be rotated without a deployment.",
    fix="Revoke what was found (it is in the archive of every deployment), move it to a variable, deploy again.",
    empty="PASS: no place found is the healthy case; it counts only where the number of files looked at is given and not 0.",
)
def no_hardcoded(found: pd.DataFrame, *, files: int, names: Iterable[str] = (), scanned: Iterable[str] | None = None) -> Outcome:
    """No source file of a deployed function holds a credential. Table: `scan` of the downloaded sources (path, line, kind).

    *files* is how many were looked at. With *names* and *scanned* (functions), every one must have been downloaded.
    """
    if not found.empty:
        known(found, "path", "line", "kind")
        shown = found[["path", "line", "kind"]]
        places = [f"{row.path}:{row.line} ({row.kind})" for row in shown.itertuples()]
        return failed(
            f"{counted(len(shown), 'credential')} in {counted(files, 'source file')}: {some(places)}.",
            table=shown,
            measured=len(shown),
            limit=0,
        )
    if files <= 0:
        return inconclusive("No source file was looked at.", limit=0)
    left = sorted(set(names) - set(scanned)) if scanned is not None else []
    if left:
        return inconclusive(
            f"No credential in {counted(files, 'source file')}, but {some(left)} could not be looked at.", measured=0, limit=0
        )
    return passed(f"No credential in {counted(files, 'source file')}.", table=found, measured=0, limit=0)


def placeholder_digests(texts: Iterable[str] = _PLACEHOLDERS) -> frozenset[str]:
    """The digests of *texts* in every disguise a copied placeholder wears."""
    return frozenset(_digest(disguised) for text in texts for each in (text, text.upper(), text.lower()) for disguised in _disguises(each))


def _disguises(text: str) -> Iterator[str]:
    for quoted in (text, f'"{text}"', f"'{text}'", f"`{text}`"):
        yield from (quoted, f"{quoted}\n", f"{quoted}\r\n", f" {quoted}", f"{quoted} ", f" {quoted} ", f"{quoted} \n", f" {quoted}\n")


def _own_placeholders(name: str) -> tuple[str, ...]:
    dashed = name.lower().replace("_", "-")
    bare = (name, dashed, f"your-{dashed}", f"your_{name}")
    around = (f"${name}", f"${{{name}}}", f"{{{{{name}}}}}", f"{name}_here", f"{name}=")
    return (*bare, *around, *(f"[{text}]" for text in bare), *(f"<{text}>" for text in bare))


def _shared(digests: Mapping[str, str], public_values: Mapping[str, str]) -> list[dict[str, str]]:
    """Names that hold the same as another, unless the release says both do."""
    by_digest: dict[str, list[str]] = {}
    for name, digest in digests.items():
        if name not in public_values or digest != _digest(public_values[name]):
            by_digest.setdefault(digest, []).append(name)
    public = {_digest(value): name for name, value in public_values.items()}
    rows = []
    for digest, names in by_digest.items():
        others = [public[digest]] if digest in public and public[digest] in digests else []
        for name in names:
            same = [other for other in (*names, *others) if other != name]
            if same:
                rows.append({"name": name, "finding": f"the same value as {some(same)}"})
    return rows


def _names(secrets: pd.DataFrame) -> list[str]:
    if secrets.empty:
        return []
    known(secrets, "name")
    return [str(name) for name in secrets["name"]]


def _digests(secrets: pd.DataFrame) -> list[str]:
    if secrets.empty:
        return []
    known(secrets, "digest")
    digests = [str(digest) for digest in secrets["digest"]]
    if not all(map(_DIGEST.fullmatch, digests)):
        raise SourceNonsense("the platform's secrets carry something other than SHA-256 digests")
    return digests


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
