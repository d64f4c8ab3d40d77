import csv
import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import encoded, fill, parquet, picture, tree
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError


def places(split):
    return {split.where(i) for i in range(len(split))}


# --- what counts as data


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_folder_with_splits_is_taken_as_it_is(tmp_path, name):
    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 4})
    fill(tmp_path / "data" / name, {"cat": 1, "dog": 2})
    data = open_images(tmp_path / "data")
    assert data.classes == ("cat", "dog")
    assert data.scan.images == {"train": 7, "val": 3}
    assert data.splits["train"].labels.tolist() == [0] * 3 + [1] * 4
    assert not data.scan.cut


def test_a_flat_folder_is_cut_and_every_image_is_in_one_split(tmp_path):
    fill(tmp_path / "data", {"cat": 20, "dog": 10})
    data = open_images(str(tmp_path / "data"))
    train, val = data.splits["train"], data.splits["val"]
    assert data.scan.cut
    assert not places(train) & places(val)
    assert len(train) + len(val) == 30
    assert np.bincount(val.labels).tolist() == [2, 1]


def test_images_deep_inside_a_class_count_and_hidden_files_do_not(tmp_path):
    fill(tmp_path / "data", {"cat": 2, "dog": 2})
    fill(tmp_path / "data" / "cat", {"kitten": 3})
    for junk in ("cat/._0.png", "cat/notes.txt", ".trash/a.png"):
        (tmp_path / "data" / junk).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / junk).write_bytes(b"junk")
    data = open_images(tmp_path / "data")
    assert data.classes == ("cat", "dog")
    assert sum(data.scan.images.values()) == 7


def test_a_class_may_be_called_test(tmp_path):
    fill(tmp_path / "data", {"test": 4, "control": 4})
    assert open_images(tmp_path / "data").classes == ("control", "test")


def test_parquet_and_folder_of_the_same_images_give_the_same_pixels(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 3})
    fill(tmp_path / "data" / "val", {"cat": 1, "dog": 1})
    for split in ("train", "val"):
        files = sorted((tmp_path / "data" / split).rglob("*.png"))
        labels = [("cat", "dog").index(file.parent.name) for file in files]
        parquet(tmp_path / f"{split}.parquet", labels, images=[file.read_bytes() for file in files])
    folder = open_images(tmp_path / "data")
    rows = open_images([str(tmp_path / "train.parquet"), str(tmp_path / "val.parquet")])
    assert rows.classes == folder.classes
    for split in ("train", "val"):
        for i in range(len(folder.splits[split])):
            assert folder.splits[split].image(i).tobytes() == rows.splits[split].image(i).tobytes()


def test_digits_are_there_without_a_download():
    data = open_images("digits", need=("train", "val", "test"))
    assert data.classes == tuple("0123456789")
    assert data.writing
    assert data.scan.channels == 1
    assert data.scan.images["test"] == 450
    assert sum(data.scan.images.values()) == 1797
    assert data.splits["train"].image(0).size == (8, 8)
    assert max(data.splits["train"].image(i).getextrema()[1] for i in range(20)) == 255


def test_the_test_split_of_digits_is_the_one_that_scikit_learn_cuts():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    _, expected, _, answers = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=0
    )
    test = open_images("digits", need=("test",)).splits["test"]
    pixels = [tuple(np.round(row * 255 / 16).astype(int)) for row in expected]
    ours = [tuple(np.asarray(test.image(i)).ravel().astype(int)) for i in range(len(test))]
    assert sorted(zip(ours, test.labels.tolist(), strict=True)) == sorted(zip(pixels, answers, strict=True))


# --- splits that never move


def test_the_cut_is_saved_and_read_back(tmp_path):
    fill(tmp_path / "data", {"cat": 12, "dog": 12})
    file = tmp_path / "run" / "split.csv"
    first = open_images(tmp_path / "data", seed=0, split_file=file)
    again = open_images(tmp_path / "data", seed=1, split_file=file)
    elsewhere = open_images(tmp_path / "data", seed=1)
    assert places(again.splits["val"]) == places(first.splits["val"])
    assert places(elsewhere.splits["val"]) != places(first.splits["val"])
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 24
    assert {row["image"] for row in rows if row["split"] == "val"} == {
        first.splits["val"].key(i) for i in range(len(first.splits["val"]))
    }


def test_equal_seeds_cut_equally_without_a_file(tmp_path):
    fill(tmp_path / "data", {"cat": 12, "dog": 12})
    one, other = (open_images(tmp_path / "data", seed=5) for _ in range(2))
    assert places(one.splits["val"]) == places(other.splits["val"])
    assert one.fingerprint == other.fingerprint


def test_the_split_survives_a_move_of_the_data(tmp_path):
    fill(tmp_path / "data", {"cat": 6, "dog": 6})
    first = open_images(tmp_path / "data", split_file=tmp_path / "split.csv")
    shutil.copytree(tmp_path / "data", tmp_path / "moved")
    moved = open_images(tmp_path / "moved", split_file=tmp_path / "split.csv")
    assert moved.fingerprint == first.fingerprint


@pytest.mark.parametrize("change", ["added", "removed", "relabelled"])
def test_data_that_changed_since_the_cut_are_an_error(tmp_path, change):
    fill(tmp_path / "data", {"cat": 6, "dog": 6})
    open_images(tmp_path / "data", split_file=tmp_path / "split.csv")
    sentence = "which is no longer there; restore the data, or start a new run"
    if change == "added":
        picture(0).save(tmp_path / "data" / "cat" / "new.png")
        sentence = r"does not list cat/new\.png: the data changed"
    elif change == "removed":
        (tmp_path / "data" / "cat" / "003.png").unlink()
    else:
        text = (tmp_path / "split.csv").read_text().replace("cat/003.png,cat", "cat/003.png,dog")
        (tmp_path / "split.csv").write_text(text)
        sentence = r"lists cat/003\.png as 'dog', the data say 'cat'"
    with pytest.raises(DataError, match=sentence):
        open_images(tmp_path / "data", split_file=tmp_path / "split.csv")


@pytest.mark.parametrize("text", ["", "a,b\n", "image,label,split\ncat/000.png,cat\n"])
def test_a_file_that_is_no_split_file_is_an_error(tmp_path, text):
    fill(tmp_path / "data", {"cat": 3, "dog": 3})
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(DataError, match="not a split file"):
        open_images(tmp_path / "data", split_file=tmp_path / "split.csv")


def test_every_class_has_an_image_on_both_sides_of_a_small_cut(tmp_path):
    fill(tmp_path / "data", {"cat": 2, "dog": 3, "eel": 40})
    data = open_images(tmp_path / "data", loading=Loading(val_share=0.05))
    assert np.bincount(data.splits["val"].labels).tolist() == [1, 1, 2]
    data = open_images(tmp_path / "data", loading=Loading(val_share=0.95))
    assert np.bincount(data.splits["train"].labels).tolist() == [1, 1, 2]


def test_a_class_of_one_image_cannot_be_cut(tmp_path):
    fill(tmp_path / "data", {"cat": 1, "dog": 3})
    with pytest.raises(DataError, match="class 'cat' has only 1 training image"):
        open_images(tmp_path / "data")


def test_a_limit_keeps_the_proportions_and_every_class(tmp_path):
    fill(tmp_path / "data", {"cat": 40, "dog": 10, "eel": 2})
    data = open_images(tmp_path / "data", loading=Loading(limit=12))
    assert len(data.splits["train"]) == 12
    counts = np.bincount(data.splits["train"].labels)
    assert counts.min() >= 1
    assert counts[0] >= 8
    with pytest.raises(
        ConfigError, match=r"--loading\.limit 2 is less than one image for each of the 3 classes"
    ):
        open_images(tmp_path / "data", loading=Loading(limit=2))


def test_evaluation_never_cuts_a_validation_split_of_its_own(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 6, "dog": 6})
    with pytest.raises(DataError, match="no val split; there is train"):
        open_images(tmp_path / "data", classes=("cat", "dog"), need=("val",))


def test_without_named_splits_evaluation_takes_all_images(tmp_path):
    fill(tmp_path / "data", {"dog": 2})
    data = open_images(tmp_path / "data", classes=("cat", "dog"), need=("test",))
    assert data.splits["test"].labels.tolist() == [1, 1]


# --- one class map


def test_a_split_is_translated_by_class_name_and_not_by_its_own_numbers(tmp_path):
    fill(tmp_path / "data" / "train", {"ant": 2, "bee": 2, "cat": 2})
    fill(tmp_path / "data" / "val", {"bee": 1, "cat": 1})
    data = open_images(tmp_path / "data", loading=Loading(allow_missing_classes=True))
    assert data.splits["val"].labels.tolist() == [1, 2]


def test_parquet_files_with_differently_ordered_names_agree(tmp_path):
    parquet(tmp_path / "train.parquet", [0, 1, 0, 1], names=("cat", "dog"))
    parquet(tmp_path / "test.parquet", [0, 1], names=("dog", "cat"))
    data = open_images(tmp_path, need=("train", "test"))
    assert data.classes == ("cat", "dog")
    assert data.splits["test"].labels.tolist() == [1, 0]


def test_a_class_that_only_validation_has_is_an_error(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 2, "dog": 2})
    fill(tmp_path / "data" / "val", {"cat": 1, "dogs": 1})
    with pytest.raises(
        DataError, match=r"the val split has class 'dogs', unknown from training.*did you mean dog"
    ):
        open_images(tmp_path / "data")


def test_a_class_that_validation_lacks_is_an_error_with_the_flag_that_accepts_it(tmp_path, caplog):
    fill(tmp_path / "data" / "train", {"cat": 2, "dog": 2})
    fill(tmp_path / "data" / "val", {"cat": 1})
    with pytest.raises(DataError, match=r"no image of class 'dog'.*--loading\.allow-missing-classes"):
        open_images(tmp_path / "data")
    with caplog.at_level(logging.WARNING, "vitreous"):
        open_images(tmp_path / "data", loading=Loading(allow_missing_classes=True))
    assert "no image of class 'dog'" in caplog.text


def test_a_named_class_without_images_is_left_out_aloud(tmp_path, caplog):
    parquet(tmp_path / "train.parquet", [0, 2, 0, 2], names=("cat", "dog", "eel"))
    with caplog.at_level(logging.WARNING, "vitreous"):
        data = open_images(tmp_path / "train.parquet")
    assert data.classes == ("cat", "eel")
    assert "1 of 3 named classes have no images and are left out: dog" in caplog.text


def test_an_unknown_class_is_an_error_in_evaluation(tmp_path):
    fill(tmp_path / "data", {"cat": 1, "eel": 1})
    with pytest.raises(DataError, match="class 'eel', unknown from training"):
        open_images(tmp_path / "data", classes=("cat", "dog"), need=("val",))


def test_letters_and_digits_are_known_as_writing(tmp_path):
    fill(tmp_path / "abc", dict.fromkeys("abcdefghij", 2))
    fill(tmp_path / "xy", {"x": 2, "y": 2})
    assert open_images(tmp_path / "abc").writing
    assert not open_images(tmp_path / "xy").writing


# --- bad input: one sentence each


def test_one_class_only_is_an_error(tmp_path):
    fill(tmp_path / "data", {"cat": 4})
    with pytest.raises(DataError, match=r"only one class \('cat'\); telling classes apart needs two or more"):
        open_images(tmp_path / "data")


def test_no_images_is_an_error_that_says_what_works(tmp_path):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="no images found; a folder of class folders"):
        open_images(tmp_path / "data")


def test_loose_images_are_told_to_go_into_class_folders(tmp_path):
    (tmp_path / "data").mkdir()
    picture(0).save(tmp_path / "data" / "a.png")
    with pytest.raises(DataError, match=r"1 images such as a\.png but no class folders"):
        open_images(tmp_path / "data")


def test_loose_images_in_a_split_folder_are_told_to_go_into_class_folders(tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    picture(0).save(tmp_path / "data" / "train" / "a.png")
    with pytest.raises(DataError, match="no class folders with images in it"):
        open_images(tmp_path / "data")


def test_a_path_that_does_not_exist_names_the_nearest_thing_that_does(tmp_path):
    fill(tmp_path / "photos", {"cat": 2, "dog": 2})
    with pytest.raises(DataError, match=r"photo does not exist; .* does; did you mean photos"):
        open_images(tmp_path / "photo")
    with pytest.raises(DataError, match=rf"does not exist; {tmp_path / 'photos'} does"):
        open_images(tmp_path / "photos" / "2024" / "may")
    with pytest.raises(DataError, match="did you mean digits"):
        open_images("digit")
    with pytest.raises(DataError, match="did you mean torch/cifar10"):
        open_images("cifar10")


def test_a_glob_without_a_match_and_an_empty_argument_are_errors(tmp_path):
    with pytest.raises(DataError, match="no parquet file matches"):
        open_images(str(tmp_path / "*.parquet"))
    with pytest.raises(ConfigError, match="no data given"):
        open_images([])


def test_a_missing_split_is_named_with_those_that_are_there(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 2, "dog": 2})
    with pytest.raises(DataError, match="no test split; there is train"):
        open_images(tmp_path / "data", need=("train", "test"))


def test_the_same_split_twice_is_an_error(tmp_path):
    fill(tmp_path / "data" / "val", {"cat": 2, "dog": 2})
    fill(tmp_path / "data" / "validation", {"cat": 2, "dog": 2})
    with pytest.raises(DataError, match="both 'val' and 'validation' are the val split; keep one"):
        open_images(tmp_path / "data")


def damage(folder):
    """One truncated image, one text with an image's name, one broken link."""
    whole = encoded(picture(0, (64, 64)), "JPEG")
    (folder / "cat" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "text.png").write_text("no pixels")
    (folder / "dog" / "link.png").symlink_to(folder / "nowhere.png")


def test_unreadable_images_are_counted_and_named(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 3})
    fill(tmp_path / "data" / "val", {"cat": 1, "dog": 1})
    damage(tmp_path / "data" / "train")
    with pytest.raises(
        DataError, match=r"3 unreadable images in train: .*half\.jpg.*--loading\.skip-unreadable"
    ) as caught:
        open_images(tmp_path / "data")
    assert "link.png" in str(caught.value)
    assert "text.png" in str(caught.value)


def test_unreadable_images_are_left_out_and_listed_on_request(tmp_path, caplog):
    fill(tmp_path / "data", {"cat": 8, "dog": 8})
    damage(tmp_path / "data")
    with caplog.at_level(logging.WARNING, "vitreous"):
        data = open_images(tmp_path / "data", loading=Loading(skip_unreadable=True))
    assert sum(data.scan.images.values()) == 16
    assert len(data.scan.unreadable) == 3
    for name in ("half.jpg", "text.png", "link.png"):
        assert name in caplog.text
    for split in data.splits.values():
        for i in range(len(split)):
            split.image(i)


def test_an_unreadable_row_of_a_parquet_file_is_named(tmp_path):
    images = [encoded(picture(number)) for number in range(6)]
    images[4] = images[4][:40]
    file = parquet(tmp_path / "train.parquet", [0, 1] * 3, images=images)
    with pytest.raises(DataError, match=r"1 unreadable image in .*: train\.parquet row 4;"):
        open_images(file)


def test_only_the_splits_that_are_needed_are_looked_at(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 3})
    fill(tmp_path / "data" / "val", {"cat": 1, "dog": 1})
    fill(tmp_path / "data" / "test", {"cat": 1, "dog": 1})
    (tmp_path / "data" / "test" / "cat" / "bad.png").write_text("no pixels")
    assert set(open_images(tmp_path / "data").splits) == {"train", "val"}
    with pytest.raises(DataError, match=r"1 unreadable image in test: .*bad\.png"):
        open_images(tmp_path / "data", need=("test",))


# --- the scan and its cache


def test_the_scan_line_says_what_there_is(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 2}, size=(8, 6))
    fill(tmp_path / "data" / "val", {"cat": 1, "dog": 1}, size=(20, 10))
    scan = open_images(tmp_path / "data").scan
    assert str(scan) == (
        "5 train + 2 val images, 2 classes (smallest dog with 2, largest cat with 3), "
        "6×8 to 10×20 pixels (median 6×8), colour, none unreadable"
    )
    assert (scan.heights, scan.widths, scan.channels) == ((6, 6, 10), (8, 8, 20), 3)


def test_one_colour_image_makes_a_colour_set(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            picture(number, mode="L").save(tmp_path / "data" / name / f"{number}.png")
    grey = open_images(tmp_path / "data")
    assert grey.scan.channels == 1
    assert grey.splits["train"].image(0).mode == "L"
    picture(9).save(tmp_path / "data" / "cat" / "colour.png")
    mixed = open_images(tmp_path / "data")
    assert mixed.scan.channels == 3
    assert mixed.splits["train"].image(0).mode == "RGB"


def test_nothing_is_written_into_the_data_folder(tmp_path, home):
    from vitreous.data.batches import make_batches
    from vitreous.data.statistics import fit_preprocessing

    fill(tmp_path / "data" / "train", {"cat": 3, "dog": 3})
    fill(tmp_path / "data" / "val", {"cat": 1, "dog": 1})
    parquet(tmp_path / "data2" / "train.parquet", [0, 1] * 4)
    before = tree(tmp_path / "data") | tree(tmp_path / "data2")
    for folder in ("data", "data2"):
        train = open_images(tmp_path / folder, split_file=tmp_path / f"{folder}.csv").splits["train"]
        fitted, _ = fit_preprocessing(train, channels=3, height=8, width=8, crop="pad")
        next(make_batches(train, fitted, batch_size=2, train=True).from_step(0))
    assert tree(tmp_path / "data") | tree(tmp_path / "data2") == before
    assert {path.name for path in home.iterdir()} == {"scans", "decoded", "encoded"}


def test_a_second_look_decodes_nothing_and_a_changed_image_is_looked_at_again(tmp_path, monkeypatch):
    import vitreous.data.scan

    fill(tmp_path / "data", {"cat": 3, "dog": 3})
    seen = []

    def counting(image: Image.Image) -> Image.Image:
        seen.append(image)
        image.load()
        return image

    monkeypatch.setattr(vitreous.data.scan, "upright", counting)
    first = open_images(tmp_path / "data").scan
    assert len(seen) == 6
    assert open_images(tmp_path / "data").scan == first
    assert len(seen) == 6
    picture(7, (30, 30)).save(tmp_path / "data" / "cat" / "000.png")
    assert open_images(tmp_path / "data").scan.heights[2] == 30


def test_a_damaged_scan_cache_is_made_again(tmp_path, home):
    fill(tmp_path / "data", {"cat": 3, "dog": 3})
    first = open_images(tmp_path / "data").scan
    for file in (home / "scans").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert open_images(tmp_path / "data").scan == first


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "file" / "below"))
    fill(tmp_path / "data", {"cat": 3, "dog": 3})
    with caplog.at_level(logging.WARNING, "vitreous"):
        assert sum(open_images(tmp_path / "data").scan.images.values()) == 6
    assert "cache not written" in caplog.text


@pytest.mark.parametrize("name", ["label_column", "class_names"])
def test_a_setting_that_a_source_does_not_look_at_is_refused(name):
    with pytest.raises(ConfigError, match=f"loading.{name} has no effect on digits"):
        open_images("digits", loading=Loading(**{name: "x"}))
