import pickle

import numpy as np
import pytest

from tests.data.samples import encoded, parquet, picture
from vitreous.data import parquet as module
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.parquet import ParquetRecords
from vitreous.errors import DataError


def test_images_come_back_by_row_over_files_and_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 5)  # several batches, none of them a row group
    files = [
        parquet(tmp_path / f"train-{part}.parquet", [0, 1] * 6, rows_per_group=groups)
        for part, groups in enumerate((3, 12))
    ]
    records = ParquetRecords(files)
    for i in (0, 4, 5, 11, 12, 23):
        assert records.open(i).tobytes() == picture(i % 12).tobytes()
    assert records.where(13) == "train-1.parquet row 1"


@pytest.mark.parametrize("column", ["image", "img", "picture"])
@pytest.mark.parametrize("struct", [True, False])
def test_the_image_column_is_found_by_its_type(tmp_path, column, struct):
    file = parquet(tmp_path / "train.parquet", [0, 1] * 4, column=column, struct=struct)
    data = open_images(file)
    assert data.splits["train"].image(0).size == (8, 8)


def test_without_names_the_label_values_are_the_names(tmp_path):
    file = parquet(tmp_path / "train.parquet", [3, 10, 3, 10, 7, 7], names=None)
    assert open_images(file).classes == ("3", "7", "10")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001", "train"),
        ("cifar10-test", "test"),
        ("tiny_validation", "val"),
        ("train/0000", "train"),
        ("default/validation/0000", "val"),
        ("trainset", "all"),
        ("latest", "all"),
    ],
)
def test_the_split_is_read_from_file_and_folder_names(tmp_path, name, split):
    parquet(tmp_path / "set" / f"{name}.parquet", [0, 1])
    assert set(module.parquet(module.parquet_files([str(tmp_path / "set")])).parts) == {split}


def test_paths_lists_globs_and_folders_name_the_same_files(tmp_path):
    parquet(tmp_path / "a-train.parquet", [0, 1] * 4)
    parquet(tmp_path / "a-test.parquet", [0, 1])
    ways = [
        [str(tmp_path)],
        [str(tmp_path / "a-*.parquet")],
        [str(tmp_path / "a-train.parquet"), str(tmp_path / "a-test.parquet")],
    ]
    opened = [open_images(way, need=("train", "val", "test")) for way in ways]
    assert len({data.fingerprint for data in opened}) == 1
    assert opened[0].scan.images["test"] == 2


def test_ten_thousand_images_open_without_being_decoded_twice(tmp_path, monkeypatch):
    images = [encoded(picture(number)) for number in range(16)]
    labels = np.arange(10_000) % 16
    parquet(
        tmp_path / "train.parquet",
        labels.tolist(),
        names=[f"class {number}" for number in range(16)],
        images=[images[label] for label in labels],
        rows_per_group=1000,
    )
    first = open_images(tmp_path / "train.parquet")
    assert first.scan.images == {"train": 9008, "val": 992}
    monkeypatch.setattr("vitreous.data.scan.upright", None)  # a second look decodes nothing
    again = open_images(tmp_path / "train.parquet")
    last = len(again.splits["train"]) - 1
    assert (
        again.splits["train"].image(last).tobytes() == picture(again.splits["train"].labels[last]).tobytes()
    )


def test_a_torn_copy_in_the_cache_is_made_again(tmp_path, home):
    file = parquet(tmp_path / "train.parquet", [0, 1] * 4)
    ParquetRecords([file]).open(0)
    for copy in (home / "encoded").iterdir():
        copy.write_bytes(copy.read_bytes()[:-20])
    assert ParquetRecords([file]).open(3).tobytes() == picture(3).tobytes()


def test_without_a_cache_images_are_read_from_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "file" / "below"))
    data = open_images(parquet(tmp_path / "train.parquet", [0, 1] * 4))
    assert sum(data.scan.images.values()) == 8
    assert data.splits["train"].image(0).size == (8, 8)


def test_records_travel_to_a_worker_process(tmp_path):
    records = ParquetRecords([parquet(tmp_path / "train.parquet", [0, 1] * 4)])
    records.open(0)
    assert pickle.loads(pickle.dumps(records)).open(3).tobytes() == picture(3).tobytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": [0, 5]}, r"train\.parquet row 1: label 5 has no class name; the file names 2 classes"),
        ({"labels": [0, -1]}, r"train\.parquet row 1: label -1 has no class name"),
        ({"labels": [0, None]}, "column 'label' has 1 rows without a label"),
        ({"labels": [0, 1], "label": "a b"}, None),
    ],
)
def test_labels_that_mean_nothing_are_named(tmp_path, options, sentence):
    file = parquet(tmp_path / "train.parquet", **options)
    if sentence is None:
        assert open_images(file, classes=("cat", "dog"), need=("train",)).classes == ("cat", "dog")
        return
    with pytest.raises(DataError, match=sentence):
        open_images(file)


def test_a_row_without_bytes_is_unreadable_and_not_a_crash(tmp_path):
    images = [encoded(picture(number)) for number in range(8)]
    file = parquet(tmp_path / "train.parquet", [0, 1] * 4, images=[*images[:7], None])
    with pytest.raises(DataError, match=r"1 unreadable image in .*: train\.parquet row 7;"):
        open_images(file)


def test_a_file_without_images_lists_its_columns(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"pixels": [1, 2], "label": [0, 1]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"no image column.*pixels \(int64\), label \(int64\)"):
        open_images(tmp_path / "train.parquet")


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "train.parquet").write_text("hello")
    with pytest.raises(DataError, match=r"train\.parquet: not a readable parquet file"):
        open_images(tmp_path / "train.parquet")


def test_several_possible_labels_need_a_choice(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = pa.array([{"bytes": encoded(picture(i))} for i in range(8)])
    table = pa.table({"img": images, "fine": [0, 1] * 4, "coarse": [0] * 4 + [1] * 4})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(
        DataError, match=r"2 columns could be the label \(fine, coarse\).*--loading\.label-column"
    ):
        open_images(tmp_path / "train.parquet")
    data = open_images(tmp_path / "train.parquet", loading=Loading(label_column="coarse"))
    assert (
        sorted(data.splits["train"].labels.tolist() + data.splits["val"].labels.tolist()) == [0] * 4 + [1] * 4
    )
    with pytest.raises(DataError, match="no column 'corse'; did you mean coarse"):
        open_images(tmp_path / "train.parquet", loading=Loading(label_column="corse"))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("train", "other"), "its name does not say which split it is, while train.parquet is train"),
        (("train-test",), "'train-test' names several splits"),
    ],
)
def test_file_names_that_do_not_tell_the_split_are_an_error(tmp_path, names, sentence):
    for name in names:
        parquet(tmp_path / f"{name}.parquet", [0, 1])
    with pytest.raises(DataError, match=sentence):
        open_images(tmp_path)
