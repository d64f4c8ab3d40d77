"""The page shows what a run would see, to the pixel, and needs nothing but itself."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import fill
from vitreous.data.images import open_images
from vitreous.errors import ConfigError
from vitreous.evaluation.data_page import page_html, show_data
from vitreous.evaluation.data_views import DataViews, look_as_model
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings

PLAIN = Recipe(randaugment=0, mixup=0.0, cutmix=0.0, crop="none", flip=False, erasing=0.0)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path_factory.getbasetemp() / "vitreous-home"))


def _views(recipe: Recipe, **changes: object) -> DataViews:
    given = {"data": ["digits"], "model": "eit_digits", "device": "cpu", "recipe": recipe} | changes
    return look_as_model(TrainSettings(**given))  # type: ignore[arg-type]


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append({name: value or "" for name, value in attrs})


def test_validation_is_shown_as_the_preprocessing_of_the_run_makes_it() -> None:
    views = _views(PLAIN)
    val = open_images("digits", need=("train", "val")).splits["val"]
    stored = {val.where(i): np.asarray(val.image(i)) for i in range(len(val))}
    for each in views.classes:
        for shown in each.val:
            assert (shown.seen[0].pixels == stored[shown.where]).all()  # 8×8 stays as it is
            assert shown.seen[0].caption == each.name


def test_without_augmentation_training_sees_the_stored_image_at_every_step() -> None:
    for each in _views(PLAIN).classes:
        for shown in each.train:
            assert all((view.pixels == shown.stored.pixels).all() for view in shown.seen)


def test_mixed_images_are_told_with_the_shares_of_their_labels() -> None:
    recipe = Recipe(randaugment=0, mixup=0.0, cutmix=1.0, mix_probability=1.0, crop="none", flip=False)
    captions = [
        view.caption for each in _views(recipe).classes for image in each.train for view in image.seen
    ]
    two = [re.fullmatch(r"\d (\d+) % \+ \d (\d+) %", caption) for caption in captions]
    assert sum(each is not None for each in two) > len(captions) / 2
    assert all(abs(int(each[1]) + int(each[2]) - 100) <= 1 for each in two if each)


def test_the_values_of_the_recipe_stand_on_the_page() -> None:
    views = _views(Recipe(erasing=0.25, mixup=0.4, cutmix=0.0, mix_probability=0.8))
    assert views.train_values["erasing"] == "a rectangle of 25 % of the images"
    assert views.train_values["mixing"] == "mixup (alpha 0.4), 80 % of the batches"
    assert views.train_values["mirrored"] == "never"  # digits
    assert "mean 0.3" in views.val_values["normalised"]


def test_the_page_needs_no_other_file_and_every_image_has_a_text() -> None:
    html = page_html(_views(Recipe()), "digits <as> seen")
    assert "digits &lt;as&gt; seen" in html and "prefers-color-scheme: dark" in html
    assert not re.search(r"https?:|<script|<link|url\(", html)
    parser = _Images()
    parser.feed(html)
    assert len(parser.found) == 10 * 2 * (1 + 4) + 10 * 2 * (1 + 1)
    assert all(image["alt"] for image in parser.found)
    kind, _, code = parser.found[0]["src"].partition(",")
    with Image.open(io.BytesIO(base64.b64decode(code))) as image:
        assert kind == "data:image/png;base64" and image.size == (8, 8)


def test_large_images_are_shown_with_their_size_and_the_crop_that_training_takes(tmp_path: Path) -> None:
    fill(tmp_path / "set", {"a": 4, "b": 4}, size=(300, 150))
    views = _views(Recipe(), data=[str(tmp_path / "set")], model="eit_mini", image_size=112)
    first = views.classes[0].train[0]
    assert first.stored.caption == "150×300" and first.stored.pixels.shape == (128, 256, 3)
    assert {view.pixels.shape for view in first.seen} == {(112, 112, 3)}
    assert views.train_values["kept"] == "at 128×128"
    assert views.val_values["cut"] == "87.5 % of the centred 112×112 shape"


def test_a_picture_is_drawn_where_the_ending_asks_for_one(tmp_path: Path) -> None:
    page = show_data(tmp_path / "page.png", data="digits", model="eit_digits", device="cpu")
    with Image.open(page) as image:
        assert image.format == "PNG" and image.height > 800


def test_an_out_that_cannot_be_written_is_said_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"page\.pdf: \.html or \.png works"):
        show_data(tmp_path / "page.pdf", data="nowhere")
    with pytest.raises(ConfigError, match="give a file in a folder that exists"):
        show_data(tmp_path / "no" / "page.html", data="nowhere")
