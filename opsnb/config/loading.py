"""Parameter files → validated models. A mistake is told with file, line, key, value and expectation; all of one file at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from opsnb.config.alerts import Alerts
from opsnb.config.answers import with_files
from opsnb.config.documents import Document, Mistake, read
from opsnb.config.environment import Environment
from opsnb.config.limits import Limits
from opsnb.config.mistakes import is_secret, literal_secrets, mistakes_of, unknown_key, with_nearest
from opsnb.config.release import Release
from opsnb.config.root import find_root
from opsnb.config.schema import IdentitySpec
from opsnb.errors import ConfigError, ReferenceError_, UsageError

M = TypeVar("M", bound=BaseModel)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load_release(name: str, root: Path | None = None) -> Release:
    """The release *name* (parameters/releases/<name>.yaml). Raises UsageError or ConfigError."""
    return _load(Release, "release", name, root or find_root())


def load_environment(name: str, root: Path | None = None) -> Environment:
    """The environment *name* (parameters/environments/<name>.yaml), its limits checked. Raises UsageError or ConfigError."""
    return _load(Environment, "environment", name, root or find_root())


def load_alerts(path: Path) -> Alerts:
    """Rules of alerts from a file of their own, as `alerts` of a release holds them. Raises UsageError or ConfigError."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected YAML with `rules`, as `alerts` of a release has them")
    document = read(path, str(path))
    mistakes = [*document.mistakes]
    try:
        loaded = Alerts.model_validate(document.data)
    except ValidationError as error:
        mistakes += mistakes_of(error, Alerts, document)
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(str(mistake) for mistake in mistakes)))
    return loaded


def effective_limits(release: Release, environment: Environment, **values: float | None) -> Limits:
    """The release's limits, overridden by the environment's, overridden by *values* that are not None. UsageError."""
    known = list(Limits.model_fields)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"no limit {with_nearest(unknown[0], known)}; there are: {', '.join(known)}")
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return Limits.model_validate({**release.limits.model_dump(), **environment.limits, **given})
    except ValidationError as error:
        # the file's own limits were checked when it was loaded: what is wrong was given
        wrong = Document("parameters", {**environment.limits, **given})
        raise UsageError("\n".join(str(each) for each in mistakes_of(error, Limits, wrong))) from None


def require_references(environment: Environment, root: Path) -> None:
    """UsageError naming every reference that does not resolve, before anything starts.

    The writing connection, the encryption keys and addresses are left out: only actions ask, and who only reads need not hold them.
    So are the values of variables: a check asks for each, and says so where it is not there.
    """
    missing: dict[str, list[str]] = {}
    for key, reference in environment.references():
        late = ("encryption.", "variable_values.", "notify", "on_call", "heartbeat")
        if key in ("postgres.write_dsn", "backup.dsn") or key.startswith(late):
            continue
        try:
            reference.resolve(root)
        except ReferenceError_ as error:
            missing.setdefault(str(error), []).append(key)
    if missing:
        lines = [f"{', '.join(keys)}: {error}" for error, keys in missing.items()]
        start = "\n  start the target, which writes them: opsnb local up" if environment.autostart == "local" else ""
        raise UsageError(f"environment {environment.name}: references that lead to nothing:\n  " + "\n  ".join(lines) + start)


def _load(model: type[M], kind: str, name: str, root: Path) -> M:
    folder = root / "parameters" / f"{kind}s"
    path = folder / f"{name}.yaml"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        said = "of that name" if is_secret(name) else with_nearest(name, known)
        raise UsageError(f"no {kind} {said}; there are: {', '.join(known) or 'none'} (in {folder})")
    document = read(path, str(path.relative_to(root)))
    mistakes = [*document.mistakes]
    if "name" in document.data:
        expected = f"no such key: the {kind} is called like its file, {name}"
        mistakes.append(Mistake(document.file, document.line(("name",)), "name", "", expected))
    mistakes += _wrong_limits(document) if model is Environment else _unknown_identities(document) + with_files(document, folder)
    loaded = None
    try:
        loaded = model.model_validate({**document.data, "name": name})
    except ValidationError as error:
        mistakes += mistakes_of(error, model, document)
    mistakes += literal_secrets(document, already={mistake.key for mistake in mistakes})
    if loaded is None or mistakes:
        in_order = sorted(mistakes, key=lambda mistake: mistake.line or 0)
        raise ConfigError("\n".join(dict.fromkeys(str(mistake) for mistake in in_order)))
    return loaded


def _unknown_identities(document: Document) -> list[Mistake]:
    """The access matrix speaks of nobody, of a stranger, and of the roles its release knows."""
    access, identity = document.data.get("access"), document.data.get("identity")
    roles = identity.get("roles") if isinstance(identity, dict) else None
    known = ["anon", "stranger", *(roles if isinstance(roles, list) else IdentitySpec.model_fields["roles"].default)]
    return [
        unknown_key(("access", table, verb, kind), known, document)
        for table, said in (access.items() if isinstance(access, dict) else ())
        for verb, rights in (said.items() if isinstance(said, dict) else ())
        if verb in ("select", "insert", "update", "delete") and isinstance(rights, dict)
        for kind in rights
        if isinstance(kind, str) and kind not in known
    ]


def _wrong_limits(document: Document) -> list[Mistake]:
    """An environment names only the limits it overrides: they are checked one by one."""
    limits = document.data.get("limits")
    if not isinstance(limits, dict):
        return []
    known = list(Limits.model_fields)
    mistakes = [unknown_key(("limits", name), known, document) for name in limits if name not in known]
    try:
        Limits.model_validate({name: value for name, value in limits.items() if name in known})
    except ValidationError as error:
        mistakes += mistakes_of(error, Limits, document, at=("limits",))
    return mistakes
