"""Writes docs/checks.md from the checks: ``python tests/documents.py``."""

from __future__ import annotations

from pathlib import Path

import opsnb.checks  # noqa: F401  (registers every check)
from opsnb.verdicts import CHECKS

PAGE = Path(__file__).parents[1] / "docs" / "checks.md"
HEAD = """# Every check

Written from the code by `python tests/documents.py`. A check is asked in the phase whose notebook judges it; its id is what reports and
`results.json` show. *Nothing to judge* says what an empty first table means: no check passes by default.
"""


def checks_page() -> str:
    """The text of docs/checks.md."""
    parts = [HEAD]
    subject = ""
    for check in sorted(CHECKS.values(), key=lambda check: check.id):
        if check.id.split(".")[0] != subject:
            subject = check.id.split(".")[0]
            parts.append(f"\n## {subject}\n")
        items = f" · {', '.join(check.items)}" if check.items else ""
        parts.append(f"\n### `{check.id}`{items}\n\n{check.title}. {(check.__doc__ or '').splitlines()[0]}\n")
        parts.append(f"\n- *When it does not pass*: {check.fix}\n- *Nothing to judge*: {check.empty}\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(checks_page(), encoding="utf-8")
