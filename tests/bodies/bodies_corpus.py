"""Functions for the tests of bodies: a small clinic, bodies that name what is not there, and sound ones of every odd shape.

`broken.sql` and `sound.sql` hold one case after each line ``--- name``; behind ``|`` stands what the finding must name.
"""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).parent


def cases(file: str) -> dict[str, tuple[str, str]]:
    """Name → (statements, what the finding must name)."""
    parts = re.split(r"^--- (.*)$", (_HERE / file).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    heads = [head.partition(" | ") for head in parts[::2]]
    assert len({head[0] for head in heads}) == len(heads), "two cases have one name"
    return {name: (text.strip(), names) for (name, _, names), text in zip(heads, parts[1::2], strict=True)}


SCHEMA = (_HERE / "schema.sql").read_text(encoding="utf-8")
BROKEN = cases("broken.sql")
SOUND = {name: text for name, (text, _) in cases("sound.sql").items()}

# what plpgsql_check complains of although the body is sound
ORACLE_COMPLAINS = {
    "dynamic": "it checks the constant part of dynamic SQL, which the trees leave alone",
    "temporary tables": "it does not know the temporary table",
    "temporary table of another function": "it does not know the temporary table",
    "exception for a missing table": "the handler expects it",
    "existence asked": "the body asks first",
    "trigger that asks for its table": "it checks both branches for both tables",
    "transition tables": "it is not told the names of the transition tables",
    "commands that are not queries": "it does not know the table the body makes",
    "dynamically made tables": "it does not know the temporary table",
    "handlers by code and by name": "the handlers expect it",
    "versions asked": "the body asks first",
    "path set inside": "it does not run the SET",
}
