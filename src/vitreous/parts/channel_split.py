"""Channels divided among mixers that work side by side, joined again in the same order.

    y = concat(mixer₁(y[…, :c₁]), mixer₂(y[…, c₁:c₁+c₂]), …)         Σ cᵢ = width

LSRA of Lite Transformer (arXiv 2004.11886) and EIT's encoder (arXiv 2203.07116). No map mixes the slices
afterwards: that is left to the feed-forward branch. EIT puts the convolution first and the attention last;
Lite Transformer the other way round. The order is part of what the weights mean, so it is data.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class ChannelSplit(Mixer):
    """(channels, mixer) pairs in the order of the channels."""

    slices: tuple[tuple[int, Mixer], ...]

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, and what the mixers leave behind."""
        for channels, mixer in self.slices:
            shape = replace(mixer.out_shape(replace(shape, width=channels)), width=shape.width)
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """One mixer for each slice; raises ConfigError where they do not make up the width."""
        channels = [each for each, _ in self.slices]
        if sum(channels) != shape.width:
            raise ConfigError(
                f"ChannelSplit: slices of {' + '.join(map(str, channels))} = {sum(channels)} channels do not "
                f"make up the width; it is {shape.width}"
            )
        mixers = []
        for each, mixer in self.slices:
            inner = replace(shape, width=each)
            mixers.append(mixer.build(inner))
            shape = mixer.out_shape(inner)
        return ChannelSplitModule(channels, mixers)

    def macs(self, shape: TokenShape) -> Macs:
        """The sum over the slices."""
        return sum((mixer.macs(replace(shape, width=each)) for each, mixer in self.slices), start=Macs())


class ChannelSplitModule(nn.Module):
    """The module behind `ChannelSplit`."""

    def __init__(self, channels: list[int], mixers: list[nn.Module]) -> None:
        super().__init__()
        self.channels = channels
        self.mixers = nn.ModuleList(mixers)

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Each slice through its mixer; the tokens pass from one mixer to the next."""
        mixed = []
        for mixer, piece in zip(self.mixers, y.split(self.channels, dim=-1), strict=True):
            piece, tokens = mixer(piece, tokens)
            mixed.append(piece)
        return torch.cat(mixed, dim=-1), tokens
