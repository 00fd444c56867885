"""The ways back over the Management API of the running target: point-in-time recovery, and functions deployed again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from opsnb.local import target

pytestmark = pytest.mark.target

PROJECT = "/v1/projects/localclinicopsnbdemo"
BACKUPS = f"{PROJECT}/database/backups"
PITR = f"{BACKUPS}/restore-pitr"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("way back")
    target.up(root)
    yield root
    target.down(root)


@pytest.fixture
def api(root: Path) -> Iterator[httpx.Client]:
    told = target.up(root)
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    with httpx.Client(base_url=told["platform_url"], headers=headers, timeout=30, trust_env=False) as client:
        yield client


def run_file(root: Path, name: str) -> str:
    return (root / ".opsnb/local/run" / name).read_text().strip()


def sql(api: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = api.post(f"{PROJECT}/database/query", json={"query": query})
    assert answer.status_code == 201, answer.text
    return answer.json()


def status(api: httpx.Client) -> str:
    return str(api.get(PROJECT).json()["status"])


def window(api: httpx.Client) -> tuple[int, int]:
    told = api.get(BACKUPS).json()["physical_backup_data"]
    return told.get("earliest_physical_backup_date_unix", 0), told.get("latest_physical_backup_date_unix", 0)


def restorable(api: httpx.Client, second: int = 1) -> None:
    """Waits as the snapshot does: until the latest restorable second has passed *second*."""
    deadline = time.monotonic() + 30
    while window(api)[1] < second:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def restore(api: httpx.Client, second: int) -> tuple[int, bytes, set[str]]:
    """Asks for it and waits; returns the answer and every status there was meanwhile."""
    answer = api.post(PITR, json={"recovery_time_target_unix": second})
    seen = {status(api)}
    deadline = time.monotonic() + 60
    while (now := status(api)) == "RESTORING":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return answer.status_code, answer.content, seen | {now}


def moment(api: httpx.Client) -> int:
    """T0 by the database's clock; returns in the second after it."""
    [told] = sql(api, "select ceil(extract(epoch from clock_timestamp()))::int as second")
    second = int(told["second"])
    time.sleep(max(0.0, second + 0.1 - time.time()))
    return second


SIGNED = """select count(*) as notes, md5(string_agg(n::text, '' order by id)) as fingerprint
            from public.soap_notes n where status = 'signed' and signed_at < '{:%Y-%m-%d %H:%M:%S}Z'"""


def test_damage_is_undone_to_the_second(api: httpx.Client, root: Path) -> None:
    restorable(api)
    told = api.get(BACKUPS).json()
    assert (told["pitr_enabled"], told["walg_enabled"]) == (True, True)
    assert [one["status"] for one in told["backups"]] == ["COMPLETED"]
    sql(api, "create table public.marks (n int); insert into public.marks values (1)")
    signed = SIGNED.format(datetime.now(UTC))
    [before] = sql(api, signed)
    assert before["notes"] > 1000
    t0 = moment(api)
    sql(api, "insert into public.marks values (2)")
    sql(api, "update public.soap_notes set chief_complaint = 'mangled'; drop table public.appointments cascade")
    restorable(api, t0)
    address = target.status(root)["dsn"]
    with psycopg.connect(run_file(root, "dsn")) as held:
        assert restore(api, t0) == (201, b"", {"RESTORING", "ACTIVE_HEALTHY"})
        with pytest.raises(psycopg.OperationalError):
            held.execute("select 1")
    assert sql(api, "select n from public.marks") == [{"n": 1}]
    assert sql(api, signed) == [before]
    assert sql(api, "select count(*) > 0 as there from public.appointments") == [{"there": True}]
    assert target.status(root)["dsn"] == address
    rest = httpx.get(
        f"{run_file(root, 'rest_url')}/marks?select=n", trust_env=False,
        headers={"apikey": run_file(root, "service_key"), "Authorization": f"Bearer {run_file(root, 'service_key')}"},
    )  # fmt: skip
    assert (rest.status_code, rest.json()) == (200, [{"n": 1}])
    healthy = api.get(f"{PROJECT}/health", params={"services": ["db", "rest", "pooler"]}).json()
    assert {one["status"] for one in healthy} == {"ACTIVE_HEALTHY"}
    sql(api, "insert into public.marks values (3)")  # it is no standby
    restorable(api, moment(api) - 1)  # and is archived on


@pytest.mark.parametrize("wrong", [None, "1795445247", 1.5, True, -1, 0, 1707407047, 4102444800])
def test_a_moment_outside_the_window_is_refused(api: httpx.Client, wrong: object) -> None:
    restorable(api)
    answer = api.post(PITR, json={"recovery_time_target_unix": wrong})
    assert answer.status_code == 400
    assert "recovery" in answer.json()["message"]
    assert status(api) == "ACTIVE_HEALTHY"


def test_only_one_restore_at_a_time(api: httpx.Client) -> None:
    restorable(api)
    latest = window(api)[1]
    first, second = (api.post(PITR, json={"recovery_time_target_unix": latest}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 400)
    assert second.json() == {"message": "The project is being restored."}
    while status(api) == "RESTORING":
        time.sleep(0.3)
    assert status(api) == "ACTIVE_HEALTHY"


def test_a_restore_that_fails_says_so_and_loses_nothing(api: httpx.Client, root: Path) -> None:
    restorable(api)
    sql(api, "create table public.kept (n int); insert into public.kept values (7)")
    t0 = moment(api)
    restorable(api, t0)
    versions = list((root / ".opsnb/local/pg/archive/bases").glob("*/PG_VERSION"))
    for version in versions:
        version.write_text("15\n")
    assert restore(api, t0)[2] == {"RESTORING", "RESTORE_FAILED"}
    assert sql(api, "select n from public.kept") == [{"n": 7}]
    for version in versions:
        version.write_text("18\n")
    assert restore(api, t0)[2] == {"RESTORING", "ACTIVE_HEALTHY"}
    assert sql(api, "select n from public.kept") == [{"n": 7}]


@pytest.mark.campaign
def test_what_a_killed_daemon_promised_the_next_one_keeps(root: Path) -> None:
    for wait_s in (0.15, 0.4, 0.6):
        told = target.up(root)
        with httpx.Client(
            base_url=told["platform_url"], headers={"Authorization": f"Bearer {told['access_token']}"}, trust_env=False
        ) as api:
            restorable(api)
            sql(api, "drop table if exists public.twice; create table public.twice (n int); insert into public.twice values (1)")
            t0 = moment(api)
            sql(api, "insert into public.twice values (2)")
            restorable(api, t0)
            assert api.post(PITR, json={"recovery_time_target_unix": t0}).status_code == 201
            time.sleep(wait_s)
        os.kill(told["pid"], signal.SIGKILL)
        while target.running(root / ".opsnb/local"):
            time.sleep(0.01)
        told = target.up(root)
        with httpx.Client(
            base_url=told["platform_url"], headers={"Authorization": f"Bearer {told['access_token']}"}, trust_env=False
        ) as api:
            while status(api) == "RESTORING":
                time.sleep(0.5)
            assert status(api) == "ACTIVE_HEALTHY"
            assert sql(api, "select n from public.twice") == [{"n": 1}]


def test_after_a_reset_one_can_go_back_again(api: httpx.Client, root: Path) -> None:
    target.reset(root)
    sql(api, "create table public.fresh (n int)")
    t0 = moment(api)
    sql(api, "drop table public.fresh")
    restorable(api, t0)
    assert restore(api, t0)[2] == {"RESTORING", "ACTIVE_HEALTHY"}
    assert sql(api, "select n from public.fresh") == []


# -- functions


def archived(api: httpx.Client, slug: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, bytes]]:
    """What an archive keeps of a function: its description, the metadata of its sources, and these."""
    answer = api.get(f"{PROJECT}/functions/{slug}/body", headers={"Accept": "multipart/form-data"})
    message = message_from_bytes(f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode() + answer.content, policy=policy.HTTP)
    metadata, files = {}, {}
    for part in message.iter_parts():
        if part.get_param("name", header="content-disposition") == "metadata":
            metadata = json.loads(part.get_payload(decode=True))
        else:
            files[part["Supabase-Path"]] = part.get_payload(decode=True)
    return api.get(f"{PROJECT}/functions/{slug}").json(), metadata, files


def deploy(api: httpx.Client, slug: str, told: dict[str, Any], files: dict[str, bytes], entrypoint: str) -> dict[str, Any]:
    metadata = {"entrypoint_path": entrypoint, "verify_jwt": told["verify_jwt"], "name": told["name"]}
    if told.get("import_map_path"):
        metadata["import_map_path"] = told["import_map_path"]
    uploads = [("file", (path, content, "application/typescript")) for path, content in files.items()]
    answer = api.post(f"{PROJECT}/functions/deploy", params={"slug": slug}, data={"metadata": json.dumps(metadata)}, files=uploads)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "slug", ["create-context-snapshot", "generate-soap-draft-v2", "get-patient-history", "update-patient-medical-record"]
)
def test_an_archived_function_is_deployed_again_as_it_was(api: httpx.Client, slug: str) -> None:
    told, metadata, files = archived(api, slug)
    bundle = api.get(f"{PROJECT}/functions/{slug}/body").content
    assert hashlib.sha256(bundle).hexdigest() == told["ezbr_sha256"]
    wrong = {**files, metadata["deno2_entrypoint_path"]: b"Deno.serve(() => new Response('wrong', { status: 500 }));\n"}
    broken = deploy(api, slug, {**told, "verify_jwt": not told["verify_jwt"]}, wrong, metadata["deno2_entrypoint_path"])
    assert broken["ezbr_sha256"] != told["ezbr_sha256"]
    again = deploy(api, slug, told, files, metadata["deno2_entrypoint_path"])
    assert again["version"] == told["version"] + 2  # the number rises: going back is told by the hash
    same = ("id", "slug", "name", "status", "created_at", "verify_jwt", "import_map", "ezbr_sha256")
    assert [again[key] for key in same] == [told[key] for key in same]
    assert again["updated_at"] >= told["updated_at"]
    assert archived(api, slug)[1:] == (metadata, files)
    assert api.get(f"{PROJECT}/functions/{slug}/body").content == bundle


def test_an_archived_function_is_rehearsed_under_a_scratch_name(api: httpx.Client, root: Path) -> None:
    told, metadata, files = archived(api, "get-patient-history")
    address = f"{run_file(root, 'functions_url')}/rehearsed"
    for verify_jwt in (True, False):
        made = deploy(api, "rehearsed", {**told, "verify_jwt": verify_jwt}, files, metadata["deno2_entrypoint_path"])
        assert (made["verify_jwt"], made["ezbr_sha256"]) == (verify_jwt, told["ezbr_sha256"])
        assert made["id"] != told["id"]
        answer = httpx.post(address, json={}, trust_env=False, timeout=30)
        refused_by = "gateway" if "sb-error-code" in answer.headers else "function" if "x-sb-execution-id" in answer.headers else "nobody"
        assert (answer.status_code, refused_by) == ((401, "gateway") if verify_jwt else (400, "function"))
    assert api.delete(f"{PROJECT}/functions/rehearsed").status_code == 200
    assert api.get(f"{PROJECT}/functions/get-patient-history").json() == told
