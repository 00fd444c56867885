"""Planted holes are found and named, sound variants of the same shapes are quiet, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psycopg
import pytest
from clusters import bare
from lint_cases import HOLES, SOUND, Case
from pydantic import SecretStr

from opsnb.checks import lint
from opsnb.sources import openings
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import Verdict

TODAY = date(2026, 1, 15)
BASE = (Path(__file__).parent / "base.sql").read_text()
SCHEMAS = ("public", "private", "app")
FOUND: list[tuple[str, str, str]] = []


class Desk:
    """One database that each case begins anew."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.door = Postgres(SecretStr(dsn), phase="test")

    def plant(self, sql: str) -> None:
        self.connection.execute(BASE.encode())
        self.connection.execute(sql.strip("; \n").encode())

    def judged(self, *, firebase: bool = False, **options: Any) -> tuple[Verdict, str, pd.DataFrame]:
        facts = openings.read(self.door, schemas=SCHEMAS, api_roles=["anon", "authenticated"])
        column = "public.people.subject" if firebase else ""
        given: dict[str, Any] = {"select": {}, "today": TODAY, "subject_column": column, "subject_is_uuid": not firebase}
        result = lint.no_excess(*facts, **{**given, **options})
        assert result.table is not None, result.summary
        return result.verdict, result.summary, result.table


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with bare(18).fresh(supabase=True) as dsn:
        made = Desk(dsn)
        made.plant("create policy sound on public.notes for select using (owner_id = auth.uid())")
        yield made
        made.door.close()
        made.connection.close()


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[None]:
    yield
    missed = [what for what, _, state in FOUND if state == "missed"]
    lines = [f"  {state:6} {rule:20} {what}" for what, rule, state in FOUND]
    print("\n".join(["", f"planted holes: {len(FOUND)}, found {len(FOUND) - len(missed)}, missed {len(missed)}", *lines]))


@pytest.mark.parametrize("case", HOLES, ids=[case.what for case in HOLES])
def test_a_planted_hole_is_found(desk: Desk, case: Case) -> None:
    # beside it stands a policy without a fault, so that there is always something to judge
    desk.plant(f"create policy sound on public.doctors for select using (user_id = (select auth.uid())); {case.sql}")
    verdict, summary, table = desk.judged(firebase=case.firebase)
    named = table[(table["rule"] == case.rule) & (table["object"] == case.object)]
    hit = bool(len(named)) and case.severity in set(named["severity"])
    FOUND.append((case.what, case.rule, "found" if hit else "missed"))
    told = table[["severity", "rule", "object", "finding"]].to_string()
    assert hit, told
    assert verdict is (Verdict.FAIL if "error" in set(table["severity"]) else Verdict.WARN), summary


@pytest.mark.parametrize("case", SOUND, ids=[case.what for case in SOUND])
def test_a_sound_variant_is_quiet(desk: Desk, case: Case) -> None:
    desk.plant(f"create policy sound on public.doctors for select using (user_id = (select auth.uid())); {case.sql}")
    verdict, summary, table = desk.judged(firebase=case.firebase)
    if case.firebase:  # the policy beside it reads the subject as a UUID
        table = table[table["object"] != "public.doctors.sound"]
        assert table[table["severity"] == "error"].empty, table.to_string()
        return
    assert verdict in (Verdict.PASS, Verdict.WARN), f"{summary}\n{table.to_string()}"


def test_there_are_enough_of_both() -> None:
    assert len(HOLES) >= 40
    assert len(SOUND) >= 40


def test_the_embedded_clinic_has_no_opening() -> None:
    with bare(18).fresh(clinic=True) as dsn, Postgres(SecretStr(dsn), phase="test") as door:
        facts = openings.read(door, schemas=["public", "private"], api_roles=["anon", "authenticated"])
        result = lint.no_excess(
            *facts, select={"app_settings": {"patient": "all", "provider": "all"}}, today=TODAY, subject_column="public.users.firebase_uid",
            subject_is_uuid=False,
        )  # fmt: skip
    assert result.table is not None
    assert not len(result.table[result.table["severity"] == "error"]), result.table.to_string()


def test_an_accepted_hole_is_a_warning_until_it_expires(desk: Desk) -> None:
    desk.plant("create policy p on public.notes for select using (true)")
    meant = SimpleNamespace(object="public.notes.p", rule="always-true", owner="Dr. Osei", expires=TODAY)
    verdict, summary, _ = desk.judged(accepted=[meant])
    assert verdict is Verdict.WARN
    assert "accepted by Dr. Osei until 2026-01-15" in summary
    verdict, summary, _ = desk.judged(accepted=[meant], today=TODAY + timedelta(days=1))
    assert verdict is Verdict.FAIL
    assert "ended on 2026-01-15" in summary
    other = SimpleNamespace(object="public.notes.p", rule="any-login", owner="Dr. Osei", expires=TODAY)
    assert desk.judged(accepted=[other])[0] is Verdict.FAIL


def test_what_is_mended_is_quiet_again(desk: Desk) -> None:
    desk.plant("create policy p on public.notes for select using (true)")
    assert desk.judged()[0] is Verdict.FAIL
    desk.connection.execute("alter policy p on public.notes using (owner_id = (select auth.uid()))")
    assert desk.judged()[0] in (Verdict.PASS, Verdict.WARN)


def test_declared_for_everybody_is_no_finding(desk: Desk) -> None:
    desk.plant("create policy p on public.notes for select to authenticated using (true)")
    assert desk.judged(select={"notes": {"anon": "none", "stranger": "all"}})[0] is Verdict.WARN  # tables without a policy
    assert desk.judged(select={"notes": {"anon": "none", "stranger": "none"}})[0] is Verdict.FAIL
    assert desk.judged(public=["public.notes"])[0] is Verdict.WARN
