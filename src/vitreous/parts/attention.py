"""Multi-head self-attention over all tokens.

    q, k, v = x · Wqkv + b                         read as (3, heads, head_width): q first, then k, then v
    map     = softmax(q · kᵀ / √head_width)        one map for each head
    y       = dropout(concat(dropout(map) · v) · W + b)

Vaswani et al., arXiv 1706.03762, section 3.2. How the product is computed is chosen in `attention_kernel.py`
and makes no difference to the result. The map is only computed as a value of its own where `keep_map` asks
for it; it is then left in `Tokens.attention`, as it was before dropout.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.attention_kernel import attend
from vitreous.parts.drop import AttentionDropout, Dropout
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Attention(Mixer):
    """Self-attention with `heads` heads, each width / heads channels wide."""

    heads: int
    keep_map: bool = False

    def build(self, shape: TokenShape) -> nn.Module:
        """Two linear maps and the product between; raises ConfigError where heads do not divide the width."""
        if shape.width % self.heads:
            fitting = [heads for heads in range(1, shape.width + 1) if shape.width % heads == 0]
            nearest = sorted(sorted(fitting, key=lambda heads: abs(heads - self.heads))[:3])
            raise ConfigError(
                f"Attention: a width of {shape.width} does not divide into {self.heads} heads; "
                f"{', '.join(map(str, nearest))} heads do"
            )
        return AttentionModule(shape.width, self.heads, self.keep_map)


class AttentionModule(nn.Module):
    """The module behind `Attention`."""

    def __init__(self, width: int, heads: int, keep_map: bool) -> None:
        super().__init__()
        self.heads = heads
        self.keep_map = keep_map
        self.qkv = nn.Linear(width, 3 * width)
        self.map_drop = AttentionDropout()
        self.project = nn.Linear(width, width)
        self.drop = Dropout()

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Mixed tokens, and a map beside them where it is kept."""
        batch, length, width = y.shape
        qkv = self.qkv(y.flatten(0, 1)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = (each.transpose(1, 2) for each in qkv.unbind(2))  # each (batch, heads, tokens, head_width)
        dropout = self.map_drop.p if self.training else 0.0
        mixed, attention = attend(q, k, v, dropout=dropout, keep_map=self.keep_map)
        y = self.drop(self.project(mixed.transpose(1, 2).reshape(batch, length, width)))
        return y, replace(tokens, attention=attention) if self.keep_map else tokens
