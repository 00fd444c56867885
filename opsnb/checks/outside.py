"""Systems the functions talk to beside the platform: an openEHR server, a role of AWS (step 4, where the release asks for it).

Tables in: `OpenEhr.reachable` (status, seconds, elsewhere, page) and `Aws.role` (asked, ok, finding), each with `digest`, the SHA-256 of
the address or ARN that was asked about; `secrets` of the platform.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from opsnb.checks.tables import known
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed


@check(
    "environment.openehr",
    title="The openEHR server answers where the functions look for it",
    items=(),
    harm="Compositions are not stored in the clinical record, and callers learn of it only when they look for them.",
    fix="Compare the variable with the environment's openehr.url; then ask whoever runs the server what its status means.",
    empty="INCONCLUSIVE: the server was not asked.",
)
def openehr(reached: pd.DataFrame, secrets: pd.DataFrame, *, variable: str, statuses: Iterable[int]) -> Outcome:
    """One GET is answered with one of *statuses*, and the address asked is the one the functions have in *variable*, by digest.

    FAIL: another status, a redirect to another server, a web page where a caller would be served (2xx), or a variable that holds another
    address or none. No answer at all is ERROR.
    """
    if reached.empty:
        return inconclusive("The openEHR server was not asked.")
    row = known(reached, "status", "seconds", "elsewhere", "page", "digest").iloc[0]
    status, wanted = int(row["status"]), sorted(set(statuses))
    table = reached[["status", "seconds", "elsewhere", "page"]]
    details: dict[str, Any] = {"table": table, "measured": status, "limit": None}
    if row["elsewhere"]:
        return failed(f"It answers {status} and sends its callers to another server, which was not followed.", **details)
    if status not in wanted:
        return failed(f"It answers {status}; expected {' or '.join(map(str, wanted)) or 'a status the release names'}.", **details)
    if row["page"] and 200 <= status < 300:
        return failed(f"It answers {status} with a web page: something else than an openEHR server stands at this address.", **details)
    if said := _other_value(row["digest"], secrets, variable):
        return failed(f"The address that was asked answers {status}, but {said}.", **details)
    return passed(f"It answers {status} in {row['seconds']:.2f} s, at the address that {variable} holds.", **details)


@check(
    "environment.aws_role",
    title="The role of AWS is the one the functions assume, and is there",
    items=(),
    harm="Transcription fails at the first call, or runs under a role with other rights than those reviewed.",
    fix="Compare the variable with the environment's aws.role_arn; look at the role and at whom its trust policy names.",
    empty="INCONCLUSIVE: nothing was asked about the role.",
)
def aws_role(found: pd.DataFrame, secrets: pd.DataFrame, *, variable: str) -> Outcome:
    """The role's ARN is well-formed and *variable* holds it, by digest; where the release asks AWS, the role is there or can be assumed.

    Its ARN is never shown. What AWS could not be asked is ERROR.
    """
    if found.empty:
        return inconclusive("Nothing was asked about the role.")
    row = known(found, "asked", "ok", "finding", "digest").iloc[0]
    details: dict[str, Any] = {"table": found[["asked", "ok", "finding"]]}
    if not row["ok"]:
        return failed(f"The role: {row['finding']}.", **details)
    if said := _other_value(row["digest"], secrets, variable):
        return failed(f"The role ({row['finding']}) is not the functions': {said}.", **details)
    return passed(f"The role that {variable} holds: {row['finding']} ({row['asked']}).", **details)


def _other_value(digest: str, secrets: pd.DataFrame, variable: str) -> str:
    """Why *variable* does not hold what has *digest*; '' where it does."""
    rows = secrets if secrets.empty else known(secrets, "name", "digest")
    there = dict(zip(rows["name"], rows["digest"], strict=True)) if not rows.empty else {}
    if variable not in there:
        return f"{variable} is not set on the platform"
    return "" if there[variable] == digest else f"{variable} holds another value on the platform"
