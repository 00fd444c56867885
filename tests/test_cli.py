"""The command line: what is wrong is one clear message and exit 2, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Ended, make_home, process_environment

from opsnb import cli
from opsnb.local import target as embedded

pytestmark = pytest.mark.target
Opsnb = Callable[..., Ended]


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[Path]:
    """A home to spoil, without a target."""
    root = make_home(tmp_path / "a spoilt home")
    yield root
    if not (root / ".opsnb").is_symlink():
        embedded.down(root)  # a test that fails may have started one


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Opsnb:
    """The command line in this process: a refusal needs no process of its own."""

    def call(*words: str, root: Path, **environment: str) -> Ended:
        for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS", "OPSNB_LOCAL_AUTOSTART"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"OPSNB_HOME": str(root), **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["opsnb", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, printed.out, printed.err)

    return call


@pytest.fixture
def sharing(target: Path, spoilt: Path) -> Path:
    """A home to spoil that shares the session's target."""
    (spoilt / ".opsnb").symlink_to(target / ".opsnb")
    return spoilt


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / "parameters" / "environments" / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def files(root: Path) -> dict[str, float]:
    return {str(path.relative_to(root)): path.stat().st_mtime for path in root.rglob("*")}


def refused(ended: Ended, *said: str) -> None:
    """Exit 2, one message that says all of *said*, nothing on standard output, no traceback."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.count("error:") == 1 and "Traceback" not in ended.err
    for words in said:
        assert words in ended.err, ended.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("region: eu-central-1", "region: [eu-central-1", ["parameters/environments/local.yaml:"]),
        ("release: patient-history", "release: patient-hystory", ["no release", "did you mean patient-history"]),
        ("log_delay_s: 0", "log_delays: 0", ["local.yaml:", "log_delays", "log_delay_s"]),
        ("phase_deadline_s: 120", "phase_deadline_s: soon", ["local.yaml:", "phase_deadline_s", "soon", "expected"]),
    ],
    ids=["not yaml", "unknown release", "unknown key", "wrong value"],
)
def test_a_wrong_parameter_file(spoilt: Path, here: Opsnb, old: str, new: str, said: list[str]) -> None:
    change(spoilt, "local.yaml", old, new)
    before = files(spoilt)
    refused(here("run", "local", root=spoilt), *said)
    refused(here("cleanup", "local", root=spoilt), *said)
    assert files(spoilt) == before, "not even the target was started"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "lokal"], ["no environment", "lokal", "did you mean local"]),
        (["run", "local", "--phase", "shema"], ["no phase 'shema'", "did you mean schema"]),
        (["run", "local", "--phase", "12"], ["no phase '12'", "signoff"]),
        (["run", "production"], ["references that lead to nothing", "SUPABASE_ACCESS_TOKEN"]),
        (["cleanup", "production"], ["references that lead to nothing"]),
        (["cleanup", "lokal"], ["no environment"]),
        (["cleanup", "local", "--apply"], ["--confirm local", "nobody can type it"]),
        (["cleanup", "local", "--apply", "--confirm", "production"], ["expected the environment's name, local", "nothing was changed"]),
        (["local", "fault", "rls_of"], ["not running"]),
    ],
)
def test_a_wrong_word(spoilt: Path, here: Opsnb, words: list[str], said: list[str]) -> None:
    before = files(spoilt)
    refused(here(*words, root=spoilt), *said)
    assert files(spoilt) == before


def test_a_missing_reference_names_key_and_variable(spoilt: Path, here: Opsnb) -> None:
    before = files(spoilt)
    ended = here("run", "local", "--phase", "schema", root=spoilt, OPSNB_LOCAL_AUTOSTART="0")
    refused(ended, "postgres.dsn", "file:.opsnb/local/run/dsn", "opsnb local up")
    assert files(spoilt) == before


def test_a_taken_port(spoilt: Path, here: Opsnb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(here("local", "up", "--port", str(port), root=spoilt), str(port), "choose another")
    refused(here("local", "up", "--port", "70000", root=spoilt), "from 1 to 65535")
    assert not [path for path in (spoilt / ".opsnb").rglob("*") if path.is_file() and path.name != "up.lock"]


@pytest.mark.parametrize("words", [["run", "local", "--phase", "schema"], ["cleanup", "local"]], ids=" ".join)
def test_a_reports_folder_that_cannot_be_written(sharing: Path, here: Opsnb, words: list[str]) -> None:
    """A file in its place: permission bits would not stop root."""
    (sharing / "reports").write_text("a file")
    before = files(sharing)
    refused(here(*words, root=sharing), "reports", "cannot be written")
    assert files(sharing) == before
    refused(here(*words, root=sharing, OPSNB_REPORTS="/proc/reports"), "/proc/reports", "cannot be written")


def test_a_wrong_switch(sharing: Path, here: Opsnb) -> None:
    refused(here("run", "local", root=sharing, OPSNB_LOCAL_AUTOSTART="no"), "OPSNB_LOCAL_AUTOSTART", "expected 1")


def counts(root: Path) -> dict[str, int]:
    """Rows of every table of the clinic, but of the one its patients fill while we look."""
    import psycopg

    names = (
        "select format('%I.%I', schemaname, relname) from pg_stat_user_tables "
        "where schemaname = 'public' and relname <> 'context_snapshots'"
    )
    with psycopg.connect((root / ".opsnb/local/run/write_dsn").read_text().strip()) as connection:
        tables = [row[0] for row in connection.execute(names)]
        return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in sorted(tables)}  # type: ignore[arg-type,index]


def typed(root: Path, answer: str) -> tuple[int, str]:
    """Code and output of the deletion, begun at a terminal where *answer* is typed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("opsnb")), "cleanup", "local", "--apply"],
        cwd=root, env=process_environment(root), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    printed, _ = process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, printed


def test_cleanup_plans_then_deletes_exactly_the_test_records(target: Path, opsnb: Opsnb) -> None:
    without = counts(target)
    embedded.fault(target, "leftover_test_data")
    with_leftovers = counts(target)
    assert with_leftovers != without
    leftovers = {table: rows - without[table] for table, rows in with_leftovers.items() if rows != without[table]}

    plan = opsnb("cleanup", "local")
    assert plan.code == 0 and "Nothing was changed" in plan.out and "\nTo delete them: opsnb cleanup local --apply\n" in plan.out
    for table, rows in leftovers.items():
        assert table.removeprefix("public.") in plan.out and str(rows) in plan.out
    planned = re.search(r"(\d+) rows in (\d+) tables would be deleted", " ".join(plan.out.split()))
    assert planned is not None and int(planned[1]) >= sum(leftovers.values()) and int(planned[2]) >= len(leftovers)
    assert counts(target) == with_leftovers

    code, printed = typed(target, "production")
    assert code == 2 and "Type its name" in printed and "expected the environment's name, local" in printed
    assert counts(target) == with_leftovers

    done = opsnb("cleanup", "local", "--apply", "--confirm", "local")
    assert done.code == 0, done
    assert f"{planned[1]} rows deleted in one transaction, 0 left." in " ".join(done.out.split())
    assert counts(target) == without, "nothing else went"

    again = opsnb("cleanup", "local", "--apply", "--confirm", "local")
    assert again.code == 0 and "nothing to delete" in again.out
    assert counts(target) == without
    record = max((target / "reports" / "local").glob("*/actions/*cleanup*"), default=None)
    assert record is not None


def test_status_shows_no_secret_unless_asked(target: Path, opsnb: Opsnb) -> None:
    token = (target / ".opsnb/local/run/access_token").read_text().strip()
    shown, asked = opsnb("local", "status"), opsnb("local", "status", "--json")
    assert shown.code == 0 and token not in shown.out and "postgresql://" not in shown.out
    told = json.loads(asked.out)
    assert set(told) >= {"dsn", "platform_url", "access_token", "functions_url", "metrics_url", "log_dir"}
    assert told["access_token"] == token and told["running"] is True
