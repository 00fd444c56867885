"""A project with targets that need nothing but a database with a schema, and how a fleet is run in it."""

from __future__ import annotations

from pathlib import Path

import yaml
from harness import Ended, run_opsnb

GLOB = "parameters/environments/fleet-*.yaml"
SCHEMA = """
create schema shop;
create table shop.orders (
    id bigint generated always as identity primary key, customer text not null, placed_at timestamptz not null default now()
);
"""
RELEASE = {
    "title": "A shop",
    "schema": {
        "schemas": ["shop"],
        "tables": {"orders": {"items": ["S5-2"], "columns": {"placed_at": "timestamptz", "customer": "text"}}},
    },
}
"""A sound target ends held: most of the runbook's items are asked by nothing in it."""


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


def run_fleet(fleet: Fleet, *words: str, **environment: str) -> Ended:
    """``opsnb fleet run`` of its targets' schema phase."""
    return run_opsnb("fleet", "run", GLOB, "--phase", "schema", *words, root=fleet.root, timeout_s=280, **environment)


def left_of(root: Path) -> list[str]:
    """Processes of targets that still run in the project *root*."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"OPSNB_HOME={root}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [command for command in found if command]
