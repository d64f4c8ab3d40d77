"""Charts in a page: well-formed, labelled, and never anything but text where a name stands."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from vitreous.insight.chart import Chart, Group, Images, Line, Lines, Matrix, Points, in_words
from vitreous.insight.draw import mosaic
from vitreous.insight.svg import shade, svg, table
from vitreous.insight.svg_plane import ticks

HOSTILE = '"><script>alert(1)</script>&{0}{x}'
CHARTS: list[Chart] = [
    Lines(
        title=HOSTILE,
        x=HOSTILE,
        y=HOSTILE,
        level=(HOSTILE, 0.5),
        lines=(
            Line(HOSTILE, (0, 1, 2), (0.1, math.nan, 0.9)),
            Line(f"{HOSTILE}, untrained", (0, 1), (0.2, 0.2), control=True),
        ),
    ),
    Lines(
        title="log",
        x="x",
        y="y",
        lines=(Line("a", (1, 2), (0.001, 10)), Line("b", (1,), (0.0,))),
        log=True,
    ),
    Lines(title="one", x="x", y="y", lines=(Line("a", (3,), (7,)),)),
    Matrix(
        title=HOSTILE,
        rows=(HOSTILE, "b"),
        columns=("c", HOSTILE),
        values=((0.0, math.nan), (1.0, 5.0)),
        low=0,
        high=1,
    ),
    Points(
        title=HOSTILE,
        x=HOSTILE,
        y=HOSTILE,
        limit=(HOSTILE, 3.0),
        groups=(
            Group("many", tuple(range(9)), tuple(range(9)), faint=True),
            Group(HOSTILE, (1, 2), (0.5, 0.6), (HOSTILE, "b"), joined=True),
        ),
    ),
    Points(title="one", x="x", y="y", groups=(Group("a", (5.0,), (1.0,), ("a",)),)),
]


@pytest.mark.parametrize(
    "chart", CHARTS, ids=["lines", "log", "one of a curve", "matrix", "points", "one point"]
)
def test_a_chart_is_well_formed_and_says_what_it_shows(chart: Chart) -> None:
    text = str(svg(chart))
    tree = ElementTree.fromstring(f"<div>{text}</div>")
    assert not list(tree.iter("script")) and "<script" not in text
    drawing = tree.find("svg")
    assert drawing is not None and drawing.get("role") == "img"
    assert drawing.get("aria-label") == in_words(chart)


def test_pictures_are_one_image_with_a_text() -> None:
    red, blue = ((255, 0, 0),) * 2, ((0, 0, 255),) * 2
    chart = Images(
        title=HOSTILE, pictures=(("a", (red, red)), ("b", (blue, blue)), ("c", (red, red))), columns=2
    )
    assert mosaic(chart).shape == (5, 5, 3) and mosaic(chart)[0, 3].tolist() == [0, 0, 255]
    text = str(svg(chart))
    assert text.startswith("<img ") and "<script" not in text and "3 pictures" in text


def test_empty_curves_and_no_points_are_said() -> None:
    assert "Nothing to draw" in svg(Lines(title="t", x="x", y="y", lines=(Line("a", (), ()),)))
    assert "Nothing to draw" in svg(Points(title="t", x="x", y="y", groups=(Group("a", (), ()),)))


def test_names_of_points_on_each_other_are_moved_apart() -> None:
    group = Group("a", (1.0, 1.0, 1.0, 9.0), (5.0, 5.0, 5.1, 1.0), ("one", "two", "three", "far"))
    tree = ElementTree.fromstring(f"<div>{svg(Points(title='t', x='x', y='y', groups=(group,)))}</div>")
    heights = sorted(float(each.get("y") or 0) for each in tree.iter("text") if each.text in group.names[:3])
    assert len(heights) == 3 and all(b - a >= 12 for a, b in pairwise(heights))


def test_points_on_a_line_are_named_under_the_pointer_alone() -> None:
    groups = (
        Group("front", (1.0, 2.0), (1.0, 2.0), ("one", "two"), joined=True),
        Group("a", (3.0,), (1.0,), ("b",)),
    )
    tree = ElementTree.fromstring(f"<div>{svg(Points(title='t', x='x', y='y', groups=groups))}</div>")
    assert {"one", "two", "b"} <= {each.text for each in tree.iter("title")}
    assert {"one", "two", "b"} & {each.text for each in tree.iter("text")} == {"b"}


def test_the_table_holds_every_number() -> None:
    lines = Lines(title="t", x="epoch", y="y", lines=(Line("a", (0, 1), (1, 2)), Line("b", (1, 2), (3, 4))))
    assert table(lines) == [["epoch", "a", "b"], ["0", "1", ""], ["1", "2", "3"], ["2", "", "4"]]
    assert table(CHARTS[3])[1][1:] == ["0", "nan"]


def test_a_logarithmic_axis_within_a_decade_still_has_numbers() -> None:
    text = svg(Lines(title="t", x="x", y="y", lines=(Line("a", (0, 1), (0.31, 0.49)),), log=True))
    assert ">0.4<" in text and text.count('class="grid"') >= 3


def test_ticks_are_round_and_shades_run_from_dark_to_light() -> None:
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0]) and ticks(3, 3) == [3]
    assert (shade(0), shade(1)) == ("#440154", "#fde725")
