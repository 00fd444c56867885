"""What files import from one another and from elsewhere, and whether it is there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tree_sitter import Node

from opsnb.checks.audit.importmaps import ImportMaps, unpinned
from opsnb.checks.audit.syntax import Place, Source, cooked, field, is_source, parts, text, walk
from opsnb.checks.audit.table import finding


class Target(NamedTuple):
    """Where a specifier leads: `kind` is file, missing, remote or bare (nothing says what it is); `path` the file or address."""

    kind: str
    path: str


class Name(NamedTuple):
    """One imported name: `exported` as the other module calls it ('*' for all of it), `local` as this one does."""

    exported: str
    local: str
    place: Place


@dataclass(frozen=True)
class Import:
    """One import, or one re-export (`local` names are then '')."""

    specifier: str
    place: Place
    names: tuple[Name, ...] = ()
    types_only: bool = False


@dataclass(frozen=True)
class Exports:
    """The names a module exports; `open` where there may be more."""

    names: frozenset[str]
    open: bool = False


class Modules:
    """The files of a release, as modules."""

    def __init__(self, files: Mapping[str, bytes], sources: Mapping[str, Source]) -> None:
        self.files = files
        self.sources = sources
        self.maps = ImportMaps(files)
        self._exports: dict[str, Exports] = {}

    def resolve(self, path: str, specifier: str) -> Target:
        """Where *specifier* leads from the file *path*."""
        told = self.maps.resolve(path, specifier)
        base, specifier = (path, specifier) if told is None else told
        if specifier.startswith(("./", "../", "/")) or specifier in (".", ".."):
            there = posixpath.normpath(posixpath.join(posixpath.dirname(base), specifier)).lstrip("/")
            return Target("file" if there in self.files else "missing", there)
        if ":" in specifier:
            return Target("remote", specifier)
        return Target("bare", specifier)

    def imports(self, source: Source) -> Iterator[Import]:
        """Every import and re-export of a file, in its order."""
        for node in walk(source.root) if source.root is not None else ():
            if node.type in ("import_statement", "export_statement") and (origin := field(node, "source")) is not None:
                names = tuple(_imported(source, node) if node.type == "import_statement" else _re_exported(source, node))
                types_only = any(child.type == "type" for child in node.children)
                yield Import(cooked(origin), source.place(node), names, types_only)
            elif node.type == "call_expression" and (called := field(node, "function")) is not None and called.type == "import":
                arguments = field(node, "arguments")
                first = parts(arguments)[0] if arguments is not None and parts(arguments) else None
                if first is not None and first.type == "string":
                    yield Import(cooked(first), source.place(node))

    def exports(self, path: str) -> Exports:
        """What the file *path* exports, with what it passes on from others."""
        if path not in self._exports:
            self._exports[path] = Exports(frozenset(), open=True)  # a circle is open while it is walked
            self._exports[path] = self._read_exports(path)
        return self._exports[path]

    def _read_exports(self, path: str) -> Exports:
        source = self.sources.get(path)
        if source is None or source.root is None or source.root.has_error:
            return Exports(frozenset({"default"}), open=path not in self.files or is_source(path))
        names: set[str] = set()
        is_open = path.endswith((".js", ".cjs")) and b"exports" in self.files[path] and b"require(" in self.files[path]
        for node in parts(source.root):
            if node.type != "export_statement":
                continue
            names |= set(exported_names(node))
            origin = field(node, "source")
            if origin is not None and any(child.type == "*" for child in node.children):
                target = self.resolve(path, cooked(origin))
                other = self.exports(target.path) if target.kind == "file" else Exports(frozenset(), open=True)
                names |= other.names - {"default"}
                is_open |= other.open
        return Exports(frozenset(names), is_open)

    def findings(self) -> Iterator[dict[str, Any]]:
        """A row of the kind `import` for each import that does not resolve, or not to anything certain."""
        yield from self.maps.findings()
        for source in self.sources.values():
            for each in self.imports(source):
                yield from self._judge(source, each)

    def _judge(self, source: Source, each: Import) -> Iterator[dict[str, Any]]:
        target = self.resolve(source.path, each.specifier)
        if target.kind == "missing":
            near = self._near(target.path)
            sentence = f"the file {each.specifier} does not exist" + (f"; there is {near}" if near else "")
            yield finding("import", each.place, "error", "missing file", each.specifier, sentence,
                          "Deno takes a path as it is written, with extension and case: correct it, or add the file.")  # fmt: skip
        elif target.kind == "bare":
            governed = self.maps.of(source.path) is not None
            sentence = f"no import map says what {each.specifier} is"
            yield finding("import", each.place, "error" if governed else "warning", "unmapped import", each.specifier, sentence,
                          "Write npm:, jsr: or a path, or name it in the imports of deno.json.")  # fmt: skip
        elif target.kind == "remote":
            doubt = None if each.types_only or self.maps.locked(source.path) else unpinned(target.path)
            if doubt:
                severity = "error" if target.path.startswith("http:") else "warning"
                yield finding("import", each.place, severity, "unpinned import", each.specifier, doubt,
                              "Name the full version (2.45.4, not 2), or deploy with a deno.lock.")  # fmt: skip
        elif target.kind == "file":
            there = self.exports(target.path)
            for name in self._asked(source, each):
                if name.exported != "*" and name.exported not in there.names and not there.open:
                    yield finding("import", name.place, "error", "missing export", name.exported,
                                  f"{target.path} does not export {name.exported}",
                                  "Export it there, or import what is exported.")  # fmt: skip

    def _asked(self, source: Source, each: Import) -> Iterator[Name]:
        """The names asked of a module, also those reached through ``import * as``."""
        whole = {name.local for name in each.names if name.exported == "*" and name.local}
        yield from each.names
        for node in walk(source.root) if whole and source.root is not None else ():
            if node.type == "member_expression" and text(field(node, "object")) in whole and (member := field(node, "property")):
                yield Name(text(member), "", source.place(member))

    def _near(self, path: str) -> str:
        """A file that may have been meant: the same with an extension, or in another case."""
        for other in self.files:
            if other.lower() == path.lower() or other.rpartition(".")[0] in (path, path.rpartition(".")[0]):
                return other
            if other.startswith(f"{path}/index."):
                return other
        return ""


def exported_names(node: Node) -> Iterator[str]:
    """The names that one export statement gives to others."""
    if any(child.type == "default" for child in node.children):
        yield "default"
    declared = field(node, "declaration")
    if declared is not None:
        yield from declared_names(declared)
    for child in node.children:
        if child.type == "export_clause":
            for specifier in parts(child):
                yield cooked_name(field(specifier, "alias") or field(specifier, "name"))
        elif child.type == "namespace_export":
            yield cooked_name(parts(child)[0])


def declared_names(node: Node) -> Iterator[str]:
    """The names that a declaration makes."""
    if node.type in ("lexical_declaration", "variable_declaration"):
        for declarator in parts(node):
            if (pattern := field(declarator, "name")) is not None:
                yield from pattern_names(pattern)
    elif node.type == "ambient_declaration":
        for child in parts(node):
            yield from declared_names(child)
    elif (name := field(node, "name")) is not None:
        yield cooked_name(name)


def pattern_names(node: Node) -> Iterator[str]:
    """The names that a pattern binds."""
    if node.type in ("identifier", "shorthand_property_identifier_pattern"):
        yield text(node)
    elif node.type in ("assignment_pattern", "object_assignment_pattern") and (left := field(node, "left")) is not None:
        yield from pattern_names(left)
    elif node.type == "pair_pattern" and (value := field(node, "value")) is not None:
        yield from pattern_names(value)
    elif node.type in ("object_pattern", "array_pattern", "rest_pattern"):
        for child in parts(node):
            yield from pattern_names(child)


def cooked_name(node: Node | None) -> str:
    """A name, which may be written as a string."""
    return "" if node is None else cooked(node) if node.type == "string" else text(node)


def _imported(source: Source, node: Node) -> Iterator[Name]:
    for clause in parts(node):
        if clause.type != "import_clause":
            continue
        for child in parts(clause):
            if child.type == "identifier":
                yield Name("default", text(child), source.place(child))
            elif child.type == "namespace_import":
                yield Name("*", text(parts(child)[0]), source.place(child))
            elif child.type == "named_imports":
                for each in parts(child):
                    name, alias = field(each, "name"), field(each, "alias")
                    yield Name(cooked_name(name), text(alias or name), source.place(each))


def _re_exported(source: Source, node: Node) -> Iterator[Name]:
    for child in node.children:
        if child.type == "export_clause":
            for each in parts(child):
                yield Name(cooked_name(field(each, "name")), "", source.place(each))
