"""Whatever images lie in, training sees the same batches, from any step on, on any number of processes."""

import datasets
import pytest
import torch

from tests.data.packed import CLASSES, name_classes, photos, sharded, tarred
from tests.data.test_batches import FIT, equal, taken
from tests.data.test_hugging_face import saved
from vitreous.data.batches import make_batches
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.shard_order import shards_for_order


def in_a_tar(folder, place):
    return str(tarred(folder, place / "photos.tar", backwards=True))


def in_shards(folder, place):
    patterns = [
        sharded(folder / split, str(place / (split + "-{:03}.tar")), 3, names=tuple(CLASSES))
        for split in ("train", "val")
    ]
    name_classes(place)
    return patterns


def in_arrow(folder, place):
    datasets.disable_progress_bars()
    return str(saved(folder, place / "saved"))


@pytest.fixture(params=[in_a_tar, in_shards, in_arrow])
def both(request, tmp_path):
    """The images of a folder, and the same packed."""
    folder = photos(tmp_path / "photos")
    (tmp_path / "packed").mkdir()
    return open_images(folder), open_images(request.param(folder, tmp_path / "packed"))


def batches(data, split="train", workers=2, shard=None, order="full"):
    loading = Loading(path="streaming", workers=workers, order=order)
    train = split == "train"
    return make_batches(
        data.splits[split],
        FIT,
        batch_size=4,
        train=train,
        loading=loading,
        sampling=Sampling(shards=shards_for_order(data.splits[split], loading)) if train else None,
        shard=shard,
    )


def test_packed_images_give_the_batches_of_their_folder(both):
    folder, packed = both
    assert equal(taken(batches(packed), 0, 14), taken(batches(folder), 0, 14))
    assert equal(list(batches(packed, "val").all()), list(batches(folder, "val").all()))


@pytest.mark.parametrize("step", [1, 4, 8])
def test_continuing_in_mid_epoch_goes_on_at_the_very_sample(both, step):
    whole = taken(batches(both[1], workers=0), 0, 10)
    assert equal(taken(batches(both[1]), step, 10 - step), whole[step:])


def test_processes_share_a_batch_without_a_sample_twice_or_missing(both):
    whole = taken(batches(both[1], workers=0), 3, 6)
    parts = [taken(batches(both[1], workers=0, shard=Shard(rank, 2)), 3, 6) for rank in (0, 1)]
    for batch, one, other in zip(whole, *parts, strict=True):
        assert torch.equal(batch.images, torch.cat([one.images, other.images]))
        assert torch.equal(batch.rows, torch.cat([one.rows, other.rows]))


def test_an_order_by_shards_continues_at_the_very_sample(tmp_path):
    data = open_images(in_shards(photos(tmp_path / "photos"), tmp_path))
    whole = taken(batches(data, workers=0, order="shards"), 0, 12)
    assert equal(taken(batches(data, workers=2, order="shards"), 5, 7), whole[5:])
    assert not equal(whole, taken(batches(data, workers=0), 0, 12))
