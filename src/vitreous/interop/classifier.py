"""A trained model together with all that its answers depend on: class names and preprocessing.

The three travel as one object, so that a picture is prepared for prediction as it was for validation and
an answer is a name, not a number.
"""

from torch import Tensor, device, nn

from vitreous.data.preprocessing import Preprocessing
from vitreous.models.turns import with_turns
from vitreous.models.vision_transformer import VisionTransformer


class Classifier(nn.Module):
    """A model with its class names and its preprocessing.

    Args:
        model: what `vitreous.build` returns; (batch, channels, height, width) -> (batch, classes).
        classes: one name for each of the model's outputs, in their order.
        preprocessing: how pictures become the model's input.
        multi_label: whether a picture may have any number of classes.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        self.multi_label = multi_label
        self.model = model
        self.classes = tuple(classes)
        self.preprocessing = preprocessing

    @property
    def config(self) -> VisionTransformer:
        """The description that the model was built from."""
        config = self.model.config
        assert isinstance(config, VisionTransformer)
        return config

    @property
    def device(self) -> device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images: (batch, channels, height, width) -> (batch, classes)."""
        logits: Tensor = self.model(images)
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """(batch, classes), 0 to 1: of exactly one class, or of each class by itself (multi-label)."""
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def with_turns(self, turns: int) -> "Classifier":
        """The same with fewer turns of its recursive layers (`models/turns.py`).

        Raises:
            ConfigError: a model without turns to leave out, or too many.
        """
        model = with_turns(self.model, turns)  # type: ignore[arg-type]
        return Classifier(
            model,
            classes=self.classes,
            preprocessing=self.preprocessing,
            multi_label=self.multi_label,
        )

    def __repr__(self) -> str:
        parameters = sum(each.numel() for each in self.model.parameters())
        names = list(self.classes) if len(self.classes) <= 4 else [*self.classes[:3], "…", self.classes[-1]]
        prepared = self.preprocessing
        return (
            f"Classifier({self.config.name} ({self.config.source}), {parameters:,} parameters, "
            f"{len(self.classes)} classes: {', '.join(names)}, "
            f"images {prepared.channels}×{prepared.height}×{prepared.width}, on {self.device})"
        )
