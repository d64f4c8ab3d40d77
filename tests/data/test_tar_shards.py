import json
import pickle
import tarfile
from pathlib import Path

import pytest
import webdataset

from tests.data.packed import CLASSES, add, name_classes, photos, sharded
from tests.data.samples import encoded, picture
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.tar_shards import tar_shards
from vitreous.errors import ConfigError, DataError

NAMES = tuple(CLASSES)


@pytest.fixture
def shards(tmp_path):
    """Patterns of three training shards and one for validation, names beside them."""
    folder = photos(tmp_path / "photos")
    name_classes_in = tmp_path / "shards"
    train = sharded(folder / "train", str(name_classes_in / "train-{:03}.tar"), 3, names=NAMES)
    val = sharded(folder / "val", str(name_classes_in / "val-{:03}.tar"), 1, names=NAMES)
    name_classes(name_classes_in)
    return [train, val]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves shards open
def test_shards_hold_what_webdataset_reads_from_them(shards):
    train = open_images(shards).splits["train"]
    urls = shards[0].removeprefix("wds:")
    read = webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "cls")
    for i, (key, image, label) in enumerate(read):
        assert train.key(i).endswith(key)
        assert train.labels[i] == label
        assert train.image(i).tobytes() == image.tobytes()
    assert i + 1 == len(train)


@pytest.mark.parametrize("label", ["cls", "label", "class"])
def test_shards_are_the_folder_that_they_were_made_from(tmp_path, label):
    folder = open_images(photos(tmp_path / "photos"))
    given = [
        sharded(tmp_path / "photos" / split, str(tmp_path / split / "{:03}.tar"), 2, names=NAMES, label=label)
        for split in ("train", "val")
    ]
    name_classes(tmp_path / "train")
    name_classes(tmp_path / "val")
    data = open_images(given)
    assert data.classes == folder.classes
    for name, split in folder.splits.items():
        assert data.splits[name].labels.tolist() == split.labels.tolist()
        assert data.splits[name].image(5).tobytes() == split.image(5).tobytes()


def test_without_names_classes_are_called_by_number(tmp_path, shards):
    (tmp_path / "shards" / "classes.json").unlink()
    assert open_images(shards).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("file", "text"), [("n.json", '{"1": "b", "0": "a", "2": "c"}'), ("n.txt", "a\nb\nc\n")]
)
def test_class_names_can_come_from_a_file(tmp_path, shards, file, text):
    (tmp_path / file).write_text(text)
    assert open_images(shards, loading=Loading(class_names=str(tmp_path / file))).classes == ("a", "b", "c")


def test_a_glob_finds_the_shards_and_their_splits(tmp_path, shards):
    assert open_images(f"wds:{tmp_path}/shards/*.tar").scan.images == {"train": 24, "val": 6}


def test_labels_may_be_class_names(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(8):
            add(tar, f"{number}.png", encoded(picture(number)))
            add(tar, f"{number}.mask.png", encoded(picture(0)))
            add(tar, f"{number}.json", json.dumps({"animal": "cat" if number % 2 else "ant"}).encode())
    source = tar_shards([f"wds:{tmp_path}/a.tar"], Loading(label_column="animal"))
    assert source.parts["all"].names == ("ant", "cat")
    assert source.parts["all"].labels.tolist() == [0, 1] * 4
    assert source.parts["all"].open(3).tobytes() == picture(3).tobytes()


def test_records_are_small_when_sent_to_another_process_and_read_the_same_there(shards):
    records = open_images(shards).splits["train"].records
    sent = pickle.dumps(records)
    assert pickle.loads(sent).open(4).tobytes() == records.open(4).tobytes()
    assert pickle.loads(sent).key(4) == records.key(4)
    assert b"0004" not in sent


# --- bad input


def one(tmp_path, *members):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in members:
            add(tar, name, content)
    return f"wds:{tmp_path}/a.tar"


IMAGE = encoded(picture(0))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([("7.png", IMAGE)], r"a\.tar, key 7: no label; 7\.json beside the image works"),
        ([("7.png", IMAGE), ("7.cls", b"cat")], r"a\.tar, key 7: 'cat' in \.cls is no class number"),
        ([("7.png", IMAGE), ("7.json", b"{")], r"a\.tar, key 7: \.json cannot be read"),
        (
            [("7.png", IMAGE), ("7.json", b'{"tag": 1}')],
            r"no class number or name in field 'label' or 'cls' or 'class' of \.json, which has tag; "
            r"name the right one with --loading\.label-column",
        ),
        ([("7.png", IMAGE), ("7.jpg", IMAGE)], r"a\.tar, key 7: two files that could be its image"),
        ([("7.cls", b"1")], r"a\.tar: no sample with an image and a label"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named_with_shard_and_key(tmp_path, members, sentence):
    with pytest.raises(DataError, match=sentence):
        open_images(one(tmp_path, *members))


def test_a_wrong_label_column_is_named_with_those_that_are_there(tmp_path):
    pattern = one(tmp_path, ("7.png", IMAGE), ("7.json", b'{"label": 1, "size": 3}'))
    with pytest.raises(DataError, match=r"in field 'lable' of \.json, which has label, size"):
        open_images(pattern, loading=Loading(label_column="lable"))


def test_a_missing_shard_of_a_pattern_is_named(tmp_path, shards):
    (tmp_path / "shards" / "train-001.tar").unlink()
    with pytest.raises(DataError, match=r"1 of 3 shards missing: .*train-001\.tar; copy them"):
        open_images(shards)
    with pytest.raises(DataError, match=r"nowhere-\*\.tar: no shard matches"):
        open_images(f"wds:{tmp_path}/nowhere-*.tar")


def test_a_shard_named_twice_is_refused(shards):
    with pytest.raises(DataError, match=r"train-000\.tar: named 2 times"):
        open_images([shards[0], shards[0]])


def test_a_class_number_beyond_the_names_is_named(tmp_path, shards):
    name_classes(tmp_path / "shards", NAMES[:2])
    with pytest.raises(
        DataError,
        match=r"train-002\.tar, key 0000: class number 2 has no name; .*classes\.json has 2, 0 to 1 work",
    ):
        open_images(shards)


def test_a_damaged_image_is_named_with_shard_and_key(tmp_path, shards):
    path = tmp_path / "shards" / "train-001.tar"
    with tarfile.open(path) as tar:
        place = tar.getmember("0002.png").offset_data
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"no image"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"1 unreadable image in train: .*train-001\.tar, key 0002;"):
        open_images(shards)


def test_names_that_are_no_list_are_refused(tmp_path, shards):
    (tmp_path / "shards" / "classes.json").write_text("[1, 2]")
    with pytest.raises(DataError, match=r"classes\.json: no list of class names"):
        open_images(shards)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "webdataset.shardlists", None)
    with pytest.raises(ConfigError, match=r"wds:a\.tar needs webdataset; pip install 'vitreous\[data\]'"):
        open_images("wds:a.tar")


def test_a_relative_pattern_works(shards, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path / "shards")
    assert Path("train-000.tar").exists()
    assert open_images("wds:*.tar").scan.images == {"train": 24, "val": 6}


def test_a_pattern_of_tars_without_the_prefix_says_what_works(shards):
    with pytest.raises(
        DataError, match=r"\{000\.\.002\}\.tar: no pattern of tars works without wds: in front"
    ):
        open_images(shards[0].removeprefix("wds:"))
