"""Pictures that look the same though their pixels differ: compressed again, resized, brightened.

Each picture becomes 144 bits, one for each of the 12×12 lowest cosine terms of its 32×32 grey miniature:
is the term above the median of the 144? (Zauner 2010, Implementation and Benchmarking of Perceptual Image
Hash Functions; there 8×8 terms and 64 bits.) Two pictures are near duplicates if at most 8 bits differ.
The 64 bits that most software takes flood small pictures: half of Fashion-MNIST's test images are then
within 6 bits of another garment. `benchmarks/data_check.py` has the measurement that chose these numbers.

All pairs are found exactly and without comparing all with all: of nine words of 16 bits, one is equal in
two pictures that differ in 8 bits at most.
"""

import numpy as np

FEWEST_DIFFERENT_BITS = 8
FLATTEST = 2.0
"""Pictures whose pixels deviate less than this (of 255) have no structure to compare."""
WORDS = 9
BITS_IN_WORD = np.array([each.bit_count() for each in range(1 << 16)], np.uint8)


def look_hash(terms: np.ndarray) -> np.ndarray:
    """The 144 bits of each picture.

    Args:
        terms: float32 (n, 12, 12), of `examine.lowest_terms`.

    Returns:
        uint16 (n, 9).
    """
    flat = terms.reshape(len(terms), 16 * WORDS)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint16)


def near_pairs(words: np.ndarray, most: int = FEWEST_DIFFERENT_BITS) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of pictures whose hashes differ in at most `most` bits.

    Args:
        words: uint16 (n, 9).
        most: 0 to 8; more would not be found.

    Returns:
        Pairs int64 (pairs, 2), each once and smaller position first, and how many bits differ.
    """
    assert most < WORDS
    found: list[np.ndarray] = []
    for word in range(WORDS):
        order = np.argsort(words[:, word], kind="stable")
        key = words[order, word]
        at, apart = np.arange(len(order) - 1), 1
        while len(at):  # neighbours in the order, then those two apart, as long as the word is equal
            at = at[at + apart < len(order)]
            at = at[key[at] == key[at + apart]]
            a, b = order[at], order[at + apart]
            near = _different_bits(words, a, b) <= most
            found.append(np.stack([np.minimum(a, b), np.maximum(a, b)], 1)[near])
            apart += 1
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, 2), np.int64)
    return pairs, _different_bits(words, pairs[:, 0], pairs[:, 1])


def _different_bits(words: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bits: np.ndarray = BITS_IN_WORD[words[a] ^ words[b]].sum(1, dtype=np.int64)
    return bits
