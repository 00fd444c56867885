"""A plotly figure as a small static SVG: for paper, for a page opened alone, and for pages without scripts.

Draws bars, lines, markers and heat maps with axes, legend, limit lines and annotations. Text and axes take the
colour of the page around them. A trace of another kind is named in the picture, not silently left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsnb.evidence import marks
from opsnb.evidence.axes import Axis
from opsnb.evidence.marks import GLYPH, INK, PALETTE
from opsnb.evidence.safe import escape
from opsnb.evidence.traces import Trace, decoded

WIDTH = 720.0
HEIGHT = 340.0
NO_FORM = "This chart has no static form: open the page beside its chart library."
DRAWN = ("bar", "scatter", "scattergl", "heatmap")


def figure_svg(figure: Mapping[str, Any], *, width: float = WIDTH) -> str:
    """*figure* (plotly's JSON: data, layout) as one <svg> element that fills the width it is given; raises nothing for odd figures."""
    title = marks.text_lines(marks.text_of(figure.get("layout", {}).get("title")))
    try:
        return _Drawing(figure, width).render()
    except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError):
        # a picture is never worth a report: say that it is missing
        return marks.frame(width, 60, " ".join(title), marks.label(0, 34, NO_FORM))


@dataclass
class _Drawing:
    figure: Mapping[str, Any]
    width: float
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layout: Mapping[str, Any] = self.figure.get("layout") or {}
        template = (self.layout.get("template") or {}).get("layout") or {}
        self.colours = decoded(self.layout.get("colorway") or template.get("colorway")) or list(PALETTE)
        visible = [trace for trace in self.figure.get("data", []) if trace.get("visible", True) is True]
        self.traces = [self._trace(trace, position) for position, trace in enumerate(visible) if trace.get("type", "scatter") in DRAWN]
        self.undrawn = sorted({str(trace["type"]) for trace in visible if trace.get("type", "scatter") not in DRAWN})
        self.axes = self._axes()

    def _trace(self, data: Mapping[str, Any], position: int) -> Trace:
        x, y = decoded(data.get("x")), decoded(data.get("y"))
        z = decoded(data.get("z"))
        x = x or list(range(len(z[0]) if z else len(y)))
        y = y or list(range(len(z) if z else len(x)))
        marker, line = data.get("marker") or {}, data.get("line") or {}
        default = self.colours[position % len(self.colours)]
        first = line.get("color") if data.get("type", "scatter") != "bar" else None
        own = next((each for each in (first, marker.get("color"), line.get("color")) if isinstance(each, str)), default)
        legend = bool(data.get("showlegend", data.get("type") != "heatmap")) and bool(data.get("name"))
        return Trace(
            data, x, y, str(data.get("xaxis", "x")), str(data.get("yaxis", "y")),
            marks.colour(own, default), str(data.get("name", "")), legend,
        )  # fmt: skip

    def _axes(self) -> dict[str, Axis]:
        axes: dict[str, Axis] = {}
        names = dict.fromkeys([*(trace.xaxis for trace in self.traces), *(trace.yaxis for trace in self.traces)]) or {"x": None, "y": None}
        for name in names:
            spec = self.layout.get(f"{name[0]}axis{name[1:]}") or {}
            values: list[Any] = []
            extents: list[float] = []
            for trace in self.traces:
                if name in (trace.xaxis, trace.yaxis):
                    values += trace.x if name == trace.xaxis else trace.y
            axis = Axis.of(name, spec, values)
            for trace in self.traces:
                if name in (trace.xaxis, trace.yaxis):
                    extents += self._extents(trace, name, axis)
            for shape in self.layout.get("shapes") or []:  # a limit line must be in the picture
                if shape.get(f"{name[0]}ref", "paper") == name:
                    extents += [axis.number(shape[key]) for key in (f"{name[0]}0", f"{name[0]}1") if key in shape]
            axis.fit([value for value in extents if math.isfinite(value)], self._totals(name, axis))
            axes[name] = axis
        return axes

    def _totals(self, name: str, axis: Axis) -> dict[str, float]:
        totals: dict[str, float] = {}
        if axis.kind == "category":
            for trace in self.traces:
                keys, sizes = (trace.x, trace.y) if name == trace.xaxis else (trace.y, trace.x)
                for key, size in zip(keys, sizes, strict=False):
                    if isinstance(size, int | float) and math.isfinite(size):
                        totals[str(key)] = totals.get(str(key), 0.0) + size
        return totals

    def _extents(self, trace: Trace, name: str, axis: Axis) -> list[float]:
        own = trace.x if name == trace.xaxis else trace.y
        numbers = [axis.number(value) for value in own]
        if trace.kind == "heatmap":
            return [min(numbers) - 0.5, max(numbers) + 0.5] if numbers else []
        if trace.kind == "bar":
            along = (name == trace.yaxis) != trace.horizontal
            if along:
                return [0.0, *(top for _, top in self._bars(trace, axis)), *(bottom for bottom, _ in self._bars(trace, axis))]
            half = self._slot(trace, numbers) / 2
            return [min(numbers) - half, max(numbers) + half] if numbers else []
        if name == trace.yaxis and axis.kind != "category":
            heights = decoded((trace.data.get("error_y") or {}).get("array"))
            numbers += [axis.number(value) + axis.number(more) for value, more in zip(trace.y, heights, strict=False)]
        if name == trace.yaxis and trace.data.get("fill") == "tozeroy":
            numbers.append(0.0)
        return numbers

    # ── bars ──
    def _group(self, trace: Trace) -> list[Trace]:
        return [each for each in self.traces if each.kind == "bar" and (each.xaxis, each.yaxis) == (trace.xaxis, trace.yaxis)]

    def _bars(self, trace: Trace, axis: Axis) -> list[tuple[float, float]]:
        """Start and end of each bar along its value axis; stacked ones stand on those before them."""
        sizes = [axis.number(value) for value in (trace.x if trace.horizontal else trace.y)]
        bases = decoded(trace.data.get("base"))
        starts = [axis.number(bases[position]) if position < len(bases) else 0.0 for position in range(len(sizes))]
        if self.layout.get("barmode") in ("stack", "relative"):
            keys = trace.y if trace.horizontal else trace.x
            for before in self._group(trace):
                if before is trace:
                    break
                below = dict(zip(before.y if before.horizontal else before.x, before.x if before.horizontal else before.y, strict=False))
                for position, key in enumerate(keys):
                    add = axis.number(below.get(key))
                    if math.isfinite(add) and (add >= 0) == (sizes[position] >= 0):
                        starts[position] += add
        return [(start, start + size) for start, size in zip(starts, sizes, strict=True)]

    def _slot(self, trace: Trace, numbers: Sequence[float]) -> float:
        """Width of the place a bar stands in, in units of its axis."""
        given = trace.data.get("width")
        if isinstance(given, int | float):
            return float(given)
        places = sorted({value for each in self._group(trace) for value in numbers if math.isfinite(value)})
        return min((after - before for before, after in itertools.pairwise(places)), default=1.0)

    def _draw_bar(self, trace: Trace) -> None:
        along, across = self.axes[trace.xaxis], self.axes[trace.yaxis]
        if not trace.horizontal:
            along, across = across, along
        places = [across.number(value) for value in (trace.y if trace.horizontal else trace.x)]
        group = self._group(trace)
        share = len(group) if self.layout.get("barmode", "group") == "group" else 1
        thick = abs(across.pixel(self._slot(trace, places)) - across.pixel(0.0)) * (1 - float(self.layout.get("bargap", 0.25))) / share
        thick = max(1.0, min(thick, 46.0))
        colours = decoded((trace.data.get("marker") or {}).get("color"))
        texts = decoded(trace.data.get("text"))
        for position, ((start, end), place) in enumerate(zip(self._bars(trace, along), places, strict=False)):
            if not (math.isfinite(start) and math.isfinite(end) and math.isfinite(place)):
                continue
            colour = marks.colour(colours[position], trace.colour) if position < len(colours) else trace.colour
            middle = across.pixel(place) + (group.index(trace) - (share - 1) / 2) * thick * (share > 1)
            first, last = sorted((along.pixel(start), along.pixel(end)))
            box = (first, middle - thick / 2, last - first, thick) if trace.horizontal else (middle - thick / 2, first, thick, last - first)
            value = along.label(end - start)
            hint = escape(f"{trace.name + ': ' if trace.name else ''}{across.label(place)}: {value}")
            self.parts.append(
                f'<rect x="{box[0]:.1f}" y="{box[1]:.1f}" width="{max(box[2], 0.6):.1f}" height="{max(box[3], 0.6):.1f}" fill="{colour}">'
                f"<title>{hint}</title></rect>"
            )
            if position < len(texts) and texts[position] is not None:
                text = " ".join(marks.text_lines(texts[position]))
                self.parts.append(self._bar_text(trace, text, (first, last, middle), colour))

    def _bar_text(self, trace: Trace, text: str, place: tuple[float, float, float], colour: str) -> str:
        """The text of a bar: inside where asked or where it fits, else at its end."""
        first, last, middle = place
        wanted = str(trace.data.get("textposition", "auto"))
        if wanted == "none" or not text:
            return ""
        inside = wanted == "inside" or (wanted == "auto" and last - first > (len(text) * GLYPH if trace.horizontal else 16) + 12)
        ink = marks.readable_on(colour) if inside else INK
        if not trace.horizontal:
            return marks.label(middle, first + 14 if inside else first - 5, text, anchor="middle", colour=ink)
        if not inside:
            return marks.label(last + 5, middle + 4, text)
        at_start = trace.data.get("insidetextanchor") == "start"
        return marks.label(first + 6 if at_start else last - 6, middle + 4, text, anchor="start" if at_start else "end", colour=ink)

    # ── lines and markers ──
    def _draw_scatter(self, trace: Trace) -> None:
        across, up = self.axes[trace.xaxis], self.axes[trace.yaxis]
        mode = str(trace.data.get("mode") or ("lines+markers" if len(trace.x) < 20 else "lines"))
        line, marker = trace.data.get("line") or {}, trace.data.get("marker") or {}
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(trace.x, trace.y, strict=False):
            here = (across.number(x), up.number(y))
            if all(math.isfinite(value) for value in here):
                runs[-1].append((across.pixel(here[0]), up.pixel(here[1])))
            elif runs[-1]:  # nothing measured: a gap, not a line across it
                runs.append([])
        if trace.data.get("fill") == "toself":
            for run in runs:
                self.parts.append(f'<polygon points="{marks.points(run)}" fill="{trace.colour}" fill-opacity=".25"/>')
        if trace.data.get("fill") in ("tozeroy", "tonexty"):
            floor = up.pixel(max(0.0, up.low) if up.kind != "log" else up.low)
            for run in (run for run in runs if run):
                corners = [(run[0][0], floor), *marks.stepped(run, str(line.get("shape", ""))), (run[-1][0], floor)]
                self.parts.append(f'<polygon points="{marks.points(corners)}" fill="{trace.colour}" fill-opacity=".15"/>')
        if "lines" in mode:
            width, dash = float(line.get("width", 2)), marks.dash(line.get("dash"))
            for run in runs:
                if len(run) > 1:
                    points = marks.points(marks.stepped(run, str(line.get("shape", ""))))
                    self.parts.append(
                        f'<polyline points="{points}" fill="none" stroke="{trace.colour}" stroke-width="{width:g}" '
                        f'stroke-linejoin="round"{dash}/>'
                    )
        self.parts += self._error_bars(trace, across, up)
        dots = [point for run in runs for point in run]
        if "markers" in mode or any(len(run) == 1 for run in runs if "lines" in mode):
            colours, sizes = decoded(marker.get("color")), decoded(marker.get("size"))
            one = marker.get("size")
            for position, (x, y) in enumerate(dots):
                radius = float(sizes[position] if position < len(sizes) else one if isinstance(one, int | float) else 6) / 2
                colour = marks.colour(colours[position], trace.colour) if position < len(colours) else trace.colour
                self.parts.append(marks.dot(x, y, max(1.5, min(radius, 12)), colour, marks.symbol(marker, position)))
        if "text" in mode:
            for (x, y), text in zip(dots, decoded(trace.data.get("text")), strict=False):
                self.parts.append(marks.label(x, y - 7, " ".join(marks.text_lines(text)), anchor="middle"))

    def _error_bars(self, trace: Trace, across: Axis, up: Axis) -> list[str]:
        spec = trace.data.get("error_y") or {}
        above = decoded(spec.get("array"))
        below = decoded(spec.get("arrayminus")) or above
        drawn = []
        for x, y, plus, minus in zip(trace.x, trace.y, above, below, strict=False):
            place, value, rise, fall = across.number(x), up.number(y), up.number(plus), up.number(minus)
            if all(map(math.isfinite, (place, value, rise, fall))):
                at, top, base = across.pixel(place), up.pixel(value + rise), up.pixel(max(value - fall, up.low))
                drawn.append(marks.rule((at, top), (at, base), 0.6, colour=trace.colour))
        return drawn

    # ── heat maps ──
    def _draw_heatmap(self, trace: Trace) -> None:
        across, up = self.axes[trace.xaxis], self.axes[trace.yaxis]
        rows = [decoded(row) for row in decoded(trace.data.get("z"))]
        flat = [float(value) for row in rows for value in row if isinstance(value, int | float) and math.isfinite(value)]
        low, high = float(trace.data.get("zmin", min(flat, default=0))), float(trace.data.get("zmax", max(flat, default=1)))
        scale = marks.scale(trace.data.get("colorscale"), reverse=bool(trace.data.get("reversescale")))
        texts = [decoded(row) for row in decoded(trace.data.get("text"))]
        wide, tall = abs(across.pixel(1) - across.pixel(0)), abs(up.pixel(1) - up.pixel(0))
        for j, row in enumerate(rows):
            for i, value in enumerate(row):
                if not isinstance(value, int | float) or not math.isfinite(value):
                    continue
                colour, dark = marks.on_scale(scale, 0.0 if high <= low else (value - low) / (high - low))
                x, y = across.pixel(across.number(trace.x[i])) - wide / 2, up.pixel(up.number(trace.y[j])) - tall / 2
                hint = escape(f"{trace.x[i]}, {trace.y[j]}: {value:g}")
                self.parts.append(
                    f'<rect x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{max(wide - 1, 1):.1f}" height="{max(tall - 1, 1):.1f}" '
                    f'fill="{colour}">'
                    f"<title>{hint}</title></rect>"
                )
                if j < len(texts) and i < len(texts[j]) and texts[j][i] not in (None, ""):
                    label = " ".join(marks.text_lines(texts[j][i]))
                    ink = "#fff" if dark else "#111"
                    self.parts.append(marks.label(x + wide / 2, y + tall / 2 + 4, label, anchor="middle", colour=ink))

    # ── the whole ──
    def render(self) -> str:
        """Lays out margins, axes and legend, then draws."""
        layout = self.layout
        height = max(160.0, min(float(layout.get("height") or HEIGHT), 1200.0))
        titles = marks.text_lines(marks.text_of(layout.get("title")))
        legend = self._legend() if layout.get("showlegend", sum(trace.legend for trace in self.traces) > 1) else []
        x_axes = [axis for name, axis in self.axes.items() if name[0] == "x"]
        y_axes = [axis for name, axis in self.axes.items() if name[0] == "y"]
        on_left = [axis for axis in y_axes if not axis.right]
        left = max((axis.label_width(GLYPH) for axis in on_left), default=0.0) + 14 + 18 * any(axis.title for axis in on_left)
        right = max((axis.label_width(GLYPH) + 26 for axis in y_axes if axis.right), default=14.0)
        left = min(left, self.width * 0.42)
        rows = marks.wrap(legend, self.width - left - right)
        above = any(note.get("y") == 1 and note.get("yanchor") == "bottom" for note in layout.get("annotations") or [])
        top = 12 + 20 * len(titles) + 20 * len(rows) + 6 + 14 * above
        inner = self.width - left - right
        slanted = any(axis.crowded(inner, GLYPH) for axis in x_axes)
        longest = max((axis.label_width(GLYPH) for axis in x_axes), default=0)
        bottom = 24 + (min(110.0, longest * 0.7) if slanted else 0) + 20 * any(a.title for a in x_axes)
        height = max(height, top + bottom + 90)
        for axis in x_axes:
            axis.place(left, inner, flip=False)
        for axis in y_axes:
            axis.place(top, height - top - bottom, flip=True)
        self.box = (left, top, inner, height - top - bottom)
        header = [marks.label(0, 18 + 20 * row, line, bold=row == 0) for row, line in enumerate(titles)]
        header += marks.legend_rows(rows, left, 18 + 20 * len(titles))
        grid: list[str] = []
        for axis in y_axes:
            grid += self._draw_y(axis)
        for axis in x_axes:
            grid += self._draw_x(axis, slanted)
        shapes = [self._shape(shape) for shape in layout.get("shapes") or []]
        for trace in sorted(self.traces, key=lambda trace: DRAWN.index(trace.kind) == 1):
            {"bar": self._draw_bar, "heatmap": self._draw_heatmap}.get(trace.kind, self._draw_scatter)(trace)
        notes = [self._annotation(note) for note in layout.get("annotations") or []]
        if self.undrawn:
            notes.append(marks.label(left, height - 4, f"Only in the interactive chart: {', '.join(self.undrawn)}."))
        elif not any(trace.x for trace in self.traces) and not notes:
            notes.append(marks.label(left + inner / 2, top + 40, "No data.", anchor="middle"))
        return marks.frame(self.width, height, " ".join(titles) or "Chart", "".join([*header, *grid, *self.parts, *shapes, *notes]))

    def _legend(self) -> list[tuple[str, str, str]]:
        return [(trace.name, trace.colour, trace.kind) for trace in self.traces if trace.legend]

    def _draw_y(self, axis: Axis) -> list[str]:
        left, _top, inner, _height = self.box
        edge = left + inner if axis.right else left
        drawn = []
        for value, label in axis.ticks():
            y = axis.pixel(value)
            if axis.kind != "category" and not axis.right:
                drawn.append(marks.rule((left, y), (left + inner, y), 0.16))
            most = max(6, math.ceil((left - 12 - 18 * bool(axis.title)) / GLYPH))
            shown = label if len(label) <= most else f"{label[: most - 1]}…"
            drawn.append(marks.label(edge + (7 if axis.right else -7), y + 4, shown, anchor="start" if axis.right else "end"))
        if axis.title:
            x, y = (self.width - 4, axis.middle) if axis.right else (12.0, axis.middle)
            drawn.append(f'<g transform="rotate(-90 {x:.1f} {y:.1f})">{marks.label(x, y, axis.title, anchor="middle")}</g>')
        return drawn

    def _draw_x(self, axis: Axis, slanted: bool) -> list[str]:
        _left, top, _inner, height = self.box
        base = top + height
        drawn = [] if axis.spec.get("visible") is False else [marks.rule((axis.start, base), (axis.start + axis.length, base), 0.5)]
        for value, label in axis.ticks():
            x = axis.pixel(value)
            if slanted:
                shown = label if len(label) <= 24 else f"{label[:23]}…"
                drawn.append(f'<g transform="rotate(-40 {x:.1f} {base + 14:.1f})">{marks.label(x, base + 14, shown, anchor="end")}</g>')
            else:
                drawn.append(marks.label(x, base + 17, label, anchor="middle"))
        if axis.title:
            drawn.append(marks.label(axis.middle, self._foot(), axis.title, anchor="middle"))
        return drawn

    def _foot(self) -> float:
        longest = max((axis.label_width(GLYPH) for name, axis in self.axes.items() if name[0] == "x"), default=0)
        slanted = any(axis.crowded(self.box[2], GLYPH) for name, axis in self.axes.items() if name[0] == "x")
        return self.box[1] + self.box[3] + 38 + (min(110.0, longest * 0.7) if slanted else 0)

    def _at(self, reference: str, value: Any, horizontal: bool) -> float:
        """Pixel of *value* on an axis, on an axis' domain, or on the paper."""
        name = reference.split(" ")[0]
        if reference == "paper" or reference.endswith(" domain") or name not in self.axes:
            start, length = (self.box[0], self.box[2]) if horizontal else (self.box[1], self.box[3])
            if name in self.axes:
                start, length = self.axes[name].start, self.axes[name].length
            share = float(value)
            return start + (share if horizontal else 1 - share) * length
        return self.axes[name].pixel(self.axes[name].number(value))

    def _shape(self, shape: Mapping[str, Any]) -> str:
        x0, x1 = (self._at(str(shape.get("xref", "x")), shape[key], True) for key in ("x0", "x1"))
        y0, y1 = (self._at(str(shape.get("yref", "y")), shape[key], False) for key in ("y0", "y1"))
        line = shape.get("line") or {}
        stroke = marks.colour(line.get("color"), INK)
        if shape.get("type") == "rect":
            fill, opacity = marks.colour(shape.get("fillcolor"), "none"), float(shape.get("opacity", 1))
            return (
                f'<rect x="{min(x0, x1):.1f}" y="{min(y0, y1):.1f}" width="{abs(x1 - x0):.1f}" height="{abs(y1 - y0):.1f}" '
                f'fill="{fill}" fill-opacity="{opacity:g}"/>'
            )
        return (
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{stroke}" '
            f'stroke-width="{float(line.get("width", 2)):g}"{marks.dash(line.get("dash"))}/>'
        )

    def _annotation(self, note: Mapping[str, Any]) -> str:
        x = self._at(str(note.get("xref", "x")), note.get("x", 0.5), True)
        y = self._at(str(note.get("yref", "y")), note.get("y", 0.5), False)
        lines = marks.text_lines(note.get("text"))
        anchor = {"left": "start", "right": "end"}.get(str(note.get("xanchor", "")), "middle")
        if note.get("showarrow", True):
            tail = (x + float(note.get("ax") or 0), y + float(note.get("ay") or -30))
            arrow = marks.rule(tail, (x, y), 0.6)
            return arrow + self._lines(tail[0], tail[1] - 4 - 15 * (len(lines) - 1), lines, "middle")
        rise = {"top": 13.0, "bottom": -5.0 - 15 * (len(lines) - 1)}.get(str(note.get("yanchor", "")), 4.0)
        return self._lines(x, y + rise, lines, anchor)

    def _lines(self, x: float, y: float, lines: Sequence[str], anchor: str) -> str:
        return "".join(marks.label(x, y + 15 * row, line, anchor=anchor) for row, line in enumerate(lines))
