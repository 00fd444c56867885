"""``opsnb doctor`` on what stands beside database and platform: broken, named, mended, well; nothing of it is changed or shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest
from harness import Ended
from test_doctor import doctor, patient, with_run

__all__ = ["patient"]  # the fixture
pytestmark = pytest.mark.target
RELEASE = Path("parameters") / "releases" / "patient-history.yaml"
LOCAL = Path("parameters") / "environments" / "local.yaml"
SWITCH = "      where: { key: pre_call_history_enabled }\n"


class Answers(BaseHTTPRequestHandler):
    """Every request is answered alike and kept; nothing is changed by any."""

    status, kind, body, location = 200, "application/json", b"[]", ""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.send_header("content-type", self.kind)
        if self.location:
            self.send_header("location", self.location)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(**said: Any) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, its address and the paths it was asked for."""
    with HTTPServer(("127.0.0.1", 0), type("Said", (Answers,), said)) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def add(root: Path, text: str) -> None:
    place = root / LOCAL
    place.write_text(place.read_text() + text)


def only(found: dict[str, list[dict[str, Any]]], what: str) -> tuple[str, str]:
    (each,) = found[what]
    assert each["state"] in ("well", "note") or each["mend"], each
    return each["state"], each["found"]


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        ({}, "well", "answers 200 in"),
        ({"status": 401, "kind": "text/html", "body": b"who are you?"}, "well", "answers 401 in"),
        ({"kind": "text/html", "body": b"<html>sign in</html>"}, "broken", "answers 200 with a web page"),
        ({"status": 302, "location": "https://login.test/"}, "broken", "sends its callers elsewhere"),
        ({"status": 404}, "broken", "answers 404; the release expects 200, 401, 403"),
        ({"status": 503}, "broken", "answers 503; the release expects"),
    ],
)
def test_openehr(patient: Path, said: dict[str, Any], state: str, words: str) -> None:
    with answering(**said) as (address, asked):
        add(patient, f"openehr:\n  url: {address}/ehr\n")
        _, found = doctor(patient)
    assert only(found, "openEHR")[0] == state and words in only(found, "openEHR")[1]
    assert asked == ["/ehr/rest/openehr/v1/definition/template/adl1.4"], "asked once"


def test_openehr_that_is_gone_or_not_named(patient: Path) -> None:
    assert only(doctor(patient)[1], "openEHR")[0] == "note"
    add(patient, "openehr:\n  url: http://127.0.0.1:1\n")
    ended, found = doctor(patient)
    assert only(found, "openEHR")[0] == "broken" and ended.code == 1


def test_the_role(patient: Path) -> None:
    """Of a wrong form: said without showing it."""
    assert only(doctor(patient)[1], "AWS role")[0] == "note"
    add(patient, "aws:\n  region: eu-central-1\n  role_arn: file:.opsnb/local/run/role\n")
    with_run("role", "arn:aws:iam::canary-secret")(patient)
    ended, found = doctor(patient)
    assert only(found, "AWS role") == ("broken", "it is not of the form arn:aws:iam::<account>:role/<name>")
    assert ended.code == 1 and "canary-secret" not in ended.out
    with_run("role", "arn:aws:iam::123456789012:role/transcribe")(patient)
    place = patient / RELEASE
    place.write_text(place.read_text().replace("  ask: get_role", "  ask: shape"))
    ended, found = doctor(patient)
    assert only(found, "AWS role") == ("well", "well-formed") and "123456789012" not in ended.out and ended.code == 0


def test_the_switch_is_a_row(patient: Path) -> None:
    """There; its row gone; a column that is none; its table none: the row itself is as it was."""
    dsn = (patient / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()

    def row() -> object:
        with psycopg.connect(dsn) as connection:
            return connection.execute("select r::text, xmin from public.app_settings r where key = 'pre_call_history_enabled'").fetchone()

    before = row()
    assert only(doctor(patient)[1], "feature's switch")[0] == "well"
    place = patient / RELEASE
    text = place.read_text()
    for old, new, words in (
        (SWITCH, SWITCH.replace("pre_call", "no_such"), "has no row where key = no_such_history_enabled"),
        ('      set: { value: "false" }\n', '      set: { valve: "false" }\n', "SQLSTATE 42703"),
        ("      table: public.app_settings\n", "      table: public.app_setting\n", "SQLSTATE 42P01"),
    ):
        assert text.count(old) == 1
        place.write_text(text.replace(old, new))
        ended, found = doctor(patient)
        assert only(found, "feature's switch")[0] == "broken" and words in only(found, "feature's switch")[1] and ended.code == 1
    place.write_text(text)
    assert only(doctor(patient)[1], "feature's switch")[0] == "well" and row() == before


def switched_by(root: Path, way: str) -> None:
    place = root / RELEASE
    text = place.read_text()
    start = text.index("    switch: #")
    place.write_text(text[:start] + way + text[text.index("    message: rolled_back") :])


def test_the_switch_is_a_call(patient: Path) -> None:
    """Its proof is read, the call is not made; a service without the field, or no proof at all, is told."""
    with answering(body=b'{"feature": {"on": true}}') as (address, asked):
        way = f"    call:\n      url: {address}/off\n      proof: {{ url: {address}/state, field: feature.on, equals: false }}\n"
        switched_by(patient, way)
        assert only(doctor(patient)[1], "feature's switch") == ("well", "the service tells feature.on; nothing was switched")
        place = patient / RELEASE
        text = place.read_text()
        place.write_text(text.replace("feature.on", "feature.off"))
        assert only(doctor(patient)[1], "feature's switch")[0] == "broken"
        place.write_text(text.replace(f"      proof: {{ url: {address}/state, field: feature.on, equals: false }}\n", ""))
        assert only(doctor(patient)[1], "feature's switch")[0] == "warning"
        assert asked == ["/state", "/state"]


def test_the_switch_is_a_command(patient: Path, tmp_path: Path) -> None:
    """It is there and can be run; it is not run."""
    program = tmp_path / "switch-off"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    switched_by(patient, f"    command:\n      run: ['{program}']\n      proof: ['{program}', --is-off]\n")
    assert only(doctor(patient)[1], "feature's switch")[0] == "broken", "not executable"
    program.chmod(0o755)
    assert only(doctor(patient)[1], "feature's switch")[0] == "well"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("spoil", "what", "state", "words"),
    [
        (with_run("beat", "canary-secret, no address"), "dead man's switch", "broken", "no address"),
        (with_run("beat", "https://hc.test/canary-secret"), "dead man's switch", "well", "hc.test; it was not pinged"),
    ],
)
def test_the_dead_mans_switch(patient: Path, spoil: Callable[[Path], None], what: str, state: str, words: str) -> None:
    assert only(doctor(patient)[1], what)[0] == "note"
    add(patient, "heartbeat: file:.opsnb/local/run/beat\n")
    spoil(patient)
    ended, found = doctor(patient)
    assert only(found, what)[0] == state and words in only(found, what)[1] and "canary-secret" not in ended.out


def test_keys_that_do_not_belong_together(patient: Path) -> None:
    """The restore would find out too late."""
    other = pyrage.x25519.Identity.generate()
    with_run("age_identity", f"# a key\n{other}\n")(patient)
    ended, found = doctor(patient)
    told = [each for each in found["encryption"] if each["state"] == "broken"]
    assert len(told) == 1 and "does not belong to encryption.recipient" in told[0]["found"] and str(other) not in ended.out
    with_run("age_recipient", str(other.to_public()))(patient)
    assert [each["state"] for each in doctor(patient)[1]["encryption"]] == ["well", "well"]


def test_programs_older_than_the_server(patient: Path, tmp_path: Path) -> None:
    """A pg_dump of another major version is told with both versions; those of the target are well."""
    folder = tmp_path / "old programs"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 14.2'\n")
        (folder / name).chmod(0o755)

    def said() -> tuple[Ended, str, str]:
        ended, found = doctor(patient)
        return ended, *only(found, "client programs")

    assert said()[1] == "well"
    add(patient, f"backup:\n  programs: '{folder}'\n")
    ended, state, words = said()
    assert state == "warning" and "PostgreSQL 18 or newer" in words and "14 in" in words and json.loads(ended.out)
