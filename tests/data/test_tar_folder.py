import tarfile

import pytest

from tests.data.packed import add, photos, tarred
from tests.data.samples import encoded, fill, picture, tree
from vitreous.data.images import open_images
from vitreous.errors import DataError


def keys(data):
    return {name: [split.key(i) for i in range(len(split))] for name, split in data.splits.items()}


@pytest.mark.parametrize("around", ["", "photos/", "./", "photos/2026/"])
def test_a_tar_of_class_folders_is_the_folder(tmp_path, around):
    folder = open_images(photos(tmp_path / "photos"))
    tar = open_images(tarred(tmp_path / "photos", tmp_path / "p.tar", around=around, backwards=True))
    assert tar.classes == folder.classes
    assert keys(tar) == keys(folder)
    for name, split in folder.splits.items():
        assert split.labels.tolist() == tar.splits[name].labels.tolist()
        for i in range(len(split)):
            assert split.image(i).tobytes() == tar.splits[name].image(i).tobytes()


def test_a_tar_without_splits_is_cut_as_its_folder_is(tmp_path):
    fill(tmp_path / "photos", {"ant": 12, "bee": 10})
    folder = open_images(tmp_path / "photos", seed=3)
    assert keys(open_images(tarred(tmp_path / "photos", tmp_path / "p.tar"), seed=3)) == keys(folder)


def test_a_tar_for_each_split_is_told_by_its_name(tmp_path):
    photos(tmp_path / "photos")
    tars = [
        str(tarred(tmp_path / "photos" / split, tmp_path / f"pets-{split}.tar")) for split in ("train", "val")
    ]
    assert open_images(tars).scan.images == {"train": 24, "val": 6}


def test_a_tar_whose_images_have_no_class_folder_says_what_works(tmp_path):
    with tarfile.open(tmp_path / "p.tar", "w") as tar:
        add(tar, "1.png", encoded(picture(0)))
        add(tar, "train/2.png", encoded(picture(0)))
    with pytest.raises(
        DataError, match=r"p\.tar: no class folders .*for WebDataset shards type wds:.*p\.tar"
    ):
        open_images(tmp_path / "p.tar")


def test_an_unreadable_image_is_named_with_its_tar(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "photos" / "train" / "bee" / "003.png").write_bytes(b"no pixels")
    with pytest.raises(DataError, match=r"1 unreadable image in train: .*p\.tar, train/bee/003\.png;"):
        open_images(tarred(tmp_path / "photos", tmp_path / "p.tar"))


def test_headers_are_read_once_and_a_changed_tar_again(tmp_path, monkeypatch, home):
    import vitreous.data.tar_folder

    read = []

    def counting(path, file):
        read.append(path)
        return members(path, file)

    members = vitreous.data.tar_folder.tar_members
    monkeypatch.setattr(vitreous.data.tar_folder, "tar_members", counting)
    tar = tarred(photos(tmp_path / "photos"), tmp_path / "p.tar")
    before = tree(tmp_path / "photos")
    first = open_images(tar)
    again = open_images(tar)
    assert len(read) == 1
    assert again.fingerprint == first.fingerprint
    assert tree(tmp_path / "photos") == before
    (index,) = (home / "tars").iterdir()
    index.write_bytes(index.read_bytes()[:100])
    assert open_images(tar).fingerprint == first.fingerprint
    with tarfile.open(tar, "a") as more:
        add(more, "train/ant/new.png", encoded(picture(0)))
    assert len(open_images(tar).splits["train"]) == 25
    assert len(read) == 3


def test_a_copy_of_a_tar_elsewhere_is_the_same_data(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "copy").mkdir()
    first = open_images(tarred(tmp_path / "photos", tmp_path / "p.tar"))
    (tmp_path / "copy" / "p.tar").write_bytes((tmp_path / "p.tar").read_bytes())
    assert open_images(tmp_path / "copy" / "p.tar").fingerprint == first.fingerprint
