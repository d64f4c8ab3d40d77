"""The network that is trained: the model, or what an objective asks for around it, over the same weights.

The model stays what is averaged, validated and delivered. What stands around it gives the objective more than
its logits, in training only:

    HeadsApart    the logits of both heads of a `DistilledHead`, not their mean
"""

from torch import Tensor, nn

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


def network_of(plan: Plan, model: VisionTransformerModule) -> nn.Module:
    """What a plan trains around a model."""
    if plan.distilling.teacher is not None and isinstance(plan.config.head, DistilledHead):
        return HeadsApart(model)
    return model
