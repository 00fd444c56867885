"""``opsnb init``: looks, proposes, and writes both files at once or neither."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from opsnb.config import Environment, Release, load_environment, load_release
from opsnb.errors import UsageError
from opsnb.evidence import baseline
from opsnb.evidence.safe import write_atomic
from opsnb.firstday import looking, writing
from opsnb.firstday.looking import Found
from opsnb.sources import Doors, catalogue

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Begun:
    """The files that were written, what they were made from, and how many lines wait to be confirmed."""

    files: tuple[Path, ...]
    found: Found
    to_confirm: int
    objects: int


def begin(
    root: Path, name: str, *, dsn: str, release: str = "", project_ref: str = "", token: str = "", platform_url: str = "",
    force: bool = False,
) -> Begun:  # fmt: skip
    """Looks at the database and project, and writes environment, release and schema baseline of *name*.

    *dsn* and *token* are references. UsageError where a file is there already (unless *force*, which keeps the old one beside it as
    ``.bak``), a reference is none, or --project-ref and --token do not come together. SourceError where the database does not answer.
    """
    for what in (name, release or name):
        if not _NAME.fullmatch(what):
            raise UsageError(f"{what}: expected a name of lower-case letters, digits, - and _ (it becomes the name of a file)")
    if bool(project_ref) != bool(token):
        raise UsageError("--project-ref and --token come together: the platform is asked about one project, with a token by reference")
    asked = writing.Asked(
        environment=name, release=release or name, dsn=dsn, at=datetime.now(UTC), project_ref=project_ref, token=token,
        platform_url=platform_url or writing.PLATFORM_URL,
    )  # fmt: skip
    places = [root / "parameters" / folder / f"{what}.yaml" for folder, what in (("environments", name), ("releases", asked.release))]
    there = [place for place in places if place.exists()]
    if there and not force:
        raise UsageError(f"{there[0].relative_to(root)} is there already; choose another name, or --force (the old one is kept as .bak)")
    said: dict[str, object] = {"name": name, "release": asked.release, "postgres": {"dsn": dsn}}
    if project_ref:
        said |= {"project_ref": project_ref, "platform": {"url": asked.platform_url, "access_token": token}}
    try:
        environment = Environment.model_validate(said)
    except ValidationError as error:
        raise UsageError(_first_mistake(error)) from None
    blank = Release.model_validate({"name": asked.release, "title": asked.release, "schema": {"schemas": ["public"], "tables": {}}})
    doors = Doors(environment, blank, phase="init", root=root)
    try:
        found = looking.look(doors)
        facts = catalogue.read(doors.database)
        texts = writing.environment_text(asked, found), writing.release_text(asked, found)
        _write(root, places, texts)
        kept = baseline.path_of(root, asked.release, name)
        baseline.write(
            kept, facts, environment=name, release=asked.release, captured_at=asked.at, server_version=found.server_version
        )  # fmt: skip
    finally:
        doors.close()
    confirm = sum(Counter(text.split())["confirm"] for text in texts)
    return Begun((*places, kept), found, confirm, len(facts))


def _write(root: Path, places: list[Path], texts: tuple[str, str]) -> None:
    """Both files or neither: they are read back with the models before the old ones are let go."""
    before = {place: place.read_bytes() if place.exists() else None for place in places}
    try:
        for place, text in zip(places, texts, strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, text)
        load_release(places[1].stem, root)
        load_environment(places[0].stem, root)
    except BaseException:
        for place, old in before.items():
            if old is None:
                place.unlink(missing_ok=True)
            else:
                write_atomic(place, old)
        raise
    for place, old in before.items():
        if old is not None:
            write_atomic(place.with_name(place.name + ".bak"), old)


def _first_mistake(error: ValidationError) -> str:
    """Which option was wrong, without its value: it may be the secret itself."""
    mistake = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(map(str, mistake["loc"]))
    option = {"postgres.dsn": "--dsn", "platform.access_token": "--token", "project_ref": "--project-ref"}.get(key, key)
    return f"{option}: expected {str(mistake['msg']).removeprefix('Value error, ')}"
