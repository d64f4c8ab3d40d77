"""LaPE: position with a normalisation of its own in every layer, beside that of the tokens.

    P_l = norm_l(P_{l−1}),  P_{−1} = table        progressive: layer l has passed l + 1 norms
    P_l = norm_l(table)                           shared: every layer normalises the table itself
    mixer( norm(x) + P_l )                        queries, keys and values; nothing is added to the stream

Yu et al., "LaPE: Layer-adaptive Position Embedding for Vision Transformers with Independent Layer
Normalization", ICCV 2023, equations 8 to 11 and figure 2c. **There are two LaPEs** with equal parameters, so
a file of weights does not tell which one it is: the paper's text and the released code of March 2024
(Ingrid725/LaPE) are progressive; the first upload and, by its abstract, arXiv 2212.05262 are shared, an
ablation in the paper's table 7. So a `LaPE` always shows its `progressive`.

The table depends on weights alone and has no batch: the norms cost next to nothing, and `fold` removes them.
The chain of norms runs in the table's own type; only their result takes the type of the tokens.
"""

from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.parts.description import ALWAYS_SHOWN
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Mixer, Norm
from vitreous.parts.position import check_carried
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class LaPE(Mixer):
    """A mixer that is given the carried position, normalised for this layer, on top of its input.

    Args:
        mixer: what mixes.
        norm: of the position; `PartialNorm` has the paper's weaker forms.
        progressive: True to pass the normalised position on to the next layer, False for all layers to
            normalise the same table.
    """

    mixer: Mixer
    norm: Norm = LayerNorm()
    progressive: bool = field(default=True, metadata=ALWAYS_SHOWN)

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The mixer's."""
        return self.mixer.out_shape(shape)

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm and mixer; raises ConfigError where no position as wide as the tokens is carried."""
        check_carried("LaPE", shape)
        return LaPEModule(self.norm.build(shape.width), self.mixer.build(shape), self.progressive)

    def macs(self, shape: TokenShape) -> Macs:
        """The mixer's."""
        return self.mixer.macs(shape)


class LaPEModule(nn.Module):
    """The module behind `LaPE`."""

    def __init__(self, norm: nn.Module, mixer: nn.Module, progressive: bool) -> None:
        super().__init__()
        self.norm = norm
        self.mixer = mixer
        self.progressive = progressive

    def term(self, tokens: Tokens) -> Float[Tensor, "1 tokens width"]:
        """P_l: what this layer adds, from what is carried to it."""
        term: Tensor = self.norm(tokens.position)
        return term

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """The mixer's result, and where progressive the normalised position for the next layer."""
        position = self.term(tokens)
        if self.progressive:
            tokens = replace(tokens, position=position)
        mixed: tuple[Tensor, Tokens] = self.mixer(y + position.to(y.dtype), tokens)
        return mixed
