"""The tokens of the target's test callers, in the files environments refer to: the probes' provider, and another one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import psycopg

from opsnb.local.identity import PROVIDER_UID
from opsnb.local.store import write_private

UNKNOWN_UID = "SyntheticProvider_unknown"
ANOTHER = """
select u.firebase_uid from public.users u
where u.role = 'provider' and u.firebase_uid <> %s and not exists (
    select from public.appointments mine join public.appointments theirs using (patient_id)
    join public.users me on me.id = mine.provider_id where me.firebase_uid = %s and theirs.provider_id = u.id)
order by u.id limit 1
"""


async def fresh(context: Any) -> dict[str, str]:
    """File name → token: of the probes' provider, and of one who has no patient in common with them."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(psycopg.Error, TimeoutError):  # a damaged clinic may have no users: a subject it does not know is another too
        found = await context.rows(ANOTHER, [PROVIDER_UID, PROVIDER_UID])
    other = str(found[0]["firebase_uid"]) if found else UNKNOWN_UID
    return {"provider_token": context.identity.issue(PROVIDER_UID), "other_token": context.identity.issue(other)}


def write(context: Any, made: Mapping[str, str]) -> None:
    """*made* in place of older ones."""
    for name, value in made.items():
        write_private(context.run / name, f"{value}\n".encode())
