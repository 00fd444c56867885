"""Reports, index and sign-off: verdicts first, nothing hostile, nothing loaded, nothing left out."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import evidence_sample as sample
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from opsnb.errors import UsageError
from opsnb.evidence import cells, display, index, page, report, results, safe, seal, signoff, state
from opsnb.verdicts import Verdict

GOOD = [result for result in sample.results() if result.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)]
ITEMS = [
    state.Item("S5-1", "schema", "check", "Every table is there"),
    state.Item("S5-9", "schema", "check", "No schema errors"),
    state.Item("PRE-1.1", "checklist", "attest", "Medical directors have reviewed the system"),
    state.Item("S4-2", "environment", "check", "Variables are set"),
]


def outside(html: str) -> list[str]:
    """Addresses a browser would load."""
    return [address for address in re.findall(r"(?:src|href|poster|data)=\"([^\"#]+)", html) if re.match(r"(?:[a-z]+:)?//", address)]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    _, folder = sample.make_run(tmp_path_factory.mktemp("reports"), attestations=("PRE-1.1",))
    return (folder / "report.html").read_text(encoding="utf-8")


def test_verdicts_come_first_and_lead_to_their_cells(html: str) -> None:
    verdicts = html.index('id="verdicts"')
    assert verdicts < html.index('id="check-schema-tables-present"')
    targets = set(re.findall(r'href="#(check-[a-z-]+)"', html))
    assert targets == {display.anchor(result.id) for result in sample.results()}
    for target in targets:
        assert html.count(f'id="{target}"') == 1
    words = ("fail", "error", "inconclusive", "warn", "pass", "not-applicable")
    order = [html.index(f"opsnb-chip opsnb-{word}", verdicts) for word in words]
    assert order == sorted(order)


def test_the_title_is_the_notebooks(html: str) -> None:
    assert html.count("<h1>") == 1
    assert "<h1>The schema is what the release says</h1>" in html
    assert "An Exception was encountered" not in html


def test_hostile_text_stays_text(html: str) -> None:
    body = html.split("</style>", 1)[1]
    assert "<script>document" not in body and "<img" not in body and "onerror=&quot;" in body
    assert not re.search(r"<[^>]+ (?:on[a-z]+|style)=", body)
    assert "javascript:" not in body
    assert "\x1b" not in html and "\u202e" not in html and html.count("\ufffd") > 5
    assert "only this text" in body
    assert len(re.findall(r"<script(?: src=\"\.\./\.\./plotly\.min\.js\" defer)?>", body)) == 2
    assert body.count('<script type="application/json">') == body.count("</script>") - 2 == 4


def row(check: str, verdict: str = "PASS") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "id": check,
        "title": f"A title: {check}",
        "items": (check[-1],),
        "summary": "Sound.",
        "href": "",
        "members": (),
    }


def test_many_that_passed_share_a_row_and_nothing_else_does() -> None:
    rows = [row("a.b:one", "FAIL"), *(row(f"a.b:{name}") for name in ("two", "three", "four", "five")), row("a.c:x"), row("d.e")]
    shown = report.folded(rows)
    assert [(each["verdict"], each["id"]) for each in shown] == [("FAIL", "a.b:one"), ("PASS", "a.b"), ("PASS", "a.c:x"), ("PASS", "d.e")]
    (family,) = (each for each in shown if each["members"])
    assert [member["subject"] for member in family["members"]] == ["two", "three", "four", "five"]
    assert family["items"] == ("o", "e", "r") and "each of 4" in family["summary"] and family["title"] == "A title"
    assert report.folded(rows[:4]) == rows[:4], "three are few enough to be read"


def test_what_is_too_long_for_a_page_is_cut_and_said() -> None:
    shown = cells.plain("short\n" + "A" * 10_000_000)
    assert len(shown) < 5_000 and "9,996,000 more characters" in shown and "short" in shown
    assert "400 lines" not in shown and "600 more lines" in cells.plain("x\n" * 1_000)


def test_a_page_names_its_policy_and_loads_nothing_from_outside(html: str) -> None:
    assert outside(html) == ["https://example.org/guide"]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert policy.group(1).startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    scripts = re.search(r"script-src ([^;]+;)", policy.group(1).replace("&#39;", "'"))
    assert scripts is not None and "unsafe" not in scripts.group(1)


def test_cells_that_never_ran_say_so(html: str) -> None:
    assert html.count("○ not run") == 1
    assert "✕ failed" in html
    assert "unsupported &lt;operand&gt;" in html
    assert html.index("The notebook stopped here") < html.index("File &lt;b&gt;x&lt;/b&gt;")
    assert "\x1b" not in html


def test_run_facts_and_parameters_are_at_the_end(html: str) -> None:
    end = html[html.index('id="facts-title"') :]
    for said in ("PostgreSQL 18.1", "41.5 s", "5 min", "2026-01-17 22:04:05 UTC", "growth_mb", "20260117T220405Z-patient-history"):
        assert said in end
    assert end.index("the notebook") and end.index("this run")


def test_results_without_a_cell_are_shown_all_the_same(tmp_path: Path) -> None:
    _, folder = sample.make_run(tmp_path, with_notebook=False)
    path = report.render_report(None, folder)
    text = path.read_text(encoding="utf-8")
    assert all(f'id="check-{name}"' in text for name in ("schema-tables-present", "pool-used"))
    assert "public.soap_plan_medication" in text, "tables are read back from the archive"
    assert "plotly.min.js" not in text and not (folder.parent.parent / "plotly.min.js").exists()


@pytest.mark.parametrize("content", ["", "{", '{"cells": 5}', "[]", None])
def test_a_broken_notebook_still_gives_a_page(tmp_path: Path, content: str | None) -> None:
    _, folder = sample.make_run(tmp_path, with_notebook=False)
    if content is not None:
        (folder / "notebook.ipynb").write_text(content)
    assert report.read_notebook(folder) is None
    assert report.render_report(report.read_notebook(folder), folder).is_file()


def test_the_library_is_copied_once_and_whole(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path)
    library = deployment.folder / "plotly.min.js"
    made = library.stat().st_mtime_ns
    sample.make_run(tmp_path, phase="rls")
    assert library.stat().st_mtime_ns == made
    library.write_text("half a library")
    report.render_report(sample.notebook(), folder)
    assert library.stat().st_size > 1_000_000


def test_a_forged_output_loses_everything_but_words() -> None:
    forged = '<div class="opsnb evil" onclick="x()" style="x" id="facts-title"><a href="https://example.org">a</a><form><input></form>'
    forged += '<a href="#check-a">b</a><td colspan="x" class="opsnb-chip">c</td><svg onload="x()"><iframe src="//x"></iframe></div>'
    cleaned = cells.own_html(forged)
    assert re.findall(r"<(\w+)", cleaned) and not {"form", "input", "svg", "iframe"} & set(re.findall(r"<(\w+)", cleaned))
    assert not re.search(r"on\w+=|style=|https|evil|facts-title|src=", cleaned)
    assert '<a href="#check-a">b</a>' in cleaned


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("<script>x()</script>", "<script"),
        ('<a href="javascript:x()" onclick="x()">a</a>', "<a "),
        ("[a](javascript:x())", 'href="javascript'),
        ("[a](data:text/html,x)", 'href="data'),
        ("![a](https://example.org/a.png)", "<img"),
        ("```\n</pre><script>\n```", "<script"),
        ("| a |\n|---|\n| <b>x</b> |", "<b>"),
        ("[a]: vbscript:x\n\n[a]", 'href="vbscript'),
    ],
)
def test_markdown_is_clean(source: str, forbidden: str) -> None:
    assert forbidden not in cells.markdown(source)


def test_markdown_is_rendered() -> None:
    html = cells.markdown("A **b** `c`\n\n| h |\n|--:|\n| 1 |\n\n- [x] done\n\n[d](https://example.org)")
    for part in ("<strong>b</strong>", "<code>c</code>", "<table>", '<a href="https://example.org">d</a>', "<li>"):
        assert part in html


def test_outputs_of_other_kinds_are_text_or_pictures() -> None:
    outputs = [
        new_output("display_data", data={"image/png": "aGVsbG8=\n"}),
        new_output("display_data", data={"image/png": '"><script>', "text/plain": "instead"}),
        new_output("display_data", data={"image/svg+xml": "<svg onload=x()>", "text/plain": "a picture"}),
        new_output("display_data", data={"application/javascript": "x()"}),
        new_output("stream", name="stderr", text="x\n" * 500),
    ]
    [cell] = cells.render_cells(new_notebook(cells=[new_code_cell("1", outputs=outputs, execution_count=1)]), live=True)
    assert cell.html.count("<img") == 1 and 'src="data:image/png;base64,aGVsbG8="' in cell.html
    assert "instead" in cell.html and "a picture" in cell.html and "… 100 more lines" in cell.html
    assert "<svg" not in cell.html and "x()" not in cell.html


def test_a_gate_that_failed_is_one_sentence() -> None:
    failed = new_output("error", ename="GateFailed", evalue="The phase ended failed.", traceback=["The phase ended failed."])
    [cell] = cells.render_cells(new_notebook(cells=[new_code_cell("1", outputs=[failed], execution_count=1)]), live=True)
    assert cell.html.count("The phase ended failed.") == 1 and "<details" not in cell.html


def test_a_notebook_run_by_hand_marks_what_never_ran() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("# T"), new_code_cell("1", execution_count=1), new_code_cell("2")])
    assert [cell.state for cell in cells.render_cells(notebook, live=True) if cell.kind == "code"] == ["completed", "not run"]


def test_the_index_adds_up(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, with_notebook=False)
    _, newest = sample.make_run(tmp_path, judged=GOOD, attestations=("PRE-1.1",), later=timedelta(minutes=1))
    path = index.write_index(deployment, items=ITEMS, phases=["checklist", "schema"])
    text = path.read_text(encoding="utf-8")
    kept = json.loads((deployment.folder / "results.json").read_text())
    assert (kept["gate"], kept["exit_code"]) == ("held", 3)
    assert kept["reason"] in text and "Not yet run: checklist" in kept["reason"]
    assert kept["phases"]["checklist"] is None
    assert kept["phases"]["schema"]["run"] == newest.name
    assert f'href="schema/{newest.name}/report.html"' in text
    assert "2 runs, newest first" in text
    states = {name: (item["verdict"], item["open"], item["closes"]) for name, item in kept["items"].items()}
    assert states == {
        "S5-1": ("PASS", False, ""),
        "S5-9": ("INCONCLUSIVE", True, "a further run of schema"),
        "PRE-1.1": ("open", True, "a named person, by attesting it"),
        "S4-2": ("NOT_APPLICABLE", False, ""),
    }
    assert outside(text) == []
    listed = (tmp_path / "local" / "index.html").read_text(encoding="utf-8")
    assert f'href="{deployment.id}/index.html"' in listed and "held" in listed


def test_a_failed_item_is_not_hidden_by_an_attestation(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, attestations=("S5-1",), with_notebook=False)
    runs = results.newest_runs(deployment)
    states = {state.id: state for state in state.item_states(ITEMS, runs)}
    assert states["S5-1"].verdict == "FAIL" and states["S5-1"].closes.startswith("whoever mends it")
    assert states["PRE-1.1"].verdict == "not run"


def test_a_damaged_run_stands_in_the_index(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path, judged=GOOD, with_notebook=False)
    (folder / "results.json").write_text("{")
    text = index.render_index(deployment, items=ITEMS, phases=["schema"]).read_text()
    assert "not whole JSON" in text
    assert json.loads((deployment.folder / "results.json").read_text())["gate"] == "unmeasured"


def test_the_signoff_is_one_file(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path)
    path = signoff.render_signoff(deployment, phases=["checklist", "schema"])
    text = path.read_text(encoding="utf-8")
    assert "<script src" not in text and "plotly.min.js" not in text and outside(text) == []
    assert text.count('<svg class="chart-svg"') == 4
    assert all(safe.escape(result.summary.split(":")[0]) in text for result in sample.results())
    for name, digest in ((each.name, each.sha256) for each in seal.digests(folder) if each.name != "report.html"):
        assert name in text and digest in text
    assert "Name and role" in text and "○ not run" in text


def test_scripts_and_styles_are_named_by_their_hash() -> None:
    policy = page.policy("a{}", "1", library=False)
    assert "'self'" not in policy and "unsafe" not in policy and "connect-src 'none'" in policy
    assert page.policy("a{}", "2", library=False) != policy


def test_an_unwritable_page_is_named(tmp_path: Path) -> None:
    _, folder = sample.make_run(tmp_path, with_notebook=False)
    (folder / "report.html").mkdir()
    with pytest.raises(UsageError, match=str(folder)):
        report.render_report(None, folder)


def test_the_sample_is_a_valid_notebook() -> None:
    nbformat.validate(sample.notebook())


def test_the_index_knows_the_whole_runbook(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, with_notebook=False)
    index.write_index(deployment)
    kept = json.loads((deployment.folder / "results.json").read_text())
    assert list(kept["phases"])[:3] == ["checklist", "snapshot", "functions"] and len(kept["phases"]) == 12
    assert kept["items"]["PRE-1.1"] == {
        "verdict": "not run", "phase": "checklist", "checks": [], "open": True, "closes": "a named person, by attesting it",
        "said": "",
    }  # fmt: skip
    assert kept["items"]["S6-1"]["closes"] == "a run of rls"
