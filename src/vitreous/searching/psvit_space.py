"""PSViT's own space: before which layers to pool, and which layers share their neighbour's map.

Chen et al., arXiv 2108.03428: "the number of tokens of each layer and the choice of layers that share" are
learned. The exact set of the paper is not known to us (N/O: not obtained); this one is ours: every layer but
the first attends by itself or shares, a preset's pools stand before any layers but the first, in order, and
a layer behind a pool attends by itself. With 12 layers and two pools that are 28,160 architectures. Widths,
heads, depth and ratio are the preset's.
"""

from dataclasses import replace
from typing import Any

from vitreous.errors import ConfigError
from vitreous.models.catalog import config as catalog_config
from vitreous.models.catalog import look_up
from vitreous.models.psvit import psvit_1d, psvit_2d
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import Attention, Block, FeedForward, Mix, SharedAttention
from vitreous.searching.choice import ByStage, Choice, Pooled
from vitreous.searching.space import Space


def psvit_space(
    name: str,
    *,
    image_size: int | tuple[int, int] | None = None,
    classes: int = 1000,
    channels: int = 3,
    longest_share_run: int | None = None,
    **switches: Any,
) -> Space:
    """The space of a PSViT preset.

    Args:
        name: a catalog name such as `psvit_2d_tiny`; its genes give the number of layers and pools.
        image_size, classes, channels, switches: as `vitreous.config` takes them.
        longest_share_run: most layers in a row that share; None for any number.

    Raises:
        ConfigError: not a PSViT, or sizes that do not fit.
    """
    known, entry = look_up(name)
    if entry.family not in (psvit_1d, psvit_2d):
        raise ConfigError(f"{known} is not a PSViT, so it has no genes; psvit_1d_… and psvit_2d_… have")
    preset = catalog_config(known, image_size=image_size, classes=classes, channels=channels, **switches)
    numbers = entry.numbers | switches
    return space_of(preset, tuple(numbers["heads"]), longest_share_run=longest_share_run)


def space_of(
    preset: VisionTransformer, heads: tuple[int, ...], *, longest_share_run: int | None = None
) -> Space:
    """The space that a PSViT stands in.

    Args:
        preset: its pools, feed-forward and ends are those of the space.
        heads: of each stage.
        longest_share_run: most layers in a row that share; None for any number.
    """
    blocks = [layer for layer in preset.layers if isinstance(layer, Block)]
    feed_forward = blocks[0].branches[-1]
    assert isinstance(feed_forward, FeedForward)
    own = Mix(Attention(ByStage(heads), lends=True))  # type: ignore[arg-type]
    shared = Mix(SharedAttention(ByStage(heads)))  # type: ignore[arg-type]
    first = Block((own, feed_forward))
    later = Block((Choice((own, shared)), feed_forward))  # type: ignore[arg-type]
    layers = Pooled(
        (first, *(later,) * (len(blocks) - 1)),
        tuple(block.branches[:-2] for block in blocks if len(block.branches) > 2),
    )
    return Space(replace(preset, layers=layers), longest_share_run)  # type: ignore[arg-type]
