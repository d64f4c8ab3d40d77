"""Learning any number of classes an image: each class is a question of its own, yes or no.

    L = mean over images and classes of  −t·log σ(z) − (1 − t)·log(1 − σ(z)),      t ← (1 − s)·t + s / 2

with smoothing s; t is 0 or 1, or what mixup and cutmix leave between. Binary cross-entropy is torch's; its
smoothing towards one half is timm's form.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vitreous.data.batch import Batch
from vitreous.errors import ConfigError
from vitreous.training.objective import Objective
from vitreous.training.settings import TrainSettings


class MultiLabelObjective(Objective):
    """Binary cross-entropy over all classes; the output is logits (batch, classes)."""

    def targets(self, batch: Batch) -> Tensor:
        """Memberships as floats (batch, classes)."""
        return batch.labels.to(torch.float32)

    def loss(self, output: Any, goal: Any) -> Tensor:
        """The mean over images and classes, float32, of float64 logits float64."""
        logits = output.to(torch.promote_types(output.dtype, torch.float32))
        targets = goal.to(logits.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, targets)


def check_multi_label(settings: TrainSettings) -> None:
    """Raises ConfigError for settings that mean something only where an image has one class."""
    wrong = [
        name
        for name, given in (
            ("recipe.balance", settings.recipe.balance != "none"),
            ("distilling.teacher", settings.distilling.teacher is not None),
            ("guidance.teacher", settings.guidance.teacher is not None),
        )
        if given
    ]
    if wrong:
        raise ConfigError(
            f"{wrong[0]} is for images of one class each, and these have any number; leave it out"
        )
