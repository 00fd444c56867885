"""A runbook as lines: headings, boxes to tick, commands and SQL, each with the line it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from opsnb.errors import UsageError

LIMIT_BYTES = 5_000_000
_BOX = re.compile(r"\[[ xX]\]\s+(?P<text>.+)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*['\"]?(?P<word>\w+)['\"]?")
_SHELLS = {"bash", "sh", "shell", "zsh", "console", "shell-session"}
_SQL_FIRST = re.compile(r"\s*(select|insert|update|delete|with|create|alter|drop|grant|revoke|truncate)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A piece of text and where it stands: its first line (from 1), the heading above it."""

    line: int
    text: str
    section: str


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its first line of code, its text. `before` is the paragraph above it."""

    line: int
    language: str
    text: str
    section: str
    before: str


@dataclass(frozen=True)
class Guide:
    """What is in a runbook, each in the order of the file."""

    headings: tuple[Line, ...]
    boxes: tuple[Line, ...]
    prose: tuple[Line, ...]
    blocks: tuple[Block, ...]
    commands: tuple[Line, ...]
    statements: tuple[Line, ...]


def read(path: Path) -> Guide:
    """The runbook at *path*. UsageError where it cannot be read, is no text, or is larger than any runbook."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read ({error.strerror}); expected a runbook in Markdown") from None
    if len(raw) > LIMIT_BYTES:
        raise UsageError(f"{path}: {len(raw):,} bytes; expected a runbook of at most {LIMIT_BYTES:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not text in UTF-8 (byte {error.start:,}); expected a runbook in Markdown") from None
    if "\x00" in text:
        raise UsageError(f"{path}: it holds NUL bytes; expected a runbook in Markdown")
    return parse(text)


def parse(text: str) -> Guide:
    """The runbook in *text*."""
    headings: list[Line] = []
    boxes: list[Line] = []
    prose: list[Line] = []
    blocks: list[Block] = []
    inline: list[Line] = []
    section = paragraph = ""
    tokens = MarkdownIt("commonmark").parse(text)
    for place, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "inline":
            kind = tokens[place - 1].type
            if kind == "heading_open":
                section = token.content
                headings.append(Line(line, token.content, section))
                continue
            box = _BOX.match(token.content)
            if box is not None:
                boxes.append(Line(line, " ".join(box["text"].split()), section))
            else:
                prose += [Line(line + number, each, section) for number, each in enumerate(token.content.splitlines())]
                paragraph = token.content
            inline += _inline(token, line, section)
        elif token.type in ("fence", "code_block"):
            first = line + 1 if token.type == "fence" else line
            language = (token.info or "").strip().split(" ")[0].lower()
            blocks.append(Block(first, language, token.content, section, paragraph))
    commands = [*inline]
    statements: list[Line] = []
    for block in blocks:
        if block.language in _SHELLS or (not block.language and re.search(r"^\s*\$ ", block.text, re.MULTILINE)):
            found, sql = _shell(block)
            commands += found
            statements += sql
        elif block.language in ("sql", "postgresql", "psql", "pgsql"):
            statements += _split(block.text, block.line, block.section)
    commands.sort(key=lambda each: each.line)
    return Guide(tuple(headings), tuple(boxes), tuple(prose), tuple(blocks), tuple(commands), tuple(statements))


def _inline(token: Token, line: int, section: str) -> Iterator[Line]:
    for child in token.children or []:
        if child.type == "code_inline" and re.match(r"(npx\s+|bunx\s+)?(supabase|psql|pg_dump|curl)\s", child.content):
            yield Line(line, child.content, section)


def _shell(block: Block) -> tuple[list[Line], list[Line]]:
    """Commands, continued lines joined and comments left out; SQL that stands in here-documents."""
    commands: list[Line] = []
    sql: list[Line] = []
    lines = block.text.splitlines()
    number = 0
    while number < len(lines):
        first = number
        text = re.sub(r"^\s*\$ ", "", lines[number])
        open_quotes = _open(text)
        while (text.rstrip().endswith("\\") or open_quotes) and number + 1 < len(lines):
            number += 1
            text = (text.rstrip()[:-1] if text.rstrip().endswith("\\") and not open_quotes else text + "\n") + " " + lines[number].strip()
            open_quotes = _open(text)
        document = _HEREDOC.search(text)
        body: list[str] = []
        if document is not None:
            begin = number + 1
            while number + 1 < len(lines) and lines[number + 1].strip() != document["word"]:
                number += 1
                body.append(lines[number])
            number += 1
            if any(_SQL_FIRST.match(each) for each in body):
                sql += _split("\n".join(body), block.line + begin, block.section)
        if text.strip() and not text.lstrip().startswith("#"):
            commands.append(Line(block.line + first, text.strip(), block.section))
        number += 1
    return commands, sql


def _open(text: str) -> bool:
    """Whether a quoted text goes on in the next line."""
    quote = ""
    for letter in re.sub(r"\\.", "", text.split(" #")[0] if text.lstrip()[:1] != "#" else ""):
        if not quote and letter in "'\"":
            quote = letter
        elif letter == quote:
            quote = ""
    return bool(quote)


def _split(text: str, first: int, section: str) -> list[Line]:
    """Statements with the line each begins on; a semicolon in a quoted text or a comment ends none."""
    found: list[Line] = []
    begin = 0
    for match in re.finditer(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;", text, re.DOTALL):
        if match[0] == ";":
            found += _statement(text, begin, match.start(), first, section)
            begin = match.end()
    return found + _statement(text, begin, len(text), first, section)


def _statement(text: str, begin: int, end: int, first: int, section: str) -> list[Line]:
    piece = text[begin:end]
    bare = re.sub(r"--[^\n]*", "", piece).strip()
    if not bare:
        return []
    ahead = re.match(r"(?:\s|--[^\n]*(?:\n|$))*", piece)
    line = first + text[: begin + (ahead.end() if ahead else 0)].count("\n")
    return [Line(line, bare, section)]
