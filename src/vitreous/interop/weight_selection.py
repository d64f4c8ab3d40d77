"""A small model's first weights, taken out of a larger one of the same family.

    layer l            the larger model's layer l: its first layers, the rest is left out
    every dimension    S of T indices evenly spaced: ⌊i · T / S⌋ for i = 0 … S − 1

Xu et al., "Initializing Models with Larger Ones" (ICLR 2024, arXiv 2311.18823): first-N layers and uniform
elements were their best choices. The same channels are taken everywhere, so the residual stream stays one.
Queries, keys and values stay apart, since ⌊(S + j) · 3T / 3S⌋ = T + ⌊j · T / S⌋. Where S does not divide T,
their code rounds a linspace that can run past the end; ours rounds down.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from vitreous.errors import ConfigError

LAYER = re.compile(r"layers\.(\d+)\.")


def select(larger: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the shapes of `wanted`.

    Args:
        larger: weights of the larger model, position tables at the grid of the smaller one.
        wanted: weights of the smaller model; its shapes alone are read.

    Returns:
        Those of `larger` that `wanted` has, cut to size, and those it does not have outside the layers left
        out, as they are.

    Raises:
        ConfigError: a weight that is smaller than the one it is to become.
    """
    depth = 1 + max((int(found[1]) for name in wanted if (found := LAYER.match(name))), default=-1)
    selected = {}
    for name, weight in larger.items():
        found = LAYER.match(name)
        if found and int(found[1]) >= depth:
            continue
        shape = wanted[name].shape if name in wanted else weight.shape
        if weight.ndim != len(shape) or any(a < b for a, b in zip(weight.shape, shape, strict=True)):
            raise ConfigError(
                f"weight selection: {name} is {tuple(weight.shape)} in the larger model and {tuple(shape)} "
                "in the smaller one; a larger model of the same family has every dimension at least as large"
            )
        for dimension, size in enumerate(shape):
            places = torch.arange(size) * weight.shape[dimension] // size if size else torch.arange(0)
            weight = weight.index_select(dimension, places)
        selected[name] = weight
    return selected
