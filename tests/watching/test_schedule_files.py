"""What `opsnb schedule` prints is what its scheduler reads: units verified, YAML and crontab lines parsed, the DAG loaded."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from harness import make_home

from opsnb.errors import UsageError
from opsnb.watching import scheduling


@pytest.fixture(params=["plain", 'a home with 5% $HOME\'s "quotes"'])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Projects in folders that need no quoting, and in one that needs all of it."""
    return make_home(tmp_path / request.param)


def only(environment: str, scheduler: str, root: Path) -> str:
    (content,) = scheduling.files(environment, scheduler, root=root).values()
    return content


def test_cron_lines_run_the_command(root: Path, tmp_path: Path) -> None:
    """Each line has a time and a command; a shell, given it as cron gives it, calls opsnb monitor with the project's folder."""
    lines = [line for line in only("local", "cron", root).splitlines() if line and not line.startswith("#")]
    assert [line.split(" ")[0] for line in lines] == ["*/5", "@reboot"]
    program = tmp_path / "opsnb"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$OPSNB_HOME" "$@"\n')
    program.chmod(0o755)
    for line in lines:
        command = re.sub(r"^(@reboot|(\S+ ){4}\S+) ", "", line)
        assert not re.search(r"(?<!\\)%", command), "a bare % ends a crontab's command"
        command = command.replace(r"\%", "%").replace(str(scheduling.program()), str(program))
        told = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
        assert told.stdout.splitlines() == [str(root), "monitor", "local", "--quiet", "--notify"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_systemd_units_are_verified(root: Path, tmp_path: Path) -> None:
    made = scheduling.files("local", "systemd", root=root)
    assert set(made) == {"opsnb-monitor-local.service", "opsnb-monitor-local.timer"}
    units = tmp_path / "units"
    for name, content in made.items():
        scheduling.write(units / name, content)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in made)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
    )  # fmt: skip
    complaints = [line for line in told.stderr.splitlines() if "opsnb-monitor" in line]
    assert told.returncode == 0 and not complaints, told.stderr
    calendar = re.search(r"OnCalendar=(.+)", made["opsnb-monitor-local.timer"])
    assert calendar is not None
    subprocess.run(["systemd-analyze", "calendar", calendar[1]], check=True, capture_output=True, timeout=60)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_a_unit_that_is_wrong_is_seen(tmp_path: Path) -> None:
    """The verification can fail."""
    (tmp_path / "wrong.service").write_text("[Service]\nType=oneshot\nExecStart=not/absolute\n")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "wrong.service")], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode != 0 or "wrong.service" in told.stderr


def test_the_cron_job_of_kubernetes(root: Path) -> None:
    job = yaml.safe_load(only("local", "kubernetes", root))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid" and job["spec"]["timeZone"] == "Etc/UTC"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["opsnb", "monitor", "local", "--quiet", "--notify"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", job["metadata"]["name"]), "a CronJob's name has at most 52 characters"


def test_the_workflow_of_github(root: Path) -> None:
    workflow = yaml.safe_load(only("local", "github", root))
    assert workflow[True]["schedule"] == [{"cron": "*/5 * * * *"}]  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {} and workflow["concurrency"]["cancel-in-progress"] is False
    job = workflow["jobs"]["monitor"]
    assert job["env"]["OPSNB_HOME"] == str(root)
    (step,) = job["steps"]
    assert "uses" not in step
    for code, expected in ((0, 0), (1, 1), (3, 0), (4, 4)):
        command = step["run"].replace(shlex.quote(str(scheduling.program())) + " monitor local --notify", f"(exit {code})")
        assert subprocess.run(["bash", "-e", "-c", command], check=False).returncode == expected


class Operator:
    """An operator as Airflow's: remembers what it was made with, and what comes after it."""

    made: ClassVar[dict[str, Operator]] = {}

    def __init__(self, *, task_id: str, **options: Any) -> None:
        self.options, self.after = options, [task_id]
        self.output_nb = options.get("output_nb", "")
        self.made[task_id] = self

    def __rshift__(self, other: Operator) -> Operator:
        other.after = [*self.after, *other.after]
        return other

    def execute(self, context: object) -> str:
        from papermill.engines import papermill_engines

        return type(papermill_engines.get_engine(None)).__name__ + papermill_engines.get_engine(None).__name__


class Dag:
    def __init__(self, **options: Any) -> None:
        self.options = options

    def __enter__(self) -> Dag:
        return self

    def __exit__(self, *_: object) -> None:
        return


def test_the_dag_of_airflow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compiles and loads: due, then the notebook through PapermillOperator with the engine opsnb, then the slots."""
    source = only("local", "airflow", root)
    tree = ast.parse(source)
    (operator,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [ast.unparse(base) for base in operator.bases] == ["PapermillOperator"]
    stand_ins = {
        "airflow": {"DAG": Dag},
        "airflow.providers.papermill.operators.papermill": {"PapermillOperator": Operator},
        "airflow.providers.standard.operators.bash": {"BashOperator": Operator},
    }
    modules = {".".join(name.split(".")[: end + 1]) for name in stand_ins for end in range(name.count(".") + 1)}
    for name in modules:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, members in stand_ins.items():
        for member, value in members.items():
            setattr(sys.modules[name], member, value)
    Operator.made.clear()
    names: dict[str, Any] = {"__name__": "dag"}
    exec(compile(tree, "dag.py", "exec"), names)
    made = Operator.made
    assert made["settle"].after == ["due", "run", "settle"]
    assert names["dag"].options["max_active_runs"] == 1 and names["dag"].options["catchup"] is False
    assert made["run"].options["input_nb"] == str(root / "notebooks" / "09_monitor.ipynb")
    assert made["run"].options["parameters"] == {"environment": "local"}
    assert "{{ ts_nodash }}" in made["run"].options["output_nb"]
    assert made["due"].options["skip_on_exit_code"] == 3 and made["due"].options["bash_command"].endswith("monitor local --due")
    from papermill.engines import papermill_engines

    before = papermill_engines.get_engine(None)
    monkeypatch.setenv("OPSNB_HOME", "elsewhere")
    try:
        assert "JournalEngine" in made["run"].execute({})
    finally:
        papermill_engines.register(None, before)


def test_a_scheduler_that_is_not_known(root: Path) -> None:
    with pytest.raises(UsageError, match="--for systemv: expected one of cron, systemd, kubernetes, airflow, github; did you mean systemd"):
        scheduling.files("local", "systemv", root=root)


def test_an_environment_that_is_not_there(root: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        scheduling.files("nowhere", "cron", root=root)
