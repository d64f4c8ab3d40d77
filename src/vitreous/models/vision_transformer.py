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
from torch.utils.checkpoint import checkpoint

from vitreous.errors import ConfigError
from vitreous.models.drop_path import DropPathRule, LinearDropPath
from vitreous.models.init import Init
from vitreous.parts.description import Description
from vitreous.parts.drop import DropPath, set_drop_rates
from vitreous.parts.part import Head, Part, Stem
from vitreous.parts.tokens import ImageShape, Tokens, TokenShape

T = TypeVar("T")
Module = TypeVar("Module", bound="VisionTransformerModule")


@dataclass(frozen=True, repr=False, kw_only=True)
class VisionTransformer(Description):
    """A whole model as a value: comparable, hashable, and written to JSON and back without loss.

    Args:
        name: the catalog's name; two models of another name and equal slots are equal.
        source: where the architecture comes from: authors' code, paper, or ours. Not compared either.
        image: the images that the model is built for.
        stem, prefix, position, layers, head: the five slots.
        init: how the weights start.
        drop_path: how the recipe's drop-path rate is spread over the layers.
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
    drop_path: DropPathRule = LinearDropPath()

    @property
    def classes(self) -> int:
        """How many logits the model gives; 0 for features."""
        return self.head.classes

    def shapes(self) -> tuple[TokenShape, ...]:
        """What enters the layers, and what leaves each; raises ConfigError for sizes that do not fit."""
        shape = _placed("stem", lambda: self.stem.out_shape(self.image))
        for slot, part in (("prefix", self.prefix), ("position", self.position)):
            shape = _after(slot, part, shape)
        shapes = [shape]
        for number, layer in enumerate(self.layers):
            shapes.append(_after(f"layer {number}", layer, shapes[-1]))
        return tuple(shapes)


def build(
    config: VisionTransformer, *, dropout: float = 0.0, attention_dropout: float = 0.0, drop_path: float = 0.0
) -> "VisionTransformerModule":
    """The module that a config describes, with fresh weights from torch's default generator.

    Args:
        config: what to build.
        dropout: share of values dropped after the position, and in and after attention and feed-forward.
        attention_dropout: share dropped of attention weights, and of values of convolutions beside them.
        drop_path: share of residual branches dropped, per image; the config's rule says how much of it each
            layer has (all of it in the deepest by `LinearDropPath`).

    Returns:
        A module (batch, channels, height, width) → (batch, classes), in training mode, that keeps `.config`.

    Raises:
        ConfigError: sizes that do not fit each other, or a rate outside [0, 1).
    """
    return start(
        VisionTransformerModule(config),
        dropout=dropout,
        attention_dropout=attention_dropout,
        drop_path=drop_path,
    )


def start(model: Module, *, dropout: float, attention_dropout: float, drop_path: float) -> Module:
    """Fresh weights and the recipe's rates, in place, as `build` gives them; for modules of other classes."""
    config = model.config
    config.init.initialize(model)
    droppable = [any(isinstance(each, DropPath) for each in layer.modules()) for layer in model.layers]
    for layer, share in zip(model.layers, config.drop_path.shares(droppable), strict=True):
        set_drop_rates(
            layer, dropout=dropout, attention_dropout=attention_dropout, drop_path=drop_path * share
        )
    for end in (model.stem, model.position, model.head):
        set_drop_rates(end, dropout=dropout, attention_dropout=attention_dropout, drop_path=0.0)
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
        self._run = _plainly

    def forward_features(
        self, image: Float[Tensor, "batch channels height width"], as_map: bool = False
    ) -> Tokens | Float[Tensor, "batch token_width rows columns"]:
        """What the last layer leaves; the head's norm is not applied yet.

        Args:
            image: a batch of images.
            as_map: True for a feature map without the prefix instead of tokens.

        Raises:
            ConfigError: `as_map` after pooling along the sequence, where no grid is left.
        """
        tokens: Tokens = self.position(self.prefix(self.stem(image)))
        for layer in self.layers:
            tokens = self._run(layer, tokens)
        return tokens.as_map() if as_map else tokens

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """One logit a class; features where there are no classes."""
        logits: Tensor = self.head(self.forward_features(image))
        return logits

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what enters each layer for the backward pass and compute the rest again: less memory."""
        for module in self.modules():
            if hasattr(module, "checkpointing"):
                module.checkpointing = enable  # type: ignore[assignment]
        self._run = _again if enable else _plainly

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that no optimizer should decay beside all 1-D ones: tokens and tables."""
        return without_decay(self)


def without_decay(model: nn.Module) -> set[str]:
    """Names of class tokens and position tables in any model: they are not 1-D and yet should not decay."""
    return {
        f"{name}.{each}"
        for name, module in model.named_modules()
        for each in getattr(module, "WITHOUT_DECAY", ())
    }


def _plainly(layer: nn.Module, tokens: Tokens) -> Tokens:
    out: Tokens = layer(tokens)
    return out


def _again(layer: nn.Module, tokens: Tokens) -> Tokens:
    # A layer that has checkpoints of its own, such as a recursion, keeps what enters each of its turns.
    if hasattr(layer, "checkpointing"):
        return _plainly(layer, tokens)
    out: Tokens = checkpoint(layer, tokens, use_reentrant=False)  # type: ignore[no-untyped-call]
    return out


def _after(slot: str, part: Part, shape: TokenShape) -> TokenShape:
    return _placed(slot, lambda: part.out_shape(shape))


def _build(slot: str, part: Part, shape: TokenShape) -> tuple[nn.Module, TokenShape]:
    return _placed(slot, lambda: (part.build(shape), part.out_shape(shape)))


def _placed(slot: str, make: Callable[[], T]) -> T:
    """What `make` returns; a part that refuses its sizes is told apart by the slot it stands in."""
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f"{slot}, {error}") from None
