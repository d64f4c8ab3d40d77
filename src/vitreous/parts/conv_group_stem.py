"""A stem of groups of 3×3 convolutions: each group halves the image, then looks once more at that size.

    x ← ReLU(BatchNorm(conv(image)))                          `first` channels, at the size of the image
    x ← ReLU(BatchNorm(maxpool₂(conv(x))))                    once for each width of `widths`,
    x ← x + ReLU(BatchNorm(conv(x)))                          each time `convs` − 1 times

At the end the map's places are the tokens. Ours, from two published observations: transformers learn sooner
behind some convolutions (Xiao et al., "Early Convolutions Help Transformers See Better", arXiv 2106.14881),
and the networks that learn CIFAR-10 in the fewest multiplications are groups of convolution, pool and
convolution (Jordan, arXiv 2404.00498). On a CPU it has one more reason: dense convolutions run nearer to
the machine's peak than the maps of a transformer layer of equal width. With `pool` False the first
convolution of a group has stride 2 and nothing is pooled, at a quarter of its multiplications. A side
becomes ⌈side / 2⌉ each time. The pool stands before BatchNorm, which then has a quarter of the places to
pass. No convolution has a bias: it would cancel in BatchNorm, which is torch's and, in training, wants more
than a few images.
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
class ConvGroupStem(Stem):
    """One convolution at full size, then groups of them, each at half the size of the one before.

    Args:
        first: channels of the first convolution.
        widths: channels of each group; the last are those of a token.
        convs: convolutions of a group; all but its first are residual.
        pool: True to halve by max pooling, False by stride.
    """

    first: int
    widths: tuple[int, ...]
    convs: int = 2
    pool: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ConfigError("ConvGroupStem.widths is (); it takes the channels of each group")

    def out_shape(self, image: ImageShape) -> TokenShape:
        """⌈side / 2⌉ once for each group."""
        return TokenShape(self.widths[-1], self._grids(image)[-1])

    def build(self, image: ImageShape) -> nn.Module:
        """Convolutions and norms."""
        return ConvGroupStemModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """9 · channels before · channels after for each place of each convolution, before pooling."""
        grids = self._grids(image)
        total = 9 * image.channels * self.first * image.height * image.width
        before = self.first
        for width, large, small in zip(self.widths, grids, grids[1:], strict=False):
            rows, columns = large if self.pool else small
            total += 9 * before * width * rows * columns
            total += (self.convs - 1) * 9 * width**2 * small[0] * small[1]
            before = width
        return Macs(maps=total)

    def _grids(self, image: ImageShape) -> list[tuple[int, int]]:
        """Rows and columns of the image, and after each group."""
        grids = [(image.height, image.width)]
        for _ in self.widths:
            rows, columns = grids[-1]
            grids.append((-(-rows // 2), -(-columns // 2)))
        return grids


class ConvGroupStemModule(nn.Module):
    """The module behind `ConvGroupStem`."""

    def __init__(self, described: ConvGroupStem, channels: int) -> None:
        super().__init__()
        self.first = Convolved(channels, described.first)
        self.groups = nn.ModuleList()
        before = described.first
        for width in described.widths:
            halving = Convolved(before, width, "pool" if described.pool else "stride")
            again = [Convolved(width, width) for _ in range(described.convs - 1)]
            self.groups.append(nn.ModuleList([halving, *again]))
            before = width

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid."""
        # Channels last, so that what leaves the last convolution are tokens already. A plain
        # .contiguous(memory_format=…) does nothing for images of one channel.
        x = image.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
        x = self.first(x)
        for group in self.groups:
            assert isinstance(group, nn.ModuleList)
            x = group[0](x)
            for again in group[1:]:
                x = x + again(x)
        return flatten(x)


class Convolved(nn.Module):
    """Convolution, norm and ReLU, with the size halved by a `pool` or a `stride` where asked for."""

    def __init__(self, before: int, after: int, halve: str = "") -> None:
        super().__init__()
        self.conv = StridedConv2d(before, after, 3, 2 if halve == "stride" else 1, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if halve == "pool" else nn.Identity()
        self.norm = nn.BatchNorm2d(after)
        self.activation = nn.ReLU(inplace=True)

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after rows columns"]:
        """One convolution and all that follows it."""
        y: Tensor = self.activation(self.norm(self.pool(self.conv(x))))
        return y
