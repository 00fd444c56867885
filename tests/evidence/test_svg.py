"""Static charts: well-formed, complete, and plain where a chart is odd."""

from __future__ import annotations

import json
import math
from typing import Any
from xml.etree import ElementTree

import evidence_sample as sample
import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.subplots import make_subplots

from opsnb.evidence.axes import Axis
from opsnb.evidence.svg import NO_FORM, figure_svg
from opsnb.evidence.traces import decoded

SVG = "{http://www.w3.org/2000/svg}"


def draw(figure: go.Figure | dict[str, Any]) -> ElementTree.Element:
    spec = json.loads(figure.to_json()) if isinstance(figure, go.Figure) else figure
    drawn = ElementTree.fromstring(figure_svg(spec))
    assert "nan" not in ElementTree.tostring(drawn, encoding="unicode").replace("nanos", "")
    return drawn


def words(drawn: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawn.iter(f"{SVG}text")]


def bars(drawn: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    return [
        (float(each.attrib["x"]), float(each.attrib["y"]), float(each.attrib["width"]), float(each.attrib["height"]))
        for each in drawn.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None
    ]  # fmt: skip


def test_bars_are_as_long_as_their_numbers() -> None:
    drawn = draw(sample.figures()[0])
    lengths = {each.findtext(f"{SVG}title", "").split(":")[0]: float(each.attrib["width"]) for each in drawn.iter(f"{SVG}rect")}
    assert lengths["soap_notes"] / lengths["appointments"] == pytest.approx(88.1 / 12.4, rel=0.01)
    assert {"Size of the largest tables", "video_call_sessions", "88.1 MB", "Size (MB)", "0"} <= set(words(drawn))


def test_stacked_bars_stand_on_each_other() -> None:
    found = bars(draw(sample.figures()[3]))
    first, second = found[0], found[3]
    assert first[0] == second[0]
    assert second[1] + second[3] == pytest.approx(first[1], abs=0.2)


def test_grouped_bars_stand_side_by_side() -> None:
    figure = go.Figure([go.Bar(x=["a", "b"], y=[1, 2], name="one"), go.Bar(x=["a", "b"], y=[2, -1], name="two")])
    found = bars(draw(figure))
    assert found[0][0] + found[0][2] == pytest.approx(found[2][0], abs=0.2)
    assert found[1][1] + found[1][3] == pytest.approx(found[3][1], abs=0.2), "a negative bar hangs from zero"


def test_a_gap_in_a_line_stays_a_gap_and_the_limit_is_shown() -> None:
    drawn = draw(sample.figures()[1])
    assert len(list(drawn.iter(f"{SVG}polyline"))) == 4
    assert [line.attrib["stroke"] for line in drawn.iter(f"{SVG}line") if "stroke-dasharray" in line.attrib] == ["#D55E00"]
    assert {"limit 1 %", "get-patient-history", "21:40", "Errors (% of calls)"} <= set(words(drawn))


def test_a_limit_beyond_the_data_is_in_the_picture() -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1, 2]))
    figure.add_hline(y=50)
    drawn = draw(figure)
    height = float(drawn.attrib["viewBox"].split()[3])
    [limit] = [line for line in drawn.iter(f"{SVG}line") if "stroke-opacity" not in line.attrib]
    assert 0 < float(limit.attrib["y1"]) < height


def test_an_area_is_the_area_of_its_points() -> None:
    """An interval that opens from a point: three corners, none of them on the axis."""
    drawn = draw(go.Figure(go.Scatter(x=[1, 2, 2, 1], y=[5, 9, 7, 5], fill="toself", mode="lines")))
    (area,) = drawn.iter(f"{SVG}polygon")
    corners = [tuple(map(float, each.split(","))) for each in area.attrib["points"].split()]
    assert corners[0] == corners[3] and corners[1][0] == corners[2][0] and corners[1][1] < corners[2][1] < corners[0][1]


def test_a_heat_map_has_a_cell_for_every_value_and_readable_text() -> None:
    drawn = draw(sample.figures()[2])
    cells = list(drawn.iter(f"{SVG}rect"))
    assert len(cells) == 12
    assert {each.attrib["fill"] for each in cells} == {"rgb(240,240,240)", "rgb(0,114,178)"}
    assert [each.attrib["fill"] for each in drawn.iter(f"{SVG}text") if each.text == "r"] == ["#fff"] * 8


def test_hostile_text_is_text() -> None:
    svg = figure_svg(json.loads(sample.figures()[3].to_json()))
    assert "<script" not in svg and "<img" not in svg
    colour = go.Figure(go.Bar(x=["a"], y=[1])).to_plotly_json()
    colour["data"][0]["marker"] = {"color": 'red"><script>'}
    assert "script" not in figure_svg(colour)


def test_subplots_have_places_of_their_own() -> None:
    figure = make_subplots(rows=2, cols=1)
    figure.add_bar(x=["a"], y=[1], row=1, col=1)
    figure.add_bar(x=["b"], y=[1], row=2, col=1)
    first, second = bars(draw(figure))
    assert first[1] + first[3] < second[1]


def test_a_chart_of_another_kind_is_named() -> None:
    assert "Only in the interactive chart: pie." in words(draw(go.Figure(go.Pie(values=[1, 2]))))


@pytest.mark.parametrize(
    "spec",
    [{}, {"data": []}, {"data": [{"type": "bar"}]}, {"data": [{"x": [], "y": []}]}, {"data": [{"type": "heatmap", "z": []}]},
     {"data": [{"x": [1], "y": [None]}]}, {"data": [{"type": "heatmap", "z": [[None, 1]]}]}],
)  # fmt: skip
def test_an_empty_chart_is_still_a_picture(spec: dict[str, Any]) -> None:
    draw(spec)


def test_an_odd_chart_is_said_to_be_missing() -> None:
    assert NO_FORM in words(draw({"data": [{"type": "bar", "x": ["a"], "y": [1], "width": 1}], "layout": {"height": "tall", "title": "T"}}))


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(-5, 5)), max_size=12),
    st.sampled_from(["bar", "scatter"]),
    st.sampled_from(["linear", "log", "category", "date", None]),
    st.sampled_from(["", "stack", "group", "overlay"]),
)
def test_no_data_breaks_a_picture(values: list[float | None], kind: str, axis: str | None, mode: str) -> None:
    spec = {"data": [{"type": kind, "x": list(range(len(values))), "y": values}] * 2, "layout": {"yaxis": {"type": axis}, "barmode": mode}}
    assert NO_FORM not in words(draw(spec))


@pytest.mark.parametrize(
    "array", [[1.0, 2.5], np.array([1.0, 2.5]), json.loads(go.Figure(go.Bar(x=np.array([1.0, 2.5]))).to_json())["data"][0]["x"]]
)
def test_packed_arrays_are_unpacked(array: Any) -> None:
    assert decoded(array) == [1.0, 2.5]
    assert decoded({"dtype": "i1", "bdata": "AQIDBA==", "shape": "2, 2"}) == [[1, 2], [3, 4]]
    assert decoded(None) == decoded("text") == []


def axis_over(values: list[Any], **spec: Any) -> Axis:
    axis = Axis.of("x", spec, values)
    axis.fit([axis.number(value) for value in values], {})
    axis.place(0.0, 600.0, flip=False)
    return axis


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 10], ["0", "2", "4", "6", "8", "10"]),
        ([0, 1_000_000], ["0", "200,000", "400,000", "600,000", "800,000", "1,000,000"]),
        (["2026-01-17T21:30:00Z", "2026-01-17T22:00:00Z"], ["21:30", "21:40", "21:50", "22:00"]),
        (["2026-01-17T18:00:00", "2026-01-18T06:00:00.123456789"], ["18:00", "21:00", "18 Jan", "03:00", "06:00"]),
        (["b", "a", "b"], ["b", "a"]),
    ],
)
def test_ticks_are_those_a_person_would_choose(values: list[Any], labels: list[str]) -> None:
    assert [text for _, text in axis_over(values).ticks()] == labels


def test_axes_obey_what_the_chart_says() -> None:
    assert [text for _, text in axis_over([0.1, 0.9], tickformat=".0%", range=[0, 1]).ticks()] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    assert [text for _, text in axis_over([1, 1000], type="log").ticks()] == ["1", "10", "100", "1,000"]
    assert axis_over(["b", "a"], categoryorder="category ascending").categories == ["a", "b"]
    turned = axis_over([0, 10], autorange="reversed")
    assert turned.pixel(0) > turned.pixel(10)
    assert math.isnan(axis_over([1]).number("not a number"))
