"""Long tables in a real browser: sorted by what stands in them, narrowed by words, whole on paper, and never a place for scripts."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from browsing import BROWSER, browse

from opsnb.evidence import page
from opsnb.evidence.tables import table_html

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")]

TOLD = re.compile(r'<pre id="told">(.*?)</pre>', re.DOTALL)
ROWS = [
    ("b-10", 1_200, "2 MB", "PASS", "40 %"), ("b-9", 35, "900 kB", "FAIL", "3 %"), ("a-1", None, "1.5 GB", "INCONCLUSIVE", "–"),
    ("Zoe", 7, "12 MB", "ERROR", "100 %"), ("<b>x</b>", -5, "1 MB", "WARN", "0.5 %"), ("é", 0, "3 MB", "PASS", "9 %"),
]  # fmt: skip


def told(tmp_path: Path, table: str, script: str) -> object:
    """What *script* (which ends by calling `say`) says of a page with *table*, run after the page's own."""
    path = tmp_path / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><body class="opsnb">{table}<pre id="told"></pre>'
        f"<script>{page.text('page.js')}</script><script>\n"
        "const say = (what) => { document.getElementById('told').textContent = JSON.stringify(what); };\n"
        "const rows = () => Array.from(document.querySelectorAll('tbody tr')).filter((row) => !row.hidden);\n"
        "const column = (n) => rows().map((row) => row.cells[n].textContent);\n"
        "const head = (n) => document.querySelectorAll('th')[n];\n"
        "const click = (n) => head(n).querySelector('button').click();\n"
        f"addEventListener('DOMContentLoaded', () => setTimeout(() => {{ {script} }}, 0));</script></body></html>",
        encoding="utf-8",
    )
    found = TOLD.search(browse(path).dom)
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
    """Short tables, differences and trees stay as they are; a cell's markup stays text."""
    short = pd.DataFrame({"n": range(5)})
    differing = pd.DataFrame({"object": [str(number) for number in range(9)], "was": ["a"] * 9, "is": ["b"] * 9})
    tree = pd.DataFrame({"tree": [str(number) for number in range(9)]})
    table = table_html(short) + table_html(differing) + table_html(tree)
    assert told(tmp_path, table, "say(document.querySelectorAll('button, input').length)") == 0
    assert told(tmp_path, sample(), "click(0); say(document.querySelectorAll('td b').length)") == 0


def test_five_thousand_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": range(5000), "text": [f"<script>{number}" for number in range(5000)]})
    script = "click(0); click(0); say([column(0)[0], column(0).length])"
    assert told(tmp_path, table_html(frame, most=5000), script) == ["4,999", 5000]
