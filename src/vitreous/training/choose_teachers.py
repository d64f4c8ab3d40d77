"""What the `auto` values of a teacher and a guide become, and what of them does not fit model or data.

distilling.alpha    1 for soft, as SReT; 0.5 for hard and for a distillation token, as DeiT
guidance.layers     the first, the middle and the last that have a grid
guidance.epochs     a third of the run's (ours)
"""

import dataclasses

from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import DistilledHead
from vitreous.training.automatic import Reasons
from vitreous.training.settings import Distilling, Guidance


def choose_distilling(
    distilling: Distilling, config: VisionTransformer, path: str, reasons: Reasons
) -> Distilling:
    """The settings of distillation with the teacher's share resolved.

    Args:
        distilling: as given.
        config: the model.
        path: `resident` or `streaming`.
        reasons: gets the sentence.

    Raises:
        ConfigError: settings that make no sense for this model or this loading.
    """
    if distilling.teacher is None:
        return distilling
    token = isinstance(config.head, DistilledHead)

    def automatic() -> tuple[float, str]:
        if token:
            return 0.5, "half for the distillation token's head, as in DeiT"
        if distilling.kind == "hard":
            return 0.5, "half, as in DeiT"
        return 1.0, "the teacher alone, as in SReT"

    alpha = reasons.choose("distilling.alpha", distilling.alpha, automatic)
    if token and alpha == 1:
        raise ConfigError(
            "distilling.alpha 1 leaves the class token of a distilled model without a target; below 1 works"
        )
    if distilling.cache and path != "resident":
        raise ConfigError(
            f"distilling.cache keeps one answer an image in memory, and these images are too many for that "
            f"(loading.path is {path}); leave it out, or give --loading.path resident"
        )
    return dataclasses.replace(distilling, alpha=alpha)


def choose_guidance(guidance: Guidance, config: VisionTransformer, epochs: int, reasons: Reasons) -> Guidance:
    """The settings of guidance with layers and epochs resolved.

    Args:
        guidance: as given.
        config: the model.
        epochs: of the run; 0 where a time is given instead.
        reasons: gets the sentences.

    Raises:
        ConfigError: layers that the model has not, or that have no grid.
    """
    if guidance.teacher is None:
        return guidance
    grids = [number for number, shape in enumerate(config.shapes()[1:]) if shape.grid]
    if len(grids) < 3:
        raise ConfigError(
            f"guidance needs three layers with a grid, and {config.name or 'the model'} has {len(grids)}; "
            "a deeper model works"
        )
    layers = reasons.choose(
        "guidance.layers",
        guidance.layers,
        lambda: ((grids[0], grids[len(grids) // 2], grids[-1]), "the first, the middle and the last"),
    )
    if list(layers) != sorted(set(layers)) or not set(layers) <= set(grids):
        raise ConfigError(
            f"guidance.layers {', '.join(map(str, layers))}: three different layers in order, of "
            f"{grids[0]} to {grids[-1]} with a grid, work"
        )
    if not epochs or guidance.teacher != "cnn":
        return dataclasses.replace(guidance, layers=layers)
    own = reasons.choose(
        "guidance.epochs", guidance.epochs, lambda: (max(1, round(epochs / 3)), "a third of the run's")
    )
    return dataclasses.replace(guidance, layers=layers, epochs=own)
