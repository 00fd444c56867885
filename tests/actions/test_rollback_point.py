"""The platform takes the whole project back to T0, on the real local target: asked once, whatever is killed, and every row compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from harness import make_home, process_environment, run_opsnb

from opsnb.actions.rollback import read_journal
from opsnb.evidence import deployments, sealed
from opsnb.evidence.deployments import Deployment
from opsnb.sources import backup

pytestmark = pytest.mark.target

DAMAGE = """
alter table public.soap_notes add column mood text;
drop table public.app_settings cascade;
update public.patient_profiles set cumulative_medical_record = '{}' where id in (select id from public.patient_profiles limit 20);
"""
STATE = "select md5(string_agg(r::text, '' order by r::text)) from {} as r"


class Desk:
    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def dsn(self) -> str:
        return (self.root / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()

    def do(self, sql: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[arg-type]

    def state(self) -> list[object]:
        """Of what was damaged; the clinic's own traffic goes on writing records, so of those only how many are empty."""
        with psycopg.connect(self.dsn) as connection:
            empty = connection.execute("select count(*) from public.patient_profiles where cumulative_medical_record = '{}'").fetchone()
            tables = ("public.soap_notes", "public.appointments")
            return [empty] + [connection.execute(STATE.format(table)).fetchone() for table in tables]  # type: ignore[arg-type]

    @property
    def feature(self) -> object:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("select value from public.app_settings where key = 'pre_call_history_enabled'").fetchone()

    @property
    def deployment(self) -> Deployment:
        return deployments.named(self.root / "reports", "local")

    def events(self, name: str) -> list[dict[str, object]]:
        return [event for event in read_journal(self.deployment) if event["event"] == name]

    @property
    def timeline(self) -> int:
        from pydantic import SecretStr

        return backup.timeline(SecretStr(self.dsn))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = make_home(tmp_path_factory.mktemp("a point in time") / "a home")
    assert run_opsnb("local", "up", root=root, timeout_s=300).code == 0
    yield Desk(root)
    run_opsnb("local", "down", root=root)


def test_a_function_is_deployed_again_in_rehearsal(desk: Desk) -> None:
    """Under a name of its own, the same by hash, gone afterwards; not at all where the environment does not say so; never unseen."""
    assert run_opsnb("functions", "archive", "local", root=desk.root).code == 0
    assert run_opsnb("snapshot", "local", root=desk.root, timeout_s=300).code == 0
    ended = run_opsnb("rehearse", "local", root=desk.root, timeout_s=300)
    assert ended.code == 0 and "was deployed under a name of its own in" in " ".join(ended.out.split()), ended
    record = json.loads(next(desk.deployment.folder.rglob("rehearsal-*.json")).read_text())["function"]
    assert record["same"] is True and record["seconds"] > 0 and record["left"] is False
    url, token = ((desk.root / ".opsnb" / "local" / "run" / name).read_text().strip() for name in ("platform_url", "access_token"))
    listed = httpx.get(f"{url}/v1/projects/localclinicopsnbdemo/functions", headers={"authorization": f"Bearer {token}"}, trust_env=False)
    assert listed.status_code == 200 and "opsnb-rehearsal" not in listed.text and len(listed.json()) >= 4, "it is removed"
    environment = desk.root / "parameters" / "environments" / "local.yaml"
    text = environment.read_text()
    environment.write_text(text.replace("  scratch_function: true", "  scratch_function: false"))
    ended = run_opsnb("rehearse", "local", root=desk.root, timeout_s=300)
    assert ended.code == 0 and "no function was deployed again: the environment does not allow it" in " ".join(ended.out.split()), ended
    environment.write_text(text)
    spoiled = next(path for path in desk.deployment.folder.glob("archives/*/*/source/**/*.ts"))
    content = spoiled.read_bytes()
    spoiled.write_bytes(content + b"// more")
    ended = run_opsnb("rehearse", "local", root=desk.root, timeout_s=300)
    assert ended.code == 1 and "was not deployed as archived" in " ".join(ended.out.split()), ended
    spoiled.write_bytes(content)


@pytest.fixture
def taken(desk: Desk) -> Desk:
    ended = run_opsnb("snapshot", "local", root=desk.root, timeout_s=300)
    assert ended.code == 0 and "The platform can restore a point in time" in " ".join(ended.out.split()), ended
    return desk


def test_the_whole_project_is_as_it_was(taken: Desk) -> None:
    """Also where rows alone could not be put back: a table of another shape, one that is gone."""
    before, timeline = taken.state(), taken.timeline
    taken.do(DAMAGE)
    taken.do("create table public.came_since as select i, 'written since ' || i as note from generate_series(1, 7) i")
    taken.do("grant select on public.came_since to opsnb_reader")
    refused = run_opsnb("rollback", "local", "--apply", "--confirm", "local", root=taken.root, timeout_s=300)
    assert refused.code == 1 and "--point-in-time" in refused.err, refused
    planned = run_opsnb("rollback", "local", "--point-in-time", root=taken.root, timeout_s=300)
    assert planned.code == 0 and "Nothing was changed." in planned.out and "takes the whole" in " ".join(planned.out.split()), planned
    assert taken.timeline == timeline and "public.came_since" in planned.out
    ended = run_opsnb("rollback", "local", "--apply", "--point-in-time", "--confirm", "local", root=taken.root, timeout_s=300)
    assert ended.code == 0, ended
    assert taken.state() == before and taken.timeline == timeline + 1 and taken.feature == (False,)
    assert [event["step"] for event in taken.events("done")] == [
        "feature",
        "functions",
        "point in time",
        "feature",
        "rows",
        "compare",
        "notify",
    ]
    exported = taken.events("exported")[0]  # the clinic goes on writing, so the step `rows` may export as well
    identity = (taken.root / ".opsnb/local/run/age_identity").read_text()
    kept = sealed.read_sealed(taken.deployment.folder / str(exported["file"]), identity)
    assert kept.count(b"\n") >= 20 and b"public.patient_profiles" in kept
    assert kept.count(b'"table": "public.came_since"') == 7, "a table that came since T0 goes with all its rows"
    assert b"written since 7" in kept and exported["rows"]["public.came_since"] == {"gone": 7, "changed": 0, "back": 0}  # type: ignore[index]
    judged = run_opsnb("run", "local", "--phase", "rollback", root=taken.root, timeout_s=300)
    page = next(taken.deployment.folder.glob("rollback/*/report.html")).read_text(encoding="utf-8")
    assert judged.code in (1, 3), judged
    assert "point in time" in page and "exported, encrypted, to be created again" in page


@pytest.mark.parametrize("after_s", [0.0, 0.6, 2.0])
def test_killed_while_the_platform_restores(taken: Desk, after_s: float) -> None:
    """Given again it waits for the restore that is under way; the server's timeline rises once."""
    before, timeline = taken.state(), taken.timeline
    asked = len(taken.events("restore asked"))
    taken.do(DAMAGE)
    words = [str(Path(sys.executable).with_name("opsnb")), "rollback", "local", "--apply", "--point-in-time", "--confirm", "local"]
    child = subprocess.Popen(words, cwd=taken.root, env=process_environment(taken.root), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 120
    while len(taken.events("restore asked")) == asked:
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.02)
    time.sleep(after_s)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    ended = run_opsnb("rollback", "local", "--apply", "--confirm", "local", root=taken.root, timeout_s=300)
    assert ended.code == 0, ended
    assert len(taken.events("restore asked")) - asked <= (2 if after_s == 0 else 1), "killed before it was sent, it is asked for again"
    assert taken.state() == before and taken.timeline == timeline + 1


def test_a_moment_the_platform_no_longer_has(taken: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is changed."""
    from datetime import UTC, datetime

    from opsnb.actions.rollback import Rollback
    from opsnb.actions.rollback.point import PointInTime
    from opsnb.errors import ActionRefused

    monkeypatch.setenv("OPSNB_HOME", str(taken.root))
    before = taken.timeline
    action = Rollback.open("local", root=taken.root, point=True)
    monkeypatch.setattr(PointInTime, "_window", lambda _: (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)))
    with pytest.raises(ActionRefused, match=r"not within what the platform can restore .* Nothing was changed"):
        action.apply(confirm="local")
    assert taken.timeline == before
