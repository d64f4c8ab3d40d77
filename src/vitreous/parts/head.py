"""The head: one logit a class, read from the class token.

    logits = W · norm(x[class]) + b
    logits = W · tanh(W₀ · norm(x[class]) + b₀) + b        with pre_logits

Dosovitskiy et al., arXiv 2010.11929, equation 4 and section 3.1. The final norm is applied to the class
token alone: each token is normalised by itself, so the value is the same as after normalising all of them,
and cheaper.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Head, Norm
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class ClassTokenHead(Head):
    """A linear map of the normalised class token; `pre_logits` channels with a tanh before it where given."""

    norm: Norm = LayerNorm()
    pre_logits: int | None = None

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm and one or two linear maps; raises ConfigError where there is no class token."""
        if shape.prefix < 1:
            raise ConfigError(
                "ClassTokenHead: there is no class token to read; a ClassToken() as prefix makes one"
            )
        return ClassTokenHeadModule(self, shape.width)


class ClassTokenHeadModule(nn.Module):
    """The module behind `ClassTokenHead`."""

    def __init__(self, described: ClassTokenHead, width: int) -> None:
        super().__init__()
        self.norm = described.norm.build(width)
        self.pre_logits = nn.Linear(width, described.pre_logits) if described.pre_logits else None
        self.classifier = nn.Linear(described.pre_logits or width, described.classes)

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch classes"]:
        """Logits from the first token."""
        y = self.norm(tokens.x[:, 0])
        if self.pre_logits is not None:
            y = torch.tanh(self.pre_logits(y))
        logits: Tensor = self.classifier(y)
        return logits
