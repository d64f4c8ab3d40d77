"""Multi-head self-attention over all tokens.

    q, k, v = x · Wqkv + b                         read as (3, heads, head_width): q first, then k, then v
    map     = softmax(q · kᵀ / √head_width)        one map for each head; a bias may be added to the scores
    y       = dropout(concat(dropout(map) · v) · W + b)

Vaswani et al., arXiv 1706.03762, section 3.2. How the product is computed is chosen in `attention_kernel.py`
and makes no difference to the result. With `lends` the layer leaves its attention in `Tokens.shared` for
`SharedAttention` in later layers: the map itself, before dropout, or queries and keys, whichever is cheaper.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.attention_kernel import attend, attend_and_lend
from vitreous.parts.drop import AttentionDropout, Dropout
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.relative_position import RelativePosition
from vitreous.parts.tokens import Lent, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Attention(Mixer):
    """Self-attention with `heads` heads, each width / heads channels wide.

    Args:
        heads: number of heads, a divisor of the width.
        lends: whether later layers may share this layer's attention.
        qkv_bias: whether queries, keys and values have a bias.
        relative: a bias of the scores by offset on the grid.
    """

    heads: int
    lends: bool = False
    qkv_bias: bool = True
    relative: RelativePosition | None = None

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, with the attention lent where it is."""
        return replace(shape, lent=Lent(self.heads, shape.tokens)) if self.lends else shape

    def build(self, shape: TokenShape) -> nn.Module:
        """Two linear maps and the product between; raises ConfigError where heads do not divide the width."""
        check_heads("Attention", self.heads, shape.width)
        return AttentionModule(self, shape)

    def macs(self, shape: TokenShape) -> Macs:
        """4 · tokens · width² for the maps and 2 · tokens² · width for the products."""
        return Macs(4 * shape.tokens * shape.width**2, 2 * shape.tokens**2 * shape.width)


def check_heads(who: str, heads: int, width: int) -> None:
    """Raises ConfigError where heads do not divide the width."""
    if width % heads:
        fitting = [each for each in range(1, width + 1) if width % each == 0]
        nearest = sorted(sorted(fitting, key=lambda each: abs(each - heads))[:3])
        raise ConfigError(
            f"{who}: a width of {width} does not divide into {heads} heads; "
            f"{', '.join(map(str, nearest))} heads do"
        )


class AttentionModule(nn.Module):
    """The module behind `Attention`."""

    def __init__(self, described: Attention, shape: TokenShape) -> None:
        super().__init__()
        self.heads = described.heads
        self.lends = described.lends
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=described.qkv_bias)
        self.relative = described.relative.build(shape, self.heads) if described.relative else None
        self.map_drop = AttentionDropout()
        self.project = nn.Linear(shape.width, shape.width)
        self.drop = Dropout()

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Mixed tokens, and the attention beside them where it is lent."""
        batch, length, width = y.shape
        qkv = self.qkv(y.flatten(0, 1)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = (each.transpose(1, 2) for each in qkv.unbind(2))  # each (batch, heads, tokens, head_width)
        bias = add_bias(self.relative(tokens) if self.relative is not None else None, tokens.bias)
        dropout = self.map_drop.p if self.training else 0.0
        if self.lends:
            mixed, shared = attend_and_lend(q, k, v, bias=bias, dropout=dropout)
            tokens = replace(tokens, shared=shared)
        else:
            mixed = attend(q, k, v, bias=bias, dropout=dropout)
        y = self.drop(self.project(mixed.transpose(1, 2).reshape(batch, length, width)))
        return y, tokens


def add_bias(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The sum of two biases of which either may be missing."""
    if first is None or second is None:
        return second if first is None else first
    return first + second
