import logging

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageColumn

from tests.data.packed import CLASSES, in_order, photos
from tests.data.samples import fill
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError

NAMES = list(CLASSES)


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """No bars, and nothing outside of the test's own folders."""
    datasets.disable_progress_bars()
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")


def rows(folder, label, values=None, paths=False):
    """The images of a folder as a data set."""
    files = in_order(folder)
    images = [str(file) if paths else {"bytes": file.read_bytes(), "path": None} for file in files]
    values = [NAMES.index(file.parent.name) for file in files] if values is None else values
    return Dataset.from_dict(
        {"image": images, "label": values, "weight": [1.0] * len(files)},
        features=Features({"image": ImageColumn(), "label": label, "weight": Value("float32")}),
    )


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos")


def saved(folder, target, **changes):
    splits = {"train": folder / "train", "validation": folder / "val"}
    made = {name: rows(each, ClassLabel(names=NAMES), **changes) for name, each in splits.items()}
    DatasetDict(made).save_to_disk(target)
    return target


@pytest.mark.parametrize("prefix", ["", "hf:"])
@pytest.mark.parametrize("paths", [False, True])
def test_a_saved_data_set_is_the_folder_that_it_was_made_from(tmp_path, folder, prefix, paths):
    plain = open_images(folder)
    data = open_images(f"{prefix}{saved(folder, tmp_path / 'saved', paths=paths)}")
    assert data.classes == plain.classes
    for name, split in plain.splits.items():
        assert data.splits[name].labels.tolist() == split.labels.tolist()
        for i in range(len(split)):
            assert data.splits[name].image(i).tobytes() == split.image(i).tobytes()


def test_a_shuffled_data_set_keeps_images_and_labels_together(tmp_path, folder):
    whole = rows(folder / "train", ClassLabel(names=NAMES))
    shuffled = whole.shuffle(seed=3)
    shuffled.save_to_disk(tmp_path / "saved")
    train = open_images(tmp_path / "saved", loading=Loading(val_share=0.2)).splits["train"]
    for i in range(len(train)):
        row = shuffled[int(train.rows[i])]
        assert row["label"] == train.labels[i]
        assert row["image"].tobytes() == train.image(i).tobytes()


def test_a_folder_that_the_library_understands_is_read_by_it(tmp_path):
    fill(tmp_path / "photos" / "train", {"ant": 3, "bee": 3})
    fill(tmp_path / "photos" / "test", {"ant": 1, "bee": 1})
    data = open_images(f"hf:{tmp_path / 'photos'}", need=("train", "test"))
    assert data.classes == ("ant", "bee")
    assert data.scan.images == {"train": 6, "test": 2}


def test_a_copy_elsewhere_is_the_same_data(tmp_path, folder):
    import shutil

    first = open_images(saved(folder, tmp_path / "saved"))
    shutil.copytree(tmp_path / "saved", tmp_path / "copy")
    assert open_images(tmp_path / "copy").fingerprint == first.fingerprint


def test_labels_may_be_words_or_bare_numbers(tmp_path, folder):
    words = [file.parent.name for file in in_order(folder / "train")]
    rows(folder / "train", Value("string"), words).save_to_disk(tmp_path / "words")
    assert open_images(tmp_path / "words").classes == tuple(NAMES)
    rows(folder / "train", Value("int32")).save_to_disk(tmp_path / "numbers")
    assert open_images(tmp_path / "numbers").classes == ("0", "1", "2")


def test_a_split_without_labels_is_left_out_aloud(tmp_path, folder, caplog):
    made = {
        "train": rows(folder / "train", ClassLabel(names=NAMES)),
        "test": rows(folder / "val", ClassLabel(names=NAMES), [-1] * 6),
        "extra": rows(folder / "val", ClassLabel(names=NAMES)),
    }
    DatasetDict(made).save_to_disk(tmp_path / "saved")
    with caplog.at_level(logging.WARNING, "vitreous"):
        assert open_images(tmp_path / "saved").scan.cut
    assert "split 'test' is left out, it has no labels" in caplog.text
    assert "split 'extra' is left out; train, validation and test are used" in caplog.text


def test_lists_of_labels_give_an_image_any_number_of_classes(tmp_path, folder):
    lists = [[0], [0, 2], [1], [1, 2], [2], []]
    rows(folder / "val", datasets.List(ClassLabel(names=NAMES)), lists).save_to_disk(tmp_path / "saved")
    from vitreous.data.sources import find_source

    labels = find_source([str(tmp_path / "saved")], Loading()).parts["all"].labels
    assert [row.nonzero()[0].tolist() for row in labels] == lists


# --- bad input


def test_a_wrong_column_is_named_with_the_nearest(tmp_path, folder):
    given = saved(folder, tmp_path / "saved")
    with pytest.raises(DataError, match=r"saved: no column 'lable'; did you mean label\?"):
        open_images(given, loading=Loading(label_column="lable"))
    with pytest.raises(DataError, match=r"saved: column 'weight' holds float; integers, texts or lists"):
        open_images(given, loading=Loading(label_column="weight"))


def test_a_number_beyond_the_names_is_named_with_its_row(tmp_path, folder):
    values = [0, 1, 2, 0, 1, -1]
    rows(folder / "val", ClassLabel(names=NAMES), values).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"saved all row 5: label -1 has no class name; .* 3 classes, 0 to 2"):
        open_images(tmp_path / "saved")


def test_an_unreadable_row_is_named(tmp_path, folder):
    in_order(folder / "train")[5].write_bytes(b"no pixels")
    with pytest.raises(DataError, match=r"1 unreadable image in train: .*saved train row 5;"):
        open_images(saved(folder, tmp_path / "saved"))


def test_a_folder_that_it_cannot_read_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"hf:.*empty: datasets cannot read this folder \("):
        open_images(f"hf:{tmp_path / 'empty'}")


def test_the_hub_is_not_asked_where_the_network_is_forbidden():
    with pytest.raises(DataError, match=r"hf:nobody/nothing: not in Hugging Face's cache .*VITREOUS_OFFLINE"):
        open_images("hf:nobody/nothing")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"hf:x needs datasets; pip install 'vitreous\[data\]' brings it"):
        open_images("hf:x")
