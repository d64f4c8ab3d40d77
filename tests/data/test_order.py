from itertools import islice

import numpy as np
import pytest

from vitreous.data.order import BatchOrder
from vitreous.data.shard import Shard
from vitreous.errors import ConfigError


def test_an_epoch_shows_every_image_once_but_for_the_partial_batch():
    order = BatchOrder(images=103, batch_size=10, seed=0)
    shown = order.epoch(0).ravel()
    assert order.steps_per_epoch == 10
    assert len(shown) == len(set(shown.tolist())) == 100


def test_epochs_and_seeds_have_orders_of_their_own():
    order = BatchOrder(images=50, batch_size=5, seed=0)
    assert not np.array_equal(order.epoch(0), order.epoch(1))
    assert not np.array_equal(order.epoch(0), BatchOrder(50, 5, seed=1).epoch(0))


@pytest.mark.parametrize("step", [0, 1, 9, 10, 11, 25])
def test_starting_at_a_step_gives_the_tail_of_the_whole_sequence(step):
    order = BatchOrder(images=103, batch_size=10, seed=3)
    whole = list(islice(order.from_step(0), 40))
    tail = list(islice(order.from_step(step), 40 - step))
    assert all(np.array_equal(a, b) for a, b in zip(whole[step:], tail, strict=True))


def test_a_batch_larger_than_the_split_is_refused_with_what_works():
    with pytest.raises(ConfigError, match="batch size 11 for 10 training images; 1 to 10 works"):
        BatchOrder(images=10, batch_size=11, seed=0)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_parts_of_all_processes_side_by_side_are_the_batches_of_one(size):
    whole = BatchOrder(103, 12, seed=3).epoch(2)
    parts = [BatchOrder(103, 12, seed=3, shard=Shard(rank, size)).epoch(2) for rank in range(size)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_the_image_before_is_the_last_one_of_the_process_before():
    parts = [BatchOrder(24, 12, seed=0, shard=Shard(rank, 3, before=True)).epoch(0) for rank in range(3)]
    assert all(np.array_equal(parts[rank][:, 0], parts[rank - 1][:, -1]) for rank in range(3))
    assert BatchOrder(24, 12, seed=0, shard=Shard(before=True)).epoch(0).shape == (2, 12)


def test_a_batch_that_does_not_divide_over_the_processes_is_refused_with_what_does():
    with pytest.raises(ConfigError, match="batch size 10 does not divide over 4 processes; 8 does"):
        BatchOrder(20, 10, seed=0, shard=Shard(0, 4))
