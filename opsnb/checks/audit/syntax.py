"""Source files as syntax trees: TypeScript and JavaScript, parsed by tree-sitter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

LARGEST = 1_000_000
"""Bytes: a larger file is data or a bundle and is not read as source."""
_PLAIN = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs")
_WITH_MARKUP = (".tsx", ".jsx")
SUFFIXES = (*_PLAIN, *_WITH_MARKUP)
_TEST = re.compile(r"(?:[._]test|\.spec|\.d)\.[cm]?[jt]sx?$|(?:^|/)(?:__tests__|node_modules)/")
# what the language has and the grammar does not know yet: the middle word is blanked where a file does not parse with it
_NEWER = (
    re.compile(rb"(\bexport\s+)(type)(\s*\*)"),
    re.compile(rb"(\bimport\s+)(defer)(\s*\*)"),
    re.compile(rb"([<,]\s*)((?:const\s+)?(?:in\s+out|in|out))(\s+[A-Z])"),
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}


class Place(NamedTuple):
    """Where something stands: the file's path and the line, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True)
class Source:
    """One file: its tree where it could be read, else `problem` says why not and `line` where.

    `followed` is false for files that are parsed and not run: tests and declarations.
    """

    path: str
    root: Node | None
    problem: str = ""
    line: int = 1
    severity: str = "error"
    followed: bool = True

    def place(self, node: Node) -> Place:
        """Where *node* begins."""
        return Place(self.path, node.start_point[0] + 1)


def is_source(path: str) -> bool:
    """Whether the file's name says that it is TypeScript or JavaScript."""
    return path.endswith(SUFFIXES)


def read_sources(files: Mapping[str, bytes]) -> dict[str, Source]:
    """Path → source, of the files that are TypeScript or JavaScript by name; never raises."""
    return {path: _read(path, bytes(content)) for path, content in files.items() if is_source(path)}


def _read(path: str, content: bytes) -> Source:
    followed = not _TEST.search(path)
    if len(content) > LARGEST:
        finding = f"the file has {len(content):,} bytes and was not read: more than {LARGEST:,} is data or a bundle, no source"
        return Source(path, None, finding, severity="warning", followed=False)
    if b"\0" in content:
        return Source(path, None, "the file is binary or not UTF-8 and was not read", followed=False)
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
    parser = _parser(path.endswith(_WITH_MARKUP))
    root = parser.parse(content).root_node
    if root.has_error:
        for newer in _NEWER:
            content = newer.sub(lambda found: found[1] + b" " * len(found[2]) + found[3], content)
        root = parser.parse(content).root_node
    if root.has_error:
        return Source(path, root, "the file does not parse from here on", _first_error(root), followed=followed)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Source(path, root, "the file is not valid UTF-8 here", line, severity="warning", followed=followed)
    return Source(path, root, followed=followed)


@cache
def _parser(markup: bool) -> Parser:
    grammar = tree_sitter_typescript.language_tsx() if markup else tree_sitter_typescript.language_typescript()
    return Parser(Language(grammar))


def _first_error(root: Node) -> int:
    """The line of the first place that the grammar does not know."""
    node = root
    while True:
        inside = next((child for child in node.children if child.has_error), None)
        if inside is None or node.is_missing:
            return node.start_point[0] + 1
        if inside.type == "ERROR" and not any(child.has_error for child in inside.children):
            return inside.start_point[0] + 1
        node = inside


def text(node: Node | None) -> str:
    """The source text of *node*; '' where there is none."""
    return node.text.decode(errors="replace") if node is not None and node.text is not None else ""


def parts(node: Node) -> list[Node]:
    """The named children but for comments."""
    return [child for child in node.named_children if child.type != "comment"]


def field(node: Node, name: str) -> Node | None:
    """The child that the grammar calls *name*."""
    return node.child_by_field_name(name)


def walk(node: Node) -> Iterator[Node]:
    """*node* and everything under it, in the order of the text, without recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(current.children))


def cooked(node: Node) -> str:
    """The value of a string literal without substitutions, or of a part of one."""
    if node.type == "escape_sequence":
        return _unescaped(text(node))
    if node.type == "string":
        return "".join(cooked(part) for part in node.named_children)
    return text(node)


def _unescaped(escape: str) -> str:
    body = escape[1:]
    if body[:1] in ("u", "x"):
        try:
            return chr(int(body[1:].strip("{}"), 16))
        except (ValueError, OverflowError):
            return "\ufffd"
    return _ESCAPES.get(body, body)
