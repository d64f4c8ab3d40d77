"""Sequence pooling: the head reads a weighted mean of all tokens, and learns the weights.

    y = norm(x)        pooled = Σ_t softmax_t(w · y_t + b) · y_t        logits = W · pooled + c

Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers", arXiv 2104.05704, section 3.2;
released code SHI-Labs/Compact-Transformers, `src/utils/transformers.py`. It replaces the class token. The
bias b cancels in the softmax: it does nothing and its gradient is 0, but the released weights have it. Prefix
tokens, which the paper's models have not, are left out as in `MeanHead`.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.parts.head import classifier
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Head, Norm
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class SequencePoolHead(Head):
    """A linear map of the weighted mean of all normalised tokens but the prefix."""

    norm: Norm = LayerNorm()

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm, the map that gives a token its weight, one linear map."""
        return SequencePoolHeadModule(self, shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """2 · tokens · width for weights and mean, and width · classes."""
        pooled = 2 * (shape.tokens - shape.prefix) * shape.width
        return Macs(maps=pooled + shape.width * self.classes)


class SequencePoolHeadModule(nn.Module):
    """The module behind `SequencePoolHead`."""

    def __init__(self, described: SequencePoolHead, width: int) -> None:
        super().__init__()
        self.norm = described.norm.build(width)
        self.attention = nn.Linear(width, 1)
        self.classifier = classifier(width, described.classes)

    def weights(self, y: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens 1"]:
        """The share of each normalised token in the mean; they sum to 1."""
        shares: Tensor = self.attention(y).softmax(dim=1)
        return shares

    def pool(self, tokens: Tokens) -> Float[Tensor, "batch channels"]:
        """The mean as the classifier is given it."""
        y: Tensor = self.norm(tokens.x[:, tokens.prefix :])
        return (self.weights(y).transpose(1, 2) @ y).squeeze(1)

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch classes"]:
        """Logits from the weighted mean."""
        logits: Tensor = self.classifier(self.pool(tokens))
        return logits
