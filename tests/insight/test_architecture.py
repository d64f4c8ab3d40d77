"""The drawing of a model: a bar a layer, a line from who lends to who takes, and few rows for many layers."""

from dataclasses import replace
from xml.etree import ElementTree

from tests.models.entries import shrink
from vitreous.insight.architecture import MOST_ROWS, drawing, rows_of
from vitreous.models import config


def test_a_map_that_is_taken_is_a_line_from_its_lender() -> None:
    model = config("psvit_2d_small_image_12", image_size=32, classes=10)
    rows = rows_of(model)
    takers = [each for each in rows if each.takes]
    assert takers and all(next(e for e in rows if e.name == each.takes).lends for each in takers)
    tree = ElementTree.fromstring(str(drawing(model)))
    assert len([e for e in tree.iter("path") if e.get("class") == "arc"]) == len(takers)
    assert len(list(tree.iter("rect"))) == len(rows) == 14  # stem, 12 layers, head
    told = tree.get("aria-label") or ""
    assert f"{takers[0].name}: shared attention" in told and f"with the map of {takers[0].takes}" in told


def test_bars_become_narrower_with_every_pool() -> None:
    tree = ElementTree.fromstring(str(drawing(config("psvit_2d_small_image_12", image_size=32, classes=10))))
    widths = [float(each.get("width") or 0) for each in tree.iter("rect")]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) >= 3


def test_a_thousand_layers_are_a_few_rows_that_say_so() -> None:
    model = shrink("deit_tiny")
    deep = replace(model, layers=model.layers[:1] * 1008)
    rows = rows_of(deep)
    assert len(rows) <= MOST_ROWS and any("1,008 × attention" in each.meet for each in rows)
