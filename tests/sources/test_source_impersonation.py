"""Becoming a caller on a real server: what the policies do is what is counted, whatever it is."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import psycopg
import pytest
from conftest import NOTES, Server

from opsnb.config import AccessSpec, IdentitySpec, kind_of
from opsnb.errors import SourceDenied
from opsnb.facts import Facts
from opsnb.sources.impersonation import COLUMNS, matrix, visible
from opsnb.sources.postgres import Postgres

IDENTITY = IdentitySpec(
    project_id="p", issuer="https://securetoken.google.com/p", subject_column="clinic.people.uid", role_column="kind", id_column="id"
)
SELECT = {"anon": "none", "stranger": "none", "patient": "patient_id = %(user_id)s", "provider": "provider_id = %(user_id)s"}
PATIENT, PROVIDER = "00000000-0000-4000-8000-000000000010", "00000000-0000-4000-8000-000000000001"
OWN = "patient_id = clinic.my_id() or provider_id = clinic.my_id()"
OWN_ROWS = {"patient": 8, "provider": 32}
_numbers = itertools.count()

Made = Callable[..., str]


@pytest.fixture
def notes(admin: psycopg.Connection[Any]) -> Made:
    """Makes a table of notes with a policy for signed-in callers, and says its name."""

    def make(policy: str = OWN, *, also: str = "") -> str:
        name = f"notes_{next(_numbers)}"
        admin.execute(NOTES.format(name=name).encode())
        admin.execute(f"create policy own on clinic.{name} for select to authenticated using ({policy})".encode())
        if also:
            admin.execute(also.format(name=f"clinic.{name}").encode())
        return f"clinic.{name}"

    return make


def ask(server: Server, table: str, *, role: str = "reader", select: Mapping[str, str] = SELECT, **options: Any) -> Facts:
    known = {"patient": PATIENT, "provider": PROVIDER}
    with Postgres(server.dsn(role), phase="tests", statement_timeout_ms=options.pop("timeout_ms", 5000)) as db:
        return matrix(db, access={table: AccessSpec.model_validate({"select": select})}, identity=IDENTITY, known=known, **options)


def by_identity(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    assert facts.error is None
    rows = facts.table.to_dict("records")
    return {identity: [row for row in rows if kind_of(row["identity"]) == identity] for identity in SELECT}


def test_policies_that_hold(server: Server, notes: Made) -> None:
    """Owners see their own rows, nobody else sees any; the known callers and a sampled owner of each kind are asked."""
    facts = ask(server, notes())
    assert tuple(facts.table.columns) == COLUMNS
    rows = by_identity(facts)
    for identity in ("anon", "stranger"):
        [row] = rows[identity]
        assert (row["expected"], row["seen"], row["leaked"], row["missing"], row["sqlstate"]) == (0, 0, 0, 0, "")
    for identity, count in OWN_ROWS.items():
        assert [row["identity"] for row in rows[identity]] == [identity, f"another {identity}"]
        assert len({row["caller"] for row in rows[identity]}) == 2
        assert all((row["expected"], row["seen"], row["leaked"], row["missing"]) == (count, count, 0, 0) for row in rows[identity])


def test_no_subject_and_no_id_is_shown(server: Server, notes: Made) -> None:
    """Callers are short hashes, in the table and in the question."""
    facts = ask(server, notes())
    shown = facts.table.to_csv() + facts.question
    assert "uid1" not in shown
    assert PATIENT not in shown
    assert facts.table["caller"].str.len().isin([0, 8]).all()


def test_an_open_policy_leaks(server: Server, notes: Made) -> None:
    """Every row but one's own."""
    rows = by_identity(ask(server, notes("true")))
    assert [(row["seen"], row["leaked"], row["missing"]) for row in rows["stranger"]] == [(128, 128, 0)]
    assert all((row["seen"], row["leaked"]) == (128, 120) for row in rows["patient"])
    assert [row["seen"] for row in rows["anon"]] == [0]


def test_row_level_security_that_is_off_leaks(server: Server, notes: Made) -> None:
    """To nobody in particular too."""
    rows = by_identity(ask(server, notes(also="alter table {name} disable row level security")))
    assert [row["leaked"] for row in rows["anon"]] == [128]


def test_a_policy_that_knows_nobody_misses(server: Server, notes: Made) -> None:
    """Rows the release allows and the policy does not."""
    rows = by_identity(ask(server, notes("provider_id = clinic.my_id()")))
    assert all((row["expected"], row["seen"], row["missing"]) == (8, 0, 8) for row in rows["patient"])
    assert all(row["missing"] == 0 for row in rows["provider"])


@pytest.mark.parametrize(
    ("policy", "also", "state", "cause"),
    [
        ("patient_id = clinic.me()::uuid", "", "22P02", "casts the subject to uuid"),
        ("exists (select from clinic.people)", "", "42501", "no privilege on the table, or on what a policy reads"),
        (OWN, "revoke select on {name} from authenticated", "42501", "no privilege"),
        ("pg_sleep(5) is not null", "", "57014", "longer than the time-out"),
    ],
)
def test_a_policy_that_raises_is_no_empty_answer(server: Server, notes: Made, policy: str, also: str, state: str, cause: str) -> None:
    """Its SQLSTATE and the cause in words, and no number of rows seen."""
    facts = ask(server, notes(policy, also=also), timeout_ms=300)
    for row in by_identity(facts)["patient"]:
        assert row["sqlstate"] == state
        assert cause in row["cause"]
        assert pd.isna(row["seen"])
        assert pd.isna(row["leaked"])
        assert row["expected"] == 8


def test_above_the_cap_all_keys_are_compared_at_once(server: Server, notes: Made) -> None:
    """By number and fingerprint: what leaks or is missing is found wherever it is, and counted exactly where nothing is missing too."""
    rows = by_identity(ask(server, notes(), cap=5))
    for identity, own in OWN_ROWS.items():
        for row in rows[identity]:
            assert (row["expected"], row["seen"], row["leaked"], row["missing"]) == (own, own, 0, 0)
            assert (row["compared"], bool(row["capped"])) == ("fingerprint", False)
    rows = by_identity(ask(server, notes("true"), cap=5))
    for identity, own in OWN_ROWS.items():
        assert all((row["seen"], row["leaked"], row["missing"]) == (128, 128 - own, 0) for row in rows[identity])
    rows = by_identity(ask(server, notes("provider_id = clinic.my_id()"), cap=5))
    assert all((row["seen"], row["leaked"], row["missing"]) == (0, 0, 8) for row in rows["patient"])


def test_one_row_for_another_far_beyond_the_cap_is_found(server: Server, notes: Made) -> None:
    """As many rows as allowed, one of them not: no sample of the first would show it."""
    last = "(select max(id) from clinic.{0} where patient_id = clinic.my_id())"
    name = notes("false")
    bare = name.removeprefix("clinic.")
    with psycopg.connect(server.superuser, autocommit=True) as admin:
        mine, other = last.format(bare), f"(select max(id) from clinic.{bare} where patient_id <> clinic.my_id())"
        for helper, text in (("mine", mine), ("other", other)):
            body = f"create function clinic.{bare}_{helper}() returns bigint language sql stable security definer as $$ select {text} $$"
            admin.execute(body.encode())
        policy = f"(patient_id = clinic.my_id() and id <> clinic.{bare}_mine()) or id = clinic.{bare}_other()"
        admin.execute(f"create policy swapped on {name} for select to authenticated using ({policy})".encode())
    for row in by_identity(ask(server, name, cap=5))["patient"]:
        assert (row["expected"], row["seen"]) == (8, 8)
        assert row["leaked"] > 0 and row["missing"] > 0


@pytest.mark.parametrize(("policy", "leaked"), [("true", True), (OWN, False)])
def test_where_the_fingerprint_takes_too_long_the_first_rows_are_exact(server: Server, notes: Made, policy: str, leaked: bool) -> None:
    """And it is said: rows beyond the cap are no leak because they were not fetched on one side."""
    slow = notes(f"({policy}) and pg_sleep(0.005) is not null")  # two thirds of a second for all rows
    for row in by_identity(ask(server, slow, cap=5, timeout_ms=300))["provider"]:
        assert row["sqlstate"] == ""
        assert (bool(row["capped"]), row["compared"], row["expected"], row["seen"]) == (True, "sample", 5, 5)
        assert (row["leaked"] > 0, row["missing"]) == (leaked, 0)


def test_a_table_that_is_not_there_is_not_a_verdict_on_its_policies(server: Server, notes: Made) -> None:
    """The cause says so, in its own row; the other tables are asked all the same."""
    there = notes()
    said = AccessSpec.model_validate({"select": SELECT})
    with Postgres(server.dsn(), phase="tests") as db:
        facts = matrix(db, access={"clinic.gone": said, there: said}, identity=IDENTITY, known={"patient": PATIENT})
    gone = facts.table[facts.table["table"] == "clinic.gone"]
    assert gone["expected"].isna().all()
    assert (gone["sqlstate"] == "OPSNB").all()  # not an SQLSTATE of any policy
    assert gone["cause"].str.contains("does not exist").all()
    assert (facts.table[facts.table["table"] == there]["leaked"] == 0).all()


def test_what_the_budget_cut_is_marked(server: Server, notes: Made) -> None:
    """Without numbers, with the reason."""
    facts = ask(server, notes(), budget_s=0)
    assert facts.table["seen"].isna().all()
    assert facts.table["cause"].str.contains("time budget").all()
    assert {kind_of(identity) for identity in facts.table["identity"]} == set(SELECT)


@pytest.mark.parametrize(
    ("role", "sign"), [("bound_reader", "may not read past row-level security"), ("lonely_reader", "may not become anon")]
)
def test_a_reading_role_that_cannot_prove_it_says_so(server: Server, notes: Made, role: str, sign: str) -> None:
    """One bound by the policies itself, one that may not become anybody: neither is taken for "sees nothing"."""
    facts = ask(server, notes(), role=role)
    assert isinstance(facts.error, SourceDenied)
    assert sign in str(facts.error)


def test_the_snapshot_is_one(server: Server, notes: Made) -> None:
    """Rows that come while it asks are on both sides or on neither."""
    table = notes(OWN.replace("clinic.my_id()", "(select clinic.my_id())"))
    over = threading.Event()

    def busy() -> None:
        with psycopg.connect(server.superuser, autocommit=True) as connection:
            connection.execute("set synchronous_commit = off")
            while not over.is_set():
                connection.execute(f"insert into {table} (patient_id, provider_id) values (%s, %s)".encode(), (PATIENT, PROVIDER))
                time.sleep(0.0005)

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        answers = [ask(server, table) for _ in range(5)]
    finally:
        over.set()
        writer.join()
    for facts in answers:
        assert facts.error is None
        assert (facts.table["leaked"] == 0).all()
        assert (facts.table["missing"] == 0).all()
    assert answers[-1].table["seen"].max() > max(OWN_ROWS.values()), "rows did come"


def test_one_caller_at_a_time(server: Server, notes: Made) -> None:
    """`visible` is one row of the matrix, with whatever claims."""
    claims = {"sub": "uid10".ljust(28, "x"), "role": "authenticated"}
    with Postgres(server.dsn(), phase="tests") as db:
        facts = visible(
            db, table=notes(), key="id", identity="patient", claims=claims, role="authenticated", expected_sql=SELECT["patient"],
            params={"user_id": PATIENT},
        )  # fmt: skip
        role = db.ask("who", lambda connection: pd.DataFrame(connection.execute("select current_user").fetchall()))
    assert facts.error is None
    assert facts.table[["expected", "seen", "leaked", "missing"]].iloc[0].tolist() == [8, 8, 0, 0]
    assert role.table.iloc[0, 0] == "reader", "the role is given back"
