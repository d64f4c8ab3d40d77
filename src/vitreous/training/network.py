"""The network that is trained: the model, or what an objective asks for around it, over the same weights.

The model stays what is averaged, validated and delivered. What stands around it gives the objective more than
its logits, in training only:

    HeadsApart          the logits of both heads of a `DistilledHead`, not their mean
    WithMaps            the same output and the maps behind some layers (`guidance.py`)
    MixedDepthModule    the logits of a deep and a shallow path (`models/mixed_depth.py`)
"""

from typing import Any

from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.models.mixed_depth import mixed_depth
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts import DistilledHead
from vitreous.training.plan import Plan


class HeadsApart(nn.Module):
    """Images → logits of the class token and of the distillation token."""

    def __init__(self, model: VisionTransformerModule) -> None:
        super().__init__()
        self.config = model.config
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, height, width) → two times (batch, classes)."""
        label, teacher = self.model.head.apart(self.model.forward_features(images))  # type: ignore[operator]
        return label, teacher


class WithMaps(nn.Module):
    """Images → (the model's output, or that of both heads; tokens behind some layers as maps).

    Args:
        model: what `vitreous.build` returns.
        layers: counted from 0.
        apart: whether the output is the logits of both heads.
    """

    def __init__(self, model: VisionTransformerModule, layers: tuple[int, ...], *, apart: bool) -> None:
        super().__init__()
        self.config = model.config
        self.model = model
        self.layers = layers
        self.apart = apart

    def forward(self, images: Tensor) -> tuple[Any, list[Tensor]]:
        """Maps are (batch, width, rows, columns)."""
        model, maps = self.model, []
        tokens = model.position(model.prefix(model.stem(images)))
        for number, layer in enumerate(model.layers):
            tokens = layer(tokens)
            if number in self.layers:
                maps.append(tokens.as_map())
        read: Any = model.head.apart if self.apart else model.head
        return read(tokens), maps


def network_of(plan: Plan, model: VisionTransformerModule) -> nn.Module:
    """What a plan trains around a model.

    Raises:
        ConfigError: mixed depth of a model without recursion, or of one whose heads are taught apart.
    """
    apart = plan.distilling.teacher is not None and isinstance(plan.config.head, DistilledHead)
    if plan.recipe.mixed_depth != "none":
        if apart:
            raise ConfigError(
                "recipe.mixed_depth and a distillation token with a head of its own do not go together; "
                "distillation with one head does"
            )
        try:
            return mixed_depth(model, drawn=plan.recipe.mixed_depth == "drawn")
        except ConfigError as error:
            raise ConfigError(f"recipe.{error}") from None
    if plan.guidance.teacher is not None:
        assert plan.guidance.layers != "auto"
        return WithMaps(model, plan.guidance.layers, apart=apart)
    if apart:
        return HeadsApart(model)
    return model
