"""The functions gateway: one row per call, whatever came of it; bodies are compared and dropped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from opsnb.config import FunctionSpec
from opsnb.errors import SourceError, UsageError
from opsnb.sources.gateway import PROBE_COLUMNS, Gateway

SCHEMA = {
    "type": "object",
    "required": ["success", "items", "count", "note"],
    "properties": {
        "success": {"const": True},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "count": {"type": "number", "minimum": 0},
        "note": {"type": ["string", "null"], "format": "date-time"},
        "names": {"additionalProperties": {"type": "integer"}},
    },
    "$defs": {"item": {"required": ["id"], "properties": {"id": {"type": "string", "format": "uuid"}, "kind": {"enum": ["a", None]}}}},
}
SPEC = FunctionSpec.model_validate({
    "version": 1,
    "request": {"body": {"patient": "{patient_id}", "n": 1, "nested": [{"a": "{a}"}]}, "headers": {"x-test": "1"}},
    "response": {"json_schema": SCHEMA},
})  # fmt: skip
VALUES = {"patient_id": "p-1", "a": "A"}
GOOD = {"success": True, "items": [], "count": 1.5, "note": None, "secret": "Anna"}
Answer = Callable[[httpx.Request], httpx.Response]


def gateway(answer: Answer, **options: Any) -> Gateway:
    return Gateway(
        "http://fn.test/functions/v1", anon_key=SecretStr("anon-hunter2"), caller_token=SecretStr("caller-hunter2"),
        transport=httpx.MockTransport(answer), **options,
    )  # fmt: skip


def test_a_call_is_what_the_release_says(tmp_path: Path) -> None:
    """Address, mark, keys, body with its values; the journal says what is needed to subtract it."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=GOOD)

    door = gateway(answer, journal=tmp_path / "probes.jsonl")
    facts = door.probe({"history": SPEC}, values=VALUES, times=2)
    assert facts.error is None
    assert tuple(facts.table.columns) == PROBE_COLUMNS
    assert len(facts) == len(asked) == 2
    request = asked[0]
    assert str(request.url) == f"http://fn.test/functions/v1/history?opsnb_probe={door.mark}"
    assert request.headers["authorization"] == "Bearer anon-hunter2"
    assert request.headers["x-firebase-token"] == "caller-hunter2"
    assert request.headers["x-test"] == "1"
    assert json.loads(request.content) == {"patient": "p-1", "n": 1, "nested": [{"a": "A"}]}
    row = facts.table.iloc[0]
    assert (row["status"], row["differs"], bool(row["completed"])) == (200, "", True)
    journal = [json.loads(line) for line in (tmp_path / "probes.jsonl").read_text().splitlines()]
    assert [(line["function"], line["status"], line["mark"]) for line in journal] == [("history", 200, door.mark)] * 2
    kept = facts.table.to_csv() + facts.question + repr(facts) + repr(vars(door)) + (tmp_path / "probes.jsonl").read_text()
    assert "hunter2" not in kept
    assert "Anna" not in kept


@pytest.mark.parametrize(
    ("response", "row"),
    [
        (httpx.Response(200, json={**GOOD, "items": {}}), {"differs": "$.items: expected array"}),
        (httpx.Response(200, json={"success": True, "count": True}),
         {"differs": "$.count: expected number; $: expected a field items; $: expected a field note"}),
        (httpx.Response(200, json={**GOOD, "success": 1}), {"differs": "$.success: expected true"}),
        (httpx.Response(200, json={**GOOD, "count": -1}), {"differs": "$.count: expected at least 0"}),
        (httpx.Response(200, json={**GOOD, "items": [{"id": "Anna"}, {"id": None}, {"kind": "Anna"}]}),
         {"differs": "$.items[*].id: expected string; $.items[*].id: expected the format uuid; $.items[*].kind: expected one of a, null; "
                     "$.items[*]: expected a field id"}),
        (httpx.Response(200, json={**GOOD, "names": {"Anna": "Anna"}}), {"differs": "$.names.*: expected integer"}),
        (httpx.Response(200, json={**GOOD, "note": "2026-11-23T21:00:00.5+00:00"}), {"differs": ""}),
        (httpx.Response(200, json={**GOOD, "note": "2026-02-30T21:00:00Z"}), {"differs": "$.note: expected the format date-time"}),
        (httpx.Response(200, json={**GOOD, "note": "2026-11-23"}), {"differs": "$.note: expected the format date-time"}),
        (httpx.Response(200, json=[GOOD]), {"differs": "$: expected object", "error_code": "not a JSON object"}),
        (httpx.Response(200, text='{"success": true, "items": [], "note": null, "count": NaN}'), {"error_code": "not a JSON object"}),
        (httpx.Response(200, json={"Anna": 1}), {"error_code": "no declared field"}),
        (httpx.Response(200, text="[" * 100_000), {"error_code": "not a JSON object"}),
        (httpx.Response(503, headers={"sb-error-code": "BOOT_ERROR"}), {"status": 503, "error_code": "BOOT_ERROR"}),
        (httpx.Response(302, headers={"location": "http://x.test"}), {"status": 302}),
    ],
)  # fmt: skip
def test_answers_are_judged_by_their_schema(response: httpx.Response, row: dict[str, Any]) -> None:
    """Path and expectation; neither a value nor a name the release does not write down itself."""
    facts = gateway(lambda request: response).probe({"history": SPEC}, values=VALUES)
    assert {key: facts.table.iloc[0][key] for key in row} == row
    assert "Anna" not in facts.table.to_csv()


def test_without_a_schema_nothing_is_judged() -> None:
    """Nothing is said of the answer, rather than that it is good; at most a few differences are told of any."""
    bare = FunctionSpec.model_validate({"version": 1})
    facts = gateway(lambda request: httpx.Response(200, json=GOOD)).probe({"bare": bare}, values={})
    assert facts.table["differs"].isna().all()
    many = {"version": 1, "response": {"json_schema": {"required": [f"field_{number:02}" for number in range(30)]}}}
    told = gateway(lambda request: httpx.Response(200, json=GOOD)).probe({"many": FunctionSpec.model_validate(many)}, values={})
    assert told.table.iloc[0]["differs"].endswith("expected a field field_07; and 22 more")


def test_a_reference_that_never_ends_is_a_difference() -> None:
    """A schema that refers to itself for ever is told, not a broken probe."""
    endless = FunctionSpec.model_validate({"version": 1, "response": {"json_schema": {"$ref": "#"}}})
    facts = gateway(lambda request: httpx.Response(200, json=GOOD)).probe({"endless": endless}, values={})
    assert facts.table.iloc[0]["differs"] == "$: expected less depth than can be judged"


def test_a_function_that_does_not_answer_is_a_row() -> None:
    """Status 0: an answer about the function, as long as the gateway is there."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "slow" in request.url.path:
            raise httpx.ReadTimeout("")
        if "gone" in request.url.path:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json=GOOD)

    table = gateway(answer).probe({"slow": SPEC, "gone": SPEC, "fine": SPEC}, values=VALUES).table
    assert table["status"].tolist() == [0, 0, 200]
    assert table["completed"].tolist() == [False, False, True]
    assert table["error_code"].tolist() == ["SourceTimeout", "SourceError", ""]


def test_a_gateway_that_is_not_there_is_an_error(closed_port: int) -> None:
    """After one round: another would say the same."""
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        raise httpx.ConnectError("refused")

    facts = gateway(answer).probe({"a": SPEC, "b": SPEC}, values=VALUES, times=5)
    assert "no call reached fn.test" in str(facts.error)
    assert len(calls) == 2
    door = Gateway(f"http://127.0.0.1:{closed_port}/functions/v1", anon_key=SecretStr("k"))
    real = door.probe({"a": SPEC}, values=VALUES)
    assert isinstance(real.error, SourceError)
    door.close()


def test_watching_goes_on_for_its_time() -> None:
    """A call at every interval, later where one takes longer, none after the end."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def answer(request: httpx.Request) -> httpx.Response:
        now[0] += 1.0 if now[0] < 10 else 8.0
        return httpx.Response(200, json=GOOD)

    door = gateway(answer, sleep=sleep, clock=lambda: now[0], timeout_s=60)
    facts = door.watch({"a": SPEC}, values=VALUES, seconds=30, interval_s=5)
    assert facts.error is None
    assert len(facts) == 5  # at 0, 5, 10, 18, 26
    assert 30 <= now[0] <= 35
    assert len(door.watch({}, values=VALUES, seconds=30, interval_s=5)) == 0


def test_a_function_that_hangs_hides_nothing_of_the_others() -> None:
    """They are watched side by side: the slow one answers a few times, the other at every interval."""

    def answer(request: httpx.Request) -> httpx.Response:
        time.sleep(0.4 if "slow" in request.url.path else 0)
        return httpx.Response(200, json=GOOD)

    table = gateway(answer).watch({"slow": SPEC, "fast": SPEC}, values=VALUES, seconds=1, interval_s=0.05).table
    calls = table["function"].value_counts()
    assert calls["slow"] <= 3
    assert calls["fast"] > 2 * calls["slow"]
    assert table["at"].is_monotonic_increasing


def test_a_missing_probe_value_is_the_operators_mistake() -> None:
    """Named, before anything is called."""
    with pytest.raises(UsageError, match=r"history needs \{a\}: the environment's probe_values have patient_id"):
        gateway(lambda request: httpx.Response(200)).probe({"history": SPEC}, values={"patient_id": "p"})


def test_probes_that_cannot_be_journalled_are_an_error(tmp_path: Path) -> None:
    """They could not be told from callers."""
    facts = gateway(lambda request: httpx.Response(200, json=GOOD), journal=tmp_path / "no" / "probes.jsonl").probe(
        {"history": SPEC}, values=VALUES
    )
    assert "the journal of probes cannot be written" in str(facts.error)


def test_strangers_have_no_credential_of_the_callers(tmp_path: Path) -> None:
    """Four ways of not being allowed; what they carry, and the mark that tells their refusals from callers'."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401)

    token = "aaa.bbb.Signature_09"
    door = Gateway(
        "http://fn.test/functions/v1", anon_key=SecretStr("anon"), caller_token=SecretStr(token), journal=tmp_path / "probes.jsonl",
        other_token=SecretStr("another.hunter2.token"), transport=httpx.MockTransport(answer),
    )  # fmt: skip
    facts = door.strangers({"history": SPEC}, values=VALUES)
    assert facts.table["credentials"].tolist() == ["no credentials", "the public key alone", "a forged token", "another signed-in user"]
    assert facts.table["status"].tolist() == [401] * 4
    nobody, key, forged, other = asked
    assert "authorization" not in nobody.headers and "x-firebase-token" not in nobody.headers
    assert key.headers["authorization"] == "Bearer anon" and "x-firebase-token" not in key.headers
    assert forged.headers["x-firebase-token"] != token
    assert forged.headers["x-firebase-token"].startswith("aaa.bbb.")
    assert other.headers["x-firebase-token"] == "another.hunter2.token"
    assert all("opsnb_expects=refusal" in str(request.url) and door.mark in str(request.url) for request in asked)
    assert len((tmp_path / "probes.jsonl").read_text().splitlines()) == 4
    kept = facts.question + repr(facts) + repr(vars(door))
    assert token not in kept and "hunter2" not in kept


def test_strangers_without_a_gateway_are_unmeasured(closed_port: int) -> None:
    door = Gateway(f"http://127.0.0.1:{closed_port}/functions/v1", anon_key=SecretStr("k"))
    assert "no call reached" in str(door.strangers({"a": SPEC}, values=VALUES).error)
    door.close()
