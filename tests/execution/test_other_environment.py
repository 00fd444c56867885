"""Two environments on two embedded targets: a secret that both hold is found, and gone when one of them has its own again."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from harness import REPOSITORY, make_home, run_cells

from opsnb.local import target as embedded
from opsnb.verdicts import CheckResult

pytestmark = pytest.mark.target

RUN = Path(".opsnb") / "local" / "run"
STAGING = {"release": "patient-history", "project_ref": "localclinicopsnbdemo"}


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a second target writes what is referred to."""
    home = make_home(tmp_path_factory.mktemp("staging") / "home")
    embedded.up(home)
    yield home / RUN
    embedded.down(home)


@pytest.fixture
def here(target: Path, at_home: Path) -> Iterator[Path]:
    """The session's project; its environment file is as it was afterwards."""
    path = target / "parameters" / "environments" / "local.yaml"
    kept = path.read_bytes()
    yield path
    path.write_bytes(kept)
    (path.parent / "staging.yaml").unlink(missing_ok=True)


def name_other(environment: Path, run: Path, **changed: str) -> None:
    """A file for the second target beside *environment*, which names it."""
    said = {**STAGING, "postgres": {"dsn": f"file:{run}/dsn"}}
    said["platform"] = {"url": f"file:{run}/platform_url", "access_token": f"file:{run}/access_token", **changed}
    (environment.parent / "staging.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    text = environment.read_text(encoding="utf-8")
    if "differs_from" not in text:
        environment.write_text(f"{text}\ndiffers_from: staging\n", encoding="utf-8")


def differ() -> CheckResult:
    with contextlib.redirect_stdout(io.StringIO()):
        phase = run_cells(REPOSITORY / "notebooks" / "04_environment.ipynb")
    assert phase.report is not None
    (found,) = [result for result in phase.report.results if result.id == "environment.differ"]
    return found


def set_there(run: Path, value: str) -> None:
    """Through the second platform's own API."""
    url, token = ((run / name).read_text(encoding="utf-8").strip() for name in ("platform_url", "access_token"))
    answer = httpx.post(
        f"{url}/v1/projects/{STAGING['project_ref']}/secrets", json=[{"name": "FIREBASE_ADMIN_KEY", "value": value}],
        headers={"authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.status_code == 201


def test_a_secret_that_both_environments_hold(here: Path, staging: Path) -> None:
    assert str(differ().verdict) == "NOT_APPLICABLE"
    name_other(here, staging)
    sound = differ()
    assert (str(sound.verdict), sound.summary) == ("PASS", "1 variable compared with staging: none has a value of it.")
    own = (staging / "firebase_admin_key").read_text(encoding="utf-8").removesuffix("\n")
    shared = (here.parents[2] / RUN / "firebase_admin_key").read_text(encoding="utf-8").removesuffix("\n")
    set_there(staging, shared)
    try:
        broken = differ()
    finally:
        set_there(staging, own)
    assert str(broken.verdict) == "FAIL"
    assert "1 variable of 1 with a value of staging too: FIREBASE_ADMIN_KEY." in broken.summary
    assert str(differ().verdict) == "PASS"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"access_token": "env:OPSNB_A_TOKEN_THAT_IS_NOT_SET"}, "staging could not be read: env:OPSNB_A_TOKEN_THAT_IS_NOT_SET"),
        ({"url": "http://127.0.0.1:9"}, "staging could not be read: nothing answers"),
        ({"url": "own"}, "staging is the same project as local"),
    ],
)
def test_another_environment_that_cannot_be_read(changed: dict[str, str], said: str, here: Path, staging: Path) -> None:
    """Its fault is no error here, and nothing passes."""
    if changed.get("url") == "own":
        changed = {"url": f"file:{here.parents[2] / RUN}/platform_url"}
    name_other(here, staging, **changed)
    result = differ()
    assert str(result.verdict) == "INCONCLUSIVE"
    assert said in result.summary


def test_an_environment_of_that_name_is_missed(here: Path) -> None:
    here.write_text(here.read_text(encoding="utf-8") + "\ndiffers_from: staging\n", encoding="utf-8")
    result = differ()
    assert str(result.verdict) == "INCONCLUSIVE"
    assert "no environment 'staging'" in result.summary
