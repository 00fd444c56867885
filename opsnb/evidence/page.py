"""Pages that load nothing from outside: templates, and the Content-Security-Policy that says so."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from opsnb.evidence import display
from opsnb.evidence.safe import in_template

EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""Hash of nothing: the chart library makes an empty style element and fills it by rules."""


def render(template: str, *, library: str = "", **context: Any) -> str:
    """The page *template* as text. *library* is the address of the chart library; without it the page runs no script but its own."""
    style = display.css() + text("page.css")  # in this order: the page decides
    script = scripts()
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            policy=policy(style, script, library=bool(library)),
            library=library,
            chip=lambda word: Markup(display.chip(word)),  # noqa: S704  (escapes what it is given)
            **context,
        )
    )


def policy(style: str, script: str, *, library: bool) -> str:
    """The Content-Security-Policy of a page with that inline style and script, both named by their hash.

    Chromium takes 'self' for a neighbour of a page opened from disk, and refuses integrity hashes there. The chart library
    sets style attributes; nothing else in a page can, as every other text is escaped or cleaned of them.
    """
    directives = [
        "default-src 'none'",
        f"script-src {_hash(script)}" + (" 'self'" if library else ""),
        f"style-src {_hash(style)}" + (f" {EMPTY_STYLE}" if library else ""),
        *(["style-src-attr 'unsafe-inline'"] if library else []),
        "img-src data:",
        "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(directives)


@cache
def scripts() -> str:
    """What every page runs: its tables sort and narrow, its charts are drawn."""
    return text("tables.js") + text("page.js")


@cache
def text(name: str) -> str:
    """A file of the templates folder."""
    return resources.files("opsnb.evidence").joinpath("templates", name).read_text(encoding="utf-8")


def templates() -> list[str]:
    """The texts of all templates: words that pages say by themselves."""
    return [
        path.read_text(encoding="utf-8") for path in resources.files("opsnb.evidence").joinpath("templates").iterdir() if path.is_file()
    ]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("opsnb.evidence", "templates"),
        autoescape=True,
        finalize=in_template,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(inline: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
