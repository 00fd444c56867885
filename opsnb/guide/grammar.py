"""The grammar of the platform's client, as shipped in client.yaml."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class Understood:
    """What the grammar makes of one call: the command it is, what is unknown in it, what it should know of it."""

    command: str
    unknown_command: str
    unknown_flags: tuple[str, ...]
    instead: str
    danger: str


@cache
def _grammar() -> dict[str, Any]:
    text = (files("opsnb") / "guide" / "client.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def version() -> str:
    """Of which version of the client the grammar is."""
    return str(_grammar()["version"])


def understand(words: Sequence[str]) -> Understood:
    """What *words* (without the client's own name) would do; flags of commands the grammar does not judge count as known."""
    grammar = _grammar()
    commands: dict[str, dict[str, Any]] = grammar["commands"]
    plain = [word for word in _without_values(words) if not word.startswith("-")]
    flags = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    command = next((name for name in (" ".join(plain[:2]), plain[0] if plain else "") if name in commands), "")
    if not plain:
        return Understood("", "", (), "", "")
    if not command:
        group = any(name.split()[0] == plain[0] for name in commands)
        unknown = " ".join(plain[:2] if group else plain[:1])
        return Understood("", unknown, (), _instead(grammar, unknown, plain[0], commands), "")
    said = commands[command]
    known = {*grammar["global"], *said.get("flags", []), *(grammar["connection"] if said.get("connection") else [])}
    wrong = () if said.get("any") else tuple(dict.fromkeys(flag for flag in flags if flag not in known))
    told = [grammar["instead"].get(f"{command} {flag}", "") for flag in wrong]
    near = [difflib.get_close_matches(flag, sorted(known), 1, 0.8) for flag in wrong]
    hints = [text or (f"Did you mean {close[0]}?" if close else "") for text, close in zip(told, near, strict=True)]
    danger = next((grammar["dangerous"][f"{command} {flag}"] for flag in flags if f"{command} {flag}" in grammar["dangerous"]), "")
    return Understood(command, "", wrong, " ".join(dict.fromkeys(filter(None, hints))), danger or grammar["dangerous"].get(command, ""))


def _instead(grammar: dict[str, Any], unknown: str, group: str, commands: dict[str, Any]) -> str:
    """What to use in place of a command that does not exist."""
    if unknown in grammar["instead"]:
        return str(grammar["instead"][unknown])
    below = sorted(name.partition(" ")[2] for name in commands if name.startswith(f"{group} "))
    if below:
        return f"Below {group} there are {', '.join(below)}."
    close = difflib.get_close_matches(group, sorted({name.split()[0] for name in commands}), 1, 0.7)
    return f"Did you mean {close[0]}?" if close else ""


_TAKES_NO_VALUE = frozenset((
    "--debug", "--experimental", "--help", "-h", "--yes", "--linked", "--local", "--prune", "--use-api", "--use-docker", "--no-verify-jwt",
    "--tail", "--db-only", "--schema-only", "--data-only", "--role-only", "--dry-run", "--all", "--force", "--include-all", "--follow",
))  # fmt: skip


def _without_values(words: Sequence[str]) -> list[str]:
    """*words* without the values of flags, as far as one can tell."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        kept.append(word)
        skip = word.startswith("-") and "=" not in word and word not in _TAKES_NO_VALUE and len(kept) > 1
    return kept
