"""Long tables in a real browser: sorted by what stands in them, narrowed by words, whole on paper, and never a place for scripts."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from browsing import BROWSER, browse

from opsnb.evidence import display, page
from opsnb.evidence.tables import table_html

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")]

TOLD = re.compile(r'<pre id="told">(.*?)</pre>', re.DOTALL)
ROWS = [
    ("b-10", 1_200, "2 MB", "PASS", "40 %"), ("b-9", 35, "900 kB", "FAIL", "3 %"), ("a-1", None, "1.5 GB", "INCONCLUSIVE", "–"),
    ("Zoe", 7, "12 MB", "ERROR", "100 %"), ("<b>x</b>", -5, "1 MB", "WARN", "0.5 %"), ("é", 0, "3 MB", "PASS", "9 %"),
]  # fmt: skip


def told(tmp_path: Path, table: str, script: str, *, width: int = 1200) -> object:
    """What *script* (which ends by calling `say`) says of a page with *table*, run after the page's own."""
    path = tmp_path / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><body class="opsnb">{table}<pre id="told"></pre>'
        f"<script>{page.scripts()}</script><script>\n"
        "const say = (what) => { document.getElementById('told').textContent = JSON.stringify(what); };\n"
        "const rows = () => Array.from(document.querySelectorAll('tbody tr')).filter((row) => !row.hidden);\n"
        "const column = (n) => rows().map((row) => row.cells[n].textContent);\n"
        "const head = (n) => document.querySelectorAll('th')[n];\n"
        "const click = (n) => head(n).querySelector('button').click();\n"
        f"addEventListener('DOMContentLoaded', () => setTimeout(() => {{ {script} }}, 0));</script></body></html>",
        encoding="utf-8",
    )
    found = TOLD.search(browse(path, f"--window-size={width},1200").dom)
    assert found is not None
    return json.loads(html.unescape(found[1]))


def sample() -> str:
    frame = pd.DataFrame(ROWS, columns=["name", "calls", "size", "verdict", "share"])
    return table_html(frame.astype({"calls": "Int64"}))


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        (1, ["-5", "0", "7", "35", "1,200", "–"]),
        (2, ["900 kB", "1 MB", "2 MB", "3 MB", "12 MB", "1.5 GB"]),
        (3, ["FAIL", "ERROR", "INCONCLUSIVE", "WARN", "PASS", "PASS"]),
        (4, ["0.5 %", "3 %", "9 %", "40 %", "100 %", "–"]),
    ],
)
def test_sorted_by_what_stands_there(tmp_path: Path, column: int, ascending: list[str]) -> None:
    """Up, down, as it came; what is missing stays last; the heading says so to whoever listens."""
    script = (
        f"const seen = []; for (let turn = 0; turn < 3; turn++) {{ click({column});"
        f" seen.push([head({column}).getAttribute('aria-sort'), column({column})]); }} say(seen);"
    )
    seen = told(tmp_path, sample(), script)
    assert isinstance(seen, list)
    known = [text for text in ascending if text != "–"]
    down = [*reversed(known), *(text for text in ascending if text == "–")]
    assert seen[0] == ["ascending", ascending] and seen[1] == ["descending", down]
    assert seen[2] == [None, told(tmp_path, sample(), f"say(column({column}))")]


def test_names_by_their_numbers(tmp_path: Path) -> None:
    names = told(tmp_path, sample(), "click(0); say(column(0))")
    assert isinstance(names, list) and names.index("b-9") + 1 == names.index("b-10")


def test_narrowed_and_whole_on_paper(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": [f"row {number}" for number in range(25)], "n": range(25)})
    script = (
        "const field = document.querySelector('input[type=search]'), type = (text) => { field.value = text;"
        " field.dispatchEvent(new Event('input')); return column(0); };"
        "const narrow = type('ROW 2'), said = document.querySelector('output').textContent, none = type('nobody').length;"
        "dispatchEvent(new Event('beforeprint')); say([narrow, said, none, rows().length, field.value, !!field.closest('label')]);"
    )
    narrow, said, none, printed, left, labelled = told(tmp_path, table_html(frame), script)  # type: ignore[misc]
    assert narrow == ["row 2", "row 12", *(f"row {number}" for number in range(20, 25))] and said == "7 of 25", "every word, anywhere"
    assert (none, printed, left, labelled) == (0, 25, "", True)


def test_what_is_left_alone(tmp_path: Path) -> None:
    """Short tables and trees stay as they are; a cell's markup stays text."""
    short = pd.DataFrame({"n": range(5)})
    tree = pd.DataFrame({"tree": [str(number) for number in range(9)]})
    table = table_html(short) + table_html(tree)
    assert told(tmp_path, table, "say(document.querySelectorAll('button, input').length)") == 0
    assert told(tmp_path, sample(), "click(0); say(document.querySelectorAll('td b').length)") == 0


def test_differences_move_with_their_rows(tmp_path: Path) -> None:
    """What went and what came stays under its row, and is looked through with it."""
    names = [str(number) for number in range(20)]
    frame = pd.DataFrame({"object": names, "was": [f"was {name}" for name in names], "is": [f"is {name}" for name in names]})
    script = (
        "const told = () => Array.from(document.querySelectorAll('tbody')).filter((each) => !each.hidden)"
        ".map((each) => [each.rows[0].cells[0].textContent, each.rows[1].querySelector('.opsnb-is code').textContent]);"
        "click(0); click(0); const first = told()[0], field = document.querySelector('input[type=search]');"
        "field.value = 'is 16'; field.dispatchEvent(new Event('input'));"
        "say([first, told(), document.querySelector('output').textContent]);"
    )
    assert told(tmp_path, table_html(frame), script) == [["19", "is 19"], [["16", "is 16"]], "1 of 20"]


def test_rows_that_are_not_here_are_told(tmp_path: Path) -> None:
    """A table cut to its first rows says that the others are not looked through; each field has a name of its own."""
    frame = pd.DataFrame({"name": [f"row {number}" for number in range(4_000)]})
    one, other = (f'<h2>{title}</h2><div class="opsnb">{table_html(frame)}</div>' for title in ("Locks", "Growth & size"))
    script = (
        "const fields = Array.from(document.querySelectorAll('input[type=search]')); fields[0].value = 'row 29';"
        "fields[0].dispatchEvent(new Event('input'));"
        "say([document.querySelector('output').textContent, fields.map((each) => each.getAttribute('aria-label'))]);"
    )
    said, names = told(tmp_path, one + other, script)  # type: ignore[misc]
    assert said == "1 of 30 on this page; 3,970 more are not looked through"
    assert names == ["Show rows with … in: Locks", "Show rows with … in: Growth & size"]


def test_five_thousand_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": range(5000), "text": [f"<script>{number}" for number in range(5000)]})
    script = "click(0); click(0); say([column(0)[0], column(0).length])"
    assert told(tmp_path, table_html(frame, most=5000), script) == ["4,999", 5000]


@pytest.mark.parametrize("width", [390, 1200])
def test_what_has_the_focus_is_seen(tmp_path: Path, width: int) -> None:
    """On a phone the headings that sort stand above the rows."""
    rows = "".join(f"<tr><td>PASS</td><td>check {number}</td><td></td><td>fine</td></tr>" for number in range(9))
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Verdict", "Check", "Items", "Finding"))
    differing = pd.DataFrame({"object": [str(number) for number in range(9)], "was": ["a"] * 9, "is": ["b"] * 9})
    style = f"<style>{display.css()}{page.text('page.css')}</style>"
    table = f"{style}<table class='verdicts'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    script = (
        "const seen = (each) => { const box = each.getBoundingClientRect();"
        " return box.width > 5 && box.height > 5 && box.left >= 0 && box.right <= innerWidth; };"
        "say([innerWidth, Array.from(document.querySelectorAll('button')).map(seen)])"
    )
    found, visible = told(tmp_path, f"{table}{table_html(differing)}", script, width=width)  # type: ignore[misc]
    assert (found <= 640) is (width == 390) and len(visible) == 5 and all(visible), (found, visible)
