"""Token pooling: fewer tokens, and wider ones, from some layer on.

    GridPool   grid ← conv(grid, kernel, stride, padding = ⌊kernel/2⌋)             prefix ← W · prefix + b
    LinePool   tokens ← max of each window of (W · token + b), or W · mean + b     prefix ← W · prefix + b

PSViT is said to pool either way, "2D" and "1D" (third parties' summaries, unverified, of Chen et al., arXiv
2108.03428; it has no public code and its text could not be had, so all details are ours). PiT (Heo et al.,
arXiv 2103.16302) and SReT (arXiv 2111.05297) pool the grid with a depthwise convolution, where the new width
is a multiple of the old. A side of g becomes ⌈g / stride⌉, a line of n tokens ⌈n / window⌉: none is lost.
The carried position and the lent attention belong to the old tokens and end here.

A line is the grid read row by row, so a window may hold the end of one row and the beginning of the next: of
14 columns, none does at the first pool by two, and 7 of 49 do at the second. That is part of the idea, and
why `LinePool` leaves no grid.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Part
from vitreous.parts.strided_conv import StridedConv2d
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
        self.conv = StridedConv2d(
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


@dataclass(frozen=True, repr=False)
class LinePool(Part):
    """One linear map of every token, then the maximum or the mean over windows of consecutive tokens.

    The prefix gets the linear map alone. Windows do not overlap; the last may be smaller.

    Args:
        width: channels of a token afterwards.
        window: tokens in a window; 1 changes nothing but the width.
        average: True for the mean, which is taken before the map: the same, at 1 / window of the cost.
    """

    width: int
    window: int = 2
    average: bool = False

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """A shorter line without a grid; nothing carried, nothing lent."""
        windows = -(-(shape.tokens - shape.prefix) // self.window)
        return replace(shape, width=self.width, grid=None, sequence=windows, position=None, lent=None)

    def build(self, shape: TokenShape) -> nn.Module:
        """The linear map; it works on a grid and on a line."""
        return LinePoolModule(self, shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """old width · width for each old token, or for each new one where the mean comes first."""
        mapped = self.out_shape(shape) if self.average else shape
        return Macs(maps=mapped.tokens * shape.width * self.width)


class LinePoolModule(nn.Module):
    """The module behind `LinePool`."""

    def __init__(self, described: LinePool, width: int) -> None:
        super().__init__()
        self.window = described.window
        self.average = described.average
        self.project = nn.Linear(width, described.width)

    def forward(self, tokens: Tokens) -> Tokens:
        """Fewer tokens."""
        if self.average:
            x = self.project(self._pool(tokens.x, tokens.prefix))
        else:
            x = self._pool(self.project(tokens.x), tokens.prefix)
        return replace(tokens, x=x, grid=None, position=None, shared=())

    def _pool(
        self, x: Float[Tensor, "batch tokens width"], prefix: int
    ) -> Float[Tensor, "batch fewer width"]:
        """The prefix, the full windows, and a smaller last one where the tokens leave a rest."""
        whole = (x.shape[1] - prefix) // self.window * self.window
        kept, line, rest = x.tensor_split((prefix, prefix + whole), dim=1)
        windows = [line.unflatten(1, (-1, self.window))] if whole else []
        windows += [rest[:, None]] if rest.shape[1] else []
        pooled = [each.mean(dim=2) if self.average else each.amax(dim=2) for each in windows]
        return torch.cat((kept, *pooled), dim=1)
