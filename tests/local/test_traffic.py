"""The clinic's traffic and its four functions, on a running target."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from opsnb.local import seed, target, traffic
from opsnb.local.identity import Identity

pytestmark = pytest.mark.target

PATIENT, PROVIDER, APPOINTMENT, NOTE = (f"5e000000-0000-4000-8000-00000000000{n}" for n in range(1, 5))
UNKNOWN = "5e000000-0000-4000-8000-0000000000ff"
PATIENT_UID, PROVIDER_UID = "SyntheticPatient000000000001", "SyntheticProvider00000000002"
BODIES: dict[str, dict[str, Any]] = {
    "create-context-snapshot": {"appointmentId": APPOINTMENT},
    "generate-soap-draft-v2": {"appointmentId": APPOINTMENT},
    "get-patient-history": {"patientId": PATIENT, "appointmentId": APPOINTMENT},
    "update-patient-medical-record": {"soapNoteId": NOTE},
}
FIELDS = {
    "create-context-snapshot": {"success", "appointmentId", "snapshotId", "createdAt", "entries", "dryRun"},
    "generate-soap-draft-v2": {"success", "appointmentId", "draft", "basedOn", "transcription", "dryRun"},
    "get-patient-history": {"success", "hasHistory", "history", "entries", "lastUpdatedAt", "dryRun"},
    "update-patient-medical-record": {"success", "soapNoteId", "merged", "entries", "dryRun"},
}
PREVIOUS_FIELDS = {
    "create-context-snapshot": {"success", "snapshotId"},
    "generate-soap-draft-v2": {"success", "draft"},
    "get-patient-history": {"success", "hasHistory", "history"},
    "update-patient-medical-record": {"success", "soapNoteId"},
}
SLUGS = sorted(BODIES)


class Clinic:
    """A running target as an application sees it."""

    def __init__(self, root: Path) -> None:
        told = target.status(root)
        self.root, self.base, self.dsn = root, str(told["platform_url"]), (root / ".opsnb/local/run/write_dsn").read_text().strip()
        self.logs = Path(told["log_dir"])
        self.identity = Identity(root / ".opsnb/local/platform")
        self.client = httpx.Client(base_url=self.base, trust_env=False, timeout=30)

    def call(self, slug: str, body: Any, uid: str = PROVIDER_UID, **headers: str) -> httpx.Response:
        token = self.identity.issue(uid) if uid else ""
        given = {"authorization": f"Bearer {self.identity.anon_key}", "x-firebase-token": token, **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name: value for name, value in given.items() if value}
        return self.client.post(f"/functions/v1/{slug}", content=content, headers=given)

    def ready(self) -> None:
        deadline = time.monotonic() + 60
        while target.status(self.root)["traffic"] != "ready":
            assert time.monotonic() < deadline, "the traffic never became ready"
            time.sleep(0.1)

    def value(self, sql: str) -> Any:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(sql).fetchone()
        assert row is not None
        return row[0]

    def rows(self, source: str) -> list[dict[str, Any]]:
        path = self.logs / f"{source}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    root = tmp_path_factory.mktemp("traffic target")
    target.up(root)
    clinic = Clinic(root)
    clinic.ready()
    yield clinic
    clinic.client.close()
    target.down(root)


# -- traffic (first: the logs hold nothing else yet)


def test_the_last_half_hour_was_a_working_clinic(clinic):
    calls = clinic.rows("function_edge_logs")
    n = Counter(row["log_attributes"]["request.pathname"].rsplit("/", 1)[1] for row in calls)
    assert sorted(n) == SLUGS
    assert min(n.values()) >= 60
    assert sum(n.values()) >= 300  # 299 without an error show a rate under 1 %
    assert {row["log_attributes"]["response.status_code"] for row in calls} == {"200"}
    moments = sorted(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in calls)
    now = datetime.now(UTC)
    assert timedelta(minutes=28) < now - moments[0] < timedelta(minutes=33)
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < timedelta(minutes=1)
    for source in ("function_logs", "function_edge_logs", "edge_logs", "postgrest_logs"):
        assert not [row["event_message"] for row in clinic.rows(source) if row["severity_text"] in ("ERROR", "FATAL", "WARN")]


def test_one_call_has_one_time_in_every_log(clinic):
    def moments(source: str) -> list[tuple[str, datetime]]:
        return [(row["log_attributes"]["execution_id"], datetime.fromisoformat(row["timestamp"])) for row in clinic.rows(source)]

    started = dict(moments("function_edge_logs")[:200])
    said = [(execution, when) for execution, when in moments("function_logs") if execution in started]
    assert len(said) >= 200
    assert all(timedelta(0) <= when - started[execution] < timedelta(seconds=20) for execution, when in said)
    asked = sorted(row["timestamp"] for row in clinic.rows("edge_logs"))
    assert datetime.fromisoformat(asked[-1]) - datetime.fromisoformat(asked[0]) > timedelta(minutes=25)


def test_the_work_was_really_done(clinic):
    recently = "> now() - interval '5 minutes'"
    assert clinic.value(f"select count(*) from public.patient_profiles where medical_record_last_updated_at {recently}") >= 60
    assert clinic.value(f"select count(*) from public.context_snapshots where created_at {recently}") >= 60


def test_a_trickle_goes_on(clinic):
    before = len(clinic.rows("function_edge_logs"))
    time.sleep(7)
    assert 1 <= len(clinic.rows("function_edge_logs")) - before <= 4


# -- the functions


@pytest.mark.parametrize("slug", SLUGS)
def test_a_function_answers_the_provider(clinic, slug):
    answer = clinic.call(slug, BODIES[slug])
    assert (answer.status_code, answer.json().keys()) == (200, FIELDS[slug])
    assert answer.json()["success"] is True


@pytest.mark.parametrize("slug", SLUGS)
def test_a_dry_run_checks_everything_and_writes_nothing(clinic, slug):
    state = f"""select (select count(*) from public.context_snapshots where appointment_id = '{APPOINTMENT}')::text ||
        (select medical_record_last_updated_at from public.patient_profiles where user_id = '{PATIENT}')::text"""
    before = clinic.value(state)
    answer = clinic.call(slug, {**BODIES[slug], "dryRun": True})
    assert (answer.status_code, answer.json()["dryRun"]) == (200, True)
    assert clinic.value(state) == before
    assert clinic.call(slug, {**BODIES[slug], "dryRun": True}, "Nobody").status_code in (403, 404)


@pytest.mark.parametrize("slug", SLUGS)
def test_tokens_are_verified_by_the_function_itself(clinic, slug):
    own = clinic.identity
    header, payload, signature = own.issue(PROVIDER_UID).split(".")
    bad = {
        "missing": "", "nonsense": "nonsense", "anon key": own.anon_key, "expired": own.issue(PROVIDER_UID, lifetime_s=-60),
        "future": own.issue(PROVIDER_UID, now=time.time() + 600), "altered": f"{header}.{payload[:-4]}AAAA.{signature}",
        "unsigned": f"{header}.{payload}.", "empty subject": own.issue(""),
    }  # fmt: skip
    for name, token in bad.items():
        answer = clinic.call(slug, BODIES[slug], "", **{"x-firebase-token": token})
        assert (answer.status_code, answer.json()["success"]) == (401, False), name
        assert answer.headers["x-sb-execution-id"]


@pytest.mark.parametrize("slug", SLUGS)
def test_bad_input_and_foreign_records_are_told_apart(clinic, slug):
    key = next(reversed(BODIES[slug]))
    for body in (b"", b"{", b"[]", b"null", {}, {**BODIES[slug], key: "1"}, {**BODIES[slug], key: 1}, {**BODIES[slug], "dryRun": "yes"}):
        assert clinic.call(slug, body).status_code == 400
    assert clinic.call(slug, {**BODIES[slug], key: UNKNOWN}).status_code == 404
    expected = 200 if slug == "get-patient-history" else 403  # the patient may read, and only the provider write
    assert clinic.call(slug, {**BODIES[slug], "dryRun": True}, PATIENT_UID).status_code == expected
    assert clinic.client.get(f"/functions/v1/{slug}", headers={"authorization": f"Bearer {clinic.identity.anon_key}"}).status_code == 405


def test_a_history_is_only_given_for_the_appointments_own_patient(clinic):
    other = clinic.value(f"select user_id::text from public.patient_profiles where user_id <> '{PATIENT}' limit 1")
    assert clinic.call("get-patient-history", {"patientId": other, "appointmentId": APPOINTMENT}).status_code == 403


def test_nothing_is_merged_while_the_switch_is_off(clinic):
    def switch(on: bool) -> None:
        with psycopg.connect(clinic.dsn) as connection:
            connection.execute("update public.app_settings set value = to_jsonb(%s) where key = 'enable_cumulative_record_updates'", [on])

    switch(False)
    try:
        assert clinic.call("update-patient-medical-record", BODIES["update-patient-medical-record"]).json()["merged"] is False
    finally:
        switch(True)
    assert clinic.call("update-patient-medical-record", BODIES["update-patient-medical-record"]).json()["merged"] is True


def test_answers_and_logs_of_failures_hold_no_detail(clinic):
    with psycopg.connect(clinic.dsn) as connection:
        malformed = json.dumps({"conditions": "Jane Doe"})
        connection.execute("update public.patient_profiles set cumulative_medical_record = %s where user_id = %s", [malformed, PATIENT])
    try:
        answer = clinic.call("get-patient-history", BODIES["get-patient-history"])
        assert (answer.status_code, answer.json()) == (500, {"success": False, "error": "Internal error"})
        assert answer.headers["sb-error-code"] == "EDGE_FUNCTION_ERROR"
    finally:  # the merge mends it
        clinic.call("update-patient-medical-record", BODIES["update-patient-medical-record"])
    kept = "".join(path.read_text() for path in clinic.logs.glob("*.jsonl"))
    assert "Jane Doe" not in kept
    assert clinic.identity.issue(PROVIDER_UID).split(".")[0] not in kept


@pytest.mark.parametrize("slug", SLUGS)
def test_the_version_before_behaves_differently(clinic, slug):
    files, entrypoint = seed.sources(seed.CLINIC / "functions_previous", slug)
    metadata = {"entrypoint_path": entrypoint, "name": slug, "verify_jwt": True}
    parts: list[Any] = [("metadata", (None, json.dumps(metadata)))] + [("file", (name, content)) for name, content in files.items()]
    answer = clinic.client.post(
        f"/v1/projects/localclinicopsnbdemo/functions/deploy?slug={slug}", files=parts,
        headers={"authorization": f"Bearer {clinic.identity.access_token}"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert clinic.call(slug, BODIES[slug]).json().keys() == PREVIOUS_FIELDS[slug]


def test_a_missing_region_breaks_no_function(clinic):
    headers = {"authorization": f"Bearer {clinic.identity.access_token}"}
    told = clinic.client.request("DELETE", "/v1/projects/localclinicopsnbdemo/secrets", json=["AWS_REGION"], headers=headers)
    assert told.status_code == 200
    assert {clinic.call(slug, BODIES[slug]).status_code for slug in SLUGS} == {200}


def test_traffic_starts_again_after_a_reset(clinic):
    target.reset(clinic.root)
    clinic.ready()
    calls = clinic.rows("function_edge_logs")
    assert traffic.CALLS <= len(calls) <= traffic.CALLS + 10
    assert {row["log_attributes"]["response.status_code"] for row in calls} == {"200"}
    assert {row["log_attributes"]["version"] for row in calls} == {"3", "4", "11", "13"}


def test_shared_modules_of_both_versions_are_the_same():
    for path in sorted((seed.CLINIC / "functions" / "_shared").iterdir()):
        assert (seed.CLINIC / "functions_previous" / "_shared" / path.name).read_bytes() == path.read_bytes()
