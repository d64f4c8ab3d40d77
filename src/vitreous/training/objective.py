"""What is learned from a batch: the model's output and what the batch showed → a loss.

Objective and step are apart: a step knows gradients, an objective knows what they are of. So class weights,
a teacher, or several paths through a model are values that stand here, and no flags of the step.

    labels        cross-entropy on labels or on mixed targets (`loss.py`)

An objective meets a batch three times. `targets` says what augmentation is to mix beside the images: the
labels, or something of each image that is found by its row. `goal` says what the batch, augmented, should
lead to; a teacher is asked here. `loss` compares the output of the network that was trained, which may be
more than logits (a tuple), with it.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vitreous.data.augment import Augmentation
from vitreous.data.batch import Batch
from vitreous.training.loss import classification_loss


class Shown(NamedTuple):
    """A batch as the model sees it.

    Args:
        images: augmented and normalised, (batch, channels, height, width).
        targets: what augmentation left of `Objective.targets`: class numbers (batch,) or probabilities
            (batch, …).
        rows: int64 (batch,): positions in the training split; None where no objective asks for them.
    """

    images: Tensor
    targets: Tensor
    rows: Tensor | None = None

    def repeated(self, size: int) -> "Shown":
        """A batch of `size` times the first image."""
        first = torch.zeros(size, dtype=torch.int64, device=self.images.device)
        rows = None if self.rows is None else self.rows[first]
        return Shown(self.images[first], self.targets[first], rows)

    def parts(self, number: int) -> list["Shown"]:
        """Micro-batches of equal size; the batch divides by `number`."""
        rows = [None] * number if self.rows is None else self.rows.chunk(number)
        return [
            Shown(*each)
            for each in zip(self.images.chunk(number), self.targets.chunk(number), rows, strict=True)
        ]


class Objective(nn.Module):
    """Cross-entropy with label smoothing, and what other objectives change.

    Args:
        label_smoothing: 0 to 1.
        weights: float (classes,), what each class counts; None for all alike.
    """

    weights: Tensor | None

    def __init__(self, label_smoothing: float = 0.0, weights: Tensor | None = None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.taught_by = ""
        """What a teacher's weights are known by; empty without one."""
        self.register_buffer("weights", weights, persistent=False)

    def targets(self, batch: Batch) -> Tensor:
        """What augmentation mixes beside the images: labels (batch,) or floats (batch, columns)."""
        return batch.labels

    def show(self, batch: Batch, augment: Augmentation, step: int) -> Shown:
        """The batch of a step as the model sees it."""
        images, targets = augment(batch.images, self.targets(batch), step)
        return Shown(images, targets, batch.rows[-len(images) :])  # without the image before (`shard.py`)

    def goal(self, shown: Shown) -> Any:
        """What `loss` compares the output with: the targets."""
        return shown.targets

    def loss(self, output: Any, goal: Any) -> Tensor:
        """The mean loss of a (micro-)batch, float32.

        Args:
            output: of the trained network: logits (batch, classes), or what this objective asked it for.
            goal: of `goal`.
        """
        return classification_loss(output, goal, self.label_smoothing, self.weights)

    def forward(self, output: Any, shown: Shown) -> Tensor:
        """`loss` of the `goal` of what was shown."""
        return self.loss(output, self.goal(shown))


class EveryPath(Objective):
    """The mean of another objective's losses over the outputs of several paths through a model.

    Args:
        inner: what each path is to learn; it is asked for its goal once.
    """

    def __init__(self, inner: Objective) -> None:
        super().__init__()
        self.inner = inner
        self.taught_by = inner.taught_by

    def targets(self, batch: Batch) -> Tensor:
        """The inner objective's."""
        return self.inner.targets(batch)

    def goal(self, shown: Shown) -> Any:
        """The inner objective's."""
        return self.inner.goal(shown)

    def loss(self, output: tuple[Any, ...], goal: Any) -> Tensor:
        """The mean over the paths."""
        return torch.stack([self.inner.loss(each, goal) for each in output]).mean()
