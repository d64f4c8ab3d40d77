"""An order for training that keeps reads together: a few shards at a time, shuffled within.

Random reads over a hundred tars on a network disk are slow, and a full permutation is nothing else. Here
the shards are permuted, and eight of them at a time are shuffled image by image, as the buffer of a
sequential reader does; but as a pure function of the epoch's generator, so that any step of any epoch can
be asked for. An epoch shows every image once, like a full permutation; images of far shards are not in
one batch, so shards should hold mixed classes. Ours, after webdataset's shard shuffle and sample buffer.
"""

import numpy as np

from vitreous.data.images import ImageSplit
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError

SHARDS_AT_ONCE = 8


def permutation_by_shards(generator: np.random.Generator, shards: np.ndarray) -> np.ndarray:
    """int64 (n,): every image once.

    Args:
        generator: where the draw comes from.
        shards: (n,) the shard that each image lies in, any numbers.
    """
    names, shard = np.unique(shards, return_inverse=True)
    turn = generator.permutation(len(names)) // SHARDS_AT_ONCE
    return np.lexsort((generator.random(len(shards)), turn[shard]))


def shards_for_order(split: ImageSplit, loading: Loading) -> np.ndarray | None:
    """The shard of each training image where `loading.order` asks for it, else None.

    Raises:
        ConfigError: the images do not lie in several tars.
    """
    if loading.order == "full":
        return None
    shards: np.ndarray | None = getattr(split.records, "shards", None)
    if shards is None or shards.min() == shards.max():
        raise ConfigError(
            "loading.order is shards, but the training images do not lie in several tars; full works"
        )
    rows: np.ndarray = shards[split.rows]
    return rows
