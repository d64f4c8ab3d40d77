"""What a recording sees: features of a layer, and the map of an attention, with where their tokens stand.

Attention may work inside slices or windows, which models fold into the batch. An `AttentionMap` keeps it in
that form, which is small, and says which tokens each group holds; `dense` gives the map over all tokens:
zero between tokens of two groups, since attention in slices is full attention under the mask "same slice".
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

BLOCK, INPUT, MIXED = KINDS = ("block", "input", "mixed")
"""What leaves a layer or a turn of it; what its mixer is given, normalised; what its mixer gives."""
EMBEDDING = "embedding"
TOKENS, CHANNELS, POOL = "tokens", "channels", "pool"
"""What a map is over."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Tokens somewhere in a model.

    Args:
        name: the layer as the model calls it, such as `layers.3`, with the turn of a recursion behind it:
            `layers.3 turn 1`. `embedding` is what enters the first layer.
        layer: its number, −1 for the embedding.
        turn: which application of a recursion, from 0.
        kind: `block`, `input` or `mixed`.
        x: the tokens.
        grid: rows and columns of the tokens after the prefix; None where they are a plain sequence.
        prefix: how many tokens stand before the grid.
        attention_channels: first and last + 1 of the channels that attention works on, where others go
            through something else (EIT); None where all do or none does.
    """

    name: str
    layer: int
    turn: int
    kind: str
    x: Float[Tensor, "batch tokens width"]
    grid: tuple[int, int] | None
    prefix: int
    attention_channels: tuple[int, int] | None = None

    @property
    def patches(self) -> Float[Tensor, "batch patches width"]:
        """The tokens without the prefix."""
        return self.x[:, self.prefix :]


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """The weights of one attention, before dropout.

    Args:
        name, layer, turn: as of `Features`.
        weights: over the last axis they sum to 1; queries are the tokens of a group but for `pool`.
        members: which tokens a group holds, the prefix counted.
        tokens: how many there are in all.
        grid, prefix: as of `Features`.
        over: `tokens`; `channels` for attention on the transposed tokens (feed-forward only's counterpart),
            whose map tells nothing about places; or `pool` for a head that reads a weighted mean of the
            patches (sequence pool), whose map has one query and no prefix.
        shared: whether the map is that of an earlier layer.
    """

    name: str
    layer: int
    turn: int
    weights: Float[Tensor, "batch groups heads queries length"]
    members: Int[Tensor, "groups length"]
    tokens: int
    grid: tuple[int, int] | None
    prefix: int
    over: str = "tokens"
    shared: bool = False

    @property
    def heads(self) -> int:
        """How many maps an image has."""
        return int(self.weights.shape[2])

    def dense(self) -> Float[Tensor, "batch heads queries tokens"]:
        """The map over all tokens; each row sums to 1.

        A prefix token that stands in every slice gets the mean of its rows there, as its values do.
        """
        weights, members = self.weights, self.members
        groups, length = members.shape
        if groups == 1 and length == self.tokens:  # one group holds all tokens, in order
            return weights[:, 0]
        batch, _, heads = weights.shape[:3]
        whole = weights.new_zeros(batch, heads, self.tokens, self.tokens)
        places = members[:, :, None] * self.tokens + members[:, None]  # (groups, length, length)
        times = members.flatten().bincount(minlength=self.tokens).to(weights.dtype)
        scaled = weights / times[members][None, :, None, :, None]
        flat = scaled.transpose(1, 2).flatten(2)  # (batch, heads, groups · length²)
        whole.flatten(2).index_add_(2, places.flatten(), flat)
        return whole
