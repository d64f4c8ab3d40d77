"""A depthwise convolution on the grid as a mixer: each token meets its neighbours, channel by channel.

    y[grid] ← conv(y[grid], groups = width, padding = ⌊kernel/2⌋),    y[prefix] ← y[prefix]

EIT_T of EIT (arXiv 2203.07116, released code), there with kernel 3 in every layer. No bias, no norm, no
activation and no pointwise convolution. Prefix tokens pass unchanged: they keep the *normalised* values that
the branch was given. Its dropout follows the attention's rate, as in the released code.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import AttentionDropout
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class DepthwiseConv(Mixer):
    """One `kernel` × `kernel` filter for each channel; the kernel is odd, so that the grid keeps its size."""

    kernel: int

    def build(self, shape: TokenShape) -> nn.Module:
        """One convolution without bias; raises ConfigError for an even kernel or without a grid."""
        shape.rows_and_columns("DepthwiseConv")
        if self.kernel % 2 == 0:
            raise ConfigError(
                f"DepthwiseConv: a kernel of {self.kernel} would change the grid; {self.kernel - 1} or "
                f"{self.kernel + 1} keeps it"
            )
        return DepthwiseConvModule(shape.width, self.kernel)

    def macs(self, shape: TokenShape) -> Macs:
        """kernel² · width for each token of the grid."""
        return Macs(maps=self.kernel**2 * shape.width * (shape.tokens - shape.prefix))


class DepthwiseConvModule(nn.Module):
    """The module behind `DepthwiseConv`."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.drop = AttentionDropout()

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """The grid convolved, the prefix as it was; raises ConfigError for tokens that a bias keeps apart."""
        if tokens.bias is not None:
            raise ConfigError(
                "DepthwiseConv: it has no scores that a bias between tokens, such as the mask of shifted "
                "windows, could be added to; Windows without a shift work"
            )
        prefix, grid = y.split((tokens.prefix, y.shape[1] - tokens.prefix), dim=1)
        assert tokens.grid is not None  # build() has refused shapes without one
        features = grid.unflatten(1, tokens.grid).permute(0, 3, 1, 2)  # (batch, width, rows, columns)
        # Tokens are a map with its channels last already: in this layout nothing is transposed.
        features = self.drop(self.conv(features.contiguous(memory_format=torch.channels_last)))
        grid = features.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.cat((prefix.to(grid.dtype), grid), dim=1), tokens
