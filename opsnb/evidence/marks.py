"""The marks a static chart is made of: text, lines, dots, colours, legend. Presentation attributes only, no styles."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any

from opsnb.evidence.safe import escape

FONT = 12.0
GLYPH = FONT * 0.56
"""Mean width of a character, in pixels: there is no font to measure with."""
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A8A")
INK = "currentColor"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([\d\s.,%]+\)|[a-zA-Z]{3,20}")
_DASHES = {"dot": "2 4", "dash": "7 4", "longdash": "12 5", "dashdot": "8 4 2 4", "longdashdot": "12 4 2 4"}
_BLUES = ((247, 251, 255), (158, 202, 225), (49, 130, 189), (8, 48, 107))
_SLANTED = {"diamond": (1.3, 45), "square": (0.9, 0)}
_TAGS = re.compile(r"<[^>]{0,200}>")
_BREAKS = re.compile(r"<br\s*/?>")

Point = tuple[float, float]
Scale = list[tuple[float, tuple[float, float, float]]]


def frame(width: float, height: float, name: str, content: str) -> str:
    """The <svg> element around *content*; *name* is read out in its place."""
    return (
        f'<svg class="chart-svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}" font-size="{FONT:g}" '
        f'xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )


def label(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, colour: str = INK) -> str:
    """One line of text, its base line at *y*."""
    weight = f' font-weight="600" font-size="{FONT + 2:g}"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def rule(start: Point, end: Point, opacity: float, *, colour: str = INK) -> str:
    """A thin line, of the page's own colour by default."""
    ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-opacity="{opacity:g}"/>'


def text_of(title: Any) -> str:
    """The text of a plotly title, which is text or an object holding it."""
    return str((title.get("text") if isinstance(title, Mapping) else title) or "")


def text_lines(text: Any) -> list[str]:
    """Plotly's pseudo-HTML as plain lines."""
    plain = [_TAGS.sub("", line) for line in _BREAKS.split(str(text or ""))]
    return [unescape(line).strip() for line in plain if line.strip()]


def colour(value: Any, default: str) -> str:
    """*value* where it is a colour, else *default*; near-black becomes the colour of the page's text."""
    if not isinstance(value, str) or not _COLOUR.fullmatch(value.strip()):
        return default
    red_green_blue = _rgb(value)
    if value.lower() == "black" or (red_green_blue and max(red_green_blue) < 100 and max(red_green_blue) - min(red_green_blue) < 56):
        return INK
    return value.strip()


def readable_on(fill: str) -> str:
    """The ink of a text upon *fill*."""
    red_green_blue = _rgb(fill)
    if red_green_blue is None:
        return "#111"
    red, green, blue = red_green_blue
    return "#fff" if 0.299 * red + 0.587 * green + 0.114 * blue < 110 else "#111"


def dash(kind: Any) -> str:
    """The attribute of a dashed line."""
    return f' stroke-dasharray="{_DASHES[kind]}"' if kind in _DASHES else ""


def points(path: Sequence[Point]) -> str:
    """The value of a ``points`` attribute."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in path)


def stepped(path: Sequence[Point], shape: str) -> list[Point]:
    """*path* with the corners of a step line."""
    if shape not in ("hv", "vh"):
        return list(path)
    corners = list(path[:1])
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        corners += [(x1, y0) if shape == "hv" else (x0, y1), (x1, y1)]
    return corners


def symbol(marker: Mapping[str, Any], position: int) -> str:
    """The shape of the marker at *position*."""
    kind = marker.get("symbol", "circle")
    if isinstance(kind, list | tuple):
        kind = kind[position] if position < len(kind) else "circle"
    return str(kind)


def dot(x: float, y: float, radius: float, fill: str, kind: str) -> str:
    """One marker."""
    if kind.startswith(("x", "cross")):
        r = radius * 0.9
        arms = f"M{x - r:.1f},{y - r:.1f}L{x + r:.1f},{y + r:.1f}M{x - r:.1f},{y + r:.1f}L{x + r:.1f},{y - r:.1f}"
        return f'<path d="{arms}" stroke="{fill}" stroke-width="2.5" fill="none"/>'
    if kind.startswith("triangle"):
        way = -1 if "down" in kind else 1
        corners = [(x, y - way * radius * 1.2), (x - radius * 1.1, y + way * radius), (x + radius * 1.1, y + way * radius)]
        return f'<polygon points="{points(corners)}" fill="{fill}"/>'
    stem = kind.split("-")[0]
    if stem in _SLANTED:
        size, angle = _SLANTED[stem]
        side = radius * 2 * size / (math.sqrt(2) if angle else 1)
        turn = f' transform="rotate({angle} {x:.1f} {y:.1f})"' if angle else ""
        return f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}" fill="{fill}"{turn}/>'
    if kind.endswith("-open"):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none" stroke="{fill}" stroke-width="1.5"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}"/>'


def scale(spec: Any, *, reverse: bool = False) -> Scale:
    """A colour scale as stops; blues where *spec* is only a name."""
    stops: Scale = []
    if isinstance(spec, list | tuple):
        for entry in spec:
            found = _rgb(str(entry[1])) if isinstance(entry, list | tuple) and len(entry) == 2 else None
            if found is not None:
                stops.append((float(entry[0]), found))
    if len(stops) < 2:
        stops = [(position / (len(_BLUES) - 1), tuple(map(float, entry))) for position, entry in enumerate(_BLUES)]  # type: ignore[misc]
    return [(1 - share, rgb) for share, rgb in reversed(stops)] if reverse else stops


def on_scale(stops: Scale, share: float) -> tuple[str, bool]:
    """The colour at *share* (0 to 1) of a scale, and whether it is dark."""
    at = min(stops[-1][0], max(stops[0][0], share))
    (low, first), (high, second) = next(pair for pair in itertools.pairwise(stops) if at <= pair[1][0])
    part = 0.0 if high <= low else (at - low) / (high - low)
    mixed = [round(a + (b - a) * part) for a, b in zip(first, second, strict=True)]
    return f"rgb({mixed[0]},{mixed[1]},{mixed[2]})", 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2] < 140


def wrap(entries: Sequence[tuple[str, str, str]], width: float) -> list[list[tuple[str, str, str]]]:
    """Legend entries (name, colour, kind) in rows that fit *width* pixels."""
    rows: list[list[tuple[str, str, str]]] = []
    used = width
    for entry in entries:
        needs = _entry_width(entry[0])
        if used + needs > width or not rows:
            rows.append([])
            used = 0.0
        rows[-1].append(entry)
        used += needs
    return rows


def legend_rows(rows: Sequence[Sequence[tuple[str, str, str]]], left: float, top: float) -> list[str]:
    """The legend, its first base line at *top*."""
    drawn = []
    for row, entries in enumerate(rows):
        x, y = left, top + 20 * row
        for name, fill, kind in entries:
            if kind == "bar":
                drawn.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="11" fill="{fill}"/>')
            else:
                drawn.append(f'<line x1="{x:.1f}" x2="{x + 14:.1f}" y1="{y - 4:.1f}" y2="{y - 4:.1f}" stroke="{fill}" stroke-width="3"/>')
            drawn.append(label(x + 19, y, name))
            x += _entry_width(name)
    return drawn


def _entry_width(name: str) -> float:
    return 19 + len(name) * GLYPH + 18


def _rgb(value: str) -> tuple[float, float, float] | None:
    text = value.strip()
    if text.startswith("#") and len(text) in (4, 5, 7, 9):
        digits = text[1:4] if len(text) < 6 else text[1:7]
        pairs = [digit * 2 for digit in digits] if len(digits) == 3 else [digits[at : at + 2] for at in (0, 2, 4)]
        red, green, blue = (float(int(pair, 16)) for pair in pairs)
        return red, green, blue
    numbers = re.findall(r"[\d.]+", text) if text.startswith("rgb") else []
    return (float(numbers[0]), float(numbers[1]), float(numbers[2])) if len(numbers) >= 3 else None
