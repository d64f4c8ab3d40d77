"""Attention sharing: values mixed by the map of an earlier layer.

    map = the map of the last layer that lends              head by head; gradients flow back into the lender
    v   = x · Wv + b
    y   = dropout(concat(dropout(map) · v) · W + b)

PSViT (Chen et al., arXiv 2108.03428; the abstract: "reusing the attention maps"), which has no public code. A
sharing layer has no queries and keys of its own and saves 2·width² + 2·width parameters. What travels is the
map or the lender's queries and keys, whichever is cheaper; both give the same values and gradients. Every
sharing layer draws a dropout of its own. The map is the last lender's: a run of sharing layers uses one.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.attention import check_heads
from vitreous.parts.attention_kernel import attend, lent_as_map
from vitreous.parts.drop import AttentionDropout, Dropout
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Lent, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class SharedAttention(Mixer):
    """Attention with the map of the last layer that lends; `heads` must be the lender's."""

    heads: int

    def build(self, shape: TokenShape) -> nn.Module:
        """Two linear maps; raises ConfigError where no layer of as many heads and tokens lends."""
        check_heads("SharedAttention", self.heads, shape.width)
        wanted = Lent(self.heads, shape.tokens)
        if shape.lent is None:
            raise ConfigError(
                "SharedAttention: no layer before it lends its attention (a pool ends sharing, since the "
                f"number of tokens changes); Attention({self.heads}, lends=True) in an earlier layer does"
            )
        if shape.lent != wanted:
            lent = shape.lent
            sliced = f", in slices {lent.slices}" if lent.slices else ""
            raise ConfigError(
                f"SharedAttention: the lent map has {lent.heads} heads over {lent.tokens} tokens{sliced}, "
                f"and {wanted.heads} heads over {wanted.tokens} tokens are asked for; they must be equal"
            )
        return SharedAttentionModule(shape.width, self.heads)

    def macs(self, shape: TokenShape) -> Macs:
        """2 · tokens · width² for the maps, tokens² · width for one product; the map is the lender's."""
        product = shape.tokens**2 * shape.width
        stored = lent_as_map("cpu", None, shape.tokens, shape.width // self.heads, False)
        return Macs(2 * shape.tokens * shape.width**2, product, again=0 if stored else product)


class SharedAttentionModule(nn.Module):
    """The module behind `SharedAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(width, width)
        self.map_drop = AttentionDropout()
        self.project = nn.Linear(width, width)
        self.drop = Dropout()

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Mixed tokens; the lender's attention stays for the next layer."""
        batch, length, width = y.shape
        v = self.value(y).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        dropout = self.map_drop.p if self.training else 0.0
        match tokens.shared:
            case (kept,):
                mixed = F.dropout(kept, dropout, dropout > 0.0) @ v
            case (q, k, *bias):
                mixed = attend(q, k, v, bias=bias[0] if bias else None, dropout=dropout)
            case _:
                raise ConfigError("SharedAttention: no attention was lent; an earlier layer must lend it")
        y = self.drop(self.project(mixed.transpose(1, 2).reshape(batch, length, width)))
        return y, tokens
