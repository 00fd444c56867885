"""What a fleet run adds up to, what is kept of it, and the page."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import make_home
from rich.console import Console

from opsnb.errors import UsageError
from opsnb.fleet import page, run, show, store
from opsnb.fleet.rollup import roll_up, to_dict
from opsnb.fleet.target import PhaseRow, TargetEnd, from_json, to_json
from opsnb.verdicts import Gate

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
PHASES = ("schema", "rls")


def ended(name: str, *gates: str, error: str = "", **counts: int) -> TargetEnd:
    rows = tuple(
        PhaseRow(phase, gate, 1.0, f"{gate} for a reason", f"{name}/d/{phase}/r/report.html", counts if phase == "schema" else {})
        for phase, gate in zip(PHASES, gates, strict=False)
    )
    return TargetEnd(name, "2026-11-23T05:00:00Z", 2.0, rows, "d" if gates else "", error)


@pytest.fixture
def begun(tmp_path: Path) -> store.FleetRun:
    return store.begin(tmp_path, ("a", "b", "c", "d", "e"), PHASES, NOW)


def test_worst_first(begun: store.FleetRun) -> None:
    """Failed before ERROR before unmeasured before held before passed; more failures first; the gate is the worst."""
    ends = {
        end.environment: end
        for end in (
            ended("a", "passed", "passed"), ended("b", "held", "passed"), ended("c", error="Gone."), ended("d", "failed", "passed", FAIL=1),
            ended("e", "failed", "passed", FAIL=2),
        )
    }  # fmt: skip
    rolled = roll_up(begun, ends, None)
    assert [row.end.environment for row in rolled.rows] == ["e", "d", "c", "b", "a"]
    assert rolled.gate is Gate.FAILED
    assert rolled.reason == "5 targets: 2 failed, 1 ERROR, 1 held, 1 passed."
    assert {row.trend for row in rolled.rows} == {""}


def test_a_failure_outweighs_the_error_after_it() -> None:
    """A target that failed in one phase and was stopped in the next has failed, and is resumed."""
    end = ended("a", "failed", error="It did not end.")
    assert (end.word, end.gate, end.finished, end.why) == ("failed", Gate.FAILED, False, "It did not end.")


@pytest.mark.parametrize("gate", ["passed", "held", "unmeasured"])
def test_an_error_is_unmeasured(gate: str) -> None:
    """However well its phases went, a target that did not come to its end is an ERROR."""
    end = ended("a", gate, error="It did not end.")
    assert (end.word, end.gate) == ("ERROR", Gate.UNMEASURED)


def test_nothing_ran_is_unmeasured(begun: store.FleetRun) -> None:
    """Targets that never ran are no pass."""
    rolled = roll_up(begun, {"a": ended("a", "passed", "passed")}, None)
    assert rolled.gate is Gate.UNMEASURED
    assert rolled.waiting == ("b", "c", "d", "e")
    assert roll_up(begun, {}, None).gate is Gate.UNMEASURED
    assert TargetEnd("a", "", 0.0).word == "ERROR"


def test_trend_of_each_target(begun: store.FleetRun) -> None:
    """Better and worse by gate, then by the number of checks; what was there and is no more is named."""
    were = [ended("a", "failed", FAIL=3), ended("b", "passed"), ended("c", "failed", FAIL=1), ended("d", "held"), ended("z", "held")]
    before = {"run": "20261122T050000Z", "targets": [to_json(end) for end in were]}
    now = [ended("a", "failed", FAIL=1), ended("b", error="Gone."), ended("c", "failed", FAIL=2), ended("d", "held"), ended("e", "held")]
    rolled = roll_up(begun, {end.environment: end for end in now}, before)
    trends = {row.end.environment: (row.trend, row.was) for row in rolled.rows}
    assert trends == {
        "a": ("better", "was failed with 3 FAIL"), "b": ("worse", "was passed"), "c": ("worse", "was failed with 1 FAIL"),
        "d": ("same", ""), "e": ("new", ""),
    }  # fmt: skip
    assert rolled.gone == ("z",)


def test_what_is_kept_is_what_was_told(begun: store.FleetRun) -> None:
    """An end is read as it was written; a damaged file counts as none, and so is repeated."""
    end = ended("a", "held", "passed", INCONCLUSIVE=2)
    assert from_json(json.loads(json.dumps(to_json(end)))) == end
    for name in ("a", "b"):
        begun.keep(ended(name, "held", "passed"))
    begun.keep(ended("c", "held", error="It did not end."))
    (begun.folder / "targets" / "b.json").write_text('{"environment": "b"')
    assert run.unfinished(begun) == ["b", "c", "d", "e"]


def test_resume_takes_the_newest_of_the_same(tmp_path: Path, begun: store.FleetRun) -> None:
    """Another selection of targets or phases is another fleet; two in one second are two."""
    again = store.begin(tmp_path, begun.targets, PHASES, NOW)
    other = store.begin(tmp_path, ("a",), PHASES, NOW)
    assert store.resumed(tmp_path, begun.targets, PHASES) == again
    assert store.resumed(tmp_path, ("a",), PHASES) == other
    with pytest.raises(UsageError, match="leave --resume out"):
        store.resumed(tmp_path, begun.targets, ("schema",))


def test_one_process_a_run(begun: store.FleetRun) -> None:
    """A run that is at work is not resumed by another process."""
    with begun.locked(), pytest.raises(UsageError, match="still at work"), begun.locked():
        pass
    with begun.locked():
        pass


def test_previous_is_the_newest_with_the_same_phases(tmp_path: Path, begun: store.FleetRun) -> None:
    """Runs of other phases, unended runs and damaged results are passed over."""
    kept = {}
    for hour, phases in ((1, PHASES), (2, ("schema",)), (3, PHASES)):
        kept[hour] = store.begin(tmp_path, ("a",), phases, NOW.replace(hour=hour))
        page.write(roll_up(kept[hour], {"a": ended("a", "held")}, None))
    (kept[3].folder / store.RESULTS_NAME).write_text("[")
    found = store.previous_results(tmp_path, begun)
    assert found is not None and found["run"] == kept[1].id


def test_page_escapes_and_loads_nothing(begun: store.FleetRun) -> None:
    """What a stranger wrote is text; the page has no address of anything outside."""
    html = page.render(roll_up(begun, {"a": ended("a", "held", error="<script>alert(1)</script>\u202e")}, None))
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html and "\u202e" not in html
    assert "http://" not in html and "https://" not in html
    assert 'href="../../a/d/index.html"' in html and 'href="../../a/d/schema/r/report.html"' in html
    assert html.count("not run") >= 5


def test_machines_read_the_same(begun: store.FleetRun) -> None:
    """results.json has the gate, its exit code, and every target in the order of the page."""
    rolled = roll_up(begun, {"a": ended("a", "held", "held"), "b": ended("b", "failed", FAIL=1)}, None)
    page.write(rolled)
    said = json.loads((begun.folder / "results.json").read_text())
    assert said == json.loads(json.dumps(to_dict(rolled)))
    assert (said["exit_code"], [target["environment"] for target in said["targets"]]) == (1, ["b", "a"])


def test_targets_of_globs(tmp_path: Path) -> None:
    """Files or names, as the shell expands them too; what is no environment is refused, and so is one called fleet."""
    root = make_home(tmp_path / "home")
    folder = root / "parameters" / "environments"
    for name in ("fleet-b", "fleet-a", "fleet"):
        (folder / f"{name}.yaml").write_text("release: shop\n")
    assert run.targets_of(["parameters/environments/fleet-*.yaml"], root) == ("fleet-a", "fleet-b")
    assert run.targets_of(["fleet-*"], root) == ("fleet-a", "fleet-b")
    assert run.targets_of([str(folder / "fleet-b.yaml"), "fleet-a"], root) == ("fleet-a", "fleet-b")
    with pytest.raises(UsageError, match="no environment matches; there are: fleet, fleet-a"):
        run.targets_of(["prod-*"], root)
    with pytest.raises(UsageError, match="is no environment"):
        run.targets_of(["parameters/releases/*.yaml"], root)
    with pytest.raises(UsageError, match="cannot be called so"):
        run.targets_of(["fleet*"], root)


def test_the_terminal_shows_the_same(begun: store.FleetRun) -> None:
    """Worst first; targets with one reason share a line; nothing of a sentence is taken for markup."""
    ends = {name: ended(name, "held", "passed") for name in "abcd"} | {"e": ended("e", "failed", error="It said [red]no[/red].")}
    rolled = roll_up(begun, ends, None)
    console = Console(width=100, file=io.StringIO(), highlight=False)
    console.print(show.table(rolled))
    console.print(show.reasons(rolled))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line.split()[2] for line in lines[1:6]] == ["e", "a", "b", "c", "d"]
    assert lines[6].split(maxsplit=1) == ["e", "It said [red]no[/red]."]
    assert lines[7].startswith("a, b, c and 1 more") and lines[7].endswith("schema: held for a reason")
    assert len(lines) == 8
