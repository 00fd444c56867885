"""Every fault of the embedded target against every notebook: exactly the declared checks leave PASS, and a reset brings all of them back.

Two targets take turns: while one is reset, the notebooks run against the other.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import REPOSITORY, make_home, run_cells, verdicts

from opsnb.local import target
from opsnb.local.faults import FAULTS
from opsnb.runbook import NOTEBOOKS
from opsnb.verdicts import Gate, Verdict, gate

pytestmark = [pytest.mark.target, pytest.mark.campaign]

PROBE_SECONDS = "probe_seconds: 6", "probe_seconds: 2"
JOIN = ("signoff", "deployment.all_passed")
"""The one check that judges the others' verdicts and nothing of the target."""
OF_GATE = {Gate.FAILED: Verdict.FAIL, Gate.UNMEASURED: Verdict.ERROR, Gate.HELD: Verdict.INCONCLUSIVE}

WARNED = {"access.stranger", "access.no_excess", "audit.variables"}
"""An accepted finding, a column that policies decide by, and a doubt about the clinic's sources: a warning from the first day."""

Verdicts = dict[tuple[str, str], str]
"""(phase, check) → verdict."""

EXPECTED_FAULTS = {
    "missing_table", "function_inactive", "stale_version", "secret_missing", "rls_off", "policy_open", "error_spike", "slow_function",
    "pool_exhausted", "runaway_query", "malformed_record", "leftover_test_data",
}  # fmt: skip

# Each fault breaks the target that was reset while the fault before it ran on the other; a step later its reset is looked at.
_NAMES = list(FAULTS)
STEPS = [
    (step, name)
    for now, before in itertools.zip_longest(_NAMES, [None, *_NAMES])
    for step, name in (("breaks", now), ("is mended", before))
    if name is not None
]


class Bench:
    """A project with a target of its own, and what was found there."""

    def __init__(self, home: Path, environment: pytest.MonkeyPatch) -> None:
        self.home = make_home(home)
        local = self.home / "parameters" / "environments" / "local.yaml"
        text = local.read_text(encoding="utf-8")
        assert PROBE_SECONDS[0] in text
        local.write_text(text.replace(*PROBE_SECONDS), encoding="utf-8")
        self._environment = environment
        self._runs = 0
        self.baseline: Verdicts = {}
        self.changed: dict[str, set[tuple[str, str]]] = {}
        self.reset: Future[object] | None = None

    def new_deployment(self) -> None:
        """What reads the archive finds this round's runs in it and no others."""
        self._runs += 1

    def verdicts(self, phases: set[str] | None = None) -> Verdicts:
        """Runs the notebooks of *phases* (all) against this bench's target."""
        self._environment.setenv("OPSNB_HOME", str(self.home))
        self._environment.setenv("OPSNB_REPORTS", str(self.home / "reports" / str(self._runs)))
        found: Verdicts = {}
        for phase, notebook in NOTEBOOKS.items():
            if phases is None or phase in phases:
                with contextlib.redirect_stdout(io.StringIO()):
                    ended = run_cells(REPOSITORY / "notebooks" / f"{notebook}.ipynb")
                found |= {(phase, identifier): verdict for identifier, verdict in verdicts(ended).items()}
        return found

    def ready(self) -> None:
        """Waits for a reset that was begun."""
        if self.reset is not None:
            self.reset.result()


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Bench]]:
    with pytest.MonkeyPatch.context() as environment, ThreadPoolExecutor(2) as beside:
        for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL"):
            environment.delenv(name, raising=False)
        made = Bench(tmp_path_factory.mktemp("one"), environment), Bench(tmp_path_factory.mktemp("other"), environment)
        try:
            list(beside.map(lambda bench: target.up(bench.home), made))
            made[0].baseline = made[1].baseline = made[0].verdicts()
            yield made
        finally:
            for bench in made:
                with contextlib.suppress(Exception):
                    bench.ready()
                target.down(bench.home)


def test_the_expected_faults_are_there() -> None:
    assert FAULTS.keys() >= EXPECTED_FAULTS
    assert all(fault.checks for fault in FAULTS.values())


def test_the_baseline_is_sound(benches: tuple[Bench, Bench]) -> None:
    """Nothing fails on a pristine target, and whatever a fault declares passes there; two warn, and fail with a fault."""
    baseline = benches[0].baseline
    assert not {key for key, verdict in baseline.items() if verdict in ("FAIL", "ERROR")}
    for fault in FAULTS.values():
        declared = {key for key in baseline if _names(fault.checks, key[1])}
        assert {baseline[key] for key in declared if key[1] not in WARNED} <= {"PASS"}, fault.name
        assert {baseline[key] for key in declared} <= {"PASS", "WARN"}, fault.name
        assert all(any(_names({declared_id}, check) for _, check in declared) for declared_id in fault.checks), fault.name


@pytest.mark.parametrize(("step", "name"), STEPS, ids=[f"{name} {step}" for step, name in STEPS])
def test_fault(benches: tuple[Bench, Bench], step: str, name: str) -> None:
    bench = benches[_NAMES.index(name) % 2]
    bench.ready()
    if step == "breaks":
        bench.new_deployment()
        target.fault(bench.home, name)
        try:
            found = bench.verdicts()
        finally:
            beside = ThreadPoolExecutor(1)
            bench.reset = beside.submit(target.reset, bench.home)
            beside.shutdown(wait=False)
        _compare(bench, name, found)
    elif name not in bench.changed:
        pytest.skip(f"{name} was not applied")
    else:
        changed = bench.changed.pop(name)
        # in the phases it showed in, after a snapshot of the database as it is now: a reset begins the server's counters anew;
        # for the rest the archive they read is that of the round with the fault
        after = bench.verdicts({"snapshot", *(phase for phase, _ in changed)})
        assert {key: verdict for key, verdict in after.items() if verdict != bench.baseline[key]} == {}


def _compare(bench: Bench, name: str, found: Verdicts) -> None:
    """What changed is what the fault declares, and the sign-off joins it."""
    before = dict(bench.baseline)
    joined = found.pop(JOIN)
    del before[JOIN]
    assert found.keys() == before.keys()
    changed = {key for key, verdict in found.items() if verdict != before[key]}
    declared = {key for key in before if _names(FAULTS[name].checks, key[1])}
    bench.changed[name] = changed | declared
    assert {key: found[key] for key in changed - declared} == {}, "changed, and not declared"
    assert {key: found[key] for key in declared - changed} == {}, "declared, and did not change"
    looked_back_on = [Verdict(verdict) for (phase, _), verdict in found.items() if phase not in ("rollback", "signoff")]
    assert joined == OF_GATE[gate(looked_back_on)]


def _names(declared: frozenset[str] | set[str], check: str) -> bool:
    """Whether *check* is one of *declared*; an id ending in ``:*`` stands for all its subjects."""
    return any(check == each or (each.endswith(":*") and check.startswith(each[:-1])) for each in declared)
