"""Token pooling: fewer tokens, and wider ones, from some layer on.

    GridPool   grid ← conv(grid, kernel, stride, padding = ⌊kernel/2⌋)        prefix ← W · prefix + b

PSViT-2D pools with a dense convolution (arXiv 2108.03428; ours in detail: it has no public code), PiT (Heo
et al., arXiv 2103.16302) and SReT (arXiv 2111.05297) with a depthwise one, where the new width is a multiple
of the old. A side of g becomes ⌈g / stride⌉. The carried position and the lent attention belong to the old
grid and end here.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Part
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class GridPool(Part):
    """A strided convolution on the grid.

    Args:
        width: channels of a token afterwards.
        kernel: odd.
        stride: of the convolution.
        depthwise: True for one group a channel; `width` is then a multiple of the old one.
    """

    width: int
    kernel: int = 3
    stride: int = 2
    depthwise: bool = False

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """A smaller grid; nothing carried, nothing lent."""
        rows, columns = shape.rows_and_columns("GridPool")
        grid = (-(-rows // self.stride), -(-columns // self.stride))
        return replace(shape, width=self.width, grid=grid, position=None, lent=None)

    def build(self, shape: TokenShape) -> nn.Module:
        """The convolution, and a linear map for the prefix where there is one.

        Raises:
            ConfigError: an even kernel, or a depthwise convolution whose width is not a multiple of the old.
        """
        shape.rows_and_columns("GridPool")
        if self.kernel % 2 == 0:
            raise ConfigError(
                f"GridPool: a kernel of {self.kernel} has no middle; {self.kernel - 1} or {self.kernel + 1} "
                "has"
            )
        if self.depthwise and self.width % shape.width:
            raise ConfigError(
                f"GridPool: a depthwise convolution makes multiples of {shape.width} channels and "
                f"{self.width} is none; {shape.width} and {2 * shape.width} are"
            )
        return GridPoolModule(self, shape)

    def macs(self, shape: TokenShape) -> Macs:
        """kernel² · width · (old width, or 1 depthwise) for each new token, and the prefix's map."""
        new = self.out_shape(shape)
        filters = self.kernel**2 * self.width * (1 if self.depthwise else shape.width)
        return Macs(maps=(new.tokens - new.prefix) * filters + shape.prefix * shape.width * self.width)


class GridPoolModule(nn.Module):
    """The module behind `GridPool`."""

    def __init__(self, described: GridPool, shape: TokenShape) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            shape.width,
            described.width,
            described.kernel,
            described.stride,
            padding=described.kernel // 2,
            groups=shape.width if described.depthwise else 1,
        )
        self.prefix = nn.Linear(shape.width, described.width) if shape.prefix else None

    def forward(self, tokens: Tokens) -> Tokens:
        """Fewer tokens."""
        # Tokens are a map with its channels last already: in this layout nothing is transposed.
        features = tokens.as_map().contiguous(memory_format=torch.channels_last)
        pooled = replace(tokens, position=None, shared=()).with_map(self.conv(features))
        if self.prefix is None:
            return pooled
        prefix = self.prefix(tokens.x[:, : tokens.prefix])
        return replace(pooled, x=torch.cat((prefix, pooled.x), dim=1))
