"""Every mistake that `vitreous data check` knows, made on purpose in small data."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import encoded, fill, parquet, picture
from vitreous.data.check import DataCheck, check_data
from vitreous.data.check_images import CIFAR_10
from vitreous.data.findings import Finding
from vitreous.data.loading import Loading
from vitreous.errors import DataError


def scene(seed: int, kind: int = 0, size: int = 32) -> Image.Image:
    """A smooth colour picture; its kind decides where it is bright."""
    random = np.random.default_rng((seed, 77))
    rows, columns = np.mgrid[0:size, 0:size] / size
    waves = np.zeros((size, size, 3))
    for _ in range(40):
        across, down, phase = random.uniform(-40, 40), random.uniform(-40, 40), random.uniform(0, 7)
        waves += random.normal(0, 7, 3) * np.sin(across * rows + down * columns + phase)[..., None]
    bright = 50 * np.sin(2 * np.pi * (rows if kind == 0 else columns) + 1.5 * kind)[..., None]
    noise = random.normal(0, 3, (size, size, 1))
    return Image.fromarray(np.clip(128 + waves + bright + noise, 5, 250).astype(np.uint8))


def scenes(folder: Path, counts: dict[str, int], start: int = 0) -> Path:
    """A class folder of such pictures for each name."""
    for kind, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            scene(start + 10_000 * kind + number, kind).save(folder / name / f"{number:04}.png")
    return folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Two classes, train and val, nothing wrong."""
    scenes(tmp_path / "set" / "train", {"cat": 12, "dog": 12})
    scenes(tmp_path / "set" / "val", {"cat": 12, "dog": 12}, start=500)
    return tmp_path / "set"


def of(checked: DataCheck, check: str) -> Finding:
    """The finding of a check, the worst where there are several."""
    order = ("error", "warning", "ok")
    return min((f for f in checked.findings if f.check == check), key=lambda f: order.index(f.level))


def test_a_good_set_has_no_warning_and_no_error(good: Path) -> None:
    checked = check_data(good)
    assert not checked.errors and not checked.warnings, str(checked)
    assert checked.images == {"train": 24, "val": 24}
    assert checked.counts == {"cat": {"train": 12, "val": 12}, "dog": {"train": 12, "val": 12}}


def test_the_digits_are_in_order() -> None:
    checked = check_data("digits")
    assert not checked.errors and not checked.warnings, str(checked)


def test_a_truncated_file_is_an_error_that_names_it_unless_it_is_to_be_skipped(good: Path) -> None:
    whole = (good / "train" / "cat" / "0003.png").read_bytes()
    (good / "train" / "cat" / "0003.png").write_bytes(whole[: len(whole) // 2])
    found = of(check_data(good), "readable")
    assert found.level == "error" and "1 of 48 images" in found.text and "0003.png" in found.text
    assert of(check_data(good, loading=Loading(skip_unreadable=True)), "readable").level == "warning"


def test_without_any_readable_image_there_is_nothing_to_check(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of its images can be read; .*a\.png"):
        check_data(tmp_path)


def test_an_unbalanced_set_is_told_with_its_ratio_and_the_option_that_helps(tmp_path: Path) -> None:
    found = of(check_data(scenes(tmp_path / "set", {"cat": 40, "dog": 10})), "balance")
    assert found.level == "warning" and "ratio 4" in found.text and "dog with 10" in found.text
    assert "--recipe.balance" in found.advice


def test_sizes_long_pictures_and_tiny_ones_are_named(good: Path) -> None:
    picture(1, (90, 20)).save(good / "train" / "cat" / "long.png")
    picture(2, (5, 5)).save(good / "train" / "dog" / "tiny.png")
    picture(3, (32, 32), "L").save(good / "train" / "dog" / "grey.png")
    checked = check_data(good)
    assert "5×5 to 32×90" in of(checked, "sizes").text and "1 of them" in of(checked, "sizes").text
    assert "long.png (20×90)" in of(checked, "shapes").items[0]
    assert "tiny.png (5×5)" in of(checked, "small images").items[0]


# duplicates


def test_a_training_image_in_validation_is_an_error_with_its_share(good: Path) -> None:
    shutil.copy(good / "train" / "cat" / "0001.png", good / "val" / "cat" / "again.png")
    found = of(check_data(good), "duplicates across splits")
    assert found.level == "error"
    assert "of 25 val images, 1 (4 %) are in train as well, 0 (0 %) nearly" in found.text
    assert "0001.png" in found.items[0] and "again.png" in found.items[0]


def test_equal_pixels_in_another_file_format_are_equal(good: Path) -> None:
    with Image.open(good / "train" / "cat" / "0001.png") as image:
        image.save(good / "val" / "cat" / "again.bmp")
    assert of(check_data(good), "duplicates across splits").level == "error"


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": lambda image: Image.open(io.BytesIO(encoded(image, "JPEG"))),
    "resized": lambda image: image.resize((40, 40), Image.Resampling.BICUBIC),
    "brightened": lambda image: image.point(lambda value: min(255, round(value * 1.1))),
    "greyscale": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_a_near_duplicate(edit: str, good: Path) -> None:
    with Image.open(good / "train" / "dog" / "0002.png") as image:
        EDITS[edit](image).save(good / "val" / "dog" / "copy.png")
    found = of(check_data(good), "duplicates across splits")
    assert found.level == "warning" and "0 (0 %) are in train as well, 1 (4 %) nearly" in found.text
    assert "0002.png" in found.items[0] and "copy.png" in found.items[0]


def test_an_image_that_is_there_twice_in_a_split_is_a_warning(good: Path) -> None:
    shutil.copy(good / "train" / "cat" / "0001.png", good / "train" / "cat" / "twice.png")
    found = of(check_data(good), "duplicates")
    assert found.level == "warning" and "train: 1 equal" in found.text


def test_one_image_under_two_labels_is_named_with_both(good: Path) -> None:
    shutil.copy(good / "train" / "cat" / "0001.png", good / "train" / "dog" / "0001x.png")
    found = of(check_data(good), "labels")
    assert found.level == "error" and "(cat)" in found.items[0] and "(dog)" in found.items[0]


def test_images_of_one_colour_are_told_and_are_no_duplicates_of_each_other(good: Path) -> None:
    for split in ("train", "val"):
        Image.new("RGB", (32, 32)).save(good / split / "cat" / "black.png")
    checked = check_data(good)
    assert of(checked, "one colour").items == (
        f"{good}/train/cat/black.png (all 0)",
        f"{good}/val/cat/black.png (all 0)",
    )
    assert of(checked, "duplicates across splits").level == "ok"


# pixel values


def _rewrite(split: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in split.rglob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image)
        Image.fromarray(np.clip(change(pixels), 0, 255).astype(np.uint8)).save(path)


def test_pixels_from_0_to_1_saved_as_8_bits_are_an_error(good: Path) -> None:
    _rewrite(good, lambda pixels: np.round(pixels / 255))
    found = of(check_data(good), "pixel range")
    assert found.level == "error" and "no pixel is above 1 of 255" in found.text


def test_images_that_were_normalised_one_by_one_are_told(good: Path) -> None:
    _rewrite(good, lambda pixels: (pixels - pixels.mean()) / pixels.std() * 40 + 127)
    found = of(check_data(good), "normalised")
    assert found.level == "warning" and "deviation 40" in found.text


def test_a_split_of_another_brightness_is_an_error(good: Path) -> None:
    _rewrite(good / "val", lambda pixels: pixels * 0.4)
    found = of(check_data(good), "brightness")
    assert found.level == "error" and "train is far brighter than val" in found.text


# classes


def test_a_class_that_only_validation_has_is_an_error(good: Path) -> None:
    (good / "val" / "dog").rename(good / "val" / "dogs")
    found = of(check_data(good), "classes")
    assert found.level == "error" and "val has 1 class that train lacks: dogs" in found.text


def test_a_class_that_validation_lacks_is_an_error_unless_it_is_accepted(good: Path) -> None:
    shutil.rmtree(good / "val" / "cat")
    found = of(check_data(good), "classes")
    assert found.level == "error" and "val has no image of 1 class: cat" in found.text
    accepted = check_data(good, loading=Loading(allow_missing_classes=True))
    assert of(accepted, "classes").level == "warning"


def test_class_names_that_differ_in_spelling_alone_are_told(tmp_path: Path) -> None:
    found = of(check_data(fill(tmp_path / "set", {"fire_truck": 4, "Fire Truck": 4})), "classes")
    assert found.level == "warning" and "'Fire Truck' and 'fire_truck'" in found.text


def _parquet(path: Path, kinds: list[int], labels: list[int], names: list[str] | None, start: int) -> Path:
    images = [encoded(scene(start + number, kind)) for number, kind in enumerate(kinds)]
    return parquet(path, labels, names=names, images=images)


def test_ids_in_another_order_are_put_right_by_name(tmp_path: Path) -> None:
    kinds = [0, 1] * 30
    _parquet(tmp_path / "train.parquet", kinds, kinds, ["cat", "dog"], 0)
    _parquet(tmp_path / "val.parquet", kinds, [1 - kind for kind in kinds], ["dog", "cat"], 900)
    found = of(check_data(tmp_path), "classes")
    assert found.level == "ok" and "put right by name" in found.text


def test_exchanged_ids_under_the_same_names_are_seen_in_the_pictures(tmp_path: Path) -> None:
    kinds = [0, 1] * 30
    _parquet(tmp_path / "train.parquet", kinds, kinds, ["cat", "dog"], 0)
    _parquet(tmp_path / "val.parquet", kinds, [1 - kind for kind in kinds], ["cat", "dog"], 900)
    found = of(check_data(tmp_path), "label meaning")
    assert found.level == "error" and "cat looks like dog" in found.text


def test_ids_counted_from_one_are_an_error_that_says_so(tmp_path: Path) -> None:
    kinds = [0, 1] * 10
    _parquet(tmp_path / "train.parquet", kinds, kinds, None, 0)
    _parquet(tmp_path / "val.parquet", kinds, [kind + 1 for kind in kinds], None, 900)
    found = of(check_data(tmp_path), "classes")
    assert found.level == "error" and "its numbers look shifted by 1" in found.text


# JPEG


def _jpeg(image: Image.Image, quality: int = 75) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()))


def test_png_files_that_went_through_jpeg_are_told_by_their_pixels(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / "set" / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        _jpeg(scene(number, number % 2)).save(tmp_path / "set" / f"{number % 2}" / f"{number}.png")
    found = of(check_data(tmp_path / "set"), "compression")
    assert found.level == "warning" and "60 images in lossless files went through JPEG" in found.text
    assert "quality about 75" in found.text


def test_cifar_after_jpeg_is_recognised_with_the_advice_on_published_numbers(tmp_path: Path) -> None:
    names = sorted(CIFAR_10)
    for number in range(60):
        name = names[number % 10]
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        _jpeg(scene(number)).save(tmp_path / "set" / name / f"{number}.png")
    found = of(check_data(tmp_path / "set"), "compression")
    assert found.level == "warning" and "this is CIFAR-10 after JPEG (quality about 75)" in found.text
    assert "2 to 3 points higher" in found.advice


def test_a_split_that_alone_went_through_jpeg_is_told(good: Path) -> None:
    for split, start in (("train", 0), ("val", 3000)):
        for number in range(30):
            image = scene(start + 100 + number)
            (_jpeg(image) if split == "val" else image).save(good / split / "cat" / f"more{number}.png")
    for path in (good / "val").rglob("0*.png"):
        path.unlink()
    for number in range(12):
        _jpeg(scene(7000 + number, 1)).save(good / "val" / "dog" / f"more{number}.png")
    found = of(check_data(good), "compression")
    assert (
        found.level == "warning" and "val went through JPEG" in found.text and "train did not" in found.text
    )


def test_images_with_any_number_of_classes_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    lines = ["image,labels"]
    for number in range(12):
        scene(number).save(tmp_path / "pictures" / f"{number}.png")
        lines.append(f"{number}.png,{'cat;dog' if number % 4 == 0 else 'cat'}")
    shutil.copy(tmp_path / "pictures" / "0.png", tmp_path / "pictures" / "again.png")
    lines.append("again.png,dog")
    (tmp_path / "pictures" / "labels.csv").write_text("\n".join(lines) + "\n")
    checked = check_data(tmp_path / "pictures" / "labels.csv")
    assert checked.counts == {"cat": {"all": 12}, "dog": {"all": 4}}
    assert "(cat|dog)" in of(checked, "labels").items[0] and "(dog)" in of(checked, "labels").items[0]
