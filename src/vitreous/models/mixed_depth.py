"""Mixed depth: a recursive model trained together with the shallow model inside it, over the same weights.

    tokens  = position(prefix(stem(image)))            once, for both
    deep    = head(layers(tokens))                     every block, all its turns
    shallow = head′(layers′(tokens))                   the same blocks and pools, each block applied once,
                                                       or a number of times drawn anew in every pass
    loss    = ½ · ℓ(deep) + ½ · ℓ(shallow)             left to the training recipe

Shen, Liu, Xing, ECCV 2022, arXiv 2111.05297, are said (by a third party's digest, unverified) to train
networks of shared and unshared depth together, to ease the optimisation of very deep ones. **The details are
ours**: neither the released code nor any text that could be had says how the two are joined. The shallow
path gives the blocks a short way to the loss, as deep supervision does. The mean of the two losses is a
proposal; whether the shallow path has a head and projections (NLL) of its own, or uses the head and those of
turn 0, is left open here as two options.

What is trained for is the deep path: in evaluation it runs alone, and `.deep` is an ordinary model. The
numbers of turns between one and all are not trained, unless they are drawn (ours): then each is the shallow
path of some of the passes, and the model can be run at any depth (`turns.py`).
"""

from copy import deepcopy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vitreous.errors import ConfigError
from vitreous.models.turns import most_turns
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule
from vitreous.parts.recursion import RecursiveModule
from vitreous.parts.tokens import Tokens


def mixed_depth(
    model: VisionTransformerModule,
    *,
    own_head: bool = False,
    own_between: bool = False,
    drawn: bool = False,
) -> "MixedDepthModule":
    """The deep and the shallow path over the weights of one model.

    Args:
        model: what `vitreous.build` returns, with `Recursive` layers; it becomes `.deep`, itself, not a copy.
        own_head: True for a head of the shallow path's own, which starts as a copy.
        own_between: True for a layer of its own after each block of the shallow path, which starts as a copy
            of turn 0's; False for turn 0's.
        drawn: True for a shallow path of 1 to all but one turns, drawn from torch's default generator of the
            CPU in every pass; False for one turn.

    Returns:
        A module (batch, channels, height, width) → (deep, shallow) logits in training, deep alone in
        evaluation; it keeps `.config`.

    Raises:
        ConfigError: no layer of the model is recursive, so that both paths would be one.
    """
    if not any(isinstance(layer, RecursiveModule) for layer in model.layers):
        raise ConfigError(
            "mixed_depth: no layer is applied more than once, so that both paths would be one; a model with "
            "Recursive layers, such as sret_tiny or recursive(config), has two"
        )
    return MixedDepthModule(model, own_head, own_between, drawn)


class MixedDepthModule(nn.Module):
    """The module behind `mixed_depth`."""

    def __init__(
        self, deep: VisionTransformerModule, own_head: bool, own_between: bool, drawn: bool = False
    ) -> None:
        super().__init__()
        self.config: VisionTransformer = deep.config
        self.deep = deep
        self.drawn = drawn
        self.head = deepcopy(deep.head) if own_head else None
        recursive = [layer for layer in deep.layers if isinstance(layer, RecursiveModule)]
        self.between = (
            nn.ModuleList(deepcopy(layer.between[0]) for layer in recursive) if own_between else None
        )

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> (
        Float[Tensor, "batch classes"] | tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch classes"]]
    ):
        """Deep and shallow logits in training; deep ones in evaluation."""
        if not self.training:
            logits: Tensor = self.deep(image)
            return logits
        deep = shallow = self.deep.position(self.deep.prefix(self.deep.stem(image)))
        for layer in self.deep.layers:
            deep = layer(deep)
        projections = iter(self.between or ())
        turns = self._turns()
        for layer in self.deep.layers:
            if isinstance(layer, RecursiveModule):
                shallow = self._once(layer, next(projections, layer.between[0]), shallow)
                for turn in range(1, min(turns, len(layer.between))):
                    shallow = self._again(layer, turn, shallow)
            else:
                shallow = layer(shallow)
        return self.deep.head(deep), (self.head or self.deep.head)(shallow)

    def _turns(self) -> int:
        """Of the shallow path: one, or drawn from all that are fewer than the deep path's."""
        fewer = most_turns(self.config) - 1
        return int(torch.randint(1, fewer + 1, ())) if self.drawn and fewer > 1 else 1

    @staticmethod
    def _again(layer: RecursiveModule, turn: int, tokens: Tokens) -> Tokens:
        """A later turn of the block, and what follows it."""
        outside = tokens.turn
        if layer.checkpointing:
            after: Tokens = checkpoint(layer.once, tokens, turn, use_reentrant=False)  # type: ignore[no-untyped-call]
        else:
            after = layer.once(tokens, turn)
        return replace(after, turn=outside)

    @staticmethod
    def _once(layer: RecursiveModule, between: nn.Module, tokens: Tokens) -> Tokens:
        """The block once, and what follows it."""

        def once(tokens: Tokens) -> Tokens:
            out: Tokens = between(layer.block(tokens))
            return out

        if not layer.checkpointing:
            return once(tokens)
        out: Tokens = checkpoint(once, tokens, use_reentrant=False)  # type: ignore[no-untyped-call]
        return out

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what enters each turn of both paths for the backward pass."""
        self.deep.set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that no optimizer should decay beside all 1-D ones."""
        return {f"deep.{name}" for name in self.deep.no_weight_decay()}
