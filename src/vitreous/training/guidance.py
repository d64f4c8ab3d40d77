"""Guidance: a vision transformer's features follow those of a small convolutional network.

    loss = ℓ(pupil) + β · Σ_l mean (↑ P_l(f_l) − ↑ g_l)²

f_l are the tokens behind three layers of the pupil as maps, P_l a linear map of their channels (1×1), learned
beside the pupil and thrown away; g_l what the three stages of the guide leave; ↑ brings the smaller of both
to the size of the larger, bilinear. The guide was trained on the same images, sees the same augmented view
at a low resolution, and is frozen.

Li et al., "Locality guidance for improving vision transformers on tiny datasets", ECCV 2022, arXiv
2207.10026, and the released code (lkhl/tiny-transformers): ResNet-56 at 32 pixels, β = 2.5, layers 1, 7 and
12 of 12. Deviation: there the guide's norms run on the statistics of each batch (its wrapper is put into
training mode as a whole); here on those it was trained to.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.training.objective import Objective, Shown
from vitreous.training.small_resnet import WIDTHS, SmallResNet
from vitreous.training.step import TYPES
from vitreous.training.teacher import Teacher, as_the_teacher_sees


class Guide(Teacher):
    """A frozen `SmallResNet` between the pupil's images and its features.

    Args:
        model: trained.
        own: its preprocessing.
        pupil: the preprocessing of the images it is shown.
        precision: `float32`, or 16-bit autocast.
    """

    def __init__(
        self, model: SmallResNet, own: Preprocessing, pupil: Preprocessing, *, precision: str = "float32"
    ) -> None:
        super().__init__(model, own, pupil, precision=precision)

    @torch.no_grad()
    def features(self, images: Tensor) -> list[Tensor]:
        """Float maps of the three stages, for images normalised for the pupil."""
        assert isinstance(self.model, SmallResNet)
        half = self.precision in ("bfloat16", "float16")
        seen = as_the_teacher_sees(images, self.pupil, self.own)
        with torch.autocast(images.device.type, TYPES[self.precision] if half else None, enabled=half):
            found = self.model.features(seen)
        return [_wide(each) for each in found]


class GuidedObjective(Objective):
    """Another objective's loss, and the distance of the pupil's features from the guide's.

    Args:
        inner: what the pupil's logits are to learn.
        guide: frozen.
        widths: channels of the pupil's tokens behind each of the three layers.
        weight: β.
    """

    def __init__(self, inner: Objective, guide: Guide, *, widths: tuple[int, ...], weight: float) -> None:
        super().__init__()
        self.inner = inner
        self.guide = guide
        self.weight = weight
        self.projections = nn.ModuleList(
            nn.Conv2d(width, channels, 1) for width, channels in zip(widths, WIDTHS, strict=True)
        )
        self.taught_by = " ".join(filter(None, (inner.taught_by, guide.key)))

    def targets(self, batch: Batch) -> Tensor:
        """The inner objective's."""
        return self.inner.targets(batch)

    def goal(self, shown: Shown) -> tuple[Any, list[Tensor]]:
        """The inner objective's, and the guide's features of the same view."""
        return self.inner.goal(shown), self.guide.features(shown.images)

    def loss(self, output: tuple[Any, list[Tensor]], goal: tuple[Any, list[Tensor]]) -> Tensor:
        """Of logits and maps of the three layers (batch, width, rows, columns)."""
        logits, maps = output
        inner, guided = goal
        distance = torch.stack(
            [
                squared_distance(projection(each.to(towards.dtype)), towards)
                for projection, each, towards in zip(self.projections, maps, guided, strict=True)
            ]
        ).sum()
        return self.inner.loss(logits, inner) + self.weight * distance


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference of two feature maps, each at the larger of both sizes."""
    size = [max(sides) for sides in zip(first.shape[2:], second.shape[2:], strict=True)]
    first, second = (
        each if list(each.shape[2:]) == size else F.interpolate(each, size, mode="bilinear")
        for each in (first, second)
    )
    return F.mse_loss(first, second)


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
