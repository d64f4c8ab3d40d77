"""Class activation in the bench: numbers, pictures, and a sentence where there is nothing."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.entries import shrink
from vitreous.errors import ConfigError
from vitreous.insight.analyze import analyze
from vitreous.insight.meters.cam import half_weight_area, over
from vitreous.models import build


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    drawn = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = drawn.integers(0, 255, (16, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_half_of_an_even_maps_weight_lies_on_half_of_the_image() -> None:
    even, one = torch.ones(1, 4, 4), torch.zeros(1, 4, 4)
    one[0, 2, 1] = 3
    assert half_weight_area(even) == 0.5 and half_weight_area(one) == 1 / 16
    assert half_weight_area(torch.cat((even, one))) == (0.5 + 1 / 16) / 2


def test_a_picture_is_lighter_where_the_map_is_larger() -> None:
    image = np.full((8, 8, 3), 90, dtype=np.uint8)
    weights = torch.tensor([[1.0, 0.5], [0.25, 0.0]])
    drawn = over(image, weights).mean(axis=2)
    corners = [drawn[0, 0], drawn[0, -1], drawn[-1, 0], drawn[-1, -1]]
    assert corners == sorted(corners, reverse=True) and len(set(corners)) == 4


def test_what_spoke_for_the_answer_is_told_beside_its_controls(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("captum")
    torch.manual_seed(0)
    model = build(shrink("psvit_2d_tiny", classes=3)).eval()
    out = tmp_path / "out"
    (looked,) = analyze(model, photos, images=12, only=["cam"], out=out).models
    values, control = looked.found["cam"], looked.control["cam"]
    for each in (values, control):
        assert each["images"] + each["images_without_a_map"] == 12
        assert {"probability", "without_marked", "without_random", "half_weight_area"} <= set(each)
    rows, columns = values["grid"]
    assert all(len(each) == rows * columns and max(each) == 255 for each in values["maps"])
    assert "half of a map's weight lies on" in looked.shows["cam"]
    (chart,) = looked.charts["cam"]
    assert len(chart.pictures) == 2 * len(values["maps"]) and len(list(out.glob("cam-*.png"))) == 1


def test_without_the_library_it_is_refused_by_name_and_a_sentence_else(photos: Path, monkeypatch) -> None:
    find = importlib.util.find_spec
    for module in ("vitreous.insight.listed", "vitreous.analysis.class_activation"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == "captum" else find(name))
    model = build(shrink("deit_tiny", classes=3)).eval()
    with pytest.raises(ConfigError, match=r"^cam needs captum: pip install 'vitreous\[explain\]'$"):
        analyze(model, photos, images=8, only=["cam"])
    (looked,) = analyze(model, photos, images=8, control=False).models
    assert looked.found["cam"] == {}
    assert looked.shows["cam"] == "Class activation maps need captum: pip install 'vitreous[explain]'."
