"""What must not leave a run: the environment's secrets, and of the people in its database what the release lists as personal data."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path

from opsnb.config import Environment, load_environment, load_release
from opsnb.errors import OpsnbError
from opsnb.evidence import leaks
from opsnb.evidence.page import templates
from opsnb.evidence.people import People
from opsnb.sources import people
from opsnb.sources.postgres import Postgres

KEPT_S = 600.0
"""How long what was read is kept in this process: a watch runs for a day, and people come."""
_kept: dict[tuple[str, Path], tuple[float, People, str]] = {}


def of_name(name: str, root: Path, *, people: bool) -> leaks.Secrets:
    """What must not leave a run of the environment called *name*; of one that does not load, shapes alone."""
    try:
        return of_environment(load_environment(name, root), root, people=people)
    except OpsnbError:
        return leaks.Secrets({}, people=people)


def of_environment(environment: Environment, root: Path, *, people: bool) -> leaks.Secrets:
    """As `leaks.of_environment`; with *people* also who is in the database."""
    known = _known(environment, root)[0] if people else People()
    more = load_release(environment.release, root).actions.rollback.references()
    return leaks.of_environment(environment, root, people=people, known=known, more=more)


def sentence(name: str, root: Path) -> str:
    """How many names and identifiers a run was compared with, or why with none; empty where the release lists no personal data."""
    try:
        return _known(load_environment(name, root), root)[1]
    except OpsnbError:
        return ""


def _known(environment: Environment, root: Path) -> tuple[People, str]:
    key = (environment.name, root)
    kept = _kept.get(key)
    if kept is None or time.monotonic() - kept[0] > KEPT_S:
        kept = _kept[key] = (time.monotonic(), *_read(environment, root))
    return kept[1:]


def _read(environment: Environment, root: Path) -> tuple[People, str]:
    columns = load_release(environment.release, root).personal_data
    if not columns:
        return People(), ""
    said = environment.postgres
    with Postgres(
        said.dsn.resolve(root),
        phase="people",
        statement_timeout_ms=said.statement_timeout_ms,
        lock_timeout_ms=said.lock_timeout_ms,
        connect_timeout_s=said.connect_timeout_s,
    ) as database:
        answers = [people.known(database, table, listed) for table, listed in columns.items()]
    values = chain.from_iterable(facts.answer["value"] for facts in answers if facts.answer is not None)
    found = People(values, but=_own_words(root, environment))
    unread = [f"{facts.question} could not be read: {facts.error}" for facts in answers if facts.answer is None]
    return found, "; ".join([f"{len(found):,} names and identifiers were read, and none of them stands here", *unread])


def _own_words(root: Path, environment: Environment) -> str:
    """What the runbook itself says: a person called like a heading would take it out of every page."""
    release = root / "parameters" / "releases" / f"{environment.release}.yaml"
    said = [release.read_text(encoding="utf-8")] if release.is_file() else []
    for path in (root / "notebooks").glob("*.ipynb"):
        with suppress(ValueError, KeyError, TypeError):  # a notebook that is none says nothing
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            said += [leaks.texts(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n".join([*said, *templates()])
