"""The picture: well-formed whatever things are called, every label in its box, no two boxes over each other."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.plan.graphs import FEW, graph, graphs, node

from anytier.report.plan import svg
from anytier.report.plan.graph import Graph
from anytier.report.plan.layout import GAP, Layout, place
from anytier.report.text import CUT

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def drawings(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], dict[str, list[str]]]:
    keys = [str(number) for number in range(draw(st.integers(1, 14)))]
    sizes = {key: (float(draw(st.integers(1, 300))), float(draw(st.integers(1, 60)))) for key in keys}
    needs = {
        key: draw(st.lists(st.sampled_from(keys[:index]), unique=True, max_size=4))
        for index, key in enumerate(keys)
        if index
    }
    return sizes, needs


@settings(max_examples=50)
@given(drawings())
def test_boxes_stand_apart_and_behind_what_they_need(
    given: tuple[dict[str, tuple[float, float]], dict[str, list[str]]],
) -> None:
    sizes, needs = given
    made = place(sizes, needs)
    assert set(made.boxes) == set(sizes)
    for a, b in combinations(made.boxes.values(), 2):
        beside = a.x + a.width <= b.x or b.x + b.width <= a.x
        over = a.y + a.height + GAP <= b.y + 1e-6 or b.y + b.height + GAP <= a.y + 1e-6
        assert beside or over
    for key, box in made.boxes.items():
        assert box.x >= 0 and box.y >= -1e-6
        assert box.x + box.width <= made.width + 1e-6 and box.y + box.height <= made.height + 1e-6
        assert all(made.boxes[other].x + made.boxes[other].width < box.x for other in needs.get(key, ()))
    assert {(line.source, line.target) for line in made.lines} == {(a, b) for b, found in needs.items() for a in found}
    assert all(-1e-6 <= y <= made.height + 1e-6 for line in made.lines for _, y in line.points)


@settings(max_examples=50)
@given(drawings())
def test_lines_pass_no_box(given: tuple[dict[str, tuple[float, float]], dict[str, list[str]]]) -> None:
    """Where a line is level, in a layer between, it has a place of its own."""
    made = place(*given)
    for line in made.lines:
        for (x, y), (end, _) in zip(line.points[1::2], line.points[2::2], strict=False):
            for box in made.boxes.values():
                assert not (box.x < end and x < box.x + box.width and box.y < y < box.y + box.height)


def test_nothing_has_no_size() -> None:
    assert place({}, {}) == Layout()


@FEW
@given(graphs())
def test_a_picture_is_well_formed_and_every_label_stays_in_its_box(made: Graph) -> None:
    text = svg.picture(made)
    root = ET.fromstring(text)
    boxes = [group for group in root.iter(f"{SVG}g") if str(group.get("class")).startswith("box ")]
    things = [group for group in boxes if group.find(f"{SVG}title") is not None]
    assert len(things) == sum(not item.component for item in made.resources)
    for group in things:
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        left, wide = (float(rect.attrib[name]) for name in ("x", "width"))
        for label in group.iter(f"{SVG}text"):
            assert label.text and label.text.isprintable()
            start = float(label.attrib["x"])
            assert left < start and start + float(label.attrib["textLength"]) < left + wide
    assert not {element.tag for element in root.iter()} - {
        f"{SVG}{name}" for name in ("svg", "title", "style", "rect", "text", "g", "path")
    }


def test_a_long_name_is_cut_in_the_box_and_whole_in_its_tooltip() -> None:
    text = svg.picture(graph(node("anytier:docker:Image", "x" * 80)))
    root = ET.fromstring(text)
    shown = [label.text or "" for label in root.iter(f"{SVG}text") if label.get("class") == "name"]
    assert shown == ["x" * 33 + CUT]
    assert any("x" * 80 in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_a_picture_is_for_light_and_dark_and_the_same_each_time() -> None:
    made = graph(node("anytier:docker:Image", "a"), node("aws:ec2/subnet:Subnet", "b"), node("x", "c"))
    assert svg.picture(made) == svg.picture(made)
    assert "@media (prefers-color-scheme:dark)" in svg.picture(made)
    for family in ("docker", "aws", "other"):
        assert svg.picture(made).count(f".{family} rect") == 2
