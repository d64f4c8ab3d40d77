"""Repeats and balanced classes: what an epoch shows, as laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.data.order import BatchOrder
from vitreous.data.sampling import Sampling
from vitreous.data.streams import stream
from vitreous.errors import ConfigError


def test_one_repeat_is_the_order_that_there_always_was():
    order = BatchOrder(images=103, batch_size=10, seed=4)
    expected = stream(4, "order", 2).permutation(103)[:100].reshape(10, 10)
    assert np.array_equal(order.epoch(2), expected)


@given(
    images=st.integers(12, 200), batch=st.integers(4, 12), repeats=st.integers(2, 4), seed=st.integers(0, 9)
)
def test_an_epoch_keeps_its_samples_and_shows_each_of_fewer_images_as_often_as_asked(
    images, batch, repeats, seed
):
    order = BatchOrder(images, batch, seed, Sampling(repeats)).epoch(0)
    assert order.shape == (images // batch, batch)
    counts = np.bincount(order.ravel(), minlength=images)
    shown = counts[counts > 0]
    assert len(shown) == -(-order.size // repeats)
    assert (shown == repeats).sum() >= len(shown) - 1, "only the last image may lack a copy"


def test_the_copies_of_an_image_stand_in_one_batch_and_seldom_side_by_side():
    order = BatchOrder(600, 60, 0, Sampling(3)).epoch(0)
    for batch in order:
        assert set(np.bincount(batch)[np.unique(batch)]) == {3}
    assert (order == np.roll(order, 1, axis=1)).mean() < 0.1


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    batch=st.integers(2, 8),
    seed=st.integers(0, 9),
)
def test_balanced_sampling_gives_each_class_its_share_and_each_image_of_a_rare_class_its_turns(
    sizes, batch, seed
):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    if batch > len(labels):
        return
    order = BatchOrder(len(labels), batch, seed, Sampling(labels=labels)).epoch(1)
    shown = np.bincount(labels[order.ravel()], minlength=len(sizes))
    assert shown.max() - shown.min() <= 1
    turns = np.bincount(order.ravel(), minlength=len(labels))
    for number in range(len(sizes)):
        of_class = turns[labels == number]
        assert of_class.max() - of_class.min() <= 1


def test_balanced_sampling_shows_other_images_of_a_frequent_class_in_each_epoch():
    labels = np.array([0] * 90 + [1] * 10)
    order = BatchOrder(100, 10, 0, Sampling(labels=labels))
    first, second = (set(order.epoch(number).ravel().tolist()) for number in (0, 1))
    assert first != second


@pytest.mark.parametrize("repeats", [0, 11])
def test_repeats_that_do_not_fit_into_a_batch_are_refused(repeats):
    message = f"recipe.repeats is {repeats}; 1 to the batch size, which is 10, works"
    with pytest.raises(ConfigError, match=message):
        BatchOrder(100, 10, 0, Sampling(repeats))
