"""A trained recursive model with fewer turns: one set of weights at several speeds.

    x ← between_t(block(x))        for t = 0 … turns − 1        instead of … times − 1

What is left out are the last turns of each block, with their projections. Which depths answer well depends on
what was trained: plain training knows all turns together; mixed depth (`mixed_depth.py`) also knows one turn,
or, where the turns are drawn, every number. A depth that was not trained runs, and answers badly. Ours.
"""

from dataclasses import replace

import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule, build
from vitreous.parts.recursion import Recursive


def most_turns(config: VisionTransformer) -> int:
    """The largest number of turns that a layer of the model takes; 1 where nothing is applied again."""
    return max((layer.times for layer in config.layers if isinstance(layer, Recursive)), default=1)


def of_turns(config: VisionTransformer, turns: int) -> VisionTransformer:
    """The model with at most so many turns of each recursive layer.

    Args:
        config: a model with `Recursive` layers.
        turns: 1 to the most that a layer takes.

    Raises:
        ConfigError: no layer is recursive, or a number that no layer reaches.
    """
    most = most_turns(config)
    if not any(isinstance(layer, Recursive) for layer in config.layers):
        raise ConfigError(
            f"turns {turns}: {config.name or 'the model'} applies no layer more than once; a recursive model "
            "such as sret_tiny has turns to leave out"
        )
    if not 1 <= turns <= most:
        raise ConfigError(f"turns {turns}: {config.name or 'the model'} takes {most}; 1 to {most} work")
    layers = tuple(
        replace(layer, times=min(layer.times, turns)) if isinstance(layer, Recursive) else layer
        for layer in config.layers
    )
    return replace(config, layers=layers)


def with_turns(model: nn.Module, turns: int) -> VisionTransformerModule:
    """A copy of a trained model with fewer turns.

    Args:
        model: what `vitreous.build` returns, or the `.model` of a loaded classifier; it stays as it is.
        turns: 1 to the most that a layer takes, with which the copy equals the model.

    Returns:
        A module (batch, channels, height, width) → (batch, classes) in the same mode, on the same device and
        of the same type, without dropout.

    Raises:
        ConfigError: something else than a built model, one without turns to leave out, or too many.
    """
    if not isinstance(model, VisionTransformerModule):
        raise ConfigError(
            f"with_turns: it takes what vitreous.build returns and this is a {type(model).__name__}; "
            "a loaded classifier has a with_turns of its own"
        )
    config = of_turns(model.config, turns)
    like, weights = next(model.parameters()), model.state_dict()
    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away
        shorter = build(config).to(like.device, like.dtype)
    shorter.load_state_dict({name: weights[name] for name in shorter.state_dict()})
    return shorter.train(model.training)
