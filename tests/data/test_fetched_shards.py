import pytest

from tests.data.packed import CLASSES, name_classes, photos, sharded
from vitreous.data.fetched_shards import fetched, is_elsewhere
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError

GET = Loading(download=True)


@pytest.fixture
def piped(tmp_path):
    """Commands that write the shards of both splits, each in a folder named after it."""
    folder = photos(tmp_path / "photos")
    name_classes(tmp_path)
    patterns = [
        sharded(folder / split, str(tmp_path / split / "{:03}.tar"), 2, names=tuple(CLASSES))
        for split in ("train", "val")
    ]
    return [pattern.replace("wds:", "wds:pipe:cat ") for pattern in patterns]


def test_shards_from_elsewhere_are_fetched_once_and_then_like_others(tmp_path, piped, home):
    named = Loading(download=True, class_names=str(tmp_path / "classes.json"))
    first = open_images(piped, loading=named)
    here = open_images([each.replace("pipe:cat ", "") for each in piped], loading=named)
    assert first.scan == here.scan
    assert first.fingerprint == here.fingerprint
    for shard in tmp_path.glob("*/*.tar"):
        shard.unlink()
    again = open_images(piped, loading=Loading(class_names=str(tmp_path / "classes.json")))
    assert again.splits["train"].image(3).tobytes() == first.splits["train"].image(3).tobytes()
    assert len(list((home / "shards").rglob("*.tar"))) == 4


def test_nothing_is_fetched_unless_asked_for(piped, monkeypatch):
    with pytest.raises(ConfigError, match=r"2 of 2 shards such as 000\.tar are not on .*--loading\.download"):
        open_images(piped)
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")
    with pytest.raises(ConfigError, match="VITREOUS_OFFLINE is 1"):
        open_images(piped, loading=GET)


def test_a_shard_that_cannot_be_fetched_is_named_without_its_address_and_leaves_nothing(
    tmp_path, piped, home
):
    (tmp_path / "train" / "001.tar").unlink()
    with pytest.raises(DataError, match=r"^001\.tar: cannot be fetched \(.*\); try its address by hand$"):
        open_images(piped, loading=GET)
    assert [path.name for path in (home / "shards").rglob("*") if path.is_file()] == ["000.tar"]


def test_names_come_from_the_address(home):
    for shard in ("https://host/train/a.tar?token=x", "pipe:aws s3 cp s3://bucket/train/a.tar -"):
        assert is_elsewhere(shard)
        with pytest.raises(ConfigError):
            fetched([shard], download=False)
    with pytest.raises(DataError, match=r"https://host/a: no name that ends with \.tar"):
        fetched(["https://host/a?token=secret"], download=True)
    assert not is_elsewhere("shards/a.tar")
