"""A fleet of small databases of one cluster, and a release that needs nothing but a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import yaml
from clusters import bare
from harness import make_home

SCHEMA = """
create schema shop;
create table shop.orders (
    id bigint generated always as identity primary key, customer text not null, placed_at timestamptz not null default now()
);
"""
RELEASE = {"title": "A shop", "schema": {"schemas": ["shop"], "tables": {"orders": {"required_columns": ["customer"]}}}}


class Fleet:
    """A project with targets `fleet-<name>`; each has a database of its own unless it is told otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "parameters" / "releases" / "shop.yaml").write_text(yaml.safe_dump(RELEASE))

    def add(self, name: str, dsn: str, **said: object) -> None:
        """The environment *name* at *dsn*."""
        (self.root / f"dsn-{name}").write_text(dsn)
        postgres = {"dsn": f"file:dsn-{name}", "connect_timeout_s": 2}
        self.write(name, yaml.safe_dump({"release": "shop", "postgres": postgres, **said}))

    def write(self, name: str, text: str) -> None:
        """The environment *name* says *text*."""
        (self.root / "parameters" / "environments" / f"{name}.yaml").write_text(text)

    @property
    def reports(self) -> Path:
        """Its archive."""
        return self.root / "reports"


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
