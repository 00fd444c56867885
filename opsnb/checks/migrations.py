"""Do the migrations folder and the remote history agree (PRE-2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, passed

_FILE_NAME = re.compile(r"(\d{14})_([A-Za-z0-9][\w-]*)\.sql")
_FINDINGS = ("severity", "version", "name", "file", "finding")


def listing(file_names: Iterable[str]) -> pd.DataFrame:
    """One row per migration file: version, name, file; version and name are empty where the name is not of the form.

    The form is ``<14 digits>_<name>.sql``, as the platform's tool reads it. Other kinds of file are left out.
    """
    rows = []
    for file in sorted(set(file_names)):
        if not file.endswith(".sql"):
            continue
        matched = _FILE_NAME.fullmatch(file)
        rows.append({"version": matched[1] if matched else "", "name": matched[2] if matched else "", "file": file})
    return findings(rows, ("version", "name", "file"))


@check(
    "migrations.agree",
    title="Migration files and the remote history agree",
    items=("PRE-2.2",),
    fix="Pending: apply them (supabase db push). Unknown: fetch the release that contains them; never edit the history by hand.",
    empty="FAIL: the release's folder holds no migration, so it cannot agree with any history.",
)
def agree(local: pd.DataFrame, remote: pd.DataFrame) -> Outcome:
    """Every local migration is in the remote history and the other way round; no version twice, no badly named file.

    Tables: `listing` of the folder's file names, `migrations` of the database. FAIL for pending, unknown, duplicate or
    badly named ones. A different name under the same version is FAIL too: another file was applied.
    """
    known(local, "version", "name", "file")
    known(remote, "version", "name")
    if local.empty:
        return failed("The migrations folder of the release holds no migration file.", measured=0)
    rows: list[dict[str, str]] = []

    def found(finding: str, version: str, name: str, file: str = "") -> None:
        rows.append({"severity": "error", "version": version, "name": name, "file": file, "finding": finding})

    for row in local[local["version"] == ""].itertuples():
        found("badly named: expected <14 digits>_<name>.sql", "", "", str(row.file))
    good = local[local["version"] != ""]
    for row in good[good["version"].duplicated(keep=False)].itertuples():
        found("duplicate: another file has the same version", str(row.version), str(row.name), str(row.file))
    applied = {str(row.version): str(row.name) for row in remote.itertuples()} if not remote.empty else {}
    for row in good.itertuples():
        if row.version not in applied:
            found("pending: not applied to the database", str(row.version), str(row.name), str(row.file))
        elif applied[str(row.version)] not in ("", row.name):
            found(f"other name: the history calls it {applied[str(row.version)]}", str(row.version), str(row.name), str(row.file))
    here = set(good["version"])
    for version, name in sorted(applied.items()):
        if version not in here:
            found("unknown: applied to the database, not in the folder", version, name)
    table = findings(rows, _FINDINGS)
    if rows:
        kinds = table["finding"].str.partition(":")[0].value_counts()
        what = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        versions = [row["version"] or row["file"] for row in rows]
        return failed(f"Folder and history disagree: {what} ({some(versions)}).", table=table, measured=len(rows), limit=0)
    sentence = f"All {counted(len(good), 'migration')} are applied and none is unknown; the newest is {max(here)}."
    return passed(sentence, table=good, measured=0, limit=0)
