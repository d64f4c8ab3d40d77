"""What a model costs: parameters and multiply-accumulates for one image, exact, without running it.

The model is built on meta tensors, which have shapes and no values, and torch's own counter of operations
watches one forward pass. Norms, softmax, GELU, pooling, sums and dropout are not counted, as everywhere in
this field.

Papers that say "FLOPs" mean multiply-accumulates (MACs), and many leave out the two products inside
attention, q · kᵀ and map · v, because their tool did not see them: EIT's published 1.73 G is 1,926,348,500
with them. Both are given.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule
from vitreous.parts.tokens import Tokens

BATCHED_PRODUCTS = (torch.ops.aten.bmm, torch.ops.aten.baddbmm)


@dataclass(frozen=True)
class LayerCost:
    """One slot or layer: its name, parameters, MACs, and the tokens and width that leave it.

    Tokens count the prefix. The head leaves logits: one token, as wide as there are classes.
    """

    name: str
    parameters: int
    macs: int
    tokens: int
    width: int


@dataclass(frozen=True)
class Cost:
    """What a model costs for one image.

    Args:
        parameters: trainable values.
        macs: multiply-accumulates of all matrix products and convolutions.
        macs_without_attention_products: the same without q · kᵀ and map · v, as papers often report.
        by_layer: the same by slot and layer, in order; the sums are exact.
    """

    parameters: int
    macs: int
    macs_without_attention_products: int
    by_layer: tuple[LayerCost, ...]


def cost(config: VisionTransformer) -> Cost:
    """Counts parameters and MACs of a model for one image of the size in its config.

    Raises:
        ConfigError: sizes that do not fit each other.
    """
    with torch.device("meta"):
        model = VisionTransformerModule(config).eval()
        flowing = torch.empty(1, config.image.channels, config.image.height, config.image.width)
    steps = [(name, model.get_submodule(name)) for name in ("stem", "prefix", "position")]
    steps += [(f"layers.{number}", layer) for number, layer in enumerate(model.layers)]
    steps += [("head", model.head)]

    by_layer = []
    attention_products = 0
    for name, step in steps:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            flowing = step(flowing)
        tokens, width = flowing.x.shape[1:] if isinstance(flowing, Tokens) else flowing.shape
        by_layer.append(LayerCost(name, _parameters(step), counter.get_total_flops() // 2, tokens, width))
        # Two batches of matrices are only multiplied inside attention; a linear map has one weight for all.
        by_operation = counter.get_flop_counts()["Global"]
        attention_products += sum(by_operation.get(each, 0) for each in BATCHED_PRODUCTS) // 2
    macs = sum(each.macs for each in by_layer)
    return Cost(_parameters(model), macs, macs - attention_products, tuple(by_layer))


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
