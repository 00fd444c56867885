"""Who may have what: what a handler does with more than the caller's own rights, and what it knows of the caller by then."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.table import finding
from opsnb.checks.audit.values import Labels, Query, Text, Value, is_who, labels_of, options

SERVICE_NAME = re.compile(r"SERVICE_?ROLE|SERVICE_?KEY|SUPABASE_SECRET|(?:^|_)SB_SECRET|ADMIN_?KEY$")
DATABASE_NAME = re.compile(r"(?:DB|DATABASE|POSTGRES\w*)_UR[LI]|PGPASSWORD|DATABASE_PASSWORD|CONNECTION_STRING")
_PUBLIC_NAME = re.compile(r"ANON|PUBLISHABLE")
SECRET_NAME = re.compile(r"SECRET|PASSW|TOKEN|CREDENTIAL|PRIVATE|HMAC|SIGNING|SALT|(?:_|^)KEYS?(?:_|$)|KEY$|DSN|DB_URL|DATABASE_URL")
_ADMINISTRATORS = re.compile(r"(?i)\b(?:super_?)?admin|service_role|system|superuser|\broot\b|staff")
# verifies and throws where it is not so
_THROWING = re.compile(r"^(?:jwtVerify|verifyIdToken|verifySessionCookie|constructEvent(?:Async)?|authenticateRequest|verify)$")
_HELPER = re.compile(
    r"(?i)^(?:verify|validate|check|require|authenticate|authorize|assert|ensure)_?\w*(?:jwt|token|auth|user|caller|session|claims|identity|firebase|login|signature)"
)
_ASKING = re.compile(r"(?i)^get_?\w*(?:user|caller|claims|identity)$")
_UNVERIFIED = re.compile(r"(?i)decode|unsafe|unverified|parse")
CREDENTIAL = re.compile(r"(?i)authorization|token|jwt|cookie|api-?key|session|signature|secret")
_PERSONAL = re.compile(r"(?i)(?:^|_|[a-z])(?:ids?|uid|uuid|email|phone|user|patient|number|code|path|name|key)$")


class Links:
    """Which labels were related to which others: a union of sets."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, label: str) -> str:
        """The one that stands for all that *label* is related to."""
        while (above := self._above.get(label, label)) != label:
            label = above
        return label

    def join(self, labels: Iterable[str]) -> None:
        """Relates all of *labels* to one another."""
        roots = sorted({self.root(label) for label in labels if is_who(label)})
        for root in roots[1:]:
            self._above[root] = roots[0]


@dataclass(frozen=True)
class Use:
    """One thing done with the service role or the database's password; `verified`: the caller was verified by then."""

    query: Query
    subject: str
    verified: bool


@dataclass
class Entry:
    """One handler: `person` and `machine` say how the caller is verified, `privileged` that the handler is for administrators.

    `passed`: for a middleware, whether the caller was verified each time it handed on to what comes next.
    """

    function: str
    place: Place
    person: bool = False
    machine: bool = False
    privileged: bool = False
    passed: list[bool] = field(default_factory=list)
    links: Links = field(default_factory=Links)
    uses: list[Use] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)

    def findings(self) -> Iterator[dict[str, Any]]:
        """The rows of the kind `authority` for this handler."""
        for query in self.queries:
            asked = query.asked
            self.links.join(asked | {"caller"} if query.client.authority in ("caller", "") else asked)
            if "caller" in asked and any(administrators(value) for _, _, value, _ in query.filters):
                self.privileged = True
        for use in self.uses:
            rights = "the database's own login" if use.query.kind_of_rights == "database" else "the service role"
            if not use.verified:
                yield finding("authority", use.query.place, "error", "unverified caller", use.subject,
                              f"{self.function} uses {use.subject} with {rights} before anything has verified who calls; no policy holds",
                              "Verify the token first (auth.getUser, jwtVerify) and refuse where it is wrong. The gateway's own check "
                              "lets the public anon key through.", self.function)  # fmt: skip
            elif self.person and not self.privileged:
                yield from self._unrelated(use, rights)

    def _unrelated(self, use: Use, rights: str) -> Iterator[dict[str, Any]]:
        asked = sorted(label for label in use.query.asked if label.startswith("request"))
        foreign = [label.partition(":")[2] or "the request" for label in asked if self.links.root(label) != self.links.root("caller")]
        if foreign and len(foreign) == len(asked):
            severity = "error" if any(_PERSONAL.search(name) or name == "the request" for name in foreign) else "warning"
            yield finding("authority", use.query.place, severity, "unrelated record", use.subject,
                          f"{self.function} uses {use.subject} with {rights} for the {' and '.join(foreign)} that the request names; "
                          "the caller is verified, but never related to it",
                          "Filter by the verified subject too, or compare the record's owner with it, or use a client with the "
                          "caller's own token.", self.function)  # fmt: skip


def authority(key: Value, header: Value | None = None) -> str:
    """Whose rights a client has that was made with *key*, and with *header* as Authorization: service, caller, anon or ''."""
    for said in (header, key):
        if said is None:
            continue
        labels = labels_of(said)
        names = [label[4:] for label in labels if label.startswith("env:")]
        if any(map(SERVICE_NAME.search, names)) or any(_is_service_literal(each) for each in options(said)):
            return "service"
        if "caller" in labels:
            return "caller"
        if any(map(_PUBLIC_NAME.search, names)):
            return "anon"
    return ""


def _is_service_literal(value: Value) -> bool:
    literal = value.literal if isinstance(value, Text) else None
    return bool(literal and (literal.removeprefix("Bearer ").startswith("sb_secret_") or "c2VydmljZV9yb2xl" in literal))


def is_machine_secret(labels: Labels) -> bool:
    """Whether a value was made from a secret of the functions' environment, so that who knows it is trusted."""
    return any(label.startswith("env:") and SECRET_NAME.search(label[4:]) and not _PUBLIC_NAME.search(label) for label in labels)


def verifier(name: str) -> str:
    """What a function that is not among the sources does, by its *name*: 'throws', 'asks' (its answer has to be looked at) or ''."""
    last = name.rpartition(".")[2]
    if _UNVERIFIED.search(last):
        return ""
    if _THROWING.match(last) or _HELPER.match(last):
        return "throws"
    return "asks" if _ASKING.match(last) else ""


def administrators(value: Value) -> bool:
    """Whether *value* is written in the source and names administrators."""
    literal = value.literal if isinstance(value, Text) else None
    return bool(literal and _ADMINISTRATORS.search(literal))
