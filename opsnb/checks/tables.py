"""What every check does to its tables first: insist on values, name tables alike, order findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from opsnb.errors import SourceNonsense


def known(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The same table, where each of *columns* exists and holds a value in every row.

    Raises SourceNonsense (the check becomes ERROR): a missing number is never taken for a good one.
    An empty table passes whatever its columns: each check says itself what empty means.
    """
    if table.empty:
        return table
    for column in columns:
        if column not in table.columns:
            raise SourceNonsense(f"the answer has no column {column}; expected {', '.join(columns)}")
        missing = int(table[column].isna().sum())
        if missing:
            raise SourceNonsense(f"{column} has no value in {missing} of {len(table)} rows; the role may lack the right to read it")
    return table


def named(relations: pd.DataFrame, name: str, *, schema_column: str = "schema", name_column: str = "name") -> pd.DataFrame:
    """The rows of table *name*, which may carry its schema (``public.users``) or not (``users``)."""
    schema, _, bare = name.rpartition(".")
    rows = relations[relations[name_column] == bare]
    return rows[rows[schema_column] == schema] if schema else rows


def bare(name: str) -> str:
    """The name without its schema."""
    return name.rpartition(".")[2]


def findings(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, worst_first: Iterable[str] = ()) -> pd.DataFrame:
    """A table of *rows* with exactly *columns*, also when there are none.

    With *worst_first*, rows are ordered by that column `severity`'s place in it, then as given.
    """
    table = pd.DataFrame(list(rows), columns=list(columns))
    order = list(worst_first)
    if order and not table.empty:
        rank = table["severity"].map({severity: place for place, severity in enumerate(order)})
        table = table.iloc[rank.argsort(kind="stable")].reset_index(drop=True)
    return table


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first *limit* names and how many more there are, for a sentence."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def counted(number: int, one: str, many: str = "") -> str:
    """`1 table`, `2 tables`: a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def role_names(roles: Iterable[str]) -> str:
    """Roles in a fixed order, each once, for a cell."""
    return ", ".join(sorted(set(roles)))
