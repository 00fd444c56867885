"""Import maps (deno.json, import_map.json, package.json) and how exactly an address of elsewhere names its version."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tree_sitter import Node
from tree_sitter import Parser as _Parser

from opsnb.checks.audit import syntax
from opsnb.checks.audit.syntax import Place, cooked, parts
from opsnb.checks.audit.table import finding

_NAMES = ("deno.json", "deno.jsonc", "import_map.json", "package.json")
_BUILT_IN = ("node:", "bun:", "data:", "blob:", "file:")
_PACKAGE = re.compile(r"(?:npm|jsr):/?(?P<name>@[^/@]+/[^/@]+|[^/@]+)(?:@(?P<version>[^/]+))?(?P<rest>/.*)?")
_EXACT = re.compile(r"=?v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?")
_IN_ADDRESS = re.compile(r"[@/]v?\d+\.\d+\.\d+|[@/][0-9a-f]{40}(?:/|$)")
_RANGE_IN_ADDRESS = re.compile(r"@[v^~]?\d")


@dataclass(frozen=True)
class _Map:
    path: str
    imports: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, dict[str, str]] = field(default_factory=dict)


class ImportMaps:
    """The import maps among the files; the nearest above a file is its own."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._folders: dict[str, list[_Map]] = {}
        self._locks = {posixpath.dirname(path) for path in files if posixpath.basename(path) == "deno.lock"}
        self._broken: list[str] = []
        for name in _NAMES:
            for path in sorted(path for path in files if posixpath.basename(path) == name):
                self._folders.setdefault(posixpath.dirname(path), []).append(self._read(path, files))

    def _read(self, path: str, files: Mapping[str, bytes]) -> _Map:
        content = loads(files[path])
        if not isinstance(content, dict):
            self._broken.append(path)
            return _Map(path)
        if path.endswith("package.json"):
            wanted = {**_texts(content.get("dependencies")), **_texts(content.get("devDependencies"))}
            return _Map(path, {name: f"npm:{name}@{version}" for name, version in wanted.items()})
        outside = content.get("importMap")
        if isinstance(outside, str) and "imports" not in content:
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), outside))
            if there in files and there != path and not there.endswith(("deno.json", "deno.jsonc")):
                return self._read(there, files)
        scopes = content.get("scopes")
        inner = {scope: _texts(each) for scope, each in scopes.items()} if isinstance(scopes, dict) else {}
        return _Map(path, _texts(content.get("imports")), inner)

    def of(self, path: str) -> list[_Map] | None:
        """The maps of the nearest folder at or above a file."""
        folder = posixpath.dirname(path)
        while True:
            if folder in self._folders:
                return self._folders[folder]
            if not folder:
                return None
            folder = posixpath.dirname(folder)

    def resolve(self, path: str, specifier: str) -> tuple[str, str] | None:
        """The map's file and what it says of *specifier*; None where no map says anything."""
        for each in self.of(path) or ():
            scoped = [entries for scope, entries in each.scopes.items() if path.startswith(posixpath.normpath(scope).lstrip("./"))]
            for entries in (*scoped, each.imports):
                if specifier in entries:
                    return each.path, entries[specifier]
                prefixes = [key for key in entries if key.endswith("/") and specifier.startswith(key)]
                if prefixes:
                    longest = max(prefixes, key=len)
                    return each.path, entries[longest] + specifier[len(longest) :]
                name = "/".join(specifier.split("/")[: 2 if specifier.startswith("@") else 1])
                if each.path.endswith("package.json") and name in entries:
                    return each.path, entries[name] + specifier[len(name) :]
        return None

    def locked(self, path: str) -> bool:
        """Whether a deno.lock stands at or above a file."""
        folder = posixpath.dirname(path)
        return any(not lock or folder == lock or folder.startswith(f"{lock}/") for lock in self._locks)

    def findings(self) -> Iterator[dict[str, Any]]:
        """A row for each map that cannot be read."""
        for path in self._broken:
            yield finding("import", Place(path, 1), "error", "unreadable import map", path, "the import map is no JSON object",
                          "Correct it: without it no import by name resolves.")  # fmt: skip


def unpinned(address: str) -> str:
    """What is uncertain about the version that *address* leads to; '' where nothing is."""
    if address.startswith(_BUILT_IN) or address.endswith(".d.ts"):
        return ""
    if (package := _PACKAGE.fullmatch(address)) is not None:
        version = package["version"]
        if not version:
            return f"{package['name']} is imported without a version: any deployment may get another one"
        return "" if _EXACT.fullmatch(version) else f"{package['name']}@{version} is a range: any deployment may get another version"
    if address.startswith("http:"):
        return "the module is loaded without encryption: anybody on the way may change it"
    if address.startswith("https:") and not _IN_ADDRESS.search(address):
        what = "a range of versions" if _RANGE_IN_ADDRESS.search(address) else "no version"
        return f"the address names {what}: any deployment may get another one"
    return ""


def loads(content: bytes) -> Any:
    """JSON, which may have comments and trailing commas, as a Python value; None where it is none."""
    root = _Parser(syntax._parser(False).language).parse(b"(" + content.removeprefix(b"\xef\xbb\xbf") + b"\n)").root_node
    if root.has_error or len(parts(root)) != 1:
        return None
    expression = next((node for node in syntax.walk(root) if node.type == "object"), None)
    return _value(expression) if expression is not None else None


def _value(node: Node | None) -> Any:
    if node is None:
        return None
    if node.type == "object":
        pairs = [child for child in parts(node) if child.type == "pair"]
        return {cooked(syntax.field(pair, "key") or pair): _value(syntax.field(pair, "value")) for pair in pairs}
    if node.type == "array":
        return [_value(child) for child in parts(node)]
    return cooked(node) if node.type == "string" else {"true": True, "false": False, "null": None}.get(node.type)


def _texts(found: Any) -> dict[str, str]:
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
