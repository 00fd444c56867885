"""The migrations folder against the remote history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import migrations
from opsnb.facts import Facts
from opsnb.local.database import MIGRATIONS, split_statements
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import Verdict

FILES = ["20260101000000_users.sql", "20260102000000_notes.sql", "README.md"]


def history(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["version", "name"])


APPLIED = (("20260101000000", "users"), ("20260102000000", "notes"))


def test_listing() -> None:
    """Only .sql files are migrations; a bad name keeps its file."""
    table = migrations.listing([*FILES, "users.sql"])
    assert table["version"].tolist() == ["20260101000000", "20260102000000", ""]
    assert table["file"].tolist()[-1] == "users.sql"
    assert table["statements_hash"].isna().all()


def test_agree() -> None:
    """Equal sides pass; a history without names (older tool) is equal too."""
    local = migrations.listing(FILES)
    assert migrations.agree(local, history(*APPLIED)).verdict is Verdict.PASS
    assert migrations.agree(local, history(("20260101000000", ""), ("20260102000000", ""))).verdict is Verdict.PASS


def test_every_disagreement_is_named() -> None:
    """Pending, unknown, renamed, duplicate and badly named ones each fail."""
    local = migrations.listing(FILES)
    cases = {
        "pending": (local, history(APPLIED[0])),
        "unknown": (local, history(*APPLIED, ("20260103000000", "more"))),
        "other name": (local, history(APPLIED[0], ("20260102000000", "other"))),
        "badly named": (migrations.listing([*FILES, "users.sql"]), history(*APPLIED)),
        "duplicate": (migrations.listing([*FILES, "20260102000000_again.sql"]), history(*APPLIED)),
    }
    for kind, (folder, remote) in cases.items():
        result = migrations.agree(folder, remote)
        assert result.verdict is Verdict.FAIL, kind
        assert kind in result.summary


def test_no_history_is_all_pending() -> None:
    """An empty history is a database without the release."""
    result = migrations.agree(migrations.listing(FILES), history())
    assert result.verdict is Verdict.FAIL
    assert "2 pending" in result.summary
    assert "keeps no migration history" in result.summary


def test_out_of_order() -> None:
    """A pending version older than the newest applied one is more than pending: the platform's tool refuses it."""
    result = migrations.agree(migrations.listing(FILES), history(APPLIED[1]))
    assert result.verdict is Verdict.FAIL
    assert "1 out of order" in result.summary


def test_what_is_not_compared_is_said() -> None:
    """Without contents or without kept statements nobody knows whether a file was edited."""
    result = migrations.agree(migrations.listing(FILES), history(*APPLIED))
    assert "2 applied migrations was edited since is not known" in result.summary
    contents = dict.fromkeys(FILES, "select 1;")
    assert "not known" in migrations.agree(migrations.listing(contents), history(*APPLIED)).summary


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("select 1;\nselect 2;\n", "select 1\nselect 2", True),
        ("-- why\nselect 1; /* and\nhow */ select 2", "select 1;\r\n\tselect 2 ;", True),
        ("select 'a'", "select 'b'", False),
        ("select 1; select 2;", "select 2; select 1;", False),
        ("create table t (a int)", "create table t (a int, b int)", False),
        ("select 1", "SELECT 1", False),
    ],
)
def test_statements_hash(one: str, other: str, same: bool) -> None:
    """Layout, comments and how statements are cut do not count; what they say does."""
    assert (migrations.statements_hash(one) == migrations.statements_hash(other)) is same


ODD = """
-- a comment; with a semicolon
create table public.odd (id int, note text default 'it''s -- no comment; é\t"x"'); /* block
comment */

create function public.odd() returns void language plpgsql as $body$ begin perform 1; /* inner */ end; $body$;
insert into public.odd values (1, E'back\\slash \' quote');
-- the end
"""


def remote(connection: psycopg.Connection[Any]) -> Facts:
    with Postgres(SecretStr(connection.info.dsn), phase="test") as database:
        return database.query("migrations")


@pytest.mark.parametrize("version", [15, 16, 18])
def test_edited_after_it_was_applied(version: int) -> None:
    """Against a real history: as applied, edited, mended; statements of any text have the hash of their file."""
    folder = {path.name: path.read_text(encoding="utf-8") for path in Path(MIGRATIONS).iterdir()} | {"20990101000000_odd.sql": ODD}
    with bare(version).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        assert migrations.agree(migrations.listing(folder), remote(connection)).verdict is Verdict.FAIL
        connection.execute("create schema supabase_migrations")
        connection.execute("create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)")
        for name, text in folder.items():
            connection.execute(
                "insert into supabase_migrations.schema_migrations values (%s, %s, %s)",
                [name[:14], split_statements(text), name[15:-4]],
            )
        right = migrations.agree(migrations.listing(folder), remote(connection))
        assert right.verdict is Verdict.PASS, right.summary
        assert f"{len(folder)} of them as they stand in their files" in right.summary
        edited = migrations.agree(
            migrations.listing({**folder, "20990101000000_odd.sql": ODD.replace("perform 1", "perform 2")}), remote(connection)
        )
        assert edited.verdict is Verdict.FAIL
        assert "1 edited (20990101000000)" in edited.summary
        assert edited.table is not None
        assert "perform" not in edited.table.to_string()
        connection.execute("update supabase_migrations.schema_migrations set statements = null where version like '2099%'")
        assert (
            "1 applied migration was edited since is not known" in migrations.agree(migrations.listing(folder), remote(connection)).summary
        )


def test_an_old_history_has_versions_only() -> None:
    """The first histories kept neither names nor statements."""
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key)"
        )
        connection.execute("insert into supabase_migrations.schema_migrations values ('20260101000000'), ('20260102000000')")
        result = migrations.agree(migrations.listing(FILES), remote(connection))
        assert result.verdict is Verdict.PASS
        assert "not known" in result.summary
