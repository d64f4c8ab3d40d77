"""A stem of strided convolutions: each halves the image, so that a patch is seen through several layers.

    features ← ReLU(BatchNorm(conv(features, kernel 3, stride 2, padding 1)))       once for each width
    tokens   = flatten(features)

SReT (Shen, Liu, Xing, ECCV 2022, arXiv 2111.05297; released code), where three of them leave a token every 8
pixels. A side becomes ⌈side / 2⌉ each time, so an image of any size gives tokens. BatchNorm is torch's: in
training it uses the batch's own statistics, and so wants more than a few images. The biases of the
convolutions, which the released weights hold, cancel there and get no gradient.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Stem
from vitreous.parts.stem import flatten
from vitreous.parts.strided_conv import StridedConv2d
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class ConvStem(Stem):
    """One 3×3 convolution of stride 2, with BatchNorm and ReLU, for each number of channels in `widths`."""

    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ConfigError("ConvStem.widths is (); it takes the channels after each convolution")

    def out_shape(self, image: ImageShape) -> TokenShape:
        """⌈side / 2⌉ once for each convolution."""
        *_, (rows, columns) = self._grids(image)
        return TokenShape(self.widths[-1], (rows, columns))

    def build(self, image: ImageShape) -> nn.Module:
        """Convolutions and norms."""
        return ConvStemModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """9 · channels before · channels after for each place of each convolution."""
        before = (image.channels, *self.widths)
        sizes = zip(before, self.widths, self._grids(image), strict=False)
        return Macs(maps=sum(9 * old * new * rows * columns for old, new, (rows, columns) in sizes))

    def _grids(self, image: ImageShape) -> list[tuple[int, int]]:
        """Rows and columns after each convolution."""
        grids, rows, columns = [], image.height, image.width
        for _ in self.widths:
            rows, columns = -(-rows // 2), -(-columns // 2)
            grids.append((rows, columns))
        return grids


class ConvStemModule(nn.Module):
    """The module behind `ConvStem`."""

    def __init__(self, described: ConvStem, channels: int) -> None:
        super().__init__()
        before = (channels, *described.widths)
        pairs = zip(before, described.widths, strict=False)
        self.convs = nn.ModuleList(StridedConv2d(old, new, 3, stride=2, padding=1) for old, new in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(new) for new in described.widths)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid."""
        # Channels last, so that what leaves the last convolution are tokens already. A plain
        # .contiguous(memory_format=…) does nothing for images of one channel.
        features = image.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = self.activation(norm(conv(features)))
        return flatten(features)
