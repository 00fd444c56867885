"""References to values that stand elsewhere: ``env:NAME`` and ``file:PATH``. A secret never stands in a parameter file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, SecretStr
from pydantic_core import PydanticCustomError, core_schema

from opsnb.config.root import environment_variable, find_root
from opsnb.errors import ReferenceError_

_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"file:([^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?)")
_URL = re.compile(r"https?://[^\s/@?#]+([/?#]\S*)?")  # an @ before the path would be a user
EXPECTED = "a reference, env:NAME or file:PATH (a value itself never stands in a parameter file)"


class Reference:
    """``env:NAME`` or ``file:PATH`` (relative to the project's root; ``~`` is the home folder). Shows itself, never its value.

    ValueError for text that is neither; the text is not repeated, it may be the secret itself.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not (_ENV.fullmatch(text) or _FILE.fullmatch(text)):
            raise ValueError(EXPECTED)
        self._text = text

    def resolve(self, root: Path | None = None) -> SecretStr:
        """The value; ReferenceError_ naming the reference where there is none. A file loses one trailing newline."""
        kind, _, name = self._text.partition(":")
        if kind == "env":
            value = environment_variable(name)
            if not value:
                state = "not set" if value is None else "empty"
                raise ReferenceError_(f"{self._text}: the environment variable {name} is {state}; set it before you start opsnb")
            return SecretStr(value)
        path = self._path(name, root)
        try:
            value = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise ReferenceError_(f"{self._text}: {path} cannot be read ({why}); write the value there, one line") from None
        value = value.removesuffix("\n")
        if not value:
            raise ReferenceError_(f"{self._text}: {path} is empty; write the value there, one line")
        return SecretStr(value)

    def text(self, root: Path | None = None) -> str:
        """The value, for what is no secret (a URL, a name)."""
        return self.resolve(root).get_secret_value()

    def _path(self, name: str, root: Path | None) -> Path:
        try:
            path = Path(name).expanduser()
        except RuntimeError:
            raise ReferenceError_(f"{self._text}: there is no such home folder; write the path out") from None
        return path if path.is_absolute() else (root or find_root()) / path

    def __repr__(self) -> str:
        return f"Reference({self._text!r})"

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def parse(value: Any) -> Reference:
            if isinstance(value, Reference):
                return value
            return _reference(value)

        return core_schema.no_info_plain_validator_function(parse, serialization=core_schema.plain_serializer_function_ser_schema(str))


def text_of(value: Reference | str, root: Path | None = None) -> str:
    """The value of what is a reference or plain text; for what is no secret."""
    return value.text(root) if isinstance(value, Reference) else value


def _reference(value: Any) -> Reference:
    try:
        return Reference(value)
    except ValueError:
        raise PydanticCustomError("reference", "{expected}", {"expected": EXPECTED}) from None


def _text(value: object) -> object:
    """Text; what begins like a reference is one, or a mistake."""
    if isinstance(value, Reference):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("text", "text, or a reference, env:NAME or file:PATH (a number needs quotes)")
    return Reference(value) if re.match(r"(env|file):", value) else value


def _url(value: object) -> object:
    """A URL without a user or password in it, or a reference to one."""
    converted = _text(value) if isinstance(value, str) else value
    if isinstance(converted, Reference) or (isinstance(converted, str) and _URL.fullmatch(converted)):
        return converted
    raise PydanticCustomError("url", "a URL (https://…, without user and password) or a reference, env:NAME or file:PATH")


TextOrReference = Annotated[Reference | str, BeforeValidator(_text)]
"""For what may be known to everybody, or be nobody's business but the operator's."""
UrlOrReference = Annotated[Reference | str, BeforeValidator(_url)]
"""For addresses: known to everybody in production, new with every start of a local target."""
