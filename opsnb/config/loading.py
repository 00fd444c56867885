"""Parameter files → validated models. A mistake is told with file, line, key, value and expectation; all of one file at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from opsnb.config.environment import Environment
from opsnb.config.release import Limits, Release
from opsnb.config.root import find_root
from opsnb.errors import ConfigError, ReferenceError_, UsageError

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# what may be shown of a wrong value: short, and of a kind no secret has
_HARMLESS = re.compile(r"[A-Za-z0-9_. /%\[\]()-]{0,24}")


class _Loader(yaml.SafeLoader):
    """YAML with the 1.2 idea of booleans (only true and false), no octals, no dates: they surprise people."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def load_release(name: str, root: Path | None = None) -> Release:
    """The release *name* (parameters/releases/<name>.yaml). Raises UsageError or ConfigError."""
    return _load(Release, "releases", name, root or find_root())


def load_environment(name: str, root: Path | None = None) -> Environment:
    """The environment *name* (parameters/environments/<name>.yaml), its limits checked. Raises UsageError or ConfigError."""
    return _load(Environment, "environments", name, root or find_root())


def effective_limits(release: Release, environment: Environment, **values: float | None) -> Limits:
    """The release's limits, overridden by the environment's, overridden by *values* that are not None."""
    unknown = set(values) - set(Limits.model_fields)
    if unknown:
        raise UsageError(f"unknown limit {_with_nearest(sorted(unknown)[0], list(Limits.model_fields))}")
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return Limits(**{**release.limits.model_dump(), **environment.limits, **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"limit {first['loc'][0]} = {given.get(str(first['loc'][0]))}: {first['msg']}") from None


def require_references(environment: Environment, root: Path) -> None:
    """UsageError naming every reference that does not resolve, before anything starts."""
    missing = []
    for key, reference in environment.references():
        try:
            reference.resolve(root)
        except ReferenceError_ as error:
            missing.append(f"{key}: {error}")
    if missing:
        raise UsageError(f"environment {environment.name}: " + "\n  ".join(missing))


def _load(model: type[M], kind: str, name: str, root: Path) -> M:
    folder = root / "parameters" / kind
    path = folder / f"{name}.yaml"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise UsageError(f"no {kind.removesuffix('s')} {_with_nearest(name, known)}; there are: {', '.join(known) or 'none'} (in {folder})")
    shown = str(path.relative_to(root))
    data, lines = _read(path, shown)
    if not isinstance(data, dict):
        raise ConfigError(f"{shown}: expected keys and values at the top, found {type(data).__name__}")
    mistakes: list[ConfigError] = []
    if model is Environment and isinstance(data.get("limits"), dict):
        mistakes += _wrong_limits(data["limits"], shown, lines)
    try:
        loaded = model.model_validate({**data, "name": name})
    except ValidationError as error:
        mistakes += [_mistake(dict(each), model, data, shown, lines) for each in error.errors(include_url=False)]
        loaded = None
    if mistakes or loaded is None:
        raise ConfigError("\n".join(dict.fromkeys(str(mistake) for mistake in mistakes)))
    return loaded


def _read(path: Path, shown: str) -> tuple[Any, dict[Path_, int]]:
    """The document, and the line of every key path."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader, narrowed)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError.at(shown, line, "YAML", "", f"readable YAML ({error.problem})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None
    lines: dict[Path_, int] = {}
    if node is not None:
        _lines(node, (), lines, shown)
    return data, lines


def _lines(node: yaml.Node, path: Path_, lines: dict[Path_, int], shown: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                raise ConfigError.at(shown, key.start_mark.line + 1, _dotted(here), "", f"each key once; it stands in line {lines[here]} already")
            lines[here] = key.start_mark.line + 1
            _lines(value, here, lines, shown)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            here = (*path, number)
            lines[here] = value.start_mark.line + 1
            _lines(value, here, lines, shown)


def _mistake(error: dict[str, Any], model: type[BaseModel], data: Any, shown: str, lines: dict[Path_, int]) -> ConfigError:
    # only parts that stand in the file: pydantic also names the branches of a union
    place = tuple(error["loc"])
    in_file = _in_file(place, data)
    line = next((lines[in_file[:end]] for end in range(len(in_file), 0, -1) if in_file[:end] in lines), None)
    key = _dotted(in_file or place)
    if error["type"] == "extra_forbidden":
        allowed = _keys_at(model, place[:-1])
        return ConfigError.at(shown, line, _dotted(place), "", f"a known key; {_with_nearest(str(place[-1]), allowed)} is none")
    if error["type"] == "missing":
        return ConfigError.at(shown, line, _dotted(place), "", "a value; this key is required")
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return ConfigError.at(shown, line, key, _harmless(_value_at(in_file, data)), message)


def _in_file(place: Path_, data: Any) -> Path_:
    kept: list[str | int] = []
    here = data
    for part in place:
        if isinstance(here, dict) and part in here or isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            kept.append(part)
    return tuple(kept)


def _value_at(place: Path_, data: Any) -> Any:
    for part in place:
        data = data[part]
    return data


def _harmless(value: Any) -> str:
    """A wrong value as far as it may be shown: numbers and short plain words; anything else might be a secret."""
    if isinstance(value, bool | int | float):
        return repr(value)
    return repr(value) if isinstance(value, str) and _HARMLESS.fullmatch(value) else ""


def _keys_at(model: type[BaseModel], place: Path_) -> list[str]:
    """The keys the model knows at *place*."""
    current: Any = model
    for part in place:
        fields = getattr(current, "model_fields", None)
        if fields is not None:
            by_key = {field.alias or name: field.annotation for name, field in fields.items()}
            current = by_key.get(str(part))
        else:
            current = _inner(current)
        while current is not None and not (isinstance(current, type) and issubclass(current, BaseModel)) and _optional(current):
            current = _optional(current)
    current = current if isinstance(current, type) and issubclass(current, BaseModel) else _inner(current)
    fields = getattr(current, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _inner(annotation: Any) -> Any:
    return next((each for each in reversed(get_args(annotation)) if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _optional(annotation: Any) -> Any:
    arguments = [each for each in get_args(annotation) if each is not type(None)]
    return arguments[0] if type(None) in get_args(annotation) and arguments else None


def _wrong_limits(limits: dict[str, Any], shown: str, lines: dict[Path_, int]) -> list[ConfigError]:
    known = list(Limits.model_fields)
    mistakes = [
        ConfigError.at(shown, lines.get(("limits", name)), f"limits.{name}", "", f"a known limit; {_with_nearest(name, known)} is none")
        for name in limits
        if name not in known
    ]
    try:
        Limits.model_validate({name: value for name, value in limits.items() if name in known})
    except ValidationError as error:
        for each in error.errors(include_url=False):
            name = str(each["loc"][0])
            mistakes.append(ConfigError.at(shown, lines.get(("limits", name)), f"limits.{name}", _harmless(limits[name]), str(each["msg"]).removeprefix("Input should be ")))
    return mistakes


def _dotted(place: Path_) -> str:
    return ".".join(str(part) for part in place)


def _with_nearest(name: str, known: Sequence[str]) -> str:
    """*name*, with the nearest known one where there is one."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{name!r} (did you mean {near[0]}?)" if near else repr(name)
