"""Tokens mixed by a two-layer map over all of them, the same for every channel.

    y ← (W₂ · GELU(W₁ · yᵀ + b₁) + b₂)ᵀ            W₁ (hidden, tokens), W₂ (tokens, hidden), along the tokens

MLP-Mixer (Tolstikhin et al., arXiv 2105.01601, equation 1): `Mix(TokenMLP(256))` stands where a transformer
has `Mix(Attention(h))`, and the norm of the `Mix` runs over the channels of a token.
`Transposed(FeedForward(r))` is the other way to do it: there the norm runs over the tokens of a channel.
`hidden` is a number of its own, free of how many tokens there are, so that cost can grow linearly with them.

Its weights belong to places: it takes the one grid that it was built for. The prefix is mixed with the rest.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import Dropout
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Tokens, TokenShape
from vitreous.parts.transposed import check_placed, check_places


@dataclass(frozen=True, repr=False)
class TokenMLP(Mixer):
    """Two linear maps over the tokens with a GELU between, `hidden` wide inside."""

    hidden: int

    def build(self, shape: TokenShape) -> nn.Module:
        """Two linear maps; raises ConfigError where tokens have no fixed place, as in shuffled slices."""
        check_placed("TokenMLP", shape)
        return TokenMLPModule(self.hidden, shape)

    def macs(self, shape: TokenShape) -> Macs:
        """2 · tokens · hidden · width."""
        return Macs(maps=2 * shape.tokens * self.hidden * shape.width)


class TokenMLPModule(nn.Module):
    """The module behind `TokenMLP`."""

    def __init__(self, hidden: int, shape: TokenShape) -> None:
        super().__init__()
        self.shape = shape
        self.widen = nn.Linear(shape.tokens, hidden)
        self.activation = nn.GELU()
        self.drop = Dropout()
        self.narrow = nn.Linear(hidden, shape.tokens)

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Mixed tokens; raises ConfigError for tokens of another grid, or that a bias keeps apart."""
        check_places("TokenMLP", self.shape, tokens.grid, y.shape[1])
        if tokens.bias is not None:
            raise ConfigError(
                "TokenMLP: it has no scores that a bias between tokens, such as the mask of shifted windows, "
                "could be added to; Windows without a shift work"
            )
        # Of a contiguous input torch computes map and bias in one step; of a transposed view in two.
        hidden = self.drop(self.activation(self.widen(y.transpose(1, 2).contiguous())))
        return self.drop(self.narrow(hidden)).transpose(1, 2), tokens
