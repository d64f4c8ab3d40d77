"""What is compiled: the whole model, or, where blocks are applied many times, each of these blocks.

A compiler unrolls a loop over turns: a network of 1008 applications would take it hours. Compiled by itself,
a block that is applied again is compiled once for all its turns; what stands between them stays as it is.
"""

import torch
from torch import nn

from vitreous.parts.recursion import RecursiveModule
from vitreous.training.step import Forward

MANY_TURNS = 4  # ours: the named models of few turns compile as a whole in about a minute


def compiled(model: nn.Module) -> Forward:
    """What computes the model's logits, compiled; the model itself where only its blocks are.

    Args:
        model: a built model on its device. Its blocks of many turns are compiled in place; its weights keep
            their names.
    """
    deep = [
        each
        for each in model.modules()
        if isinstance(each, RecursiveModule) and len(each.between) > MANY_TURNS
    ]
    if not deep:
        return torch.compile(model, dynamic=False)
    for each in deep:
        each.block.compile()
    return model
