"""The pages by task are true: their examples load, run and answer, and the picture is the code's."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from pydantic import SecretStr
from test_arrows import LAYERS, PACKAGE

from opsnb.config import load_release
from opsnb.config.alerts import Alerts
from opsnb.config.release import Release
from opsnb.facts import Facts
from opsnb.sources.http import Http
from opsnb.verdicts import CHECKS, CheckResult

DOCS = PACKAGE.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), flags=re.M | re.S)


def test_every_page_is_in_the_list() -> None:
    """What stands in docs/ can be found from docs/README.md, and that from the README."""
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert "(docs/README.md)" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_every_section_of_a_release_is_told() -> None:
    sections = {field.alias or name for name, field in Release.model_fields.items()} - {"name"}
    rows = [line for line in (DOCS / "release-file.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])} == sections


def test_the_least_release_loads(tmp_path: Path) -> None:
    """As it stands on the page, and refused when its one mandatory section is taken away."""
    (text,) = blocks("release-file.md", "yaml")
    folder = tmp_path / "parameters" / "releases"
    folder.mkdir(parents=True)
    (folder / "letters.yaml").write_text(text, encoding="utf-8")
    release = load_release("letters", tmp_path)
    assert release.title == "Appointment letters" and release.access_select == {
        "letters": {"anon": "none", "stranger": "none", "patient": "patient_id = %(user_id)s"}
    }
    (folder / "letters.yaml").write_text(text.replace("schema:", "schemas_:", 1), encoding="utf-8")
    with pytest.raises(Exception, match=r"letters\.yaml"):
        load_release("letters", tmp_path)


def test_the_rules_of_the_page_are_rules() -> None:
    """The alerts of docs/schedule.md validate, and name checks there are."""
    (text,) = blocks("schedule.md", "yaml")
    alerts = Alerts.model_validate(yaml.safe_load(text)["alerts"])
    assert {rule.check for rule in alerts.rules} <= set(CHECKS) and alerts.quiet is not None


class Monitor(BaseHTTPRequestHandler):
    """Answers as a Healthchecks server would, or not at all as one."""

    answer = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["X-Api-Key"] == "a key" and self.path == "/api/v3/checks/" else 401)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        pass


def test_the_source_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/add-a-source.md to the letter: a table, and reasons where there is none."""
    (text,) = blocks("add-a-source.md", "python")
    path = tmp_path / "pings.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("pings", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pings", module)
    spec.loader.exec_module(module)
    assert Http.__module__ == "opsnb.sources.http"
    with HTTPServer(("127.0.0.1", 0), Monitor) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(
            Monitor, "answer", b'{"checks": [{"name": "monitor", "status": "up", "last_ping": "2026-11-24T06:00:00+00:00"}]}'
        )
        door, stranger = module.Pings(address, key=SecretStr("a key")), module.Pings(address, key=SecretStr("another"))
        told = door.checks()
        refused = stranger.checks()
        monkeypatch.setattr(Monitor, "answer", b'["no", "checks"]')
        odd = door.checks()
        door.close()
        stranger.close()
        server.shutdown()
        thread.join()
    assert isinstance(told, Facts) and told.table["status"].tolist() == ["up"] and str(told.table["last_ping"].dtype).endswith("UTC]")
    assert not refused.ok and "another" not in str(refused.error) and not odd.ok and "no list of checks" in str(odd.error)


@pytest.mark.target
def test_the_cells_of_the_page_run(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/explore.md, cell by cell, on the embedded target; what a cell shows is what the page says."""
    monkeypatch.setenv("OPSNB_HOME", str(target))
    monkeypatch.chdir(target)
    names: dict[str, object] = {}
    shown = []
    for text in blocks("explore.md", "python"):
        tree = ast.parse(text)
        last = tree.body.pop()
        assert isinstance(last, ast.Expr)
        exec(compile(tree, "explore.md", "exec"), names)
        shown.append(eval(compile(ast.Expression(last.value), "explore.md", "eval"), names))
    names["ops"].sources.close()  # type: ignore[attr-defined]
    explained, largest, judged, explored = shown
    assert "S5-8" in str(explained) and len(largest) == 3 and isinstance(judged, CheckResult) and judged.limit == 0.5
    assert explored._repr_html_().startswith("<iframe") and "soap_notes" in str(explored)


def test_the_picture_is_the_code() -> None:
    """Every room of the package stands in docs/images/architecture.svg, below every room that may import from it."""
    picture = ElementTree.parse(DOCS / "images" / "architecture.svg")
    svg = "{http://www.w3.org/2000/svg}"
    height = {
        group.attrib["data-room"]: float(group.find(f"{svg}rect").attrib["y"])  # type: ignore[union-attr]
        for group in picture.iter(f"{svg}g")
        if "data-room" in group.attrib
    }
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert set(height) == there - {"__init__"}
    for lower, layer in enumerate(LAYERS):
        for room in layer & set(height):
            for above in (other for upper in LAYERS[lower + 1 :] for other in upper & set(height)):
                assert height[above] <= height[room], f"{above} may import from {room}, and is drawn below it"
