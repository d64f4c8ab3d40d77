"""A model in which one layer takes the map of another: whether there is one, and what it costs.

    Attention(h) of the lender → Attention(h, lends=True)      Attention(h) of the layer → SharedAttention(h)

In a recursive layer one block runs in every turn, so either all turns take the map or none does; a turn
cannot take the map of another turn. The lender's last turn is the one that lends. Slices and windows must be
those of the lender. PSViT (arXiv 2108.03428); as a question to any model, ours.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import Attention, Description, SharedAttention


def with_shared_map(config: VisionTransformer, layer: int, lender: int) -> VisionTransformer:
    """The model with the attention of `layer` replaced; `vitreous.cost` refuses it where it cannot be.

    Args:
        config: any model.
        layer: which takes the map, counted from 0.
        lender: an earlier one, which keeps its own.
    """
    layers = list(config.layers)
    layers[lender] = _changed(layers[lender], lambda each: replace(each, lends=True))
    layers[layer] = _changed(layers[layer], lambda each: SharedAttention(each.heads))
    return replace(config, layers=tuple(layers))


def _changed(value: Any, change: Callable[[Attention], Description]) -> Any:
    """A description with every attention inside it changed."""
    if isinstance(value, Attention):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_changed(each, change) for each in value)
    if isinstance(value, Description):
        new = {each.name: _changed(getattr(value, each.name), change) for each in fields(value)}
        return replace(value, **new)
    return value
