"""Which space at which image size, where the user names none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.searching.spaces import tiny_psvit
from tests.training.test_automatic import data
from vitreous.searching.choose_space import choose_space
from vitreous.searching.settings import SearchSettings
from vitreous.training.automatic import Reasons

SMALL = "hybrid_small_image"


@pytest.mark.parametrize(
    ("size", "device", "name", "pixels", "why"),
    [
        ((8, 8), "cpu", SMALL, 32, "enlarged"),
        ((28, 28), "cuda", SMALL, 28, "the images are 28×28"),
        ((32, 32), "cpu", SMALL, 32, "the images are 32×32"),
        ((50, 47), "cpu", SMALL, 48, "rounded to a multiple of 4"),
        ((96, 96), "cpu", SMALL, 96, "the images are 96×96"),
        ((375, 500), "cpu", SMALL, 64, "64 px keeps"),
        ((375, 500), "cuda", "psvit_2d_tiny", 224, "the size that psvit_2d_tiny is made for"),
    ],
)
def test_space_and_size_follow_the_images(
    size: tuple[int, int], device: str, name: str, pixels: int, why: str
) -> None:
    reasons = Reasons()
    found, space = choose_space(SearchSettings(), data(*size), device, reasons)
    image = space.config.image
    assert (found, image.height, image.width) == (name, pixels, pixels)
    assert str(size[0]) in reasons.sentences["space"] and why in reasons.sentences["image_size"]
    assert space.count == (8_640 if name == SMALL else 28_160)


def test_what_is_given_is_taken_and_a_given_size_decides_for_the_space() -> None:
    reasons = Reasons()
    given = SearchSettings(space="psvit_2d_small_image", image_size=48)
    name, space = choose_space(given, data(32, 32, channels=1, classes=7), "cpu", reasons)
    assert (name, space.config.image.height, space.count) == ("psvit_2d_small_image", 48, 80)
    assert (space.config.image.channels, space.config.head.classes) == (1, 7)
    assert reasons.sentences == {"space": "as given", "image_size": "as given"}
    large, _ = choose_space(SearchSettings(image_size=128), data(32, 32), "cpu", Reasons())
    small, _ = choose_space(SearchSettings(image_size=64), data(500, 500), "cuda", Reasons())
    assert (large, small) == ("psvit_2d_tiny", SMALL)


def test_a_space_of_a_file_is_given_the_images_at_their_own_size(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(tiny_psvit().to_json()))
    asked = replace(SearchSettings(), space=str(file))
    _, space = choose_space(asked, data(8, 8, channels=1), "cpu", Reasons())
    assert space.config.image.height == 8
