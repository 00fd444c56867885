"""The contact matrix."""

from __future__ import annotations

import pandas as pd
import pytest

from opsnb.checks import contacts
from opsnb.verdicts import Verdict

FULL = [contacts.contact_row(period, "Lead", "Ada Example", "+1 555 0100") for period in contacts.PERIODS]


def test_complete() -> None:
    result = contacts.complete(pd.DataFrame(FULL))
    assert (result.verdict, result.measured) == (Verdict.PASS, 3)
    assert result.table is not None
    assert "Ada" not in result.table.to_csv() + result.summary


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("[Name]", "x@example.org"),
        ("Ada", "[Phone]"),
        ("Ada", "[Phone/Email]"),
        ("", "x@example.org"),
        ("Ada", None),
        ("Ada", "  "),
        ("TBD", "x"),
        ("Ada", "___"),
        ("Ada", "<phone>"),
    ],
)
def test_a_contact_left_as_in_the_template(name: str, reach: str | None) -> None:
    rows = [*FULL[:2], contacts.contact_row("normal", "Primary", name, reach)]
    result = contacts.complete(pd.DataFrame(rows))
    assert result.verdict is Verdict.FAIL
    assert "normal, Primary" in result.summary


@pytest.mark.parametrize("text", ["Ada Lovelace", "+44 20 7946 0000", "dba@example.org", "X. Yang", "Namerow", "Tba-Mensah"])
def test_real_names_are_no_placeholders(text: str) -> None:
    assert not contacts.is_placeholder(text)


def test_every_period_and_role_is_needed() -> None:
    assert contacts.complete(pd.DataFrame(FULL[:2])).verdict is Verdict.FAIL
    assert contacts.complete(pd.DataFrame()).verdict is Verdict.FAIL
    assert contacts.complete(pd.DataFrame(FULL), periods=[]).verdict is Verdict.INCONCLUSIVE
    missing = contacts.complete(pd.DataFrame(FULL), roles={"normal": ["Lead", "Deputy"]})
    assert missing.verdict is Verdict.FAIL
    assert "normal, Deputy: no such role" in missing.summary
