"""Credentials in source files: the platform's own shapes, detect-secrets' plugins, and texts that are put together. Never the value."""

from __future__ import annotations

import base64
import binascii
import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from detect_secrets.filters import heuristic
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector
from tree_sitter import Node

from opsnb.checks.audit.syntax import LARGEST, Place, Source, cooked, field, parts, text, walk
from opsnb.checks.audit.table import finding, row
from opsnb.checks.scanner import scan

_FIX = "Revoke it: it is in the archive of every deployment. Move it to a variable (supabase secrets set) and deploy again."
_SAMPLE = re.compile(
    r"(?i)[\[<{}>$*%]|example|your|change.?me|placeholder|redacted|dummy|sample|xxx|\.\.\.|not.?set|missing|required|insert|test.?only|fake"
)
_NAME = re.compile(r"[A-Z][A-Z0-9_]*|[a-z]+(?:[-_.:/][a-z]+\d?)*|[a-z]+(?:[A-Z][a-z]+)*")
_HASH_OR_DATA = re.compile(r"(?:sha\d{3}-|base64,|https?://|integrity)\S*$")
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Z0-9_]*(?:SECRET|PASSW|TOKEN|KEY)[A-Z0-9_]*)\s*=\s*['\"]?([^\s'\"#]{12,})")
_LONGEST = 2000
"""Characters of a line that the plugins look at: longer ones are minified code or data."""


def secrets(files: Mapping[str, bytes], sources: Mapping[str, Source]) -> Iterator[dict[str, Any]]:
    """A row of the kind `secret` for each place that holds a credential."""
    texts: dict[str, str] = {}
    for path, content in files.items():
        if len(content) > LARGEST or (b"\0" in content and content[:2] not in (b"\xff\xfe", b"\xfe\xff")):
            yield row("unscanned", Place(path, 1), object=path, operation="large" if len(content) > LARGEST else "binary")
        else:
            texts[path] = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    seen: set[tuple[str, int]] = set()
    found = [
        (str(each["path"]), int(each["line"]), str(each["kind"])) for each in scan({path: files[path] for path in texts}).to_dict("records")
    ]
    found += [(path, line, kind) for path, written in texts.items() for line, kind in _by_plugins(path, written)]
    for source in sources.values():
        if source.root is not None:
            found += [(source.path, line, kind) for line, kind in _put_together(source.root)]
    for path, line, kind in found:
        if (path, line) not in seen:
            seen.add((path, line))
            yield finding("secret", Place(path, line), "error", "hard-coded secret", kind, f"the source holds a credential ({kind})", _FIX)


@cache
def _exact() -> tuple[BasePlugin, ...]:
    """Plugins that know the shape of one issuer's credentials."""
    kinds = (
        ArtifactoryDetector, AzureStorageKeyDetector, CloudantDetector, DiscordBotTokenDetector, GitLabTokenDetector, MailchimpDetector,
        NpmDetector, OpenAIDetector, PypiTokenDetector, SquareOAuthDetector, TelegramBotTokenDetector, TwilioKeyDetector,
    )  # fmt: skip
    return tuple(kind() for kind in kinds)


def _by_plugins(path: str, written: str) -> Iterator[tuple[int, str]]:
    keyword, entropy = KeywordDetector(), Base64HighEntropyString(4.4)
    settings = posixpath.basename(path).startswith(".env")
    for number, line in enumerate(written.splitlines(), 1):
        if not line.strip() or len(line) > _LONGEST:
            continue
        for plugin in _exact():
            if any(isinstance(value, str) and not _is_sample(value) for value in plugin.analyze_string(line)):
                yield number, str(plugin.secret_type)
        # analyze_line of these two takes the file's name for its type, and knows .js only: quotes are always required here
        if any(_is_secret(value, line) for value in keyword.analyze_string(line)):
            yield number, "value of a secret"
        if any(_is_random(str(each.secret_value), line) for each in entropy.analyze_line("a.js", line, number)):
            yield number, "random value"
        if settings and (match := _ASSIGNED.match(line)) and _is_secret(match[2], line):
            yield number, "value of a secret"


def _is_secret(value: str, line: str) -> bool:
    """Whether what is assigned to a secret-like name is a value, and not a message, a name, an address or a sample."""
    if len(value) < 8 or any(character.isspace() for character in value) or _is_sample(value) or "://" in value:
        return False
    mixed = any(each.isdigit() for each in value) and any(each.isalpha() for each in value)
    return mixed and not _NAME.fullmatch(value) and not heuristic.is_indirect_reference(line.replace(value, "")) and _entropy(value) >= 2.8


def _is_random(value: str, line: str) -> bool:
    """Whether a quoted text was generated: long, of all kinds of characters, and no hash, image or address."""
    before = line[: line.find(value)]
    kinds = (str.isdigit, str.islower, str.isupper)
    return (
        32 <= len(value) <= 200
        and all(any(map(kind, value)) for kind in kinds)
        and not _is_sample(value)
        and not _HASH_OR_DATA.search(before)
        and not value.startswith(("sha256-", "sha384-", "sha512-", "eyJ"))
        and "/" not in value[:1]
        and not re.search(r"(?i)hash|digest|checksum|fingerprint|alphabet|charset|etag", line)
    )


def _is_sample(value: str) -> bool:
    return (
        bool(_SAMPLE.search(value))
        or len(set(value)) < 5
        or heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_templated_secret(value)
        or heuristic.is_not_alphanumeric_string(value)
    )


def _entropy(value: str) -> float:
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _put_together(root: Node) -> Iterator[tuple[int, str]]:
    """Credentials that are written in pieces (``"sbp_" + "..."``, ``[..].join("")``) or in base64 (``atob("...")``)."""
    for node in walk(root):
        whole = ""
        if node.type == "binary_expression" and (node.parent is None or node.parent.type != "binary_expression"):
            pieces = list(_terms(node))
            whole = "".join(pieces) if len(pieces) > 1 else ""
        elif node.type == "call_expression":
            whole = _called(node)
        if len(whole) >= 16:
            for each in scan({"a.ts": f'"{whole}"'.encode(errors="replace")}).to_dict("records"):
                yield node.start_point[0] + 1, str(each["kind"])


def _terms(node: Node) -> Iterator[str]:
    """The texts of a sum; nothing where a part of it is no text."""
    found: list[str] = []
    pending: list[Node | None] = [node]
    while pending:
        current = pending.pop()
        if current is not None and current.type == "binary_expression" and text(field(current, "operator")) == "+":
            pending += [field(current, "right"), field(current, "left")]
        elif current is not None and current.type == "string":
            found.append(cooked(current))
        else:
            return
    yield from found


def _called(node: Node) -> str:
    called, given = field(node, "function"), field(node, "arguments")
    arguments = parts(given) if given is not None and given.type == "arguments" else []
    if called is None:
        return ""
    if text(called) == "atob" and arguments and arguments[0].type == "string":
        try:
            return base64.b64decode(cooked(arguments[0]), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            return ""
    listed = field(called, "object") if called.type == "member_expression" and text(field(called, "property")) == "join" else None
    if listed is not None and listed.type == "array" and all(each.type == "string" for each in parts(listed)):
        separator = cooked(arguments[0]) if arguments and arguments[0].type == "string" else ","
        return separator.join(map(cooked, parts(listed)))
    return ""
