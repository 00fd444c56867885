"""What is a secret, or a person's, wherever it stands: by its shape alone.

Telephone numbers and identifiers only as people write them (with a plus, or in their usual groups): what a chart or a log is full of
are numbers too.
"""

from __future__ import annotations

import re

TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("access token of the platform", re.compile(r"sbp_(?:oauth_|fc)?[A-Za-z0-9]{32,}")),
    ("secret key of the platform", re.compile(r"sb_secret_[A-Za-z0-9_-]{20,}")),
    ("token (JWT)", re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("key of AWS", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\s\S]){0,8000}(?:-----END [A-Z ]*PRIVATE KEY-----)?")),
    ("age identity", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{20,}")),
    ("password in an address", re.compile(r"(?<=://)[^\s/@:\"'<>\[\]…]+:[^\s/@\"'<>\[\]…]{3,}(?=@[\w.-])")),
)
"""What is a secret wherever it stands."""

PERSONAL: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("e-mail address", re.compile(r"(?<![\w.+/-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[A-Za-z]{2,24}(?![\w-])")),
    ("telephone number", re.compile(r"(?<![\w.:/+-])\+[1-9](?:[ ./()-]{0,2}\d){8,14}(?![\w-]|[.:]\d)")),
    ("telephone number", re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])")),
    ("social security number", re.compile(r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    (
        "date of birth",
        re.compile(
            r"(?i)(?<![a-z])(?:birth(?:_?da(?:y|te))?|born|dob)[\W_]{0,12}(?:(?:of|date|day|on|is|was)[\W_]{1,4}){0,3}"
            r"(?:\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4})"
        ),
    ),
)
"""What belongs to a person, and is never the matter of a phase: it deals with tables and rates."""
