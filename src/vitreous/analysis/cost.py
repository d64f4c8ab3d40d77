"""What a model costs: parameters and multiply-accumulates for one image, exact, without running it.

MACs are summed from the closed forms that the parts give (`macs`); a map that several layers use and a weight
that is applied many times count once. `tests/analysis/test_cost.py` holds them against torch's own counter of
operations. Norms, softmax, GELU, pooling, sums and dropout are not counted, as everywhere in this field.

Papers that say "FLOPs" mean multiply-accumulates (MACs), and many leave out the two products inside
attention, q · kᵀ and map · v, because their tool did not see them: EIT's published 1.73 G is 1,926,348,500
with them. Both are given.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from vitreous.analysis.sharing import what_is_shared
from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import Head, ImageShape, Macs, Part, Stem, TokenShape


@dataclass(frozen=True)
class LayerCost:
    """One slot or layer: its name, parameters, MACs, the tokens and width that leave it, and what it shares.

    Tokens count the prefix. The head leaves logits, or features where there are no classes: one token. A
    weight that a layer applies many times is one parameter, and each time counts in the MACs; a map that it
    takes from another layer is counted there.
    """

    name: str
    parameters: int
    macs: int
    tokens: int
    width: int
    shares: str = ""


@dataclass(frozen=True)
class Cost:
    """What a model costs for one image.

    Args:
        parameters: trainable values.
        macs: multiply-accumulates of all matrix products and convolutions; a shared map counts once.
        macs_without_attention_products: the same without q · kᵀ and map · v, as papers often report.
        macs_executed: with the maps that sharing layers compute again where that is cheaper than keeping
            them.
        by_layer: the same by slot and layer, in order; the sums are exact.
    """

    parameters: int
    macs: int
    macs_without_attention_products: int
    macs_executed: int
    by_layer: tuple[LayerCost, ...]


def cost(config: VisionTransformer) -> Cost:
    """Counts parameters and MACs of a model for one image of the size in its config.

    Raises:
        ConfigError: sizes that do not fit each other.
    """
    config.shapes()  # refuses sizes that do not fit, with the slot in front
    by_layer, total = [], Macs()
    shared = iter(what_is_shared(config.layers))
    for name, part, before, after in _steps(config):
        try:
            parameters, macs = parameters_of(part, before), part.macs(before)  # type: ignore[arg-type]
        except ConfigError as error:
            raise ConfigError(f"{name.replace('layers.', 'layer ')}, {error}") from None
        shares = next(shared) if name.startswith("layers.") else ""
        by_layer.append(LayerCost(name, parameters, macs.total, after.tokens, after.width, shares))
        total += macs
    return Cost(
        sum(each.parameters for each in by_layer),
        total.total,
        total.maps,
        total.total + total.again,
        tuple(by_layer),
    )


def _steps(
    config: VisionTransformer,
) -> Iterator[tuple[str, Stem | Part | Head, ImageShape | TokenShape, TokenShape]]:
    """Each slot and layer: name, description, the shape it is given and the shape it leaves."""
    shape = config.stem.out_shape(config.image)
    yield "stem", config.stem, config.image, shape
    between = [("prefix", config.prefix), ("position", config.position)]
    between += [(f"layers.{number}", layer) for number, layer in enumerate(config.layers)]
    for name, part in between:
        before, shape = shape, part.out_shape(shape)
        yield name, part, before, shape
    logits = TokenShape(config.classes or config.head.features(shape), None, prefix=1)
    yield "head", config.head, shape, logits


@lru_cache(maxsize=4096)
def parameters_of(part: Stem | Part | Head, shape: ImageShape | TokenShape) -> int:
    """Parameters of one slot or layer, counted on a module without values; equal layers are counted once."""
    with torch.device("meta"):
        module: nn.Module = part.build(shape)  # type: ignore[arg-type]
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
