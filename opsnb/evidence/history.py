"""A deployment beside the earlier ones of its release: findings that are new, findings that are gone, checks that got slower.

Read from what is archived; nothing is asked of a target. A check counts as slower only against enough earlier runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from opsnb.evidence.deployments import Deployment, all_deployments
from opsnb.evidence.results import Run, newest_runs, read_runs
from opsnb.verdicts import WORST_FIRST, CheckResult, Verdict

EARLIER = 5
"""So many deployments back times are compared with."""
ENOUGH = 3
"""Earlier runs of a check without which nothing is said about its time."""
SLOWER, NOTICEABLE_S = 2.0, 0.25
"""Slower is twice the median, slower than it ever was, and by at least a quarter of a second."""
BAD = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.WARN)


@dataclass(frozen=True)
class Change:
    """One check whose verdict changed. `was` is empty where the deployment before did not judge it."""

    phase: str
    check: str
    title: str
    was: str
    now: str
    summary: str


@dataclass(frozen=True)
class Slower:
    """One check that took longer than it did: seconds now, the median of `n` earlier runs, and how many times as long."""

    phase: str
    check: str
    seconds: float
    median_s: float
    n: int

    @property
    def ratio(self) -> float:
        """How many times as long as the median."""
        return self.seconds / self.median_s if self.median_s else float("inf")


@dataclass(frozen=True)
class Comparison:
    """What is different. `before`: the deployment it is compared with, None where there is none."""

    before: Deployment | None
    worse: tuple[Change, ...] = ()
    mended: tuple[Change, ...] = ()
    no_longer_judged: tuple[Change, ...] = ()
    slower: tuple[Slower, ...] = ()
    timed_runs: int = 0

    @property
    def sentence(self) -> str:
        """The whole of it in one sentence."""
        if self.before is None:
            return "No earlier deployment of this release is archived here: there is nothing to compare with."
        timed = (
            f"{len(self.slower)} slower than before"
            if self.timed_runs >= ENOUGH
            else f"times are not compared, {self.timed_runs} of {ENOUGH} earlier deployments"
        )
        return (
            f"Since {self.before.id}: {len(self.worse)} new or worse, {len(self.mended)} mended, "
            f"{len(self.no_longer_judged)} no longer judged; {timed}."
        )


def compare(deployment: Deployment, runs: Mapping[str, Run] | None = None) -> Comparison:
    """*deployment* beside the earlier ones of its release in its environment. *runs*: those that count, where they are known already."""
    now = _judged(newest_runs(deployment) if runs is None else runs)
    earlier = _earlier(deployment)
    if not earlier:
        return Comparison(None)
    before, was = earlier[0][0], _judged(earlier[0][1])
    phases = {phase for phase, _ in now}
    return Comparison(
        before,
        worse=tuple(
            _change(key, was.get(key), result)
            for key, result in _worst_first(now)
            if result.verdict in BAD and (key not in was or _rank(result) < _rank(was[key])) and _comparable(key, earlier[0][1])
        ),
        mended=tuple(
            _change(key, was[key], result)
            for key, result in now.items()
            if key in was and was[key].verdict in BAD and result.verdict is Verdict.PASS
        ),
        no_longer_judged=tuple(_change(key, result, None) for key, result in was.items() if key not in now and key[0] in phases),
        slower=_slower(now, [_judged(kept) for _, kept in earlier]),
        timed_runs=len(earlier),
    )


Key = tuple[str, str]


def _earlier(deployment: Deployment) -> list[tuple[Deployment, dict[str, Run]]]:
    """The deployments before, newest first, that have a run to show."""
    found = []
    for each in all_deployments(deployment.folder.parent.parent, deployment.environment):
        if each.release == deployment.release and (each.opened_at, each.id) < (deployment.opened_at, deployment.id):
            runs = newest_runs(each, read_runs(each))
            if any(not run.damaged for run in runs.values()):
                found.append((each, runs))
        if len(found) == EARLIER:
            break
    return found


def _judged(runs: Mapping[str, Run]) -> dict[Key, CheckResult]:
    return {(phase, result.id): result for phase, run in runs.items() if not run.damaged for result in run.results}


def _comparable(key: Key, before: Mapping[str, Run]) -> bool:
    """A finding is new only where its phase was looked at before."""
    return key[0] in before and not before[key[0]].damaged


def _rank(result: CheckResult) -> int:
    return WORST_FIRST.index(result.verdict)


def _worst_first(judged: Mapping[Key, CheckResult]) -> list[tuple[Key, CheckResult]]:
    return sorted(judged.items(), key=lambda entry: (_rank(entry[1]), entry[0]))


def _change(key: Key, was: CheckResult | None, now: CheckResult | None) -> Change:
    known = now or was
    assert known is not None  # one of them is given
    return Change(
        key[0], key[1], known.title, "" if was is None else str(was.verdict), "" if now is None else str(now.verdict), known.summary,
    )  # fmt: skip


def _slower(now: Mapping[Key, CheckResult], earlier: list[dict[Key, CheckResult]]) -> tuple[Slower, ...]:
    found = []
    for key, result in now.items():
        took = [before[key].seconds for before in earlier if key in before and before[key].verdict is not Verdict.ERROR]
        if len(took) < ENOUGH or result.verdict is Verdict.ERROR:
            continue
        median = statistics.median(took)
        if result.seconds >= SLOWER * median and result.seconds > max(took) and result.seconds - median >= NOTICEABLE_S:
            found.append(Slower(key[0], key[1], result.seconds, median, len(took)))
    return tuple(sorted(found, key=lambda each: each.seconds - each.median_s, reverse=True))
