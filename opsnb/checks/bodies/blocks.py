"""Reads blocks of a PL/pgSQL body: tokens, labels, declarations, exception handlers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from opsnb.checks.bodies.lexer import Token, tokens, top_level, until
from opsnb.checks.bodies.program import EXISTENCE, MISSING, Declared, Path, Piece, Program
from opsnb.errors import SourceNonsense


class Blocks:
    """Reads a body from its first token to its last."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.tokens = tokens(body)
        self.place = 0
        self.out = Program()

    # ── tokens ──
    def read(self) -> Program:
        """The whole body; SourceNonsense where it is not understood."""
        while self.peek().is_("#"):  # #variable_conflict use_column, #option dump
            line = self.peek().line
            while self.place < len(self.tokens) and self.peek().line == line:
                self.place += 1
        self.block()
        self.skip(";")
        if self.place < len(self.tokens):
            raise SourceNonsense(f"line {self.peek().line} comes after the end of the body")
        return self.out

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one further on; SourceNonsense where the body has ended."""
        if self.place + ahead < len(self.tokens):
            return self.tokens[self.place + ahead]
        if ahead:
            return Token("end", "", "", len(self.body), len(self.body), 0)
        raise SourceNonsense("the body ends too early")

    def skip(self, *words: str) -> bool:
        """Passes over the next token where it is one of *words*; whether it was."""
        if self.place < len(self.tokens) and self.peek().is_(*words):
            self.place += 1
            return True
        return False

    def need(self, *words: str) -> None:
        """The same; SourceNonsense where it is another."""
        if not self.skip(*words):
            raise SourceNonsense(f"line {self.peek().line}: expected {' or '.join(words)}")

    def take(self, *stops: str) -> list[Token]:
        """The tokens up to one of *stops*, which is passed over."""
        end = until(self.tokens, self.place, *stops)
        taken = self.tokens[self.place : end]
        self.place = end + 1
        return taken

    def text(self, taken: Sequence[Token]) -> str:
        """The source from the first of *taken* to the last."""
        return self.body[taken[0].start : taken[-1].end] if taken else ""

    def piece(self, kind: str, taken: Sequence[Token], *, prefix: str = "", into: Iterable[Path] = (), line: int = 0) -> Piece | None:
        """Keeps *taken* as a piece; None where there is nothing."""
        if not taken:
            return None
        text = self.text(taken)
        made = Piece(kind, prefix + text, line or taken[0].line, tuple(into), existence=EXISTENCE.search(text) is not None)
        self.out.pieces.append(made)
        return made

    def expression(self, taken: Sequence[Token], line: int = 0) -> Piece | None:
        """Keeps what is evaluated."""
        return self.piece("expression", taken, prefix="select ", line=line)

    def expressions(self, taken: Sequence[Token], line: int) -> None:
        """The same, where there is something."""
        if taken:
            self.expression(taken, line)

    # ── blocks ──
    def label(self) -> None:
        """``<<name>>``, where one stands."""
        if self.skip("<<"):
            self.out.labels.add(self.peek().key)
            self.place += 1
            self.need(">>")

    def block(self) -> None:
        """``[declare ...] begin ... [exception ...] end``; handlers shield what stands before them."""
        self.label()
        if self.skip("declare"):
            while not self.peek().is_("begin"):
                if self.skip("declare"):
                    continue
                self.declaration()
        self.need("begin")
        first = len(self.out.pieces)
        self.body_until("end", "exception")
        if self.skip("exception"):
            inside = self.out.pieces[first:]
            caught: set[str] = set()
            while self.skip("when"):
                caught |= {token.key.strip("'").lower() for token in self.take("then")}
                self.body_until("when", "end")
            shield = "named" if caught & MISSING else "others" if "others" in caught else ""
            for piece in inside:
                piece.shield = "named" if "named" in (piece.shield, shield) else piece.shield or shield
        self.need("end")
        if self.place < len(self.tokens) and self.peek().named:
            self.place += 1

    def declaration(self) -> None:
        """One variable, cursor or alias."""
        name = self.peek()
        if not name.named:
            raise SourceNonsense(f"line {name.line}: a declaration was expected")
        self.place += 1
        taken = self.take(";")
        if not taken:
            raise SourceNonsense(f"line {name.line}: a declaration without a type")
        if taken[0].is_("alias"):
            self.out.variables.append(Declared(name.key, "alias", name.line))
            return
        cursor = next((n for n, token in enumerate(taken[:3]) if token.is_("cursor")), None)
        if cursor is not None and all(token.is_("no", "scroll") for token in taken[:cursor]):
            self.cursor(name, taken[cursor + 1 :])
            return
        start = 1 if taken[0].is_("constant") else 0
        stop = next((n for n in range(start, len(taken)) if taken[n].is_("default", ":=", "=", "not", "collate")), len(taken))
        default = next((n for n in range(stop, len(taken)) if taken[n].is_("default", ":=", "=")), len(taken))
        self.out.variables.append(Declared(name.key, self.text(taken[start:stop]), name.line))
        self.expressions(taken[default + 1 :], name.line)

    def cursor(self, name: Token, taken: list[Token]) -> None:
        """A bound cursor: its arguments are variables, its query a piece."""
        self.out.variables.append(Declared(name.key, "refcursor", name.line))
        if taken and taken[0].is_("("):
            end = until(taken, 1, ")")
            inside = taken[1:end]
            for start, stop in parts(inside):
                self.out.variables.append(Declared(inside[start].key, self.text(inside[start + 1 : stop]), name.line))
            taken = taken[end + 1 :]
        if not taken or not taken[0].is_("for", "is"):
            raise SourceNonsense(f"line {name.line}: a cursor without a query")
        made = self.piece("query", taken[1:], line=name.line)
        if made:
            self.out.cursors[name.key] = made

    def body_until(self, *stops: str) -> None:
        """Statements up to one of *stops*, which stays."""
        while not self.peek().is_(*stops):
            self.statement()

    def guarded(self, *stops: str, existence: bool) -> None:
        """The statements of a branch; where its condition asks whether something exists, what is missing in it is meant."""
        first = len(self.out.pieces)
        self.body_until(*stops)
        if existence:
            for piece in self.out.pieces[first:]:
                piece.shield = "named"

    def statement(self) -> None:
        """Reads one statement."""
        raise NotImplementedError


def parts(taken: Sequence[Token]) -> list[tuple[int, int]]:
    """The pieces between commas outside parentheses, empty ones left out."""
    edges = [-1, *top_level(taken, ","), len(taken)]
    return [(start + 1, stop) for start, stop in pairwise(edges) if stop > start + 1]


def split(taken: Sequence[Token]) -> list[Sequence[Token]]:
    """The same as tokens."""
    return [taken[start:stop] for start, stop in parts(taken)]
