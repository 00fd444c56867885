"""Callers with a genuine token whom the database does not know: a restricting policy that asks of the token keeps none of them out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import lint
from opsnb.sources import openings
from opsnb.sources.postgres import Postgres

ID, ROLE = "(select private.caller_id())", "(select private.caller_role())"


@pytest.fixture(scope="module")
def clinic() -> Iterator[str]:
    """The embedded clinic: every table has a restricting policy that asks for the project's own token."""
    with bare(18).fresh(clinic=True) as dsn:
        yield dsn


def rules(dsn: str, using: str) -> set[str]:
    """The rules that the policy *using* breaks, at the level of an error."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create policy planted on public.context_snapshots for select to authenticated using ({using})".encode())
        try:
            with Postgres(SecretStr(dsn), phase="tests") as door:
                facts = openings.read(door, schemas=["public", "private"], api_roles=["anon", "authenticated"])
        finally:
            connection.execute("drop policy planted on public.context_snapshots")
    result = lint.no_excess(
        *facts,
        select={},
        public=(),
        accepted=(),
        subject_column="public.users.firebase_uid",
        subject_is_uuid=False,
        today=date(2026, 11, 23),
    )
    assert result.table is not None, result.summary
    found = result.table[(result.table["severity"] == "error") & result.table["object"].str.endswith("planted")]
    return set(found["rule"])


@pytest.mark.parametrize(
    "using",
    [
        f"{ID} is null or patient_id = {ID}",
        f"{ROLE} is null or patient_id = {ID}",
        f"coalesce({ROLE}, 'service') = 'service' or patient_id = {ID}",
        f"not ({ROLE} is not null) or patient_id = {ID}",
        f"(patient_id = {ID}) is not true",
    ],
)
def test_a_helper_that_does_not_find_the_caller_opens_the_table(clinic: str, using: str) -> None:
    assert rules(clinic, using) == {"null-identity"}


@pytest.mark.parametrize(
    "using",
    [
        f"patient_id = {ID}",
        f"patient_id = {ID} or {ROLE} = 'admin'",
        f"(select private.trusted_token()) and patient_id = {ID}",
        f"{ID} is not null and patient_id = {ID}",
        f"coalesce({ROLE} = 'provider', false) and provider_id = {ID}",
    ],
)
def test_what_asks_for_a_known_caller_is_left_alone(clinic: str, using: str) -> None:
    assert "null-identity" not in rules(clinic, using)
