"""From files to the table of what they use."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from opsnb.checks.audit.credentials import secrets
from opsnb.checks.audit.emit import of_answers, of_queries, unsent
from opsnb.checks.audit.interpreter import Interpreter
from opsnb.checks.audit.modules import Modules
from opsnb.checks.audit.syntax import Place, read_sources
from opsnb.checks.audit.table import as_table, row


def read(files: Mapping[str, bytes]) -> pd.DataFrame:
    """What the source *files* (path → content) use and do, one row each: see `opsnb.checks.audit.table.COLUMNS`.

    Never raises for what is in a file: one that cannot be read is a row. No credential is in the table, and of other texts only
    names of the schema and literals that are written to it.
    """
    given = {_normal(path): bytes(content) for path, content in files.items()}
    return as_table(_rows(given))


def _rows(files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    sources = read_sources(files)
    for source in sources.values():
        problem = {"severity": source.severity, "finding": source.problem} if source.problem else {}
        yield row("file", Place(source.path, source.line), object=source.path, operation="" if source.root else "unread", **problem)
    modules = Modules(files, sources)
    yield from modules.findings()
    interpreter = Interpreter(modules)
    interpreter.run()
    held = list(secrets(files, sources))
    yield from held
    lines = {(each["file"], each["line"]) for each in held if each["kind"] == "secret"}
    for each in (*interpreter.rows, *of_queries(interpreter.queries)):
        if each["kind"] == "unsent":
            yield unsent(each)
        else:
            # a literal that is written to a column may be a credential as well
            yield {**each, "value": "", "places": ""} if (each["file"], each["line"]) in lines else each
    for answer in interpreter.answers:
        yield row("answer", answer.place, function=answer.function, operation=answer.kind)
    yield from of_answers(interpreter)


def _normal(path: str) -> str:
    return posixpath.normpath(path.replace("\\", "/")).lstrip("/")
