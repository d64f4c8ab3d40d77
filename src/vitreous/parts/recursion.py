"""Recursion: one block applied several times with the same weights, and a private layer after every turn.

    x ← between_t(block(x))        for t = 0 … times − 1

SReT (Shen, Liu, Xing, ECCV 2022, arXiv 2111.05297; released code): depth and cost grow with the turns, the
block's parameters do not. `between` is its non-linear projection layer (NLL), there
`FeedForward(1, add=LearnedSum(), may_drop=False)`: without it, every turn sees much the same input. Each turn
has a `between` of its own, the last one too; what all turns are to share is a branch of the block.

`Tokens.turn` says which turn it is, for parts that differ between turns (`Sliced`). The released code finds
the turn from a position in a list, which is right for two turns only; here it is counted. The gradient of a
shared weight is the sum over the turns: nothing is solved for a fixed point.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Recursive(Part):
    """A block applied `times` times.

    Args:
        block: what is applied again; it keeps width, grid and prefix.
        times: number of turns; 1 is the plain block.
        between: a layer after each turn, built anew for each; None for nothing.
    """

    block: Part
    times: int
    between: Part | None = None

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, and what the last turn leaves behind."""
        *_, after = self._shapes(shape)
        return replace(after, turn=shape.turn)

    def build(self, shape: TokenShape) -> nn.Module:
        """One block and a `between` for each turn.

        Raises:
            ConfigError: the block or `between` changes the shape, or does not fit the shape of some turn.
        """
        before = self._shapes(shape)[:-1]
        for turn in before[1:]:
            check_builds(self.block, turn)
        block = self.block.build(before[0])
        if self.between is None:
            return RecursiveModule(block, [nn.Identity() for _ in before])
        return RecursiveModule(block, [self.between.build(self.block.out_shape(turn)) for turn in before])

    def macs(self, shape: TokenShape) -> Macs:
        """The sum over the turns."""
        total = Macs()
        for turn in self._shapes(shape)[:-1]:
            total += self.block.macs(turn)
            if self.between is not None:
                total += self.between.macs(self.block.out_shape(turn))
        return total

    def _shapes(self, shape: TokenShape) -> list[TokenShape]:
        """What enters each turn, and last what leaves the last one."""
        shapes = [replace(shape, turn=0)]
        for turn in range(self.times):
            after = self.block.out_shape(shapes[turn])
            if self.between is not None:
                after = self.between.out_shape(after)
            self._check_kept(shape, after)
            shapes.append(replace(after, turn=turn + 1))
        return shapes

    def _check_kept(self, before: TokenShape, after: TokenShape) -> None:
        for name in ("width", "grid", "prefix", "sequence"):
            was, became = getattr(before, name), getattr(after, name)
            if was != became:
                raise ConfigError(
                    f"Recursive: what is applied again must keep the shape of the tokens, and this makes "
                    f"{name} {was} into {became}; a pool or a wider layer stands between two Recursive"
                )


@lru_cache(maxsize=4096)
def check_builds(part: Part, shape: TokenShape) -> None:
    """Raises ConfigError where a part does not fit a shape; equal questions are asked once."""
    with torch.device("meta"):  # a module without values
        part.build(shape)


class RecursiveModule(nn.Module):
    """The module behind `Recursive`."""

    def __init__(self, block: nn.Module, between: list[nn.Module]) -> None:
        super().__init__()
        self.block = block
        self.between = nn.ModuleList(between)
        self.checkpointing = False

    def forward(self, tokens: Tokens) -> Tokens:
        """All turns; with `checkpointing`, only what enters each is kept for the backward pass."""
        outside = tokens.turn
        for turn in range(len(self.between)):
            if self.checkpointing:
                tokens = checkpoint(self.once, tokens, turn, use_reentrant=False)  # type: ignore[no-untyped-call]
            else:
                tokens = self.once(tokens, turn)
        return replace(tokens, turn=outside)

    def once(self, tokens: Tokens, turn: int) -> Tokens:
        """One turn."""
        out: Tokens = self.between[turn](self.block(replace(tokens, turn=turn)))
        return out
