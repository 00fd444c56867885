"""Boxes to tick: what each is, and whether it says when it may be ticked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from opsnb.guide.document import Guide
from opsnb.guide.findings import Finding

Kind = Literal["check", "action", "attestation", "impossible"]
_IMPOSSIBLE = (
    (
        r"error deployments?",
        "the platform keeps no history of deployments: boot errors and 5xx since the last change are what can be asked",
    ),
    (r"\byes\b.*\bactive\b|\bactive\b.*\byes\b", "functions have a status (ACTIVE, REMOVED, THROTTLED) and no column Active"),
    (r"auth\.uid\(\)", "auth.uid() reads a UUID, which a Firebase subject is not (22P02): prove what a caller sees instead"),
    (r"^backup created", "there is no backup on demand: a dump that was restored, or a restorable window, is what can be proved"),
)
_ATTESTED = (
    r"\b(review(ed)?|approv\w+|sign-?off|sign(ed)? (by|off)|filed|coordinated|notified|briefed|scheduled|prepared|identified|handover|"
    r"handed over|feedback|conditions? documented|documentation|root cause|manual|team|legal|compliance|contacts? provided|"
    r"support transition|"
    r"no ui errors|in console|displays?|looks?)\b"
)
_ACTED = r"\b(deleted|restored|reverted|disabled|created|recorded|executed|in execution|cleaned|switched off|announced|triggered|saved?)\b"
_VAGUE = (
    r"\b(reasonable|correctly|properly|proper|working|stable|positive|as expected|expected fields|valid|good|fine|ok|okay|healthy|"
    r"configured|excessive|recent|recurring|in place|required|updated|confirmed|available|active|completing|complete|adoption|"
    r"noted|critical|"
    r"exhaust(ed|ion)|runaway|stuck|hanging|placeholder)\b"
)
_MEASURED = re.compile(r"[<>≤≥=]\s*\d|\b\d+\b|`[^`]+`|\b(all|no|none|every|zero)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Box:
    """A box: what kind it is, and why."""

    line: int
    text: str
    kind: Kind
    why: str

    def for_machines(self) -> dict[str, str | int]:
        """As it goes into JSON."""
        return asdict(self)


def sort(guide: Guide) -> tuple[Box, ...]:
    """Every box with its kind."""
    return tuple(_box(line.line, line.text) for line in guide.boxes)


def judge(boxes: tuple[Box, ...]) -> Iterator[Finding]:
    """Boxes nothing can tick, and boxes that anything can."""
    for box in boxes:
        vague = re.search(_VAGUE, box.text, re.IGNORECASE)
        if box.kind == "impossible":
            yield Finding(box.line, "error", "impossible", box.text, f"Nothing can tell: {box.why}.")
        elif box.kind == "check" and vague is not None and not re.search(r"[<>≤≥]=?\s*\d|\b\d+\b", box.text):
            yield Finding(
                box.line,
                "warning",
                "no-threshold",
                box.text,
                f"“{vague[0]}” is no threshold: two people would tick it differently.",
                "A number, and where it is read.",
            )


def _box(line: int, text: str) -> Box:
    for pattern, why in _IMPOSSIBLE:
        if re.search(pattern, text, re.IGNORECASE):
            return Box(line, text, "impossible", why)
    if re.search(_ATTESTED, text, re.IGNORECASE) and not re.search(r"[<>≤≥]=?\s*\d", text):
        return Box(line, text, "attestation", "only a person can say it: who, when, and what was in front of them")
    if re.search(_ACTED, text, re.IGNORECASE):
        return Box(line, text, "action", "something is done, and its result can be compared")
    measured = bool(_MEASURED.search(text)) or bool(re.search(_VAGUE, text, re.IGNORECASE))
    return Box(line, text, "check", "a system can be asked" if measured else "a system can probably be asked; the box does not say what")
