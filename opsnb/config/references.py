"""References to values that stand elsewhere: ``env:NAME`` and ``file:PATH``. A secret never stands in a parameter file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, SecretStr
from pydantic_core import PydanticCustomError, core_schema

from opsnb.config.root import environment_variable, find_root
from opsnb.errors import ReferenceError_

_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"file:(\S(?:.*\S)?)")
EXPECTED = "a reference, env:NAME or file:PATH (a value itself never stands in a parameter file)"


class Reference:
    """``env:NAME`` or ``file:PATH`` (relative to the project's root; ``~`` is the home folder). Shows itself, never its value."""

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
                raise ReferenceError_(f"{self._text}: the environment variable {name} is not set; set it before you start opsnb")
            return SecretStr(value)
        path = Path(name).expanduser()
        path = path if path.is_absolute() else (root or find_root()) / path
        try:
            value = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise ReferenceError_(f"{self._text}: {path} cannot be read ({why}); write the value there, one line") from None
        value = value.removesuffix("\n")
        if not value:
            raise ReferenceError_(f"{self._text}: {path} is empty; write the value there, one line")
        return SecretStr(value)

    def text(self, root: Path | None = None) -> str:
        """The value, for what is no secret (a URL, a name)."""
        return self.resolve(root).get_secret_value()

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
            try:
                return cls(value)
            except ValueError:
                raise PydanticCustomError("reference", "{expected}", {"expected": EXPECTED}) from None

        return core_schema.no_info_plain_validator_function(parse, serialization=core_schema.plain_serializer_function_ser_schema(str))
