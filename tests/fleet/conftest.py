"""A fleet of small databases of one cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from clusters import bare
from fleet_desk import SCHEMA, Fleet
from harness import make_home


@pytest.fixture
def new_database() -> Iterator[Callable[[], str]]:
    """Makes databases with the shop's schema, dropped afterwards; answers their DSN."""
    with ExitStack() as stack:

        def make() -> str:
            dsn = stack.enter_context(bare(18).fresh())
            with psycopg.connect(dsn) as connection:
                connection.execute(SCHEMA.encode())
            return dsn

        yield make


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(make_home(tmp_path / "home"))
