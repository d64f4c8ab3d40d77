"""The one backbone: five slots and no ifs.

    logits = head(layers(position(prefix(stem(image)))))

A `VisionTransformer` is a value that spells every slot out; `build` makes the module. Nothing here knows a
paper: an idea that seems to need a branch in this file belongs in a part. Dropout rates belong to the
recipe, so they are arguments of `build` and not of the value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.models.init import Init
from vitreous.parts.description import Description
from vitreous.parts.drop import set_drop_rates
from vitreous.parts.part import Head, Part, Stem
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape

T = TypeVar("T")


@dataclass(frozen=True, repr=False, kw_only=True)
class VisionTransformer(Description):
    """A whole model as a value: comparable, hashable, and written to JSON and back without loss.

    Args:
        name: the catalog's name; two models of another name and equal slots are equal.
        source: where the architecture comes from: authors' code, paper, or ours. Not compared either.
        image: the images that the model is built for.
        stem, prefix, position, layers, head: the five slots.
        init: how the weights start.
    """

    name: str = field(default="", compare=False)
    source: str = field(default="", compare=False)
    image: ImageShape
    stem: Stem
    prefix: Part
    position: Part
    layers: tuple[Part, ...]
    head: Head
    init: Init

    @property
    def classes(self) -> int:
        """How many logits the model gives."""
        return self.head.classes


def build(
    config: VisionTransformer, *, dropout: float = 0.0, attention_dropout: float = 0.0, drop_path: float = 0.0
) -> "VisionTransformerModule":
    """The module that a config describes, with fresh weights from torch's default generator.

    Args:
        config: what to build.
        dropout: share of values dropped after the position, and in and after attention and feed-forward.
        attention_dropout: share dropped of attention weights, and of values of convolutions beside them.
        drop_path: share of residual branches dropped, per image: 0 in the first layer, growing linearly to
            this value in the last (Huang et al., arXiv 1603.09382).

    Returns:
        A module (batch, channels, height, width) → (batch, classes), in training mode, that keeps `.config`.

    Raises:
        ConfigError: sizes that do not fit each other, or a rate outside [0, 1).
    """
    model = VisionTransformerModule(config)
    config.init.initialize(model)
    for number, layer in enumerate(model.layers):
        depth = number / max(1, len(model.layers) - 1)
        set_drop_rates(
            layer, dropout=dropout, attention_dropout=attention_dropout, drop_path=drop_path * depth
        )
    set_drop_rates(model.position, dropout=dropout, attention_dropout=attention_dropout, drop_path=0.0)
    return model


class VisionTransformerModule(nn.Module):
    """The module behind a `VisionTransformer`."""

    def __init__(self, config: VisionTransformer) -> None:
        super().__init__()
        self.config = config
        shape = _placed("stem", lambda: config.stem.out_shape(config.image))
        self.stem = _placed("stem", lambda: config.stem.build(config.image))
        self.prefix, shape = _build("prefix", config.prefix, shape)
        self.position, shape = _build("position", config.position, shape)
        self.layers = nn.ModuleList()
        for number, described in enumerate(config.layers):
            layer, shape = _build(f"layer {number}", described, shape)
            self.layers.append(layer)
        self.head = _placed("head", lambda: config.head.build(shape))

    def forward_features(self, image: Float[Tensor, "batch channels height width"]) -> Tokens:
        """The tokens that the last layer leaves; the head's norm is not applied yet."""
        tokens: Tokens = self.position(self.prefix(self.stem(image)))
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """One logit a class."""
        logits: Tensor = self.head(self.forward_features(image))
        return logits


def _build(slot: str, part: Part, shape: TokenShape) -> tuple[nn.Module, TokenShape]:
    return _placed(slot, lambda: (part.build(shape), part.out_shape(shape)))


def _placed(slot: str, make: Callable[[], T]) -> T:
    """What `make` returns; a part that refuses its sizes is told apart by the slot it stands in."""
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f"{slot}, {error}") from None
