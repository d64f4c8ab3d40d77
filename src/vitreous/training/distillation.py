"""Learning from a teacher, softly or hard, with or without a token of its own.

    soft    T(s) = − mean_i Σ_k softmax(t_i / τ)_k · log softmax(s_i / τ)_k
    hard    T(s) = − mean_i log softmax(s_i)_{argmax t_i}
    loss    (1 − α) · ℓ(s, labels) + α · T(s′)

t are the teacher's logits, s and s′ the pupil's: of the class token and of the distillation token where it
has two heads (`DistilledHead`), else both of its one head. ℓ is the ordinary loss, mixed targets, smoothing
and class weights included.

Soft with α = 1 and no factor τ² is SReT's (Shen, Liu, Xing, ECCV 2022; released code: no one-hot term). Hard
with α = ½ and a token is DeiT's (Touvron et al., arXiv 2012.12877, equation 3). Hinton et al. 2015 mix both
terms; their factor τ² belongs into α here.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from vitreous.data.batch import Batch
from vitreous.training.loss import classification_loss
from vitreous.training.objective import Objective, Shown
from vitreous.training.teacher import Teacher


class Distillation(Objective):
    """The loss towards labels and a teacher.

    Args:
        label_smoothing: of the label term, 0 to 1.
        weights: of the label term's classes; None for all alike.
        kind: `soft` or `hard`.
        temperature: τ of the soft term.
        alpha: share of the teacher's term, above 0 and up to 1.
        teacher: asked in every step, about the very view that the pupil is shown.
        known: float (images, classes), probabilities of each training image, instead of asking.
    """

    known: Tensor | None

    def __init__(
        self,
        label_smoothing: float = 0.0,
        weights: Tensor | None = None,
        *,
        kind: str = "soft",
        temperature: float = 1.0,
        alpha: float = 1.0,
        teacher: Teacher | None = None,
        known: Tensor | None = None,
    ) -> None:
        super().__init__(label_smoothing, weights)
        assert (teacher is None) != (known is None), "a teacher, or what it said"
        self.kind = kind
        self.temperature = temperature
        self.alpha = alpha
        self.teacher = teacher
        if known is not None and kind == "hard":
            known = F.one_hot(known.argmax(1), known.shape[1]).to(known.dtype)
        self.register_buffer("known", known, persistent=False)

    def targets(self, batch: Batch) -> Tensor:
        """Labels; where the teacher has spoken before, one-hot labels and its word, side by side."""
        if self.known is None:
            return batch.labels
        labels = F.one_hot(batch.labels, self.known.shape[1]).to(self.known.dtype)
        return torch.cat((labels, self.known[batch.rows]), dim=1)

    def goal(self, shown: Shown) -> tuple[Tensor, Tensor]:
        """Targets of the labels, and of the teacher: class numbers or probabilities."""
        if self.teacher is None:
            labels, taught = shown.targets.chunk(2, dim=1)
            return labels, taught
        logits = self.teacher(shown.images)
        if self.kind == "hard":
            return shown.targets, logits.argmax(1)
        return shown.targets, (logits / self.temperature).softmax(1)

    def loss(self, output: Tensor | tuple[Tensor, Tensor], goal: tuple[Tensor, Tensor]) -> Tensor:
        """Of one head's logits, or of those of class and distillation token."""
        for_labels, for_teacher = output if isinstance(output, tuple) else (output, output)
        labels, taught = goal
        loss = classification_loss(for_teacher / self.temperature, taught)
        if self.alpha == 1:
            return loss
        return self.alpha * loss + (1 - self.alpha) * super().loss(for_labels, labels)
