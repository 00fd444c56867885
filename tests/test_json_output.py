"""What a script reads: standard output is JSON and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Ended

pytestmark = pytest.mark.target


def test_a_run_for_scripts(target: Path, opsnb: Callable[..., Ended]) -> None:
    """Gate, exit code and report of every phase, also of one that did not pass; then the schedule's slots of its deployment."""
    ended = opsnb("run", "local", "--phase", "schema", "--phase", "signoff", "--json")
    said = json.loads(ended.out)
    assert said["exit_code"] == ended.code == 3 and said["gate"] == "held" and said["environment"] == "local"
    assert {phase["phase"]: phase["gate"] for phase in said["phases"]} == {"schema": "passed", "signoff": "held"}
    for phase in said["phases"]:
        assert Path(phase["report"]).is_file() and Path(phase["report"]).is_relative_to(said["folder"]) and phase["seconds"] > 0
    slots = [json.loads(line) for line in opsnb("monitor", "local", "--slots", "--json").out.splitlines()]
    assert [slot["slot"] for slot in slots] == list(range(1, 20)) and slots[0]["state"] == "to come"


def test_a_day_is_no_single_answer(target: Path, opsnb: Callable[..., Ended]) -> None:
    ended = opsnb("run", "local", "--day", "--json")
    assert ended.code == 2 and "leave --phase" in ended.err and not ended.out
