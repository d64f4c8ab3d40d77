"""Convolutions and max pools, one after another: the tokenizer of compact convolutional transformers (CCT).

    x ← ReLU(maxpool(conv(x, kernel, stride, padding), pool))        `convs` times; tokens = flatten(x)

Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers", arXiv 2104.05704; released code
SHI-Labs/Compact-Transformers, `src/utils/tokenizer.py`. The convolutions have no bias; all but the last have
`hidden` channels. The released code pools after the ReLU: values and gradients are the same, and here the
ReLU passes a quarter of the places. A stem takes images of any size that fits.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Stem
from vitreous.parts.stem import flatten
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class CompactStem(Stem):
    """`convs` times convolution, max pooling and ReLU; `width` channels at the end.

    Args:
        kernel, stride, padding: of every convolution.
        width: channels of a token.
        convs: how many convolutions.
        hidden: channels between them.
        pool_kernel, pool_stride, pool_padding: of every max pool; the padding is at most half the kernel.
    """

    kernel: int
    stride: int
    padding: int | Literal[0]
    width: int
    convs: int = 1
    hidden: int = 64
    pool_kernel: int = 3
    pool_stride: int = 2
    pool_padding: int | Literal[0] = 1

    def out_shape(self, image: ImageShape) -> TokenShape:
        """The true sizes after the last pool; raises ConfigError where no token is left."""
        return TokenShape(self.width, (self._sides(image.height)[-1], self._sides(image.width)[-1]))

    def build(self, image: ImageShape) -> nn.Module:
        """The convolutions and one pool; raises ConfigError where an image or a padding does not fit."""
        if 2 * self.pool_padding > self.pool_kernel:
            raise ConfigError(
                f"CompactStem: a pool of {self.pool_kernel} places cannot be padded by {self.pool_padding}, "
                f"or some pools would see nothing else; {self.pool_kernel // 2} and less can"
            )
        self.out_shape(image)
        return CompactStemModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """kernel² · channels in · channels out for each place of each convolution, before pooling."""
        rows, columns = self._sides(image.height)[::2], self._sides(image.width)[::2]
        places = [each * other for each, other in zip(rows, columns, strict=True)]
        pairs = self.channels(image.channels)
        return Macs(maps=sum(self.kernel**2 * a * b * n for (a, b), n in zip(pairs, places, strict=True)))

    def channels(self, image: int) -> list[tuple[int, int]]:
        """Channels in and out of each convolution."""
        through = [image, *[self.hidden] * (self.convs - 1), self.width]
        return list(pairwise(through))

    def _sides(self, pixels: int) -> list[int]:
        """A side after the first convolution, after its pool, after the next convolution, …"""
        sides, side = [], pixels
        for kernel, stride, padding in self._steps():
            side = (side + 2 * padding - kernel) // stride + 1 if side + 2 * padding >= kernel else 0
            sides.append(side)
            if side < 1:
                raise ConfigError(
                    f"CompactStem: an image side of {pixels} pixels gives no token after {self.convs} times "
                    f"convolution and pool; {self._smallest()} pixels and more do"
                )
        return sides

    def _smallest(self) -> int:
        side = 1
        for kernel, stride, padding in reversed(self._steps()):
            side = max(1, (side - 1) * stride + kernel - 2 * padding)
        return side

    def _steps(self) -> tuple[tuple[int, int, int], ...]:
        """(kernel, stride, padding) of each convolution and each pool, in order."""
        conv = (self.kernel, self.stride, self.padding)
        return (conv, (self.pool_kernel, self.pool_stride, self.pool_padding)) * self.convs


class CompactStemModule(nn.Module):
    """The module behind `CompactStem`."""

    def __init__(self, described: CompactStem, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, described.kernel, described.stride, described.padding, bias=False)
            for before, after in described.channels(channels)
        )
        self.pool = nn.MaxPool2d(described.pool_kernel, described.pool_stride, described.pool_padding)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid."""
        # With channels last, convolution and pooling are faster on CPUs, and what leaves them are tokens
        # already. A plain .contiguous(memory_format=…) does nothing for images of one channel.
        x = image.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
        for conv in self.convs:
            x = self.pool(conv(x)).relu()
        return flatten(x)
