"""A project of its own for every test: the shipped parameter files in a temporary root, to be spoiled at will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsnb.config import load_environment, load_release
from opsnb.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """A root with the shipped parameter files."""

    root: Path

    def path(self, name: str) -> Path:
        """``environments/local`` → its file."""
        return self.root / "parameters" / f"{name}.yaml"

    def change(self, name: str, old: str, new: str) -> int:
        """Replaces one passage; the line it stands in."""
        text = self.path(name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.path(name).write_text(text.replace(old, new), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1

    def refused(self, name: str) -> str:
        """The message with which a file is refused."""
        kind, _, stem = name.partition("/")
        load: Callable[[str, Path], object] = load_release if kind == "releases" else load_environment
        with pytest.raises(ConfigError) as caught:
            load(stem, self.root)
        assert caught.value.__cause__ is None, "a chained error would show the file's values in its traceback"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value)
