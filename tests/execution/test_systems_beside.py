"""Phase 04 on the embedded target with systems beside it: an openEHR server on loopback that breaks and is mended, a role of AWS."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from harness import REPOSITORY, run_cells
from servers import answering

from opsnb.verdicts import CheckResult

pytestmark = pytest.mark.target

ROLE = "arn:aws:iam::123456789012:role/transcribe"
Name = Callable[..., None]


@pytest.fixture
def name(target: Path, at_home: Path) -> Iterator[Name]:
    """Names systems in the environment's file and sets variables on the platform; both are as they were afterwards."""
    folder = target / "parameters"
    files = [folder / "environments" / "local.yaml", folder / "releases" / "patient-history.yaml"]
    kept = [path.read_bytes() for path in files]
    run = target / ".opsnb" / "local" / "run"
    url, token = ((run / file).read_text(encoding="utf-8").strip() for file in ("platform_url", "access_token"))
    secrets, headers = f"{url}/v1/projects/localclinicopsnbdemo/secrets", {"authorization": f"Bearer {token}"}

    def change(said: dict[str, object], ask: str = "get_role", **variables: str) -> None:
        files[0].write_bytes(kept[0] + f"\n{yaml.safe_dump(said)}".encode())
        files[1].write_bytes(kept[1].replace(b"ask: get_role", f"ask: {ask}".encode()))
        for key, value in variables.items():
            assert httpx.post(secrets, json=[{"name": key, "value": value}], headers=headers).status_code == 201

    yield change
    for path, content in zip(files, kept, strict=True):
        path.write_bytes(content)
    httpx.request("DELETE", secrets, json=["OPENEHR_URL", "TRANSCRIBE_ROLE_ARN"], headers=headers).raise_for_status()


@pytest.fixture
def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def judged(check: str) -> CheckResult:
    with contextlib.redirect_stdout(io.StringIO()):
        phase = run_cells(REPOSITORY / "notebooks" / "04_environment.ipynb")
    assert phase.report is not None
    (found,) = [result for result in phase.report.results if result.id == check]
    return found


def openehr() -> tuple[str, str]:
    result = judged("environment.openehr")
    return str(result.verdict), result.summary


def test_an_openehr_server(name: Name, closed_port: int) -> None:
    """Sound; broken in every way a caller would meet; mended."""
    assert openehr()[0] == "NOT_APPLICABLE"
    with answering(b"{}", "application/json") as sound, answering(b"", "text/html", "503 Service Unavailable") as broken:
        there = f"http://127.0.0.1:{sound}/ehr"
        moved = f"302 Found\r\nlocation: {there}"
        name({"openehr": {"url": there}}, OPENEHR_URL=there)
        assert openehr()[0] == "PASS"
        down = f"http://127.0.0.1:{broken}/ehr"
        name({"openehr": {"url": down}}, OPENEHR_URL=down)
        assert openehr() == ("FAIL", "It answers 503; expected 200 or 401 or 403.")
        with answering(b"", "text/html", moved) as elsewhere:
            name({"openehr": {"url": f"http://127.0.0.1:{elsewhere}/ehr"}})
            assert openehr() == ("FAIL", "It answers 302 and sends its callers to another server, which was not followed.")
        name({"openehr": {"url": there}})
        assert openehr() == ("FAIL", "The address that was asked answers 200, but OPENEHR_URL holds another value on the platform.")
        name({"openehr": {"url": f"http://127.0.0.1:{closed_port}"}})
        verdict, summary = openehr()
        assert (verdict, "nothing answers at 127.0.0.1" in summary) == ("ERROR", True)
        name({"openehr": {"url": "file:no-such-file"}})
        assert openehr()[0] == "ERROR"
        name({"openehr": {"url": there}}, OPENEHR_URL=there)
        assert openehr()[0] == "PASS"


def test_a_role_by_its_shape(name: Name, target: Path) -> None:
    """Where the release asks for no more, AWS is not asked."""
    assert str(judged("environment.aws_role").verdict) == "NOT_APPLICABLE"
    reference, said = target / "role", {"aws": {"region": "eu-central-1", "role_arn": "file:role"}}
    reference.write_text(ROLE, encoding="utf-8")
    try:
        name(said, "shape", TRANSCRIBE_ROLE_ARN=ROLE)
        assert str(judged("environment.aws_role").verdict) == "PASS"
        name(said, "shape", TRANSCRIBE_ROLE_ARN=ROLE.replace("role/", "user/"))
        assert judged("environment.aws_role").summary.endswith("TRANSCRIBE_ROLE_ARN holds another value on the platform.")
        reference.write_text(ROLE.replace("role/", "user/"), encoding="utf-8")
        broken = judged("environment.aws_role")
        assert (str(broken.verdict), "123456789012" in broken.summary) == ("FAIL", False)
        assert "not of the form" in broken.summary
    finally:
        reference.unlink()


def test_a_role_that_aws_is_asked_for(name: Name, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, made, found."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    moto = pytest.importorskip("moto", reason="moto, which pretends AWS, is not installed")
    (target / "role").write_text(ROLE, encoding="utf-8")
    try:
        with moto.mock_aws():
            name({"aws": {"region": "eu-central-1", "role_arn": "file:role"}}, TRANSCRIBE_ROLE_ARN=ROLE)
            assert judged("environment.aws_role").summary == "The role: there is no such role."
            boto3.client("iam", region_name="eu-central-1").create_role(RoleName="transcribe", AssumeRolePolicyDocument="{}")
            assert str(judged("environment.aws_role").verdict) == "PASS"
    finally:
        (target / "role").unlink()
