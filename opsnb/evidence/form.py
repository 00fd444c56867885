"""A statement asked for line by line, where somebody sits: in a notebook or at a terminal. Nothing is filed before the last answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from opsnb.errors import ActionRefused, UsageError
from opsnb.evidence.attestations import MEANINGS, SHOWN, Meaning, Planned, Rule, evidence_of
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import newest_runs
from opsnb.runbook import ITEMS

Ask = Callable[[str], str]
YES = ("y", "yes")


def filled_in(
    deployment: Deployment, given: Planned, ask: Ask, *, rules: Mapping[str, Rule], say: Callable[[str], object] = print
) -> Planned:
    """*given* with everything that was missing, after a yes to the whole. ActionRefused where nobody can be asked, or the answer is no.

    What the evidence is now goes into the statement: evidence that changes while somebody types is refused when it is filed.
    """
    try:
        item = given.item or _one(ask, "Item of the runbook")
        known = ITEMS.get(item)
        if known is None:
            raise UsageError(f"{item} is no item of the runbook; `opsnb status` lists those that are open")
        rule = rules.get(item)
        shown = evidence_of(deployment, known.phase, newest_runs(deployment))[:SHOWN]
        say(f"{item}: {known.text}")
        say(f"Evidence of {known.phase}: {shown or 'this phase did not run'}")
        if rule is not None and rule.second_person:
            say("The release wants two persons: who performed it cannot approve it.")
        meaning = cast(Meaning, _choice(ask, "Meaning", MEANINGS, given.meaning))
        by = given.by or _one(ask, "Your name")
        role = given.role or _one(ask, "Your role")
        statement = given.statement or _one(ask, "What you did or saw")
        say(f"{by}, {role}, {meaning} {item}: {statement}")
        if ask("File this? It can be withdrawn, never changed. yes or no: ").strip().lower() not in YES:
            raise ActionRefused(f"{item}: nothing was filed.")
    except (EOFError, NotImplementedError) as error:  # the second is what a kernel raises that nobody sits before
        raise ActionRefused("Nobody can be asked here: give item, by, role and statement, or use `opsnb attest`.") from error
    return replace(given, item=item, by=by, role=role, statement=statement, meaning=meaning, rule=rule, evidence=given.evidence or shown)


def _one(ask: Ask, what: str) -> str:
    for _ in range(3):
        if answer := ask(f"{what}: ").strip():
            return answer
    raise ActionRefused(f"{what} was not given: nothing was filed.")


def _choice(ask: Ask, what: str, choices: tuple[str, ...], default: str) -> str:
    for _ in range(3):
        answer = ask(f"{what}, one of {', '.join(choices)} [{default}]: ").strip().lower() or default
        if answer in choices:
            return answer
    raise ActionRefused(f"{what} was none of {', '.join(choices)}: nothing was filed.")
