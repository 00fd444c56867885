"""What reaches further than it should: findings about policies, views and functions, with a severity each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.checks.policies import Reach, reach
from opsnb.checks.policy_faults import faults
from opsnb.checks.tables import bare, role_names
from opsnb.checks.unknown_caller import Known, lets_in

_UNKNOWN = {
    Known.OPEN: "is true, whatever the row says, for a caller who has no identity",
    Known.BY_HELPER: "is true, whatever the row says, for a caller whom its helper function does not know",
}
_WIDE = {
    Reach.EVERYONE: "is always true",
    Reach.LOGIN: "asks only whether there is a login",
    Reach.SOME_ROWS: "looks at the row but not at the caller",
    Reach.UNKNOWN: "could not be read by the parser; look at it",
}


def wide_policies(policies: pd.DataFrame, select: Mapping[str, Mapping[str, str]], anonymous: str) -> list[dict[str, Any]]:
    """Permissive policies that reach further than their caller, where the release does not open the table to that role for reading."""
    rows: list[dict[str, Any]] = []
    records = policies.to_dict("records")
    for policy in records:
        roles = list(policy["api_roles"])
        if not policy["permissive"] or not roles:
            continue
        widest = max((reach(text) for text in _expressions(policy)), default=Reach.UNKNOWN)
        unknown = {lets_in(text) for text in _expressions(policy)} - {Known.NO}
        if widest not in _WIDE and not unknown:
            continue
        declared = _declared(select, f"{policy['schema']}.{policy['table_name']}")
        # a table whose every row is meant for strangers is open on purpose, for reading
        open_to = {role for role, identity in ((anonymous, "anon"),) if declared and declared.get(identity) == "all"}
        if declared and declared.get("stranger") == "all":
            open_to |= {role for role in roles if role != anonymous}
        roles = [role for role in roles if not (policy["command"] == "select" and role in open_to)]
        if not roles:
            continue
        sure = widest in (Reach.EVERYONE, Reach.LOGIN) or Known.OPEN in unknown
        certain = declared is not None and sure and not _restricted(policy, records)
        what = _WIDE[widest] if widest in _WIDE else _UNKNOWN[Known.OPEN if Known.OPEN in unknown else Known.BY_HELPER]
        finding = f"the policy for {policy['command']} {what}"
        if declared is None:
            finding += ", on a table whose access the release does not declare"
        name = f"{policy['schema']}.{policy['table_name']}.{policy['name']}"
        rows.append({"severity": "error" if certain else "warning", "object": name, "roles": role_names(roles), "finding": finding})
    return rows


def faulty_policies(policies: pd.DataFrame, *, subject_is_uuid: bool) -> list[dict[str, Any]]:
    """Policies of API roles whose expression is wrong by itself, whatever the release declares."""
    rows = []
    for policy in policies.to_dict("records"):
        if not list(policy["api_roles"]):
            continue
        schema, table = str(policy["schema"]), str(policy["table_name"])
        found = [each for text in _expressions(policy) for each in faults(text, schema, table, subject_is_uuid=subject_is_uuid)]
        for finding in dict.fromkeys(found):
            told = {"severity": "error", "object": f"{schema}.{table}.{policy['name']}", "roles": role_names(policy["api_roles"])}
            rows.append({**told, "finding": f"the policy for {policy['command']} {finding}"})
    return rows


def _expressions(policy: Mapping[Any, Any]) -> list[str]:
    """The expressions that let rows through: a write without its own check is checked with the reading one."""
    using, checked = _text(policy.get("using_expression")), _text(policy.get("check_expression"))
    return [text for text in (using, checked) if text]


def _restricted(policy: Mapping[Any, Any], records: Sequence[Mapping[Any, Any]]) -> bool:
    """Whether a restrictive policy of the same table narrows *policy* to the caller's rows."""
    for other in records:
        same = (other["schema"], other["table_name"]) == (policy["schema"], policy["table_name"])
        covers = other["command"] in ("all", policy["command"]) and set(policy["api_roles"]) <= set(other["api_roles"])
        if same and covers and not other["permissive"] and any(reach(text) == Reach.OWN for text in _expressions(other)):
            return True
    return False


def open_views(exposure: pd.DataFrame, anonymous: str) -> list[dict[str, Any]]:
    """Views readable by an API role that read with their owner's rights."""
    rows: list[dict[str, Any]] = []
    if exposure.empty:
        return rows
    views = exposure[exposure["owners_rights"].astype(bool) & exposure["privileges"].map(lambda held: "SELECT" in list(held))]
    for (schema, name), held in views.groupby(["schema", "name"], sort=True):
        severity = "error" if anonymous in set(held["role"]) else "warning"
        finding = "the view reads with its owner's rights, so no policy holds in it"
        rows.append({"severity": severity, "object": f"{schema}.{name}", "roles": role_names(held["role"]), "finding": finding})
    return rows


def open_routines(routines: pd.DataFrame, anonymous: str) -> list[dict[str, Any]]:
    """Functions with their owner's rights that an API role may call."""
    rows: list[dict[str, Any]] = []
    for row in routines.to_dict("records"):
        callers = list(row["executable_by"])
        if not callers:
            continue
        writes, ignores = row["volatility"] == "volatile", bool(row["owner_ignores_rls"])
        if anonymous in callers:
            severity = "error" if writes and ignores else "warning"
            finding = f"anyone may call this {'writing ' if writes else ''}function, which runs with the rights of its owner"
        else:
            severity, finding = "warning" if writes and ignores else "note", "signed-in callers run it with the rights of its owner"
        finding += "; no policy holds in it" if ignores else ""
        rows.append({"severity": severity, "object": f"{row['schema']}.{row['name']}", "roles": role_names(callers), "finding": finding})
    return rows


def _declared(select: Mapping[str, Mapping[str, str]], qualified: str) -> Mapping[str, str] | None:
    return select.get(qualified, select.get(bare(qualified)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
