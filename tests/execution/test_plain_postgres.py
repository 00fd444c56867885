"""A plain PostgreSQL, with nothing of Supabase around it: the phases run, and what does not apply says so and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from clusters import bare
from harness import make_home, run_opsnb

SCHEMA = """
create schema shop;
create table shop.orders (
    id bigint generated always as identity primary key, customer text not null, placed_at timestamptz not null default now()
);
create function shop.total() returns bigint language sql stable set search_path = '' as $$ select count(*) from shop.orders $$;
"""
RELEASE = {
    "title": "A shop",
    "schema": {
        "schemas": ["shop"],
        "tables": {"orders": {"items": ["S5-2"], "columns": {"placed_at": "timestamptz"}, "required_columns": ["customer"]}},
        "functions": [{"name": "total", "returns": "bigint"}],
    },
    "support": {
        period: [{"role": "On call", "name": "Somebody", "reach": "somebody@example.org"}]
        for period in ("deployment_hour", "first_24_hours", "normal")
    },
}
PHASES = (
    "checklist",
    "snapshot",
    "functions",
    "cleanup",
    "environment",
    "schema",
    "rls",
    "window",
    "verify",
    "monitor",
    "rollback",
    "signoff",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    """Every phase's results for a release and an environment that name a database and nothing else."""
    import psycopg

    root = make_home(tmp_path_factory.mktemp("plain") / "home")
    (root / "parameters" / "releases" / "shop.yaml").write_text(yaml.safe_dump(RELEASE))
    with bare(18).fresh() as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute(SCHEMA.encode())
        (root / "dsn").write_text(dsn)
        said = {"release": "shop", "postgres": {"dsn": "file:dsn"}, "window": {"probe_seconds": 1, "probe_interval_s": 0.5}}
        (root / "parameters" / "environments" / "shop.yaml").write_text(yaml.safe_dump(said))
        ended = run_opsnb("run", "shop", root=root, timeout_s=280)
    assert ended.code in (0, 1, 3, 4), ended.err
    return _results(root)


def _results(root: Path) -> dict[str, list[dict[str, object]]]:
    found = {}
    for file in (root / "reports" / "shop").glob("*/*/*/results.json"):
        found[file.parents[1].name] = json.loads(file.read_text())["results"]
    return {phase: results for folder, results in found.items() for phase in (folder.split("_")[-1],)}


def test_every_phase_left_results(shop: dict[str, list[dict[str, object]]]) -> None:
    assert set(PHASES) <= set(shop)


@pytest.mark.parametrize("phase", PHASES)
def test_what_does_not_apply_fails_nothing(shop: dict[str, list[dict[str, object]]], phase: str) -> None:
    """No check fails or errs for want of a platform; each says why it does not apply."""
    wrong = [(result["id"], result["summary"]) for result in shop[phase] if result["verdict"] in ("FAIL", "ERROR")]
    assert not wrong
    for result in shop[phase]:
        if result["verdict"] == "NOT_APPLICABLE":
            assert len(str(result["summary"])) > 20


def test_the_database_was_judged(shop: dict[str, list[dict[str, object]]]) -> None:
    """What applies is judged as anywhere: the schema's checks pass."""
    verdicts = {str(result["id"]): result["verdict"] for result in shop["schema"]}
    assert verdicts["schema.table_present:orders"] == "PASS"
    assert verdicts["schema.record_columns:orders"] == "PASS"
    assert verdicts["schema.routine_present:total"] == "PASS"


def test_without_metrics_the_servers_connections_are_the_pool_and_no_disk_is_forecast(shop: dict[str, list[dict[str, object]]]) -> None:
    found = {str(result["id"]): (str(result["verdict"]), str(result["summary"])) for result in shop["monitor"]}
    assert found["health.pool_trend"][0] == "INCONCLUSIVE" and "server: 1 reading" in found["health.pool_trend"][1]
    assert found["storage.disk_trend"][0] == "NOT_APPLICABLE"
