"""All pairs within eight bits, found without comparing all with all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.data.examine import lowest_terms
from vitreous.data.near_duplicates import WORDS, look_hash, near_pairs


def _all_with_all(words: np.ndarray, most: int) -> set[tuple[int, int]]:
    bits = np.unpackbits(words.view(np.uint8), axis=1).astype(int)
    apart = (bits[:, None] != bits[None]).sum(2)
    return {(int(a), int(b)) for a, b in np.argwhere(apart <= most) if a < b}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 8), st.integers(0, 12))
def test_the_words_find_exactly_the_pairs_that_comparing_all_with_all_finds(
    seed: int, most: int, flips: int
) -> None:
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 16, (20, WORDS)).astype(np.uint16)
    copies = words[random.integers(0, 20, 30)].copy()
    for copy in copies:
        for bit in random.integers(0, 16 * WORDS, flips):
            copy[bit // 16] ^= np.uint16(1 << (bit % 16))
    every = np.concatenate([words, copies])
    pairs, different = near_pairs(every, most)
    assert {(int(a), int(b)) for a, b in pairs} == _all_with_all(every, most)
    assert (different <= most).all()


def test_no_pictures_and_one_picture_have_no_pairs() -> None:
    for count in (0, 1):
        pairs, different = near_pairs(np.zeros((count, WORDS), np.uint16))
        assert pairs.shape == (0, 2) and different.shape == (0,)


def test_the_terms_are_the_cosine_transform() -> None:
    from scipy.fft import dctn

    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    expected = (
        dctn(pixels.astype(float), axes=(1, 2))[:, :12, :12] / 4
    )  # scipy's DCT-II has a factor 2 an axis
    np.testing.assert_allclose(lowest_terms(pixels), expected, rtol=1e-4, atol=0.05)


def test_brightness_and_contrast_leave_the_hash_alone() -> None:
    pixels = np.random.default_rng(0).integers(40, 200, (5, 32, 32)).astype(np.float32)
    plain, changed = look_hash(lowest_terms(pixels)), look_hash(lowest_terms(0.8 * pixels + 10))
    assert (plain == changed).all()
