"""The cells of an executed notebook as safe HTML.

Markdown loses raw HTML, outputs made by `display` pass a strict allow-list, every other text is escaped.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import mistune
import nh3
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from opsnb.evidence.safe import escape, json_in_html, printable
from opsnb.evidence.svg import figure_svg

PLOTLY = "application/vnd.plotly.v1+json"
BANNER_TAGS = {"papermill-error-cell-tag"}
PARAMETER_TAGS = {"parameters", "injected-parameters"}
NOT_RUN = "not run"
LINES_SHOWN = 400
LONGEST_LINE = 4_000
LONGEST_CELL = 100_000

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_TAGS = (
    "a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
    "ins", "li", "ol", "p", "pre", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
)  # fmt: skip
_OURS = re.compile(r"(?:<style>[^<]*</style>)?<div class=\"opsnb")
_CLASSES = re.compile(r"opsnb(?:-[a-z-]+)?(?: opsnb(?:-[a-z-]+)?)*")
_FIXED = {"scope": {"col", "row"}, "role": {"group", "region"}, "tabindex": {"0"}, "align": {"left", "right", "center"}}


@dataclass
class Cell:
    """One cell, ready to show. `state` is completed, failed, interrupted or not run; `html` its outputs or its text."""

    kind: str
    html: str
    code: str = ""
    state: str = "completed"
    seconds: float | None = None
    checks: set[str] = field(default_factory=set)
    charts: int = 0


def render_cells(notebook: Any, *, live: bool) -> list[Cell]:
    """Every cell of *notebook* but papermill's error banners. *live*: charts carry their data for the chart library."""
    cells: list[Cell] = []
    seen: set[str] = set()
    journalled = any("papermill" in cell.get("metadata", {}) for cell in notebook.cells)
    for cell in notebook.cells:
        tags = set(cell.get("metadata", {}).get("tags", []))
        if tags & (BANNER_TAGS | PARAMETER_TAGS) or not str(cell.source).strip():
            continue  # the page has its own verdict, and a table of parameters at its end
        if cell.cell_type == "markdown":
            source = str(cell.source)
            if not any(each.kind == "markdown" for each in cells):
                source = re.sub(r"^\s*#\s+.+\n?", "", source)  # the title stands at the head of the page
            cells.append(Cell("markdown", markdown(source)))
        elif cell.cell_type == "code":
            cells.append(_code_cell(cell, seen, live=live, journalled=journalled))
    return cells


def title_of(notebook: Any) -> str:
    """The first heading of *notebook*, or nothing."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and not BANNER_TAGS & set(cell.get("metadata", {}).get("tags", [])):
            found = re.match(r"\s*#\s+(.+)", str(cell.source))
            return re.sub(r"[`*]|&[a-z]+;", "", found.group(1)).strip() if found else ""
    return ""


def parameters_of(notebook: Any) -> list[tuple[str, str, bool]]:
    """(name, value, set by this run) of the notebook's parameters, in their order."""
    values: dict[str, tuple[str, bool]] = {}
    for tag, given in (("parameters", False), ("injected-parameters", True)):
        for cell in notebook.cells:
            if cell.cell_type == "code" and tag in cell.get("metadata", {}).get("tags", []):
                values.update({name: (value, given) for name, value in _assignments(str(cell.source))})
    return [(name, value, given) for name, (value, given) in values.items()]


def markdown(source: str) -> str:
    """Markdown as HTML: raw HTML shown as text, links only to the web or within the page, images as their words."""
    return f'<div class="prose">{_markdown_cleaner().clean(str(_markdown()(source)))}</div>'


def own_html(html: str) -> str:
    """HTML made by `display`, cleaned: no style, script, address or handler is left, whatever a notebook's file was made to say."""
    return str(_output_cleaner().clean(re.sub(r"^<style>[^<]*</style>", "", printable(html))))


def chart_html(figure: Mapping[str, Any], *, live: bool) -> str:
    """A chart as a static picture and, where *live*, its data for the library."""
    data = f'<div class="chart-live"></div><script type="application/json">{json_in_html(figure)}</script>' if live else ""
    static = f'<div class="chart-static" role="group" aria-label="Chart" tabindex="0">{figure_svg(figure)}</div>'
    return f'<figure class="chart">{static}{data}</figure>'


def plain(text: str) -> str:
    """Text of strangers, escaped, without terminal colours, at most 400 lines of at most 4,000 characters."""
    lines = [_cut(line) for line in _ANSI.sub("", text).rstrip().splitlines()]
    cut = f"\n… {len(lines) - LINES_SHOWN:,} more lines" if len(lines) > LINES_SHOWN else ""
    return f'<pre class="text">{escape(chr(10).join(lines[:LINES_SHOWN]) + cut)}</pre>'


def _cut(text: str, longest: int = LONGEST_LINE) -> str:
    """*text*, its end left out where it is too long for a page; the executed notebook beside the page has it whole."""
    return text if len(text) <= longest else f"{text[:longest]} … {len(text) - longest:,} more characters"


def _code_cell(cell: Any, seen: set[str], *, live: bool, journalled: bool) -> Cell:
    run = cell.get("metadata", {}).get("papermill", {})
    ran = cell.get("execution_count") is not None or bool(cell.get("outputs"))
    state = str(run.get("status") or ("completed" if ran or not journalled else NOT_RUN))
    if state == "pending" or (not journalled and not ran):
        state = NOT_RUN
    if state == "running":
        state = "interrupted"
    made = Cell(
        "code", "", code=highlight(printable(_cut(str(cell.source), LONGEST_CELL)), PythonLexer(), HtmlFormatter(nowrap=True)), state=state
    )
    duration = run.get("duration")
    made.seconds = float(duration) if isinstance(duration, int | float) else None
    parts = []
    for output in cell.get("outputs", []):
        made.charts += PLOTLY in output.get("data", {})
        parts.append(_unique(_output(output, live=live), seen))
    made.html = "".join(parts)
    made.checks = set(re.findall(r' id="(check-[a-z0-9-]+)"', made.html))
    return made


def _output(output: Any, *, live: bool) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        return plain(_joined(output.get("text")))
    if kind == "error":
        return _error(output)
    data = output.get("data", {})
    if isinstance(data.get(PLOTLY), Mapping):
        return chart_html(data[PLOTLY], live=live)
    html = _joined(data.get("text/html"))
    if _OURS.match(html):
        cleaned = own_html(html)
        if "opsnb-gate" in html[:4000]:  # the page begins with the same table
            return f"<details><summary>The verdict table as the notebook showed it</summary>{cleaned}</details>"
        return cleaned
    picture = _joined(data.get("image/png")).replace("\n", "")
    if re.fullmatch(r"[A-Za-z0-9+/=]+", picture):
        return f'<img alt="picture made by this cell" src="data:image/png;base64,{picture}">'
    return plain(_joined(data.get("text/plain")))


def _error(output: Any) -> str:
    name, said = str(output.get("ename", "")), str(output.get("evalue", ""))
    sentence = said if name == "GateFailed" else f"{name}: {said}" if said else name
    traceback = "\n".join(map(str, output.get("traceback", [])))
    unfolded = _ANSI.sub("", traceback).strip()
    more = "" if unfolded in ("", said) else f"<details><summary>Where it happened</summary>{plain(traceback)}</details>"
    return f'<div class="stopped"><p><strong>The notebook stopped here.</strong> {escape(_cut(_ANSI.sub("", sentence)))}</p>{more}</div>'


def _unique(html: str, seen: set[str]) -> str:
    """*html* without anchors that an earlier output has."""

    def once(found: re.Match[str]) -> str:
        if found.group(1) in seen:
            return ""
        seen.add(found.group(1))
        return found.group(0)

    return re.sub(r' id="(check-[a-z0-9-]+)"', once, html)


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text or "")


def _assignments(source: str) -> list[tuple[str, str]]:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return []
    found = []
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name) and statement.value is not None:
            found.append((statement.targets[0].id, _cut(ast.unparse(statement.value))))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
            found.append((statement.target.id, _cut(ast.unparse(statement.value))))
    return found


@cache
def _markdown() -> Callable[[str], Any]:
    return mistune.create_markdown(escape=True, plugins=["table", "strikethrough", "task_lists"])


@cache
def _markdown_cleaner() -> nh3.Cleaner:
    def allowed(tag: str, name: str, value: str) -> str | None:
        to_the_web = tag == "a" and name == "href" and value.startswith(("#", "https://", "http://", "mailto:"))
        aligned = tag in ("th", "td") and name == "align" and value in _FIXED["align"]
        return value if to_the_web or aligned else None

    return _cleaner({"href", "align"}, allowed, schemes={"http", "https", "mailto"})


@cache
def _output_cleaner() -> nh3.Cleaner:
    def kept(tag: str, name: str, value: str) -> bool:
        if name == "class":
            return bool(_CLASSES.fullmatch(value))
        if name == "id":
            return bool(re.fullmatch(r"check-[a-z0-9-]{1,90}", value))
        if name == "href":
            return tag == "a" and bool(re.fullmatch(r"#check-[a-z0-9-]{1,90}", value))
        if name == "data-more":
            return tag == "table" and value.isdigit()
        if name == "colspan":
            return tag == "td" and value.isdigit()
        return name == "aria-label" or value in _FIXED.get(name, set())

    def allowed(tag: str, name: str, value: str) -> str | None:
        return value if kept(tag, name, value) else None

    return _cleaner({"class", "id", "href", "colspan", "data-more", "aria-label", *_FIXED}, allowed, schemes=set())


def _cleaner(attributes: set[str], allowed: Callable[[str, str, str], str | None], *, schemes: set[str]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS), attributes={"*": attributes}, attribute_filter=allowed, url_schemes=schemes, link_rel=None,
        generic_attribute_prefixes=set(),
    )  # fmt: skip
