import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.packed import CLASSES, name_classes, photos, sharded
from tests.data.test_batches import FIT, equal, taken
from vitreous.data.batches import make_batches
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.scan import to_look_at
from vitreous.data.stand_in import MOST_IN_A_ROW, stand_ins
from vitreous.data.statistics import fit_preprocessing
from vitreous.errors import ConfigError, DataError


@pytest.fixture
def damaged(tmp_path):
    """Shards of which training samples 4, 5 and the last are no images, and the second of validation."""
    folder = photos(tmp_path / "photos")
    files = sorted((folder / "train").rglob("*.png"))
    for number in (4, 5, 23):
        files[number].write_bytes(b"no pixels")
    sorted((folder / "val").rglob("*.png"))[1].write_bytes(b"no pixels")
    given = [
        sharded(folder / split, str(tmp_path / "shards" / (split + "-{:03}.tar")), 3, names=tuple(CLASSES))
        for split in ("train", "val")
    ]
    name_classes(tmp_path / "shards")
    return given


def opened(data, path="streaming", workers=0, split="train", *, skip=True, look=2):
    loading = Loading(skip_unreadable=skip, look=look, path=path, workers=workers)
    # a seed with which the sample of two is readable
    images = open_images(data, loading=loading, seed=1)
    return make_batches(
        images.splits[split], FIT, batch_size=4, seed=0, train=split == "train", loading=loading
    )


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(lambda bad: not all(bad)))
def test_the_next_readable_image_stands_in(bad):
    for i, other in enumerate(stand_ins(np.array(bad))):
        assert not bad[other]
        assert all(bad[(i + step) % len(bad)] for step in range((other - i) % len(bad)))


@pytest.mark.parametrize(("path", "workers"), [("streaming", 0), ("streaming", 2), ("resident", 1)])
def test_what_stands_in_is_the_same_for_any_loading(damaged, path, workers):
    made = opened(damaged, path, workers)
    stream = taken(made, 0, 12)
    assert equal(stream, taken(opened(damaged), 0, 12))
    shown = torch.cat([batch.rows for batch in stream]).tolist()
    assert not {4, 5, 23} & set(shown)
    assert shown.count(6) == 6  # its own turn, and those of 4 and 5, in two epochs
    assert shown.count(0) == 4  # after the last comes the first
    labels = open_images(damaged, loading=Loading(look=1), seed=1).splits["train"].labels
    assert all(torch.equal(batch.labels, torch.from_numpy(labels)[batch.rows]) for batch in stream)
    assert made.unreadable == {4, 5, 23}


@pytest.mark.parametrize("path", ["streaming", "resident"])
def test_evaluation_leaves_unreadable_images_out(damaged, path):
    assert [batch.rows.tolist() for batch in opened(damaged, path, split="val").all()] == [[0, 2, 3], [4, 5]]


def test_every_unreadable_image_is_named_once_with_its_shard(damaged, caplog):
    with caplog.at_level(logging.WARNING, "vitreous"):
        taken(opened(damaged), 0, 18)
    for place in ("train-000.tar, key 0004", "train-000.tar, key 0005", "train-002.tar, key 0007"):
        assert caplog.text.count(f"{place}: cannot be read as an image (not an image format") == 1


@pytest.mark.parametrize("path", ["streaming", "resident"])
def test_without_the_option_an_unreadable_image_stops_training(damaged, path):
    advice = r"; repair or remove it, or replace .* --loading\.skip-unreadable" if path == "streaming" else ""
    with pytest.raises(DataError, match=rf"train-00\d\.tar, key 000\d: cannot be read.*{advice}"):
        taken(opened(damaged, path, skip=False), 0, 6)


def test_a_cache_made_while_skipping_still_refuses_when_not_asked_to_skip(damaged):
    opened(damaged, "resident")
    with pytest.raises(DataError, match=r"key 000\d: cannot be read"):
        opened(damaged, "resident", skip=False)


def test_unreadable_images_do_not_count_in_the_statistics(damaged):
    def fitted(look):
        loading = Loading(skip_unreadable=True, look=look)
        train = open_images(damaged, loading=loading, seed=1).splits["train"]
        return fit_preprocessing(train, channels=3, height=8, width=8, crop="pad", loading=loading)[0].mean

    assert fitted(2) == fitted("all")


def test_a_lost_disk_is_an_error_and_no_endless_search(damaged, tmp_path):
    made = opened(damaged)
    for shard in (tmp_path / "shards").glob("*.tar"):
        shard.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"24 images in a row cannot be read, the first ones at: .*became shorter"
    ):
        taken(made, 0, 1)
    assert MOST_IN_A_ROW == 100


def test_a_sample_is_drawn_from_the_seed_and_says_how_many(damaged):
    rows = np.arange(1000)
    assert np.array_equal(to_look_at(rows, "auto", 0), rows)
    few = to_look_at(rows, 10, 0)
    assert len(set(few.tolist())) == 10
    assert np.array_equal(few, to_look_at(rows, 10, 0))
    assert not np.array_equal(few, to_look_at(rows, 10, 1))
    assert len(to_look_at(np.arange(200_000), "auto", 0)) == 10_000
    with pytest.raises(ConfigError, match=r"loading\.look is 0; 1 or more images, all or auto work"):
        to_look_at(rows, 0, 0)
    scan = open_images(damaged, loading=Loading(look=2), seed=1).scan
    assert str(scan).endswith("none unreadable of the 4 looked at")


def test_what_can_be_read_does_not_depend_on_the_sample(damaged):
    looks = [
        open_images(damaged, loading=Loading(look=look, skip_unreadable=True), seed=1) for look in (2, 3, 4)
    ]
    assert len({data.fingerprint for data in looks}) == 1
