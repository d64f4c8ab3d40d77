"""Starting from trained weights: what they decide about a run, and how they get into its model.

    model `auto`    the pretrained one, at the asked image size or its own
    lr `auto`       a tenth of the rate for training from nothing (ours); not for `selection`, which is only a
                    better start
    statistics      mean and deviation of the pixels are those the weights know, where channels are equal

The weights are read once, when a run begins; after that they are in its checkpoints.
"""

import logging

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, VerifyError
from vitreous.interop.pretrained import Pretrained, fitting_statistics, read_pretrained, start_from
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings

logger = logging.getLogger("vitreous")


def pretrained_of(settings: TrainSettings) -> Pretrained | None:
    """What a run starts from, None for nothing.

    Raises:
        ConfigError, DataError: it cannot be had, or is asked for in a way that cannot be.
    """
    if settings.pretrained is None:
        if settings.recipe.train == "head":
            raise ConfigError("recipe.train head leaves random features as they are; give --pretrained too")
        return None
    if settings.recipe.init != "default":
        raise ConfigError(
            f"recipe.init {settings.recipe.init} and --pretrained both say how weights start; give one"
        )
    if settings.pretrained_by == "selection" and settings.model == "auto":
        raise ConfigError(
            "--pretrained-by selection needs the smaller model that is to be made: --model NAME"
        )
    by_selection = settings.pretrained_by == "selection"
    try:
        return read_pretrained(settings.pretrained, "auto" if by_selection else settings.model)
    except VerifyError as error:  # nothing was trained yet: for a run this is a setting that does not fit
        raise ConfigError(f"--pretrained {error}") from error


def with_known_statistics(
    preprocessing: Preprocessing, pretrained: Pretrained | None, reasons: dict[str, str]
) -> Preprocessing:
    """The preprocessing with the pixel statistics that the weights know."""
    if pretrained is None:
        return preprocessing
    known = fitting_statistics(preprocessing, pretrained)
    if known != preprocessing:
        reasons["preprocessing"] = "mean and deviation that the pretrained weights know"
    return known


def start(model: VisionTransformerModule, settings: TrainSettings, plan: Plan) -> None:
    """Put the weights that a new run starts from into its model, and say what was done."""
    pretrained = pretrained_of(settings)
    if pretrained is None:
        return
    selection = settings.pretrained_by == "selection"
    for sentence in start_from(model, pretrained, classes=plan.classes, selection=selection):
        logger.info("pretrained: %s", sentence)
