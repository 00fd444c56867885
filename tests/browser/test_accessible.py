"""Every kind of page, judged by axe in a real browser: light, dark and on a phone.

axe-core is not part of opsnb: OPSNB_AXE names its axe.min.js (`npm pack axe-core` has it, .ci/run fetches it).
"""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from browsing import NEEDED, browse, without_policy
from pages_sample import make_pages

AXE = Path(os.environ.get("OPSNB_AXE", "")).expanduser()
pytestmark = [*NEEDED, pytest.mark.skipif(not AXE.is_file(), reason="OPSNB_AXE names no axe.min.js (it is in `npm pack axe-core`)")]

LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
ALLOWED = {"minor", "moderate", None}
"""What a finding may weigh: axe says serious or critical of what keeps a person out."""

# opened: what is folded away is judged as well. The page stands in a frame of the width asked for.
JUDGE = """addEventListener("load", () => {
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  axe.run(document, { resultTypes: ["violations"] }).then(
    (found) => parent.postMessage(JSON.stringify([document.body.dataset.page, found.violations.map((each) => (
      { id: each.id, impact: each.impact, help: each.help, nodes: each.nodes.map((node) => [node.html.slice(0, 200), node.failureSummary]) }
    )), getComputedStyle(document.body).backgroundColor]), "*"));
});"""
GATHER = """const gathered = [];
addEventListener("message", (said) => {
  gathered.push(JSON.parse(said.data));
  if (gathered.length < document.querySelectorAll("iframe").length) { return; }
  const told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify(gathered);
  document.body.append(told);
});"""


def judged(pages: dict[str, Path], folder: Path, flag: str, width: int) -> dict[str, tuple[list[dict[str, Any]], str]]:
    """Page → what axe says of it, and its background."""
    folder.mkdir()
    (folder / "axe.js").write_bytes(AXE.read_bytes())
    frames = ""
    for name, page in pages.items():
        text = without_policy(page.read_text(encoding="utf-8")).replace("<body", f'<body data-page="{name}"', 1)
        at = text.rindex("</body>")
        (folder / f"{name}.html").write_text(f'{text[:at]}<script src="axe.js"></script><script>{JUDGE}</script>{text[at:]}', "utf-8")
        frames += f'<iframe src="{name}.html" style="width:{width}px;height:900px"></iframe>'
    (folder / "all.html").write_text(f"<!doctype html><title>?</title><script>{GATHER}</script><body>{frames}</body>", encoding="utf-8")
    dom = browse(folder / "all.html", flag, "--virtual-time-budget=60000").dom
    told = re.search(r'<pre id="told">(.*?)</pre>', dom, re.S)
    assert told, "axe did not judge every page"
    return {name: (found, ground) for name, found, ground in json.loads(html.unescape(told.group(1)))}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize(("flag", "width"), [(LIGHT, 1200), (DARK, 1200), (LIGHT, 360)], ids=["light", "dark", "phone"])
def test_no_page_keeps_a_person_out(pages: dict[str, Path], tmp_path: Path, flag: str, width: int) -> None:
    """Contrast, headings, tables, names, what can be reached by keyboard: nothing serious, and no landmark twice."""
    told = judged(pages, tmp_path / "judged", flag, width)
    assert set(told) == set(pages)
    assert {ground for _, ground in told.values()} == {"rgb(20, 23, 26)" if flag == DARK else "rgb(255, 255, 255)"}
    serious = {name: [each for each in found if each["impact"] not in ALLOWED] for name, (found, _) in told.items()}
    assert not any(serious.values()), json.dumps(serious, indent=1)
    assert not {each["id"] for found, _ in told.values() for each in found} & {"landmark-unique", "heading-order", "region"}


def test_axe_finds_what_it_must(tmp_path: Path) -> None:
    """The proof that the assertion above can fail: grey on grey, a field without a name."""
    bad = tmp_path / "bad.html"
    text = '<p style="color:#999;background:#aaa">pale words</p><input>'
    bad.write_text(f'<!doctype html><html lang="en"><title>x</title><body><main>{text}</main></body>')
    found = {each["id"]: each["impact"] for each in judged({"bad": bad}, tmp_path / "judged", LIGHT, 1200)["bad"][0]}
    assert found["color-contrast"] == "serious" and found["label"] == "critical"
