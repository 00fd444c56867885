"""Commands of a runbook: whether they exist, and whether they could fail."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from opsnb.guide import grammar
from opsnb.guide.document import Block, Guide, Line
from opsnb.guide.findings import Finding

POOLER = ":6543"


def judge(guide: Guide) -> Iterator[Finding]:
    """Every command, and every block of commands that holds none."""
    for command in guide.commands:
        for words in _pieces(command.text):
            yield from _judged(command, words)
        yield from _whole(command)
    for block in guide.blocks:
        yield from _nothing_runs(block)
        yield from _by_eye(block)


def _pieces(text: str) -> Iterator[list[str]]:
    """The simple commands of a line, without environment variables before them and what runs them (npx, sudo, time)."""
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
    except ValueError:
        return
    piece: list[str] = []
    for word in [*words, ";"]:
        if word in ("|", "||", "&&", ";", "&", "(", ")") or (set(word) <= set("|&;()") and word):
            while piece and (piece[0] in ("npx", "bunx", "pnpm", "yarn", "dlx", "sudo", "time", "exec", "-y", "--yes") or "=" in piece[0]):
                piece.pop(0)
            if piece:
                yield piece
            piece = []
        else:
            piece.append(word)


def _judged(line: Line, words: list[str]) -> Iterator[Finding]:
    program, rest = words[0].rpartition("/")[2], _without_redirections(words[1:])
    if program == "supabase":
        yield from _client(line, rest)
    elif program == "psql":
        yield from _psql(line, rest)
    elif program == "curl":
        yield from _curl(line, rest)
    elif program == "tail" and any(re.fullmatch(r"-\w*[fF]|--follow.*", word) for word in rest):
        yield Finding(
            line.line,
            "warning",
            "never-ends",
            _short(line.text),
            "It follows a file for ever: as a step it never ends, and finding nothing looks like all is well.",
            "Search what is there, and say how much was searched.",
        )


def _without_redirections(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word and set(word) <= set("<>&"):
            skip = True
        else:
            kept.append(word)
    return kept


def _client(line: Line, words: list[str]) -> Iterator[Finding]:
    found = grammar.understand(words)
    called = f"supabase {' '.join(words)}"
    if found.unknown_command:
        sentence = f"`supabase {found.unknown_command}` does not exist in version {grammar.version()} of the client."
        yield Finding(line.line, "error", "unknown-command", _short(called), sentence, found.instead)
        return
    if found.unknown_flags:
        flags = ", ".join(found.unknown_flags)
        sentence = f"`supabase {found.command}` has no flag {flags} in version {grammar.version()} of the client."
        yield Finding(line.line, "error", "unknown-flag", _short(called), sentence, found.instead)
    if found.danger:
        yield Finding(line.line, "warning", "changes-more", _short(called), found.danger)


def _psql(line: Line, words: list[str]) -> Iterator[Finding]:
    text = " ".join(words)
    runs_file = any(word in ("-f", "--file") or word.startswith(("-f", "--file=")) for word in words)
    if runs_file and "ON_ERROR_STOP" not in text:
        yield Finding(
            line.line,
            "error",
            "goes-on-after-errors",
            _short(line.text),
            "psql goes on after an error and ends with exit code 0.",
            "psql -v ON_ERROR_STOP=1 --single-transaction -f …",
        )
    elif runs_file and not any(word in ("-1", "--single-transaction") for word in words):
        yield Finding(
            line.line,
            "warning",
            "half-done",
            _short(line.text),
            "Without one transaction a failure leaves half of it done.",
            "psql -v ON_ERROR_STOP=1 --single-transaction -f …",
        )
    if POOLER in text:
        yield Finding(
            line.line,
            "warning",
            "transaction-pooler",
            _short(line.text),
            "Port 6543 is the transaction pooler: it keeps no session (settings, prepared statements, advisory locks).",
            "Port 5432 of the same host is session mode.",
        )
    if re.search(r"://[^\s/@:]+:[^\s/@]+@", text):
        yield Finding(
            line.line,
            "warning",
            "password-in-sight",
            "psql postgresql://…",
            "A password on the command line is in the shell's history and in the list of processes.",
            "PGPASSWORD, a service file or ~/.pgpass.",
        )


def _curl(line: Line, words: list[str]) -> Iterator[Finding]:
    text = " ".join(words)
    url = next((word for word in words if "://" in word), "")
    if "/functions/v1/" in text and "authorization" not in text.lower():
        yield Finding(
            line.line,
            "error",
            "refused",
            _short(f"curl {url}"),
            "Without an Authorization header the gateway answers 401 (verify_jwt is on by default): no function is asked.",
            '-H "Authorization: Bearer …", and the header the function verifies its caller by.',
        )
    judged = any(word in ("-f", "--fail", "--fail-with-body", "-w", "--write-out") or re.fullmatch(r"-\w*f\w*", word) for word in words)
    if not judged:
        yield Finding(
            line.line,
            "warning",
            "cannot-fail",
            _short(f"curl {url}"),
            "curl ends with exit code 0 whatever the status is.",
            "--fail-with-body, and compare status and fields.",
        )


def _whole(line: Line) -> Iterator[Finding]:
    if re.search(r"\|\|\s*(true|:)\s*($|[;&|])", line.text):
        yield Finding(line.line, "error", "cannot-fail", _short(line.text), "`|| true` makes every failure a success.")
    pieces = list(_pieces(line.text))
    last = pieces[-1] if len(pieces) > 1 else []
    counts = any(re.fullmatch(r"-\w*[qc]\w*|--quiet|--count", word) for word in last)
    if last[:1] in (["grep"], ["egrep"]) and not counts and not re.search(r"\b(if|test)\b|!|\[", line.text):
        yield Finding(
            line.line,
            "warning",
            "cannot-fail",
            _short(line.text),
            "grep that finds nothing says as little as a log that is empty, and nothing compares its exit code.",
            "Count what was searched and what was found, against a limit.",
        )


def _nothing_runs(block: Block) -> Iterator[Finding]:
    if block.language not in ("bash", "sh", "shell", "zsh"):
        return
    lines = [line.strip() for line in block.text.splitlines() if line.strip()]
    if lines and all(line.startswith("#") for line in lines):
        yield Finding(
            block.line,
            "warning",
            "nothing-runs",
            _short(lines[0]),
            "The block holds comments only: nothing is carried out, so nothing can fail." + _dashboard(block.text),
        )
    elif lines and all(line.startswith("#") or re.fullmatch(r"[A-Z][A-Z0-9_]*=\S.*", line) for line in lines):
        yield Finding(
            block.line,
            "warning",
            "nothing-runs",
            _short(lines[0]),
            "The block assigns variables and compares nothing. Functions' variables are the project's, not each function's.",
            "supabase secrets list, or opsnb run ENV --phase environment",
        )


def _by_eye(block: Block) -> Iterator[Finding]:
    if not block.language and re.search(r"expected (output|result)", block.before, re.IGNORECASE):
        first = block.text.strip().splitlines()[0] if block.text.strip() else ""
        sentence = "A person compares two pictures of text: layouts change, and a line that is missing is easily not seen."
        yield Finding(block.line, "warning", "compared-by-eye", _short(first), sentence, "Ask for the values as JSON and compare them.")


def _dashboard(text: str) -> str:
    if re.search(r"request backup|create.*backup", text, re.IGNORECASE):
        return " The dashboard has no backup on demand: take a dump, or note the restorable window."
    return " Clicks leave no evidence." if "dashboard" in text.lower() else ""


def _short(text: str) -> str:
    """At most 100 letters, on one line, without a password."""
    one = re.sub(r"(://[^\s/@:]+):[^\s/@]+@", r"\1:…@", " ".join(text.split()))
    return one if len(one) <= 100 else one[:97] + "…"
