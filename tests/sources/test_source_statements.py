"""The named statements: every shipped file is one, and a file that is none says where and why."""

from __future__ import annotations

from importlib import resources
from typing import get_args

import pytest

from opsnb.errors import UsageError
from opsnb.sources.statements import Kind, parse, statement

SHIPPED = [
    (kind, entry.name.removesuffix(".sql"))
    for kind in get_args(Kind)
    for entry in (resources.files("opsnb") / "sql" / kind).iterdir()
    if entry.name.endswith(".sql")
]
GOOD = """-- One row per thing.
-- columns: name text | bytes bigint (bytes)
-- params:  schemas text[]
-- needs:   nothing
select %(schemas)s
"""


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_every_shipped_statement_is_one(kind: Kind, name: str) -> None:
    """Header, columns and parameters agree with the text."""
    said = statement(kind, name)
    assert said.columns
    assert said.sentence.endswith(".")
    assert not said.body.startswith("--")
    assert said.text.endswith(f"{said.body}\n")


def test_a_header_is_read() -> None:
    """Sentence, columns with units, parameters with types."""
    said = parse("postgres", "things", GOOD)
    assert said.sentence == "One row per thing."
    assert [(column.name, column.type, column.unit) for column in said.columns] == [("name", "text", ""), ("bytes", "bigint", "bytes")]
    assert dict(said.params) == {"schemas": "text[]"}
    assert (said.needs, said.splits, said.body) == ("nothing", False, "select %(schemas)s")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("-- One row per thing.\n", "", r"things\.sql:1: expected a comment with one sentence"),
        ("-- columns: name text | bytes bigint (bytes)\n", "", "no `-- columns:`"),
        ("-- needs:   nothing\n", "-- needs:\n", "no `-- needs:`"),
        ("name text", "name", r"things\.sql:2: 'name' is not `name type \(unit\)`"),
        ("name text", "name varchar", r"things\.sql:2: name has the type varchar"),
        ("name text", "bytes text", r"things\.sql:2: bytes is given twice"),
        ("name text | bytes bigint (bytes)", "none", r"things\.sql:2: a statement has columns"),
        ("-- needs:", "-- params:  none\n-- needs:", r"things\.sql:4: params is given twice"),
        ("schemas text[]", "none", "schemas is used and not declared"),
        ("select %(schemas)s", "select 1", "schemas is declared and not used"),
        ("-- needs:", "-- splits:  maybe\n-- needs:", r"things\.sql:4: splits is `yes` or `no`"),
    ],
)
def test_a_wrong_header_says_where(old: str, new: str, expected: str) -> None:
    """File, line where there is one, and what was expected."""
    assert old in GOOD
    with pytest.raises(UsageError, match=expected):
        parse("postgres", "things", GOOD.replace(old, new, 1))


def test_an_unknown_name_gets_the_nearest() -> None:
    """And nothing outside the folder is a statement."""
    with pytest.raises(UsageError, match=r"no postgres statement 'relation'; did you mean relations\?"):
        statement("postgres", "relation")
    with pytest.raises(UsageError, match="no postgres statement"):
        statement("postgres", "../roles/opsnb_reader")
    with pytest.raises(UsageError, match=r"there are: .*function_calls"):
        statement("logs", "zzzzzz")


def test_parameters_are_asked_for_by_name() -> None:
    """One too many and one too few are both mistakes."""
    said = parse("postgres", "things", GOOD)
    said.require(["schemas"])
    with pytest.raises(UsageError, match="parameter schema is unknown; it takes schemas"):
        said.require(["schema"])
    with pytest.raises(UsageError, match="parameter schemas is missing"):
        said.require([])
