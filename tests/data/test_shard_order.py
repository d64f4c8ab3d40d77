import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.packed import CLASSES, photos, sharded
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.order import BatchOrder
from vitreous.data.sampling import Sampling
from vitreous.data.shard_order import SHARDS_AT_ONCE, permutation_by_shards, shards_for_order
from vitreous.errors import ConfigError


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.integers(0, 9))
def test_an_epoch_by_shards_shows_every_image_once(shards, seed):
    order = permutation_by_shards(np.random.default_rng(seed), np.array(shards))
    assert sorted(order.tolist()) == list(range(len(shards)))


@settings(deadline=None)
@given(st.integers(0, 99))
def test_only_a_few_shards_are_read_at_a_time_and_are_mixed(seed):
    shards = np.repeat(np.arange(40), 25)
    order = permutation_by_shards(np.random.default_rng(seed), shards)
    for turn in shards[order].reshape(-1, SHARDS_AT_ONCE * 25):
        assert len(set(turn)) == SHARDS_AT_ONCE
        assert len(set(turn[:50])) > SHARDS_AT_ONCE // 2


def test_eight_shards_are_shuffled_in_full():
    order = permutation_by_shards(np.random.default_rng(0), np.repeat(np.arange(8), 100))
    assert abs(np.corrcoef(order, np.arange(800))[0, 1]) < 0.2


def test_any_step_of_an_order_by_shards_can_be_asked_for():
    order = BatchOrder(100, 8, seed=3, sampling=Sampling(shards=np.arange(100) // 5))
    whole = [next(order.from_step(step)).tolist() for step in range(40)]
    tail = order.from_step(17)
    assert [next(tail).tolist() for _ in range(23)] == whole[17:]
    assert whole[:12] != whole[12:24]


def test_the_order_follows_the_shards_of_the_training_images(tmp_path):
    photos(tmp_path / "photos")
    pattern = sharded(tmp_path / "photos" / "train", str(tmp_path / "{:03}.tar"), 3, names=tuple(CLASSES))
    train = open_images(pattern).splits["train"]
    shards = shards_for_order(train, Loading(order="shards"))
    for i, shard in enumerate(shards):
        assert train.where(i).startswith(f"{tmp_path}/{shard:03}.tar")
    assert shards_for_order(train, Loading()) is None


def test_an_order_by_shards_needs_shards(tmp_path):
    train = open_images(photos(tmp_path / "photos")).splits["train"]
    with pytest.raises(ConfigError, match=r"loading\.order is shards, but .* not lie in several tars"):
        shards_for_order(train, Loading(order="shards"))
