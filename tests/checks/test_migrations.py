"""The migrations folder against the remote history."""

from __future__ import annotations

import pandas as pd

from opsnb.checks import migrations
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
