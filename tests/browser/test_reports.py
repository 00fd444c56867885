"""The pages in a real browser with no network: nothing is asked for, nothing breaks the policy, charts are drawn."""

from __future__ import annotations

import html
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence"))
import evidence_sample as sample
from browsing import BROWSER, NEEDED, Seen, browse, without_policy

from opsnb.evidence import index, signoff
from opsnb.evidence.safe import printable

pytestmark = NEEDED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One archived run, in a path with a space."""
    return sample.make_run(tmp_path_factory.mktemp("with a space") / "reports")[1]


@pytest.fixture(scope="module")
def seen(folder: Path) -> Seen:
    return browse(folder / "report.html")


def test_the_browser_reports_what_it_must(tmp_path: Path) -> None:
    """The proof that the assertions below can fail: a page that asks for something is caught."""
    page = tmp_path / "bad.html"
    policy = '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'
    page.write_text(f'<!doctype html>{policy}<script>1</script><img src="http://x.example/a.png">')
    caught = browse(page)
    assert "Content Security Policy" in " ".join(caught.console)
    assert any("x.example" in line for line in caught.requests)


def test_nothing_is_asked_for_and_nothing_breaks_the_policy(seen: Seen) -> None:
    assert seen.console == ()
    assert seen.requests == ()


def test_charts_are_drawn_by_the_shared_library(seen: Seen) -> None:
    assert seen.dom.count('class="chart drawn"') == 4
    assert len(re.findall(r'<svg[^>]*class="main-svg"', seen.dom)) >= 4
    assert "limit 1 %" in seen.dom


def test_hostile_text_did_nothing(seen: Seen) -> None:
    assert seen.title.startswith("The schema is what the release says")
    assert "owned" not in seen.title
    assert "&lt;script&gt;document.title" in seen.dom


def test_a_page_opened_alone_shows_verdicts_tables_and_static_charts(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    shutil.copyfile(folder / "report.html", alone)
    seen = browse(alone)
    assert "main-svg" not in seen.dom and "drawn" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", seen.dom, flags=re.S)
    assert seen.dom.count('class="chart-svg"') == 4
    assert all(printable(result.summary) in html.unescape(seen.dom) for result in sample.results())
    assert not any("Content Security Policy" in line for line in seen.console)


def test_index_and_signoff_are_quiet(folder: Path) -> None:
    deployment = sample.deployments.read_deployment(folder.parent.parent)
    root = index.write_index(deployment, items=[], phases=["schema"])
    pages = [root, deployment.folder.parent / "index.html", signoff.render_signoff(deployment)]
    for page in pages:
        seen = browse(page)
        assert (seen.console, seen.requests) == ((), ()), page.name


@pytest.mark.parametrize("name", ["report.html", "index.html"])
def test_a_page_fits_a_phone(folder: Path, tmp_path: Path, name: str) -> None:
    """At 360 px nothing but tables and charts, in boxes of their own, is wider than the page."""
    deployment = sample.deployments.read_deployment(folder.parent.parent)
    source = folder / name if name == "report.html" else index.write_index(deployment, items=[], phases=["schema"])
    # the policy forbids a measuring script, so the measured copy has none
    page = without_policy(source.read_text(encoding="utf-8"))
    measure = "<script>addEventListener('load',()=>{document.title=document.documentElement.scrollWidth})</script>"
    (tmp_path / "inner.html").write_text(page.replace("</body>", f"{measure}</body>"), encoding="utf-8")
    frame = "<iframe src='inner.html' style='width:360px;height:800px;border:0'></iframe>"
    script = "<script>addEventListener('load',()=>{document.title=document.querySelector('iframe').contentDocument.title})</script>"
    (tmp_path / "outer.html").write_text(f"<!doctype html><title>?</title>{frame}{script}", encoding="utf-8")
    assert browse(tmp_path / "outer.html", "--allow-file-access-from-files").title == "360"


def test_a_page_prints(folder: Path, tmp_path: Path) -> None:
    assert BROWSER is not None
    paper = tmp_path / "report.pdf"
    browse(folder / "report.html", "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
