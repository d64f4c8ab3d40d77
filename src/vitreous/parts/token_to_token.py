"""Tokens to tokens: an image becomes tokens in steps, each of which makes one token of an overlapping window.

    split      windows of kernel × kernel, stride apart, padding ⌊(kernel − stride + 1) / 2⌋, side by side
    x ← split(image);   x ← split(performer(x));   …;   tokens = W · x + b

    performer  k, q, v = norm(x) · W + b                                      each `inner` channels, one head
               φ(u)    = exp(Ω · u − |u|²/2) / √m                             Ω: m fixed random rows
               y       = v + dropout(P · (φ(q) · Σₙ φ(kₙ) vₙᵀ) / (φ(q) · Σₙ φ(kₙ) + 10⁻⁸) + b)
               y       = y + dropout(W₂ · GELU(W₁ · norm(y)))

T2T-ViT (Yuan et al., arXiv 2101.11986, section 3.1; released code yitu-opensource/T2T-ViT, `t2t_vit.py` and
`token_performer.py`). The performer is attention in linear time (Choromanski et al., arXiv 2009.14794):
φ(q) · φ(k) stands for exp(q · k), without a division by √inner. Around it there is no skip but v. Ω is
orthogonal rows, drawn once and never trained; it is stored with the weights. As in the released code they
have length √m, though φ(q) · φ(k) has the mean exp(q · k) for a length of √inner. Differs from the released
code: the two dropouts follow the recipe's rate, where the released code fixes them at 0.1; and any image size
runs, rectangles too.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import Dropout
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Norm, Stem
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape

EPSILON = 1e-8  # keeps the division finite where no key is like the query


@dataclass(frozen=True, repr=False)
class TokenToToken(Stem):
    """Soft splits with a performer between each two.

    Args:
        width: channels of a token at the end.
        inner: channels inside the performers.
        features: m, rows of Ω.
        splits: (kernel, stride) of each soft split, in pixels for the first and in tokens for the others.
        norm: before attention and feed-forward of each performer.
    """

    width: int
    inner: int = 64
    features: int = 32
    splits: tuple[tuple[int, int], ...] = ((7, 4), (3, 2), (3, 2))
    norm: Norm = LayerNorm(1e-5)

    def out_shape(self, image: ImageShape) -> TokenShape:
        """The grid of the last split; raises ConfigError where no token is left or Ω is too large."""
        return TokenShape(self.width, self.grids(image)[-1])

    def grids(self, image: ImageShape) -> list[tuple[int, int]]:
        """Rows and columns after each split."""
        if not self.splits:
            raise ConfigError(
                "TokenToToken: it needs at least one split; ((7, 4), (3, 2), (3, 2)) is T2T-ViT's"
            )
        if self.features > self.inner:
            raise ConfigError(
                f"TokenToToken: {self.features} orthogonal features do not fit into {self.inner} channels; "
                f"1 to {self.inner} do"
            )
        sides = [(image.height, image.width)]
        for kernel, stride in self.splits:
            rows, columns = (places(side, kernel, stride) for side in sides[-1])
            if rows < 1 or columns < 1:
                raise ConfigError(
                    f"TokenToToken: an image of {image.height}×{image.width} pixels gives no token; sides of "
                    f"{self.smallest()} and more do"
                )
            sides.append((rows, columns))
        return sides[1:]

    def smallest(self) -> int:
        """The smallest side in pixels that gives a token."""
        side = 1
        for kernel, stride in reversed(self.splits):
            side = max(1, (side - 1) * stride + kernel - 2 * padding(kernel, stride))
        return side

    def build(self, image: ImageShape) -> nn.Module:
        """The performers and the last linear map."""
        self.out_shape(image)
        return TokenToTokenModule(self, image.channels)

    def macs(self, image: ImageShape) -> Macs:
        """The performers' and the last map's; attention is their two products over all tokens."""
        total, channels = Macs(), image.channels
        for (kernel, _), (rows, columns) in zip(self.splits[:-1], self.grids(image), strict=False):
            per_token = channels * kernel**2 * 3 * self.inner + 2 * self.inner * self.features
            per_token += 3 * self.inner**2
            total += Macs(per_token, (2 * self.inner + 1) * self.features) * (rows * columns)
            channels = self.inner
        return total + Macs(self.out_shape(image).tokens * channels * self.splits[-1][0] ** 2 * self.width)


def places(side: int, kernel: int, stride: int) -> int:
    """How many windows a side gives: side / stride where that is whole."""
    return (side + 2 * padding(kernel, stride) - kernel) // stride + 1


def padding(kernel: int, stride: int) -> int:
    """Zeros before and after a side."""
    return max(0, kernel - stride + 1) // 2


class TokenToTokenModule(nn.Module):
    """The module behind `TokenToToken`."""

    def __init__(self, described: TokenToToken, channels: int) -> None:
        super().__init__()
        self.splits = described.splits
        performers = []
        for kernel, _ in self.splits[:-1]:
            performers.append(Performer(described, channels * kernel**2))
            channels = described.inner
        self.performers = nn.ModuleList(performers)
        self.project = nn.Linear(channels * self.splits[-1][0] ** 2, described.width)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """Tokens of the image's own grid."""
        features = image
        for split, performer in zip(self.splits, self.performers, strict=False):
            x, grid = soft_split(features, *split)
            features = performer(x).transpose(1, 2).unflatten(2, grid)
        x, grid = soft_split(features, *self.splits[-1])
        return Tokens(self.project(x), grid)


def soft_split(
    features: Float[Tensor, "batch channels rows columns"], kernel: int, stride: int
) -> tuple[Float[Tensor, "batch tokens area"], tuple[int, int]]:
    """Windows as tokens, and their grid; the pixels of one channel stand together in a token."""
    grid = (places(features.shape[2], kernel, stride), places(features.shape[3], kernel, stride))
    windows = F.unfold(features, kernel, padding=padding(kernel, stride), stride=stride)
    return windows.transpose(1, 2), grid


class Performer(nn.Module):
    """Attention in linear time and a feed-forward branch; the width changes to `inner`."""

    features: Tensor

    def __init__(self, described: TokenToToken, width: int) -> None:
        super().__init__()
        inner, count = described.inner, described.features
        self.norm1 = described.norm.build(width)
        self.kqv = nn.Linear(width, 3 * inner)
        rows = nn.init.orthogonal_(torch.empty(count, inner)) * math.sqrt(count)
        self.register_buffer("features", rows)
        self.project = nn.Linear(inner, inner)
        self.norm2 = described.norm.build(inner)
        self.widen = nn.Linear(inner, inner)
        self.activation = nn.GELU()
        self.narrow = nn.Linear(inner, inner)
        self.drop = Dropout()

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens inner"]:
        """Mixed tokens."""
        k, q, v = self.kqv(self.norm1(x)).chunk(3, dim=-1)
        y: Tensor = v + self.drop(self.project(self.attend(q, k, v).to(v.dtype)))
        z: Tensor = self.drop(self.narrow(self.activation(self.widen(self.norm2(y)))))
        return y + z

    def attend(
        self,
        q: Float[Tensor, "batch tokens inner"],
        k: Float[Tensor, "batch tokens inner"],
        v: Float[Tensor, "batch tokens inner"],
    ) -> Float[Tensor, "batch tokens inner"]:
        """Values weighted by φ(q) · φ(k); keys and values are summed up first, so that there is no map."""
        with full_precision(q.device.type):
            exact = torch.promote_types(q.dtype, torch.float32)
            q, k, v = q.to(exact), k.to(exact), v.to(exact)
            alike_q, alike_k = self.positive_features(q), self.positive_features(k)
            # One more column beside the values: the sum of the weights, for the division.
            weights = alike_k.sum(dim=1).unsqueeze(-1)
            weighted = alike_q @ torch.cat((alike_k.transpose(1, 2) @ v, weights), dim=-1)
        return weighted[..., :-1] / (weighted[..., -1:] + EPSILON)

    def positive_features(
        self, u: Float[Tensor, "batch tokens inner"]
    ) -> Float[Tensor, "batch tokens features"]:
        """φ(u)."""
        rows = self.features.to(u.dtype)
        exponent = u @ rows.T - u.square().sum(dim=-1, keepdim=True) / 2
        return exponent.exp() / math.sqrt(rows.shape[0])


def full_precision(device: str) -> AbstractContextManager[object]:
    """Without autocast, since an exponential of a rounded exponent is far off."""
    # Nothing runs on the meta device, and autocast does not know it.
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
