"""Cuts the body of a PL/pgSQL function into what PostgreSQL would hand to its SQL parser, one piece each.

Follows PL/pgSQL's own rules: an expression ends where its keyword stands outside parentheses; what is evaluated is ``select <expression>``.
"""

from __future__ import annotations

from collections.abc import Sequence

from opsnb.checks.bodies.blocks import Blocks, parts, split
from opsnb.checks.bodies.lexer import Token, top_level, until
from opsnb.checks.bodies.program import Declared, Path, Piece, Program
from opsnb.errors import SourceNonsense

_STATEMENTS = {
    "if": "if_", "case": "case_", "loop": "loop_", "while": "while_", "for": "for_", "foreach": "foreach_", "exit": "exit_",
    "continue": "exit_", "return": "return_", "raise": "raise_", "assert": "assert_", "perform": "perform_", "execute": "execute_",
    "get": "get_", "open": "open_", "fetch": "fetch_", "move": "fetch_", "close": "ignored", "null": "ignored", "commit": "ignored",
    "rollback": "ignored", "call": "call_",
}  # fmt: skip


def program(body: str) -> Program:
    """The pieces of *body*; SourceNonsense where it is not understood."""
    try:
        return _Statements(body).read()
    except IndexError:
        raise SourceNonsense("a statement ends too early") from None


class _Statements(Blocks):
    # ── statements ──
    def statement(self) -> None:
        if self.peek().is_("<<"):
            after = self.peek(3)
            if after.is_("declare", "begin"):
                self.block()
                self.need(";")
                return
            self.label()
        token = self.peek()
        if token.is_("declare", "begin"):
            self.block()
            self.need(";")
            return
        method = _STATEMENTS.get(token.key) if token.kind == "word" else None
        following = self.peek(1)
        if method is None or following.is_(":=", "=", ".", "["):
            self.assignment_or_sql()
            return
        self.place += 1
        getattr(self, method)(token)

    def if_(self, token: Token) -> None:
        existence = False
        condition = self.expression(self.take("then"), token.line)
        while True:
            existence = existence or bool(condition and condition.existence)
            self.guarded("elsif", "elseif", "else", "end", existence=existence)
            line = self.peek().line
            if self.skip("elsif", "elseif"):
                condition = self.expression(self.take("then"), line)
            elif self.skip("else"):
                continue
            else:
                break
        self.end("if")

    def case_(self, token: Token) -> None:
        if not self.peek().is_("when"):
            end = until(self.tokens, self.place, "when")
            self.expression(self.tokens[self.place : end], token.line)
            self.place = end
        while self.skip("when"):
            # a simple CASE lists values: `when 1, 2 then`
            self.expression(self.take("then"))
            self.body_until("when", "else", "end")
        if self.skip("else"):
            self.body_until("end")
        self.end("case")

    def loop_(self, _token: Token) -> None:
        self.body_until("end")
        self.end("loop")

    def while_(self, token: Token) -> None:
        condition = self.expression(self.take("loop"), token.line)
        self.guarded("end", existence=bool(condition and condition.existence))
        self.end("loop")

    def end(self, what: str) -> None:
        self.need("end")
        self.need(what)
        if not self.peek().is_(";"):
            self.place += 1
        self.need(";")

    def for_(self, token: Token) -> None:
        targets = self.paths(self.take("in"))
        taken = self.take("loop")
        if not taken:
            raise SourceNonsense(f"line {token.line}: a loop over nothing")
        ranges = top_level(taken, "..")
        if taken[0].is_("execute"):
            self.dynamic(taken[1:], token.line, targets)
        elif ranges:
            start = 1 if taken[0].is_("reverse") else 0
            step = next((n for n in top_level(taken, "by") if n > ranges[0]), len(taken))
            self.out.variables.append(Declared(targets[0][0], "integer", token.line))
            for part in (taken[start : ranges[0]], taken[ranges[0] + 1 : step], taken[step + 1 :]):
                self.expressions(part, token.line)
        elif taken[0].named and taken[0].key in self.out.cursors and (len(taken) == 1 or taken[1].is_("(")):
            self.out.variables.append(Declared(targets[0][0], "record", token.line))
            self.out.loops.append((targets[0][0], taken[0].key))
            self.expressions(taken[2:-1], token.line)
        elif len(taken) == 1 and taken[0].named:
            self.out.unknown.update(path[0] for path in targets)
            self.out.variables.append(Declared(targets[0][0], "record", token.line))
        else:
            self.piece("query", taken, into=targets, line=token.line)
        self.loop_(token)

    def foreach_(self, token: Token) -> None:
        head = self.take("in")
        slice_ = next((n for n, each in enumerate(head) if each.is_("slice")), len(head))
        for path in self.paths(head[:slice_]):
            self.out.unknown.add(path[0])
        self.need("array")
        self.expression(self.take("loop"), token.line)
        self.loop_(token)

    def exit_(self, token: Token) -> None:
        taken = self.take(";")
        when = next((n for n, each in enumerate(taken) if each.is_("when")), len(taken))
        self.expressions(taken[when + 1 :], token.line)

    def return_(self, token: Token) -> None:
        if self.peek().is_("next") and not self.peek(1).is_("."):
            self.place += 1
            self.expressions(self.take(";"), token.line)
        elif self.peek().is_("query") and not self.peek(1).is_(".", ";"):
            self.place += 1
            if self.skip("execute"):
                self.dynamic(self.take(";"), token.line)
            else:
                self.piece("query", self.take(";"), line=token.line)
        else:
            self.expressions(self.take(";"), token.line)

    def raise_(self, token: Token) -> None:
        taken = self.take(";")
        if taken and taken[0].is_("debug", "log", "info", "notice", "warning", "exception"):
            taken = taken[1:]
        using = next(iter(top_level(taken, "using")), len(taken))
        head = taken[:using]
        if head and head[0].kind == "string":
            for start, stop in parts(head[1:]):
                self.expressions(head[1:][start:stop], token.line)
        for start, stop in parts(taken[using + 1 :]):
            option = taken[using + 1 :][start:stop]
            self.expressions(option[2:], token.line)

    def assert_(self, token: Token) -> None:
        self.expression(self.take(";"), token.line)

    def perform_(self, token: Token) -> None:
        self.piece("query", self.take(";"), prefix="select ", line=token.line)

    def execute_(self, token: Token) -> None:
        self.dynamic(self.take(";"), token.line)

    def dynamic(self, taken: list[Token], line: int, targets: Sequence[Path] = ()) -> None:
        """``execute <text> into a, b using c, d``: the text's expression and the values are read, what it says is not."""
        into = next(iter(top_level(taken, "into")), None)
        using = next(iter(top_level(taken, "using")), None)
        places = sorted(place for place in (into, using) if place is not None)
        parts = {"text": taken[: places[0]] if places else taken}
        for number, place in enumerate(places):
            stop = places[number + 1] if number + 1 < len(places) else len(taken)
            parts["into" if place == into else "using"] = taken[place + 1 : stop]
        filled = [*targets, *self.paths([token for token in parts.get("into", []) if not token.is_("strict")])]
        self.expression(parts["text"], line)
        self.expressions(parts.get("using", []), line)
        self.piece("dynamic", parts["text"], into=filled, line=line)
        self.out.unknown.update(path[0] for path in filled)

    def get_(self, token: Token) -> None:
        for part in split(self.take(";")):
            sign = next((n for n, each in enumerate(part) if each.is_("=", ":=")), 0)
            names = [each for each in part[:sign] if not each.is_("current", "stacked", "diagnostics")]
            self.assigned(names, token.line)

    def open_(self, token: Token) -> None:
        taken = self.take(";")
        start = next((n for n, each in enumerate(taken) if each.is_("for")), None)
        if start is None:  # a bound cursor, perhaps with arguments
            if not any(each.is_(":=", "=>") for each in taken):
                self.expressions(taken[2:-1], token.line)
        elif start + 1 < len(taken) and taken[start + 1].is_("execute"):
            self.dynamic(taken[start + 2 :], token.line)
        else:
            made = self.piece("query", taken[start + 1 :], line=token.line)
            if made and taken[0].named:
                if taken[0].key in self.out.cursors and self.out.cursors[taken[0].key].sql != made.sql:
                    self.out.unknown.add(taken[0].key)
                self.out.cursors[taken[0].key] = made

    def fetch_(self, _token: Token) -> None:
        taken = self.take(";")
        into = next((n for n, each in enumerate(taken) if each.is_("into")), None)
        if into is not None:
            self.out.unknown.update(path[0] for path in self.paths(taken[into + 1 :]))

    def ignored(self, _token: Token) -> None:
        self.take(";")

    def call_(self, token: Token) -> None:
        self.piece("call", self.take(";"), prefix="select ", line=token.line)

    def assignment_or_sql(self) -> None:
        first = self.peek()
        taken = self.take(";")
        sign = self.assignment(taken)
        if sign is not None:
            self.assigned(taken[:sign], first.line)
            value = taken[sign + 1 :]
            self.expression(value, first.line)
            return
        if not first.named and not first.is_("("):
            raise SourceNonsense(f"line {first.line}: a statement was expected")
        if first.is_("select", "with", "insert", "update", "delete", "merge", "values", "table", "("):
            places, into = self.into(taken)
            kept = taken if places is None else [*taken[: places[0]], *taken[places[1] :]]
            if places is None:
                self.piece("query", taken, line=first.line)
            else:  # `into` is cut out, its line breaks stay
                text = self.body[taken[0].start : taken[places[0] - 1].end] + " " + self.text(taken[places[1] :])
                made = self.piece("query", kept, into=into, line=first.line)
                if made:
                    made.sql = text
        elif first.is_("create", "truncate"):
            self.piece("query", taken, line=first.line)
        else:
            self.piece("other", taken, line=first.line)

    def assignment(self, taken: Sequence[Token]) -> int | None:
        """Where the := of an assignment stands; None where it is none."""
        if not taken or not taken[0].named:
            return None
        number = 1
        while number < len(taken):
            token = taken[number]
            if token.is_(":=", "="):
                return number
            if token.is_(".") and number + 1 < len(taken) and taken[number + 1].named:
                number += 2
            elif token.is_("["):
                number = until(taken, number + 1, "]") + 1
            else:
                return None
        return None

    def assigned(self, names: Sequence[Token], line: int) -> None:
        """A target of an assignment: its variable and field, and the subscripts in it."""
        for path in self.paths(names):
            self.target(path, line)
            if len(path) == 1:
                self.out.unknown.add(path[0])

    def target(self, path: Path, line: int) -> None:
        self.out.pieces.append(Piece("target", "", line, (path,)))

    def paths(self, taken: Sequence[Token]) -> list[Path]:
        """The variables of a list such as ``a, b.c, d[1]``."""
        found: list[Path] = []
        for part in split(taken):
            stop = next((n for n, token in enumerate(part) if token.is_("[")), len(part))
            path = tuple(token.key for token in part[:stop] if token.named)
            if path:
                found.append(path)
        return found

    def into(self, taken: Sequence[Token]) -> tuple[tuple[int, int] | None, tuple[Path, ...]]:
        """Where ``into a, b`` of a query stands and what it fills."""
        for number, token in enumerate(taken):
            if number and token.is_("into") and not taken[number - 1].is_("insert", "merge"):
                end = number + 1
                if taken[end].is_("strict"):
                    end += 1
                while end < len(taken) and taken[end].named:
                    end += 1
                    while end < len(taken):
                        if taken[end].is_(".") and end + 1 < len(taken):
                            end += 2
                        elif taken[end].is_("["):
                            end = until(taken, end + 1, "]") + 1
                        else:
                            break
                    if end < len(taken) and taken[end].is_(","):
                        end += 1
                        continue
                    break
                targets = [each for each in taken[number + 1 : end] if not each.is_("strict")]
                for path in self.paths(targets):
                    if len(path) > 1:
                        self.target(path, token.line)
                return (number, end), tuple(self.paths(targets))
        return None, ()
