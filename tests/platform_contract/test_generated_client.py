"""A client nobody here wrote, generated from the published description, works with the local platform unmodified.

There is no maintained Python client of the management API to install, so one is generated; the generator is no dependency of ours:
``pip install openapi-python-client``, or these are skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from platform_description import Description

from opsnb.local import management

# the generator asks for other versions than ours: it has an environment of its own, and only what it writes runs here
GENERATOR = os.environ.get("OPSNB_TEST_OPENAPI", "") or (sys.executable if importlib.util.find_spec("openapi_python_client") else "")
pytestmark = [
    pytest.mark.target,
    pytest.mark.skipif(not GENERATOR, reason="OPSNB_TEST_OPENAPI names no Python with openapi-python-client, and it is not installed here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what is generated
]

REF = "localclinicopsnbdemo"
PACKAGE = "generated_management_client"


@pytest.fixture(scope="module")
def package(described: Description, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, importable."""
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yaml"
    settings.write_text("post_hooks: []\n", encoding="utf-8")
    done = subprocess.run(
        [GENERATOR, "-m", "openapi_python_client", "generate", "--path", str(described.path), "--output-path", str(folder / PACKAGE),
         "--meta", "none", "--config", str(settings)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (folder / PACKAGE / "client.py").is_file(), done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture(scope="module")
def operations(described: Description, package: Path) -> dict[str, ModuleType]:
    """Method and path template → the generated module of that operation."""
    names = {each.said["operationId"].replace("-", "_"): each.name for each in described.operations}
    found = {}
    for file in sorted((package / "api").glob("*/v1_*.py")):
        found[names[file.stem]] = module(f"api.{file.parent.name}.{file.stem}")
    assert len(found) == len(names)
    return found


@pytest.fixture(scope="module")
def client(package: Path, told: dict[str, Any]) -> Iterator[Any]:
    assert package.is_dir()
    made = module("client").AuthenticatedClient(
        base_url=told["platform_url"], token=told["access_token"], raise_on_unexpected_status=True, httpx_args={"trust_env": False}
    )
    yield made
    made.get_httpx_client().close()


def reading() -> list[str]:
    return [f"{method} {route.path}" for route in management.routes()[:-1] for method in route.methods & {"GET"}]  # type: ignore[attr-defined]


@pytest.mark.parametrize("operation", reading())
def test_what_is_read_is_understood(operations: dict[str, ModuleType], client: Any, told: dict[str, Any], operation: str) -> None:
    """Parsed into the generated models, without an unexpected status or a missing key."""
    if operation.endswith("/body"):
        pytest.skip("the generator takes a function's sources for JSON, which no platform answers")
    asking = operations[operation]
    given: dict[str, Any] = {"ref": REF, "function_slug": "get-patient-history"}
    if "tpa_id" in operation or "combined-stats" in operation:
        functions = operations["GET /v1/projects/{ref}/functions"].sync(ref=REF, client=client)
        providers = operations["GET /v1/projects/{ref}/config/auth/third-party-auth"].sync(ref=REF, client=client)
        kinds = module("models.v1_get_project_function_combined_stats_interval")
        given |= {
            "tpa_id": providers[0].id,
            "function_id": functions[0].id,
            "interval": next(iter(kinds.V1GetProjectFunctionCombinedStatsInterval)),
        }
    if operation.endswith("/health"):
        given["services"] = list(module("models.v1_get_services_health_services_item").V1GetServicesHealthServicesItem)
    if operation.endswith("/logs"):
        now = datetime.now(UTC)
        given |= {"sql": "select count() as n from logs", "iso_timestamp_start": now - timedelta(hours=1), "iso_timestamp_end": now}
    taken = inspect.signature(asking.sync_detailed).parameters
    answer = asking.sync_detailed(client=client, **{name: value for name, value in given.items() if name in taken})
    assert answer.status_code == 200
    assert answer.parsed is not None and "Error" not in type(answer.parsed).__name__
    assert told["access_token"] not in str(answer.parsed)


def test_what_is_changed_is_changed(operations: dict[str, ModuleType], client: Any) -> None:
    """A function deployed, listed, switched and removed; a variable set and unset; SQL run; a restore refused, each as its model says."""
    project = "/v1/projects/{ref}"
    models, types = module("models"), module("types")
    source = types.File(payload=io.BytesIO(b"Deno.serve(() => new Response());\n"), file_name="index.ts")
    about = models.FunctionDeployBodyMetadata.from_dict({"entrypoint_path": "index.ts", "verify_jwt": True, "name": "generated"})
    body = models.FunctionDeployBody(metadata=about, file=[source])
    made = operations[f"POST {project}/functions/deploy"].sync_detailed(ref=REF, client=client, body=body, slug="generated")
    assert (made.status_code, made.parsed.slug, made.parsed.version) == (201, "generated", 1)
    listed = operations[f"GET {project}/functions"].sync(ref=REF, client=client)
    assert "generated" in [each.slug for each in listed]
    gone = operations[f"DELETE {project}/functions/{{function_slug}}"].sync_detailed(ref=REF, function_slug="generated", client=client)
    assert gone.status_code == 200
    item = models.CreateSecretBodyItem(name="GENERATED", value="one")
    assert operations[f"POST {project}/secrets"].sync_detailed(ref=REF, client=client, body=[item]).status_code == 201
    assert "GENERATED" in [each.name for each in operations[f"GET {project}/secrets"].sync(ref=REF, client=client)]
    assert operations[f"DELETE {project}/secrets"].sync_detailed(ref=REF, client=client, body=["GENERATED"]).status_code == 200
    asked = models.V1RunQueryBody.from_dict({"query": "select 1 as n"})
    rows = operations[f"POST {project}/database/query"].sync_detailed(ref=REF, client=client, body=asked)
    assert (rows.status_code, [row.to_dict() for row in rows.parsed]) == (201, [{"n": 1}])
    wanted = models.V1RestorePitrBody.from_dict({"recovery_time_target_unix": 1_000_000_000})
    refused = operations[f"POST {project}/database/backups/restore-pitr"].sync_detailed(ref=REF, client=client, body=wanted)
    assert (refused.status_code, type(refused.parsed).__name__) == (400, "OpsnbErrorBody")
    assert json.loads(refused.content)["message"]
