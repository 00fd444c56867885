"""YAML files: what they say, and in which line they say it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from opsnb.errors import ConfigError

Place = tuple[str | int, ...]
"""Keys and list positions from the top of a document: ``("postgres", "dsn")``."""

MAX_VALUES = 100_000
"""More than any parameter file has; aliases of aliases multiply quickly."""


class _Loader(yaml.SafeLoader):
    """YAML with the 1.2 idea of booleans (only true and false) and numbers: `no`, `012` and `2026-01-17` are text."""


_SURPRISING = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _SURPRISING]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.inf|\.nan)$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Mistake:
    """One mistake in a file: where, what stands there (where it may be shown), what was expected."""

    file: str
    line: int | None
    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        return str(ConfigError.at(self.file, self.line, self.key, self.value, self.expected))


@dataclass(frozen=True)
class Document:
    """One file. `lines` has the line of every place, `mistakes` what is wrong whatever the file is about."""

    file: str
    data: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def line(self, place: Place) -> int | None:
        """The line of *place*, or of the nearest place above it that stands in the file."""
        return next((self.lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self.lines), None)

    def known_part(self, place: Place) -> Place:
        """The parts of *place* that stand in the file (a validator also names types and branches of its own)."""
        kept: list[str | int] = []
        here: Any = self.data
        for part in place:
            in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
            if in_list or (isinstance(here, dict) and part in here):
                here = here[part]
                kept.append(part)
        return tuple(kept)

    def value(self, place: Place) -> Any:
        """What stands at *place*."""
        here: Any = self.data
        for part in place:
            here = here[part]
        return here


def read(path: Path, shown: str) -> Document:
    """The file at *path*, called *shown* in messages. ConfigError where it is no YAML, or no keys and values."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            document = Document(shown, {})
            if node is not None:
                _look(node, (), document, frozenset())
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError.at(shown, line, "YAML", "", f"readable YAML; {_problem(error)}") from None
    except yaml.YAMLError:
        raise ConfigError.at(shown, None, "YAML", "", "readable YAML; there is a character in it that YAML does not allow") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown}: expected text in UTF-8; save it so") from None
    except (ValueError, LookupError, AttributeError):  # PyYAML's constructors, where a value does not fit the tag written before it
        raise ConfigError.at(shown, None, "YAML", "", "values that fit their tags; leave tags such as !!int out") from None
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read ({error.strerror}); check its permissions") from None
    except RecursionError:
        raise ConfigError(f"{shown}: expected a parameter file; its values are nested too deeply to be one") from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else "a list" if isinstance(data, list) else "a single value"
        raise ConfigError(f"{shown}: expected keys and values at the top, found {found}")
    document.data.update(data)
    return document


def _look(node: yaml.Node, place: Place, document: Document, above: frozenset[int]) -> None:
    """Notes the line of everything below *node*, and keys that stand there twice (YAML keeps the last one in silence)."""
    if id(node) in above:
        raise ConfigError.at(
            document.file, node.start_mark.line + 1, dotted(place), "", "a value that does not hold itself through an alias"
        )
    if len(document.lines) > MAX_VALUES:
        raise ConfigError(f"{document.file}: expected at most {MAX_VALUES:,} values; its aliases multiply them beyond that")
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*place, str(key.value))
            line = key.start_mark.line + 1
            if here in document.lines:
                expected = f"each key once; it already stands in line {document.lines[here]}"
                document.mistakes.append(Mistake(document.file, line, dotted(here), "", expected))
            document.lines[here] = line
            _look(value, here, document, above)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            document.lines[*place, number] = value.start_mark.line + 1
            _look(value, (*place, number), document, above)


def dotted(place: Place) -> str:
    """``("support", "normal", 0)`` → ``support.normal.0``."""
    return ".".join(str(part) for part in place)


def _problem(error: yaml.MarkedYAMLError) -> str:
    # A password that begins with * ! or % is taken for an alias, a tag or a directive, and quoted in the problem.
    problem = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "…", error.problem or "it cannot be parsed")
    quotes = isinstance(error, yaml.composer.ComposerError | yaml.constructor.ConstructorError | yaml.scanner.ScannerError)
    return problem + (" (text that begins with * & ! % @ or ` or holds ': ' needs quotes)" if quotes else "")
