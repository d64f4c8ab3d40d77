"""The stem: an image becomes a grid of tokens.

`PatchStem` cuts it into square patches, one linear map for all:

    tokens = norm(flatten(conv(image, kernel = patch, stride)))       Dosovitskiy et al., arXiv 2010.11929

The stride is the patch (no overlap) and there is no norm, unless told otherwise: PiT's patches overlap (arXiv
2103.16302), Swin's are normalised (arXiv 2103.14030).

`ConvPoolStem` gives overlapping patches from a convolution followed by max pooling:

    tokens = flatten(maxpool(conv(image, kernel, stride, padding = ⌊kernel/2⌋), pool))    EIT_P, 2203.07116

Both convolutions have a bias; there is no activation. An even kernel makes the convolution's
output one larger than the division suggests (224 px, kernel 16, stride 4: 57, not 56), as in EIT's released
code. Tokens stand row by row. A stem takes images of any size that fits, not only of the size it was built
for.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.norm import NoNorm
from vitreous.parts.part import Norm, Stem
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class PatchStem(Stem):
    """Square patches, each mapped to one token.

    Args:
        patch: side of a patch in pixels.
        width: channels of a token.
        stride: pixels from one patch to the next; None for patches side by side.
        norm: of the tokens.
    """

    patch: int
    width: int
    stride: int | None = None
    norm: Norm = NoNorm()

    def out_shape(self, image: ImageShape) -> TokenShape:
        """One token a patch; raises ConfigError where the division into patches leaves a rest."""
        return TokenShape(self.width, self.grid(image.height, image.width))

    def build(self, image: ImageShape) -> nn.Module:
        """A convolution and the norm."""
        self.out_shape(image)
        return PatchStemModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """patch² · channels · width for each token."""
        return Macs(maps=self.out_shape(image).tokens * self.patch**2 * image.channels * self.width)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches in an image of height × width pixels."""
        stride, sides = self.stride or self.patch, (height, width)
        if any((side - self.patch) % stride for side in sides) or min(sides) < self.patch:
            below = [side - (side - self.patch) % stride for side in sides]
            above = [max(self.patch, side + (self.patch - side) % stride) for side in sides]
            fits = [each for each in (below, above) if min(each) >= self.patch]
            fitting = " or ".join(f"{rows}×{columns}" for rows, columns in fits)
            apart = f", {stride} apart" if self.stride else ""
            raise ConfigError(
                f"PatchStem: an image of {height}×{width} pixels does not divide into patches of "
                f"{self.patch}×{self.patch}{apart}; {fitting} does"
            )
        return (height - self.patch) // stride + 1, (width - self.patch) // stride + 1


class PatchStemModule(nn.Module):
    """The module behind `PatchStem`."""

    def __init__(self, described: PatchStem, channels: int) -> None:
        super().__init__()
        self.described = described
        self.conv = nn.Conv2d(channels, described.width, described.patch, described.stride or described.patch)
        self.norm = described.norm.build(described.width)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid; raises ConfigError where patches leave a rest."""
        self.described.grid(image.shape[-2], image.shape[-1])  # a convolution would silently drop the rest
        tokens = flatten(self.conv(image))
        return replace(tokens, x=self.norm(tokens.x))


@dataclass(frozen=True, repr=False)
class ConvPoolStem(Stem):
    """A convolution to `width` channels and max pooling: overlapping patches, stride × pool pixels apart."""

    kernel: int
    stride: int
    pool: int
    width: int

    def out_shape(self, image: ImageShape) -> TokenShape:
        """The true sizes after convolution and pooling; raises ConfigError where no token is left."""
        return TokenShape(self.width, (self._side(image.height), self._side(image.width)))

    def build(self, image: ImageShape) -> nn.Module:
        """Convolution, then pooling."""
        self.out_shape(image)
        return ConvPoolStemModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """kernel² · channels · width for each place of the convolution, before pooling."""
        places = self._convolved(image.height) * self._convolved(image.width)
        return Macs(maps=places * self.kernel**2 * image.channels * self.width)

    def _convolved(self, pixels: int) -> int:
        padded = pixels + 2 * (self.kernel // 2)
        return (padded - self.kernel) // self.stride + 1 if padded >= self.kernel else 0

    def _side(self, pixels: int) -> int:
        side = self._convolved(pixels) // self.pool
        if side < 1:
            smallest = (self.pool - 1) * self.stride + self.kernel - 2 * (self.kernel // 2)
            raise ConfigError(
                f"ConvPoolStem: an image side of {pixels} pixels gives no token with kernel {self.kernel}, "
                f"stride {self.stride} and pool {self.pool}; {max(1, smallest)} pixels and more do"
            )
        return side


class ConvPoolStemModule(nn.Module):
    """The module behind `ConvPoolStem`."""

    def __init__(self, described: ConvPoolStem, channels: int) -> None:
        super().__init__()
        kernel = described.kernel
        self.conv = nn.Conv2d(channels, described.width, kernel, described.stride, padding=kernel // 2)
        self.pool = nn.MaxPool2d(described.pool)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid."""
        # With channels last, convolution and pooling are 1.3 to 4 times as fast on CPUs, and what leaves them
        # are tokens already. A plain .contiguous(memory_format=…) does nothing for images of one channel.
        image = image.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
        return flatten(self.pool(self.conv(image)))


def flatten(features: Float[Tensor, "batch width rows columns"]) -> Tokens:
    """A feature map as tokens, row by row, with the grid it came from."""
    return Tokens(features.flatten(2).transpose(1, 2), (features.shape[-2], features.shape[-1]))
