"""Images with any number of classes: read from tables and parquet, cut, and mapped by name."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vitreous.data.batches import make_batches
from vitreous.data.images import open_images
from vitreous.data.labels import images_by_class, strata
from vitreous.data.loading import Loading
from vitreous.data.statistics import fit_preprocessing
from vitreous.errors import DataError


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, 99)).save(file, "png")
    return file.getvalue()


def write_table(folder, rows, columns=("image", "labels")):
    folder.mkdir(exist_ok=True)
    for number, (name, *_) in enumerate(rows):
        (folder / name).write_bytes(png(number))
    file = folder / "images.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([columns, *rows])
    return file


ROWS = [(f"{i}.png", ["", "cat", "dog", "cat;dog", "ball; dog"][i % 5]) for i in range(40)]


def test_a_table_with_labels_gives_every_image_any_number_of_classes(tmp_path):
    data = open_images(write_table(tmp_path / "data", ROWS), seed=0)
    assert data.classes == ("ball", "cat", "dog")
    train = data.splits["train"]
    assert train.multi_label and train.labels.shape == (len(train), 3)
    for i in range(len(train)):
        number = int(train.key(i).removesuffix(".png"))
        said = {data.classes[at] for at in np.flatnonzero(train.labels[i])}
        assert said == {word.strip() for word in ROWS[number][1].split(";") if word}


def test_the_cut_keeps_every_class_on_both_sides_and_is_read_back(tmp_path):
    file, split = write_table(tmp_path / "data", ROWS), tmp_path / "split.csv"
    first = open_images(file, seed=0, split_file=split, loading=Loading(val_share=0.2))
    for part in ("train", "val"):
        assert (images_by_class(first.splits[part].labels, 3) > 0).all()
    again = open_images(file, seed=1, split_file=split, loading=Loading(val_share=0.2))
    assert again.splits["val"].rows.tolist() == first.splits["val"].rows.tolist()
    lines = split.read_text().splitlines()
    assert any(",cat|dog," in line for line in lines)


def test_a_changed_label_is_noticed_when_the_cut_is_read_back(tmp_path):
    file, split = write_table(tmp_path / "data", ROWS), tmp_path / "split.csv"
    open_images(file, split_file=split)
    file.write_text(file.read_text().replace("3.png,cat;dog", "3.png,dog", 1))
    with pytest.raises(DataError, match=r"3\.png as 'cat\|dog', the data say 'dog'"):
        open_images(file, split_file=split)


def test_batches_carry_the_memberships(tmp_path):
    train = open_images(write_table(tmp_path / "data", ROWS)).splits["train"]
    fit, _ = fit_preprocessing(train, channels=3, height=8, width=8, crop="pad")
    for path in ("resident", "streaming"):
        made = make_batches(train, fit, batch_size=4, train=True, loading=Loading(path=path, workers=0))
        batch = next(made.from_step(0))
        assert batch.labels.tolist() == train.labels[batch.rows].tolist()


def test_splits_of_a_table_are_used_and_mapped_by_name(tmp_path):
    rows = [(f"{i}.png", "dog;cat" if i % 2 else "cat", "test" if i > 7 else "train") for i in range(12)]
    file = write_table(tmp_path / "data", rows, ("image", "labels", "split"))
    data = open_images(file, need=("train", "test"))
    assert data.scan.images == {"train": 8, "test": 4}
    enforced = open_images(file, need=("test",), classes=("dog", "ball", "cat"))
    assert enforced.splits["test"].labels[1].tolist() == [1, 0, 1]


def test_a_class_that_training_does_not_know_is_named(tmp_path):
    file = write_table(tmp_path / "data", ROWS)
    with pytest.raises(DataError, match="split has class 'ball', unknown from training"):
        open_images(file, need=("test",), classes=("cat", "dog"))


def test_a_table_with_one_label_is_a_data_set_as_any_other(tmp_path):
    rows = [(f"{i}.png", "cat" if i % 2 else "dog") for i in range(8)]
    data = open_images(write_table(tmp_path / "data", rows, ("image", "label")))
    assert data.classes == ("cat", "dog")
    assert not data.splits["train"].multi_label


@pytest.mark.parametrize("spelling", ["numbers", "texts"])
def test_a_parquet_column_of_lists_is_multi_label(tmp_path, spelling):
    lists = [[], [0], [1], [0, 1], [2, 1]] * 6
    names = ["cat", "dog", "ball"]
    column = lists if spelling == "numbers" else [[names[at] for at in each] for each in lists]
    table = pa.table({"image": [png(i) for i in range(30)], "label": column})
    features = {"label": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"}}
    if spelling == "numbers":
        import json

        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "train.parquet")
    data = open_images(tmp_path / "train.parquet")
    train = data.splits["train"]
    assert set(data.classes) == set(names)
    for i in range(len(train)):
        said = {data.classes[at] for at in np.flatnonzero(train.labels[i])}
        assert said == {names[at] for at in lists[int(train.rows[i])]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,labels\na.png,cat", r"must name the columns image and either label .* it has file, labels"),
        ("image,label\na.png,", "line 2: no label; every image needs one"),
        ("image,labels\na.png", "line 2: 2 values and an image are expected"),
        ("image,label\na.png,cat\na.png,dog", r"a\.png is listed 2 times"),
        ("image,label,split\na.png,cat,later", "line 2: 'later' is no split; train, val and test are"),
        ("image,label\n", "no images listed"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(tmp_path, text, sentence):
    (tmp_path / "images.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_images(tmp_path / "images.csv")


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=20))
def test_a_stratum_is_a_class_of_the_image_and_none_of_its_classes_is_rarer(rows):
    labels = np.array(rows, dtype=np.uint8)
    counts = images_by_class(labels, 3)
    for stratum, mine in zip(strata(labels), labels, strict=True):
        if not mine.any():
            assert stratum == 3
            continue
        assert mine[stratum]
        assert counts[stratum] == counts[mine.astype(bool)].min()
