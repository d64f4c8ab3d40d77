from hypothesis import given
from hypothesis import strategies as st

from vitreous.data.streams import stream, stream_seed


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_draw_depends_on_seed_name_and_index_alone(seed, index):
    assert stream_seed(seed, "order", index) == stream_seed(seed, "order", index)
    assert stream_seed(seed, "order", index) != stream_seed(seed, "augment", index)
    assert stream_seed(seed, "order", index) != stream_seed(seed + 1, "order", index)
    assert stream_seed(seed, "order", index) != stream_seed(seed, "order", index + 1)
    assert 0 <= stream_seed(seed, "order", index) < 2**63


def test_index_words_do_not_merge_with_the_seed():
    seeds = {stream_seed(1, "a"), stream_seed(1, "a", 0), stream_seed(1, "a", 0, 0), stream_seed(0, "a", 1)}
    assert len(seeds) == 4


def test_the_streams_never_change_between_versions():
    # a stored run must continue with the order that it began with
    assert stream_seed(0, "order", 0) == 947235792764154474
    assert stream(0, "order", 0).permutation(8).tolist() == [0, 3, 2, 5, 6, 1, 4, 7]
