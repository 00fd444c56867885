"""``opsnb doctor``: each thing that can be wrong with an environment is broken in turn, named, and well again when it is mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clusters import bare
from harness import Ended, make_home, run_opsnb

pytestmark = pytest.mark.target
LOCAL = Path("parameters") / "environments" / "local.yaml"


@pytest.fixture
def patient(target: Path, tmp_path: Path) -> Path:
    """A home of its own that shares the session's target, with references to spoil."""
    root = make_home(tmp_path / "ill")
    (root / ".opsnb" / "local").mkdir(parents=True)
    for each in (target / ".opsnb" / "local").iterdir():
        if each.name != "run":
            (root / ".opsnb" / "local" / each.name).symlink_to(each)
    run = root / ".opsnb" / "local" / "run"
    run.mkdir()
    for each in (target / ".opsnb" / "local" / "run").iterdir():
        if each.is_file():
            (run / each.name).write_bytes(each.read_bytes())
    return root


def doctor(root: Path) -> tuple[Ended, dict[str, list[dict[str, Any]]]]:
    ended = run_opsnb("doctor", "local", "--json", root=root, OPSNB_LOCAL_AUTOSTART="0")
    assert "Traceback" not in ended.err, ended.err
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(ended.out):
        found.setdefault(each["what"], []).append(each)
    return ended, found


def test_the_embedded_target_is_well(patient: Path) -> None:
    ended, found = doctor(patient)
    assert ended.code == 0
    assert not [each for group in found.values() for each in group if each["state"] in ("broken", "warning")]
    for what in ("database", "platform", "logs", "functions", "metrics", "identity provider", "test caller's token", "encryption",
                 "notifications", "reports", "notebooks", "client programs"):  # fmt: skip
        assert found[what][0]["state"] == "well", what
    secrets = [
        path.read_text().strip() for path in (patient / ".opsnb" / "local" / "run").iterdir() if "key" in path.name or "token" in path.name
    ]
    assert secrets and not [secret for secret in secrets if secret in ended.out]


def with_run(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / ".opsnb" / "local" / "run" / name).write_text(text) and None


def with_file(old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        text = (root / LOCAL).read_text()
        assert text.count(old) == 1, old
        (root / LOCAL).write_text(text.replace(old, new))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "what", "state"),
    [
        (with_run("dsn", "postgresql://opsnb_reader:canary-secret@127.0.0.1:1/postgres"), "database", "broken"),
        (with_run("dsn", "no dsn at all canary-secret"), "database", "broken"),
        (with_run("access_token", "sbp_canary-secret"), "platform", "broken"),
        (with_run("platform_url", "http://127.0.0.1:1"), "platform", "broken"),
        (with_run("functions_url", "http://127.0.0.1:1/functions/v1"), "functions", "broken"),
        (with_run("metrics_password", "canary-secret"), "metrics", "broken"),
        (with_run("jwks_url", "http://127.0.0.1:1/keys"), "identity provider", "broken"),
        (with_run("provider_token", "canary-secret.is.no-token"), "test caller's token", "broken"),
        (with_run("age_recipient", "canary-secret"), "encryption", "broken"),
        (with_run("notify_url", "canary-secret"), "notifications", "broken"),
        (with_file("metrics_password", "metrics_passwort"), "metrics.password", "broken"),
        (with_file("  provider_id: 5e000000-0000-4000-8000-000000000002\n  appointment_id: 5e000000-0000-4000-8000-000000000003\n", ""),
         "functions", "broken"),
    ],
)  # fmt: skip
def test_what_is_broken_is_named(patient: Path, spoil: Callable[[Path], None], what: str, state: str) -> None:
    """By its own name, with the rest tried all the same, and without the value."""
    spoil(patient)
    ended, found = doctor(patient)
    assert ended.code == 1
    assert state in {each["state"] for each in found[what]}, found[what]
    assert "canary-secret" not in ended.out + ended.err
    assert found["notebooks"][0]["state"] == "well"
    broken = [each for group in found.values() for each in group if each["state"] == "broken"]
    assert all(each["found"] for each in broken)


def test_a_role_that_may_do_too_much_or_too_little(patient: Path) -> None:
    """Too much is a warning, and so is what it lacks; both say where the SQL of the right role is."""
    with bare(18).fresh(clinic=True) as dsn:
        (patient / ".opsnb" / "local" / "run" / "dsn").write_text(dsn)
        _, found = doctor(patient)
        assert "may write" in found["role"][0]["found"] and found["role"][0]["state"] == "warning"
        import psycopg

        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("drop role if exists weak; create role weak login")
        try:
            (patient / ".opsnb" / "local" / "run" / "dsn").write_text(dsn.replace("postgres@", "weak@"))
            _, found = doctor(patient)
            said = " ".join(each["found"] for each in found["role"])
            for lacking in ("pg_read_all_data", "pg_monitor", "BYPASSRLS", "may not become anon, authenticated"):
                assert lacking in said
            assert all("--role-sql" in each["mend"] for each in found["role"] if each["state"] == "warning")
        finally:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("drop role weak")


def test_for_a_person_it_says_what_to_do(patient: Path) -> None:
    with_run("metrics_password", "wrong")(patient)
    ended = run_opsnb("doctor", "local", root=patient, OPSNB_LOCAL_AUTOSTART="0")
    assert ended.code == 1 and "✘" in ended.out and "→" in ended.out
    assert "do not work" in ended.out
    unknown = run_opsnb("doctor", "nowhere", root=patient)
    assert unknown.code == 2 and "nowhere" in unknown.err
