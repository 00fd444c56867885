"""The DAG in a real Airflow, where one is: OPSNB_TEST_AIRFLOW is the Python of an environment with it and its papermill provider."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from harness import make_home

from opsnb.watching import scheduling

AIRFLOW = os.environ.get("OPSNB_TEST_AIRFLOW", "")
TELL = """
import json, runpy, sys
from airflow.providers.papermill.operators.papermill import PapermillOperator
dag = runpy.run_path(sys.argv[1])["dag"]
run = dag.get_task("run")
print(json.dumps({
    "order": [task.task_id for task in dag.topological_sort()],
    "papermill": isinstance(run, PapermillOperator),
    "parameters": run.parameters,
    "skip": dag.get_task("due").skip_on_exit_code,
    "active": dag.max_active_runs,
}))
"""


@pytest.mark.skipif(not AIRFLOW, reason="OPSNB_TEST_AIRFLOW names no Python with Airflow")
def test_airflow_imports_the_dag(tmp_path: Path) -> None:
    root = make_home(tmp_path / "a home")
    ((name, content),) = scheduling.files("local", "airflow", root=root).items()
    path = scheduling.write(tmp_path / name, content)
    told = subprocess.run(
        [AIRFLOW, "-c", TELL, str(path)], capture_output=True, text=True, timeout=240, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow")},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[-1]) == {
        "order": ["due", "run", "settle"], "papermill": True, "parameters": {"environment": "local"}, "skip": [3], "active": 1,
    }  # fmt: skip
