"""What notebooks and reports show: results, facts, gates and headers, as HTML and as plain text.

No script, nothing loaded; every text is escaped. Each verdict is a word and a shape, never colour alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from opsnb.evidence.reasons import gate_reason
from opsnb.evidence.safe import escape, printable, slug, utc
from opsnb.evidence.tables import scrolled, table_html, table_text, value_text
from opsnb.facts import Facts
from opsnb.verdicts import CHECKS, CheckResult, PhaseReport, Verdict

MARK = '<div class="opsnb'
"""How every piece of HTML made here begins (after its style): the reports let nothing else through."""

SHAPES = {
    "PASS": "✓", "WARN": "▲", "FAIL": "✕", "INCONCLUSIVE": "◐", "ERROR": "■", "NOT_APPLICABLE": "–",
    "passed": "✓", "held": "◐", "unmeasured": "■", "failed": "✕", "not run": "○", "open": "○", "attested": "✎",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """Something to show, as HTML for pages and as text for terminals."""

    html: str
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))  # a terminal obeys what a page only shows

    def _repr_html_(self) -> str:
        return f"{style()}{self.html}"

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": self.text}

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class Note(Shown):
    """One sentence beside the results, for example why there is no chart."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f'{MARK} opsnb-card"><p>{escape(sentence)}</p></div>', printable(sentence))


@cache
def css() -> str:
    """The rules of everything shown here."""
    return resources.files("opsnb.evidence").joinpath("templates/display.css").read_text(encoding="utf-8")


@cache
def style() -> str:
    """The rules as one scoped element (every selector begins with .opsnb): each output carries its own, so each stands alone."""
    lines = [line.strip() for line in css().splitlines() if not line.startswith("/*")]
    return f"<style>{''.join(lines)}</style>"


def chip(verdict: str) -> str:
    """The verdict or gate as a labelled shape."""
    word = str(verdict)
    return f'<span class="opsnb-chip opsnb-{slug(word)}">{SHAPES.get(word, "•")} {escape(word.replace("_", " "))}</span>'


def anchor(check_id: str) -> str:
    """The anchor of a check's card."""
    return f"check-{slug(check_id)}"


def result_card(result: CheckResult) -> Shown:
    """One result: verdict, sentence, measured against limit, what to do; table and question folded."""
    about = f"<code>{escape(result.id)}</code>" + (f" · {escape(', '.join(result.items))}" if result.items else "")
    parts = [
        f'{MARK} opsnb-card opsnb-{slug(result.verdict)}" id="{anchor(result.id)}">',
        f'<p class="opsnb-head">{chip(result.verdict)} <strong>{escape(result.title)}</strong> <span class="opsnb-ids">{about}</span></p>',
        f"<p>{escape(result.summary)}</p>",
    ]
    if measured := _measured(result):
        parts.append(f'<p class="opsnb-muted">{escape(measured)}</p>')
    if _needs_a_person(result):
        if harm := _harm(result):
            parts.append(f'<p><span class="opsnb-do">What it means:</span> {escape(harm)}</p>')
        parts.append(f'<p><span class="opsnb-do">What to do:</span> {escape(result.fix)}</p>')
    if result.table is not None:
        rows = len(result.table)
        summary = f"<summary>Table ({rows:,} row{'' if rows == 1 else 's'})</summary>"
        parts.append(f'<details class="opsnb-table">{summary}{table_html(result.table)}</details>')
    if result.question:
        parts.append(_asked(result.question, f" ({seconds_text(result.seconds)})"))
    return Shown("".join(parts) + "</div>", _result_text(result))


def results_html(results: Sequence[CheckResult]) -> Shown:
    """Several results, a card each."""
    cards = [result_card(result) for result in results]
    return Shown(f'{MARK}">{"".join(card.html for card in cards)}</div>', "\n".join(card.text for card in cards))


def facts_html(facts: Facts) -> Shown:
    """What a source answered: at most 30 rows of its table, or in plain words why there is none."""
    if not facts.ok:
        why = str(facts.error) if facts.error is not None else "no answer was given"
        return Shown(
            f'{MARK} opsnb-card opsnb-error">'
            f'<p class="opsnb-head">{chip("ERROR")} <strong>{escape(facts.source)} could not be asked</strong></p>'
            f"<p>{escape(why)}</p>{_question(facts)}</div>",
            f"{SHAPES['ERROR']} ERROR  {printable(facts.source)} could not be asked: {printable(why)}",
        )
    rows = len(facts)
    caption = f"{rows:,} row{'' if rows == 1 else 's'} from {facts.source} in {seconds_text(facts.seconds)}"
    return Shown(
        f'{MARK}">{table_html(facts.table)}<p class="opsnb-muted">{escape(caption)}</p>{_question(facts)}</div>',
        f"{table_text(facts.table)}\n{printable(caption)}",
    )


def gate_html(
    report: PhaseReport, *, seconds: float | None = None, guide_minutes: float | None = None, folder: Path | None = None
) -> Shown:
    """The verdict table of a phase, worst first, under its gate and the reason for it."""
    gate, reason = report.gate, gate_reason(report)
    rows = [(str(result.verdict), result) for result in report.worst_first()]
    body = "".join(
        f'<tr><td>{chip(word)}</td><td><a href="#{anchor(result.id)}">{escape(result.title)}</a><br>'
        f'<span class="opsnb-ids">{escape(result.id)}</span></td>'
        f"<td>{escape(', '.join(result.items))}</td><td>{escape(result.summary)}</td></tr>"
        for word, result in rows
    )
    if report.open_attestations:
        body += (
            f"<tr><td>{chip('open')}</td><td>Attestations</td><td>{escape(', '.join(report.open_attestations))}</td>"
            "<td>Open: a named person must attest these.</td></tr>"
        )
    took = _took(seconds, guide_minutes)
    notes = " ".join(filter(None, [took, f"Archived in {_short(folder)}." if folder else ""]))
    html = (
        f'{MARK} opsnb-gate opsnb-card opsnb-{gate}"><p class="opsnb-head">{chip(gate)} <strong>{escape(reason)}</strong></p>'
        + scrolled(
            '<table><thead><tr><th scope="col">Verdict</th><th scope="col">Check</th><th scope="col">Items</th>'
            f'<th scope="col">Finding</th></tr></thead><tbody>{body}</tbody></table>',
            "Verdicts, worst first",
        )
        + (f'<p class="opsnb-muted">{escape(notes)}</p>' if notes else "")
        + "</div>"
    )
    lines = [f"{SHAPES[gate]} {report.phase}: {gate}. {reason}", *(f"  {_line(word, result)}" for word, result in rows)]
    if report.open_attestations:
        lines.append(f"  {SHAPES['open']} open            attestations: {', '.join(report.open_attestations)}")
    return Shown(html, "\n".join(printable(line) for line in [*lines, *([notes] if notes else [])]))


def header_html(title: str, facts: Mapping[str, Any]) -> Shown:
    """What a run is about: a small table of names and values."""
    rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts.items())
    width = max((len(name) for name in facts), default=0)
    text = "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in facts.items())])
    return Shown(f'{MARK} opsnb-facts"><p><strong>{escape(title)}</strong></p><table><tbody>{rows}</tbody></table></div>', printable(text))


def phase_header(phase: Any, **more: Any) -> dict[str, str]:
    """The header of an open phase as a mime bundle; *more* are further facts, by the name shown (underscores become spaces)."""
    now = datetime.now(UTC)
    guide = phase.release.guide_minutes.get(phase.name)
    facts: dict[str, Any] = {
        "Environment": phase.environment.name,
        "Release": getattr(phase.release, "title", "") or phase.release.name,
        "Deployment": phase.deployment.id,
        **{name.replace("_", " ").capitalize(): value for name, value in more.items()},
        "UTC time": utc(now),
        "Time the guide allows": "not stated" if guide is None else f"{guide:g} min",
        "May change the target": "yes: apply is set" if phase.apply else "no",
    }
    return header_html(f"Phase {phase.name}", facts)._repr_mimebundle_()


def show(report: PhaseReport, *, seconds: float | None = None, guide_minutes: float | None = None, folder: Path | None = None) -> None:
    """Shows the gate of a phase where this runs: in a notebook as HTML, elsewhere as text."""
    shown = gate_html(report, seconds=seconds, guide_minutes=guide_minutes, folder=folder)
    if _shell() is None:
        sys.stdout.write(f"{shown.text}\n")
        return
    from IPython.display import display

    display(shown)  # type: ignore[no-untyped-call]


def register_formatters() -> None:
    """Teaches the running notebook to show results, facts and gates; nothing outside a notebook."""
    shell = _shell()
    if shell is None:
        return

    def bundle(make: Any) -> Any:
        return lambda thing, **_kwargs: make(thing)

    def several(thing: list[Any], **_kwargs: Any) -> dict[str, str] | None:
        if thing and all(isinstance(each, CheckResult) for each in thing):
            return results_html(thing)._repr_mimebundle_()
        return None

    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type(CheckResult, bundle(lambda result: result_card(result)._repr_mimebundle_()))
    formatter.for_type(Facts, bundle(lambda facts: facts_html(facts)._repr_mimebundle_()))
    # the verdict table was shown when the phase was finished
    formatter.for_type(PhaseReport, bundle(lambda report: {"text/plain": f"{report.phase}: {report.gate}"}))
    formatter.for_type(list, several)


def seconds_text(seconds: float) -> str:
    """A duration a person reads at a glance."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _measured(result: CheckResult) -> str:
    measured = "" if result.measured is None else f"Measured {value_text(result.measured)}"
    limit = "" if result.limit is None else f"limit {value_text(result.limit)}"
    joined = ", ".join(filter(None, [measured, limit]))
    return joined[:1].upper() + joined[1:]


def _needs_a_person(result: CheckResult) -> bool:
    return bool(result.fix) and result.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)


def _harm(result: CheckResult) -> str:
    """What failing does to the people concerned; said of a FAIL alone, as nothing else is known to be so."""
    known = CHECKS.get(result.id.partition(":")[0])
    return known.harm if known is not None and result.verdict is Verdict.FAIL else ""


def _result_text(result: CheckResult) -> str:
    lines = [_line(str(result.verdict), result)]
    lines += [f"    {_measured(result)}"] if _measured(result) else []
    lines += [f"    What it means: {_harm(result)}"] if _harm(result) else []
    lines += [f"    What to do: {result.fix}"] if _needs_a_person(result) else []
    return "\n".join(map(printable, lines))


def _line(word: str, result: CheckResult) -> str:
    items = f" [{', '.join(result.items)}]" if result.items else ""
    return f"{SHAPES[word]} {word.replace('_', ' '):<14}  {result.id}{items}: {result.summary}"


def _question(facts: Facts) -> str:
    return _asked(facts.question) if facts.question else ""


def _asked(question: str, took: str = "") -> str:
    return f'<details class="opsnb-asked"><summary>What was asked{took}</summary><pre>{escape(question)}</pre></details>'


def _took(seconds: float | None, guide_minutes: float | None) -> str:
    if seconds is None:
        return ""
    return f"It took {seconds_text(seconds)}" + (f"; the guide allows {guide_minutes:g} min." if guide_minutes is not None else ".")


def _short(folder: Path) -> str:
    """The run's folder from its environment on: where the archive itself lies is this machine's business."""
    return "/".join(folder.parts[-4:])


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
