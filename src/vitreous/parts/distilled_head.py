"""The distilled head: one classifier for what labels teach, one for what a teacher does, and their mean.

    z = ½ · (W · norm(x[class]) + b) + ½ · (W′ · norm(x[distillation]) + b′)

Touvron et al., "Training data-efficient image transformers & distillation through attention", arXiv
2012.12877, section 4: trained apart, each towards its own target, and averaged for prediction. There the two
softmaxes are added; here, as in the released code and in timm, the logits are averaged.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Head, Norm
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class DistilledHead(Head):
    """The mean of a linear map of the class token and one of the distillation token, both normalised."""

    norm: Norm = LayerNorm()

    def features(self, shape: TokenShape) -> int:
        """Both tokens beside each other: twice the width."""
        return 2 * shape.width

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm and two linear maps; raises ConfigError where the two tokens are missing."""
        if shape.prefix < 2:
            raise ConfigError(
                "DistilledHead: there are no class and distillation token to read; DistilledTokens() as "
                "prefix makes both"
            )
        return DistilledHeadModule(self, shape.width)

    def macs(self, shape: TokenShape) -> Macs:
        """2 · width · classes."""
        return Macs(maps=2 * shape.width * self.classes)


class DistilledHeadModule(nn.Module):
    """The module behind `DistilledHead`."""

    def __init__(self, described: DistilledHead, width: int) -> None:
        super().__init__()
        self.norm = described.norm.build(width)
        self.classifier = TwoClassifiers(width, described.classes) if described.classes else nn.Identity()

    def pool(self, tokens: Tokens) -> Float[Tensor, "batch channels"]:
        """Class and distillation token as the classifiers are given them, beside each other."""
        both: Tensor = self.norm(tokens.x[:, :2])
        return both.flatten(1)

    def apart(self, tokens: Tokens) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch classes"]]:
        """Logits of the class token and of the distillation token."""
        assert isinstance(self.classifier, TwoClassifiers), "features have no logits"
        return self.classifier.apart(self.pool(tokens))

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch classes"]:
        """The mean of both logits."""
        logits: Tensor = self.classifier(self.pool(tokens))
        return logits


class TwoClassifiers(nn.Linear):
    """A linear map of the first half of the channels, another of the second half, and their mean."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.distillation = nn.Linear(width, classes)

    def apart(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each half."""
        first, second = both.chunk(2, dim=-1)
        return super().forward(first), self.distillation(second)

    def forward(self, both: Tensor) -> Tensor:
        """Their mean."""
        first, second = self.apart(both)
        return (first + second) / 2
