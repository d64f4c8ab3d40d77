"""The head: one logit a class, read from the class token or from the mean of the others.

    ClassTokenHead   W · norm(x[class]) + b
                     W · tanh(W₀ · norm(x[class]) + b₀) + b        with pre_logits
    MeanHead         W · mean(norm(x[grid])) + b                   with norm_each
                     W · norm(mean(x[grid])) + b                   otherwise

Dosovitskiy et al., arXiv 2010.11929, equation 4 and section 3.1. The class token's norm is applied to it
alone: each token is normalised by itself, so the value is the same as after normalising all of them, and
cheaper. With 0 classes a head gives what its classifier would be given.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Head, Norm
from vitreous.parts.tokens import Tokens, TokenShape


def classifier(width: int, classes: int) -> nn.Module:
    """A linear map to one logit a class; the identity for 0 classes."""
    return nn.Linear(width, classes) if classes else nn.Identity()


@dataclass(frozen=True, repr=False)
class ClassTokenHead(Head):
    """A linear map of the normalised class token; `pre_logits` channels with a tanh before it where given."""

    norm: Norm = LayerNorm()
    pre_logits: int | None = None

    def features(self, shape: TokenShape) -> int:
        """The width, or `pre_logits`."""
        return self.pre_logits or shape.width

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm and one or two linear maps; raises ConfigError where there is no class token."""
        if shape.prefix < 1:
            raise ConfigError(
                "ClassTokenHead: there is no class token to read; a ClassToken() as prefix makes one"
            )
        return ClassTokenHeadModule(self, shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """width · classes, or width · pre_logits + pre_logits · classes."""
        if self.pre_logits is None:
            return Macs(maps=shape.width * self.classes)
        return Macs(maps=(shape.width + self.classes) * self.pre_logits)


class ClassTokenHeadModule(nn.Module):
    """The module behind `ClassTokenHead`."""

    def __init__(self, described: ClassTokenHead, width: int) -> None:
        super().__init__()
        self.norm = described.norm.build(width)
        self.pre_logits = nn.Linear(width, described.pre_logits) if described.pre_logits else None
        self.classifier = classifier(described.pre_logits or width, described.classes)

    def pool(self, tokens: Tokens) -> Float[Tensor, "batch channels"]:
        """The class token as the classifier is given it."""
        y: Tensor = self.norm(tokens.x[:, 0])
        return y if self.pre_logits is None else torch.tanh(self.pre_logits(y))

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch classes"]:
        """Logits from the first token."""
        logits: Tensor = self.classifier(self.pool(tokens))
        return logits


@dataclass(frozen=True, repr=False)
class MeanHead(Head):
    """A linear map of the mean of all tokens but the prefix.

    Args:
        classes: number of logits.
        norm: of every token before the mean, or of the mean.
        norm_each: True for the norm before the mean.
    """

    norm: Norm = LayerNorm()
    norm_each: bool = True

    def build(self, shape: TokenShape) -> nn.Module:
        """Mean, norm, one linear map."""
        return MeanHeadModule(self, shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """width · classes."""
        return Macs(maps=shape.width * self.classes)


class MeanHeadModule(nn.Module):
    """The module behind `MeanHead`."""

    def __init__(self, described: MeanHead, width: int) -> None:
        super().__init__()
        self.norm_each = described.norm_each
        self.norm = described.norm.build(width)
        self.classifier = classifier(width, described.classes)

    def pool(self, tokens: Tokens) -> Float[Tensor, "batch channels"]:
        """The mean as the classifier is given it."""
        y = tokens.x[:, tokens.prefix :]
        pooled: Tensor = self.norm(y).mean(dim=1) if self.norm_each else self.norm(y.mean(dim=1))
        return pooled

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch classes"]:
        """Logits from the mean."""
        logits: Tensor = self.classifier(self.pool(tokens))
        return logits
