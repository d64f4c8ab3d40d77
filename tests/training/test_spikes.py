"""A loss far above the usual is reported once an episode, from the losses alone."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.training.spikes import FEWEST, WINDOW, SpikeWatch


def usual(count: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [2.0 + draw.gauss(0, 0.1) for _ in range(count)]


def seen(losses: list[float], watch: SpikeWatch | None = None) -> list[int]:
    watch = watch or SpikeWatch()
    return [place for place, loss in enumerate(losses) if watch.see(loss)]


def test_a_loss_far_above_the_usual_is_a_spike_with_median_and_deviation():
    watch = SpikeWatch()
    assert seen(usual(100), watch) == []
    spike = watch.see(7.0)
    assert spike is not None and spike.loss == 7.0
    assert 1.9 < spike.median < 2.1 and 0.05 < spike.deviation < 0.2


def test_a_spike_of_many_steps_is_reported_at_its_first():
    assert seen([*usual(100), 7.0, 9.0, 2.0, 8.0, 5.0, *usual(20)]) == [100]


def test_a_second_spike_is_reported_when_ten_usual_steps_lie_between():
    assert seen([*usual(100), 7.0, *usual(10, 1), 7.0]) == [100, 111]
    assert seen([*usual(100), 7.0, *usual(9, 1), 7.0]) == [100]


def test_nothing_is_a_spike_before_enough_was_seen():
    assert seen([*usual(FEWEST - 1), 50.0]) == []
    assert seen([*usual(FEWEST), 50.0]) == [FEWEST]


@settings(max_examples=30)
@given(st.lists(st.floats(1.0, 1.19), min_size=WINDOW, max_size=3 * WINDOW))
def test_losses_within_a_fifth_of_each_other_are_never_a_spike(losses):
    assert seen(losses) == []


@settings(max_examples=30)
@given(st.lists(st.floats(0.1, 20), max_size=3 * WINDOW), st.integers(0, 3 * WINDOW))
def test_a_watch_that_was_stored_and_read_back_reports_what_an_uninterrupted_one_does(losses, cut):
    watch = SpikeWatch()
    before = seen(losses[:cut], watch)
    again = SpikeWatch(json.loads(json.dumps(watch.state)))
    after = [cut + place for place in seen(losses[cut:], again)]
    assert before + after == seen(losses)


def test_mixed_and_plain_batches_in_turn_are_no_spikes():
    assert seen([loss + (0.9 if place % 2 else 0.0) for place, loss in enumerate(usual(400))]) == []


def test_a_new_level_becomes_usual():
    assert seen([*usual(100), *(loss + 5 for loss in usual(300)), *usual(5)]) == [100]
