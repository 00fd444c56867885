"""What a check or an item of the runbook is about: what is asked, how it is judged, what to do; and how it stands in this run."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping

from opsnb import runbook
from opsnb.errors import UsageError
from opsnb.evidence import display
from opsnb.evidence.display import Shown
from opsnb.evidence.safe import escape
from opsnb.verdicts import CHECKS, Check, CheckResult


def explain(name: str, results: Iterable[CheckResult] = ()) -> Shown:
    """*name* (``S6-5``, ``access.no_excess`` or ``access.matrix:users``) in words. UsageError with the nearest names for any other."""
    found = list(results)
    if name in runbook.ITEMS:
        item = runbook.ITEMS[name]
        checks = [check for check in CHECKS.values() if name in check.items]
        known = {check.id for check in checks}
        checks += [
            CHECKS[each] for each in sorted({result.id.partition(":")[0] for result in found if name in result.items}) if each not in known
        ]
        lines = [f"{item.id}: {item.text}", f"Phase {item.phase}, closed by {_CLOSED_BY[item.kind]}."]
        lines += [f"The guide asks for {item.threshold}."] if item.threshold else []
        lines += [item.why_not] if item.why_not else []
        return _shown(lines, checks, found)
    family = name.partition(":")[0]
    if family in CHECKS:
        return _shown([], [CHECKS[family]], [result for result in found if name in (result.id, result.id.partition(":")[0])])
    near = difflib.get_close_matches(name, [*runbook.ITEMS, *CHECKS], n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(near)}?" if near else "; docs/checks.md lists them"
    raise UsageError(f"explain: no check and no item of the runbook is called {name!r}{hint}")


_CLOSED_BY = {"attest": "a named person, who attests it", "act": "an action", "check": "a check", "journey": "a journey"}


def _shown(lines: list[str], checks: list[Check], results: list[CheckResult]) -> Shown:
    text, parts = list(lines), [f"<p>{escape(line)}</p>" for line in lines]
    for check in checks:
        said = _about(check)
        text += [f"{check.id}: {check.title}", *(f"  {label}: {what}" for label, what in said.items())]
        rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(what)}</td></tr>" for label, what in said.items())
        parts.append(f"<p><strong>{escape(check.title)}</strong> <code>{escape(check.id)}</code></p><table>{rows}</table>")
        for result in results:
            if result.id.partition(":")[0] == check.id:
                text += [f"  here: {result.verdict} {result.summary}", *(f"    {line}" for line in result.question.splitlines())]
                parts.append(display.result_card(result).html)
    return Shown(f'{display.MARK} opsnb-card">{"".join(parts)}</div>', "\n".join(text))


def _about(check: Check) -> Mapping[str, str]:
    """What it decides, against which limits, and what follows; from the check itself."""
    doc = " ".join((inspect.getdoc(check) or inspect.getdoc(check.judge) or "").split())
    signature = inspect.signature(check.judge)
    limits = [
        name if parameter.default is inspect.Parameter.empty else f"{name} = {parameter.default}"
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    said = {
        "decides": doc, "items": ", ".join(check.items), "expects": ", ".join(limits), "nothing to judge": check.empty,
        "failing means": check.harm, "what to do": check.fix,
    }  # fmt: skip
    return {label: what for label, what in said.items() if what}
