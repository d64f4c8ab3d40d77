"""Random streams that need no saved state: every draw is a function of (seed, stream, index).

`stream_seed(seed, "augment", step)` seeds all that augmentation draws in that step, and
`stream_seed(seed, "order", epoch)` the order of that epoch. So a run continues at any step without a
stored generator, and more workers or another device move no stream. Ours, over numpy's SeedSequence.
"""

import hashlib

import numpy as np


def stream_seed(seed: int, stream: str, *index: int) -> int:
    """Seed of one draw of one stream, 0 to 2⁶³ − 1.

    Args:
        seed: seed of the run, 0 or more.
        stream: name such as `order`, `augment`, `dropout` or `init`.
        index: which draw of the stream: epoch, step, turn; each 0 or more.
    """
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    # as spawn key, index words never merge with the seed's: (1, 0) and (1,) are different streams
    state = np.random.SeedSequence(seed, spawn_key=(name, *index)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """A numpy generator at the start of one draw of one stream."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, name, *index)))
