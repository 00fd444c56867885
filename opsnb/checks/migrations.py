"""Do the migrations folder and the remote history agree (PRE-2.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, passed

_FILE_NAME = re.compile(r"(\d{14})_([A-Za-z0-9][\w-]*)\.sql")
_FINDINGS = ("severity", "version", "name", "file", "finding")

# what the statement `migrations` does to the statements a history keeps: comments go, then white space and semicolons.
# A -- inside a string goes too, on both sides alike.
_NOT_COMPARED = (re.compile(r"/[*].*?[*]/", re.DOTALL), re.compile(r"--[^\n]*"), re.compile(r"[ \t\r\n\f\v;]+"))


def statements_hash(text: str) -> str:
    """SHA-256 (hex) of the statements in *text*: how they are cut, commented and laid out does not matter."""
    for pattern in _NOT_COMPARED:
        text = pattern.sub("", text)
    return hashlib.sha256(text.encode()).hexdigest()


def listing(files: Iterable[str] | Mapping[str, str]) -> pd.DataFrame:
    """One row per migration file: version, name, file, statements_hash; version and name are empty where the name is not of the form.

    The form is ``<14 digits>_<name>.sql``, as the platform's tool reads it; it passes over every other file without a word. *files* are
    names, or names with contents: without contents there is no hash. Other kinds of file are left out.
    """
    texts = files if isinstance(files, Mapping) else dict.fromkeys(files)
    rows = []
    for file, text in sorted(texts.items()):
        if not file.endswith(".sql"):
            continue
        matched = _FILE_NAME.fullmatch(file)
        rows.append(
            {"version": matched[1] if matched else "", "name": matched[2] if matched else "", "file": file,
             "statements_hash": None if text is None else statements_hash(text)}
        )  # fmt: skip
    return findings(rows, ("version", "name", "file", "statements_hash"))


@check(
    "migrations.agree",
    title="Migration files and the remote history agree",
    items=("PRE-2.2",),
    harm="The next push applies what nobody expects, or refuses; what was tested differs from what runs.",
    fix="Pending: apply them (supabase db push). Out of order: give the file a newer version. Unknown: fetch the release that contains "
    "them. Edited: restore the file as it was applied and put the change into a migration of its own. Never edit the history by hand.",
    empty="FAIL: the release's folder holds no migration, so it cannot agree with any history.",
)
def agree(local: pd.DataFrame, remote: pd.DataFrame) -> Outcome:
    """Every local migration is in the remote history as its file says it, and the other way round; no version twice, no badly named file.

    Tables: `listing` of the folder's files, `migrations` of the database. FAIL for pending, out of order (pending, and older than the
    newest applied one), unknown, renamed, edited, duplicate or badly named ones. Where file or history keep no statements, whether one
    was edited is not known, and the summary says so.
    """
    known(local, "version", "name", "file")
    known(remote, "version", "name")
    if local.empty:
        return failed("The migrations folder of the release holds no migration file.", measured=0)
    rows: list[dict[str, str]] = []

    def found(finding: str, version: str, name: str, file: str = "") -> None:
        rows.append({"severity": "error", "version": version, "name": name, "file": file, "finding": finding})

    for row in local[local["version"] == ""].itertuples():
        found("badly named: expected <14 digits>_<name>.sql; the platform's tool passes over it", "", "", str(row.file))
    good = local[local["version"] != ""]
    for row in good[good["version"].duplicated(keep=False)].itertuples():
        found("duplicate: another file has the same version", str(row.version), str(row.name), str(row.file))
    applied = {str(row["version"]): row for row in remote.to_dict("records")}
    newest = max(applied, default="")
    compared = 0
    for each in good.to_dict("records"):
        version, name, file = str(each["version"]), str(each["name"]), str(each["file"])
        if version not in applied:
            if version < newest:
                found(f"out of order: not applied, though {newest} is; the platform's tool refuses it", version, name, file)
            else:
                found("pending: not applied to the database", version, name, file)
            continue
        there = applied[version]
        if there["name"] not in ("", name):
            found(f"other name: the history calls it {there['name']}", version, name, file)
        kept, here = there.get("statements_hash"), each.get("statements_hash")
        if isinstance(kept, str) and isinstance(here, str):
            compared += 1
            if kept != here:
                found(f"edited: applied as {kept[:12]}, the file is {here[:12]} (SHA-256 of its statements)", version, name, file)
    here_versions = set(good["version"])
    for version, there in sorted(applied.items()):
        if version not in here_versions:
            found("unknown: applied to the database, not in the folder", version, str(there["name"]))
    both = len(here_versions & applied.keys())
    unknown = "" if compared >= both else f" Whether {counted(both - compared, 'applied migration')} was edited since is not known."
    if rows:
        table = findings(rows, _FINDINGS)
        kinds = table["finding"].str.partition(":")[0].value_counts()
        what = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        versions = list(dict.fromkeys(row["version"] or row["file"] for row in rows))
        without = "" if applied else " The database keeps no migration history, or an empty one."
        return failed(
            f"Folder and history disagree: {what} ({some(versions)}).{without}{unknown}", table=table, measured=len(rows), limit=0
        )
    edited = f", {compared} of them as they stand in their files" if compared else ""
    sentence = (
        f"All {counted(len(good), 'migration')} are applied{edited}, and none is unknown; the newest is {max(here_versions)}.{unknown}"
    )
    return passed(sentence, table=good, measured=0, limit=0)
