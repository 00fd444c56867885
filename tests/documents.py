"""Writes the pages about checks and items from the code: ``python tests/documents.py``.

docs/checks.md (the list), docs/checks/*.md (a page per check), docs/coverage.md (item of the runbook → check → notebook).
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import opsnb.checks
from opsnb.config import load_release
from opsnb.runbook import ITEMS, NOTEBOOKS
from opsnb.verdicts import CHECKS, Check

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HEAD = """# Every check

Written from the code by `python tests/documents.py`. A check is asked in the phase whose notebook judges it; its id is what reports and
`results.json` show, and `opsnb explain ID` tells its page's words at a terminal.
"""
COVERAGE = """# What answers each item of the runbook

Written from the code by `python tests/documents.py`. An item is closed by checks, by an action or a journey whose evidence a check judges,
or by a named person who attests it. Items of the example release that its tables answer are named with the check they go through.

| item | phase | asks | closed by |
|---|---|---|---|
"""
CLOSED = {"attest": "a named person", "act": "an action", "journey": "a journey"}


def judged_in() -> dict[str, list[str]]:
    """Check id → the notebooks that judge it."""
    found: dict[str, list[str]] = {}
    for notebook in NOTEBOOKS.values():
        cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
        source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for path in re.findall(r"\bchecks((?:\.\w+)+)", source):
            named: object = opsnb.checks
            for name in path.strip(".").split("."):
                named = getattr(named, name, None)
            if isinstance(named, Check) and notebook not in found.setdefault(named.id, []):
                found[named.id].append(notebook)
    return found


def checks_page() -> str:
    """The text of docs/checks.md: every check with its question, and a link to its page."""
    parts, subject = [HEAD], ""
    for check in sorted(CHECKS.values(), key=lambda check: check.id):
        if check.id.split(".")[0] != subject:
            subject = check.id.split(".")[0]
            parts.append(f"\n## {subject}\n\n| check | asks | items |\n|---|---|---|\n")
        parts.append(f"| [`{check.id}`](checks/{check.id}.md) | {check.title} | {', '.join(check.items)} |\n")
    return "".join(parts)


def check_page(check: Check, notebooks: list[str]) -> str:
    """The text of docs/checks/ID.md."""
    doc = " ".join((check.__doc__ or "").split("\n\n")[0].split())
    more = [" ".join(part.split()) for part in (check.__doc__ or "").split("\n\n")[1:]]
    items = [f"- {item}: {ITEMS[item].text}" for item in check.items]
    limits = [
        f"- `{name}`" + ("" if each.default is inspect.Parameter.empty else f", {each.default!r} where nothing is said")
        for name, each in inspect.signature(check.judge).parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    where = ", ".join(f"[`{name}`](../../notebooks/{name}.ipynb)" for name in notebooks)
    parts = [
        f"# {check.title}",
        f"`{check.id}`, judged in {where}.",
        f"## Meaning\n\n{doc}",
        *more,
        f"## What failing does to you\n\n{check.harm}",
        f"## How to fix it\n\n{check.fix}",
        f"## Nothing to judge\n\n{check.empty}",
        *(["## What it is given\n\n" + "\n".join(limits)] if limits else []),
        *(["## Items of the runbook\n\n" + "\n".join(items)] if items else []),
        "[Every check](../checks.md)",
    ]
    return "\n\n".join(parts) + "\n"


def coverage_page() -> str:
    """The text of docs/coverage.md."""
    release, notebooks = load_release("patient-history", ROOT), judged_in()
    by_table = {item for table in release.schema_.tables.values() for item in (*table.items, *table.column_items)}
    rows = []
    for item in ITEMS.values():
        checks = [check.id for check in CHECKS.values() if item.id in check.items]
        if item.id in by_table:
            checks += [each for each in ("schema.table_present", "schema.record_columns") if each not in checks]
        closed = [f"[`{each}`](checks/{each}.md) in {', '.join(notebooks[each])}" for each in sorted(checks)]
        closed = [CLOSED[item.kind], *closed] if item.kind in CLOSED else closed
        text = item.text.replace("|", "\\|")
        rows.append(f"| {item.id} | {item.phase} | {text} | {'<br>'.join(closed)} |\n")
    return COVERAGE + "".join(rows)


def pages() -> dict[Path, str]:
    """Every page that is written from the code."""
    notebooks = judged_in()
    made = {DOCS / "checks" / f"{check.id}.md": check_page(check, notebooks[check.id]) for check in CHECKS.values()}
    return {DOCS / "checks.md": checks_page(), DOCS / "coverage.md": coverage_page(), **made}


if __name__ == "__main__":
    written = pages()
    (DOCS / "checks").mkdir(exist_ok=True)
    for stale in set((DOCS / "checks").glob("*.md")) - set(written):
        stale.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
