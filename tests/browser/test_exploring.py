"""`ops.explore`: a whole table in a frame of its own, that sorts and narrows there and can do nothing else."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest
from browsing import BROWSER, browse
from nbformat.v4 import new_output

from opsnb.errors import UsageError
from opsnb.evidence.cells import _output
from opsnb.evidence.exploring import explore
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, Verdict

HOSTILE = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
FRAME = pd.DataFrame({"name": [f"row {number}" for number in range(99)] + [HOSTILE], "n": range(100)})


def _result(table: pd.DataFrame | None) -> CheckResult:
    return CheckResult(id="storage.sizes:notes", title="Tables & sizes", verdict=Verdict.PASS, summary="all", items=(), table=table, fix="")


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
@pytest.mark.browser
def test_it_sorts_and_narrows_in_its_frame(tmp_path: Path) -> None:
    """Every row is there, its own script runs, a stranger's does not, and nothing is loaded."""
    shown = explore("storage.sizes", [_result(FRAME)])._repr_html_()
    assert 'sandbox="allow-scripts"' in shown and "<script" not in shown, "the notebook itself runs nothing of it"
    inside = re.search(r'srcdoc="([^"]*)"', shown)
    assert inside is not None
    path = tmp_path / "frame.html"
    path.write_text(html.unescape(inside[1]), encoding="utf-8")
    seen = browse(path)
    assert seen.title == "Tables & sizes (storage.sizes:notes)" and not seen.requests and not seen.console, seen
    assert seen.dom.count('class="opsnb-sort"') == 2 and 'type="search"' in seen.dom and seen.dom.count('<td class="opsnb-number">') == 100


def test_an_archived_page_shows_the_text() -> None:
    shown = explore(FRAME)
    output = new_output("display_data", {"text/html": shown._repr_html_(), "text/plain": str(shown)})
    page = _output(output, live=False)
    assert "iframe" not in page and "row 0" in page and "<script>" not in page


def test_what_may_be_explored() -> None:
    asked = Facts("the catalogue", "select", 0.1, FRAME)
    assert explore(asked).title == "the catalogue" and explore(_result(FRAME)).text == explore("storage.sizes:notes", [_result(FRAME)]).text
    with pytest.raises(UsageError, match=r"no check 'storage.rows' was judged .* storage.sizes:notes"):
        explore("storage.rows", [_result(FRAME)])
    with pytest.raises(UsageError, match="has no table: all"):
        explore("storage.sizes", [_result(None)])
    with pytest.raises(UsageError, match="not int"):
        explore(7)  # type: ignore[arg-type]
