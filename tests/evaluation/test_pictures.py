"""Pictures are written, show something, and have no text upon text."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitreous.evaluation.pictures import MOST_NAMED, Tile, draw_confusion, draw_grid, shorten


def ink(path: Path) -> float:
    """Share of pixels that are not white."""
    pixels = np.asarray(Image.open(path).convert("L"))
    assert min(pixels.shape) > 200
    return float((pixels < 250).mean())


@pytest.mark.parametrize("classes", [2, 10, 100, MOST_NAMED + 1])
def test_a_confusion_matrix_is_drawn_for_any_number_of_classes(tmp_path: Path, classes: int) -> None:
    counts = np.random.default_rng(0).integers(0, 3, (classes, classes)) + 50 * np.eye(classes, dtype=int)
    names = [f"a class with the name {i}" for i in range(classes)]
    draw_confusion(counts, names, tmp_path / "c.png", "title")
    assert ink(tmp_path / "c.png") > 0.02


@pytest.mark.parametrize("classes", [10, 100])
def test_names_of_neighbours_do_not_overlap(
    tmp_path: Path, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    boxes = {}

    def measure(figure: Figure, path: Path, **options: object) -> None:
        figure.draw_without_rendering()
        axes = figure.axes[0]
        for axis in ("x", "y"):
            labels = getattr(axes, f"get_{axis}ticklabels")()
            boxes[axis] = [each.get_window_extent() for each in labels]

    monkeypatch.setattr(Figure, "savefig", measure)
    names = [f"long class name {i:03d}" for i in range(classes)]
    draw_confusion(np.eye(classes, dtype=int), names, tmp_path / "c.png", "title")
    for axis in boxes.values():
        assert len(axis) == classes
        assert not any(one.overlaps(other) for one, other in pairwise(axis))


def test_a_row_without_images_is_no_division_by_zero(tmp_path: Path) -> None:
    draw_confusion(np.zeros((3, 3), dtype=int), ["a", "b", "c"], tmp_path / "c.png", "title")
    assert (tmp_path / "c.png").exists()


@pytest.mark.parametrize("count", [0, 1, 7, 24])
def test_a_grid_holds_any_number_of_images(tmp_path: Path, count: int) -> None:
    tile = Tile(Image.new("L", (8, 8), 90), ("true: cat",), "said: dog, 98 %")
    draw_grid([tile] * count, tmp_path / "g.png", "title")
    pixels = np.asarray(Image.open(tmp_path / "g.png").convert("L"))
    assert ((pixels == 90).mean() > 0.3) == (count > 0)


def test_an_unreadable_image_has_its_place_in_the_grid(tmp_path: Path) -> None:
    tiles = [Tile(Image.new("RGB", (300, 200), "red"), ("a.png",)), Tile(None, ("broken.png",))]
    draw_grid(tiles, tmp_path / "g.png", "title")
    assert ink(tmp_path / "g.png") > 0.1


def test_a_long_name_keeps_beginning_and_end() -> None:
    assert shorten("dog", 10) == "dog"
    assert shorten("American Staffordshire terrier", 15) == "American …rrier"
    assert all(len(shorten("x" * 99, most)) == most for most in (5, 12, 26))
