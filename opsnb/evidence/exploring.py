"""A whole table to look around in: in a notebook every row, sorted by a click on a heading, narrowed by words.

The table stands in a frame of its own that may run our script and nothing else: no address, no form, nothing of the notebook around it.
Archived pages show the text instead.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

import pandas as pd

from opsnb.errors import UsageError
from opsnb.evidence import display, page
from opsnb.evidence.display import Shown
from opsnb.evidence.safe import escape
from opsnb.evidence.tables import table_html, table_text
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult

MOST = 5_000
"""Rows: a browser sorts as many at once."""
LOOK = """:root { color-scheme: light dark; } body { margin: 0; padding: .2em .6em 1em; background: Canvas; color: CanvasText;
font: 14px/1.45 system-ui, sans-serif; --ink: CanvasText; --quiet: GrayText; --paper: Canvas; --accent: #0072b2; }
thead th { position: sticky; top: 0; background: Canvas; } .opsnb-scroll { overflow: visible; }"""
Explorable = str | Facts | CheckResult | pd.DataFrame


class Explorer(Shown):
    """A table in a frame of its own."""

    def __init__(self, title: str, table: pd.DataFrame, *, most: int = MOST) -> None:
        super().__init__(table_html(table, most=most), f"{title}\n{table_text(table)}")
        self.title = title

    def _repr_html_(self) -> str:
        style, script = f"{display.css()}{page.text('page.css')}{LOOK}", page.text("tables.js")
        inside = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(page.policy(style, script, library=False))}">'
            f"<title>{escape(self.title)}</title><style>{style}</style><script>{script}</script></head>"
            f'<body class="opsnb"><h2>{escape(self.title)}</h2>{self.html}</body></html>'
        )
        frame = 'sandbox="allow-scripts" style="width: 100%; height: 30rem; border: 1px solid rgba(127, 127, 127, .38)"'
        return f'<iframe title="{escape(self.title)}" {frame} srcdoc="{html.escape(inside)}"></iframe>'


def explore(what: Explorable, results: Iterable[CheckResult] = ()) -> Explorer:
    """Every row (5,000 at most) of *what*: an answer, a result, a table, or the id of a check that was judged here.

    UsageError where there is no such check, or it has no table.
    """
    if isinstance(what, str):
        judged = {result.id: result for result in results}
        found = judged.get(what) or next((each for each in judged.values() if each.id.partition(":")[0] == what), None)
        if found is None:
            tables = ", ".join(sorted(each.id for each in judged.values() if each.table is not None)) or "none yet"
            raise UsageError(f"explore: no check {what!r} was judged in this phase; with a table here: {tables}")
        what = found
    if isinstance(what, CheckResult):
        if what.table is None:
            raise UsageError(f"explore: {what.id} has no table: {what.summary}")
        return Explorer(f"{what.title} ({what.id})", what.table)
    if isinstance(what, Facts):
        return Explorer(what.source, what.table)
    if isinstance(what, pd.DataFrame):
        return Explorer("Table", what)
    raise UsageError(f"explore: expected an answer, a result, a table or the id of a check, not {type(what).__name__}")
