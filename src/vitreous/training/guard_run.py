"""All guards of a run that begins, in one call: what a run warns of, a dry run warns of too."""

import logging

from vitreous.analysis.cost import cost
from vitreous.data.batches import Batches
from vitreous.data.images import ImageData
from vitreous.training.guard_data import guard_data
from vitreous.training.guards import guard_length, guard_plan
from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings

logger = logging.getLogger("vitreous")


def warn_of_mistakes(
    settings: TrainSettings, plan: Plan, data: ImageData, train: Batches, val: Batches
) -> None:
    """Log what would train without a word and be wrong.

    Args:
        settings: as given.
        plan: of the run; where its length is not known yet, `warn_of_length` follows.
        data: of the run.
        train: batches of the run.
        val: batches of the run.
    """
    side = min(data.scan.heights[1], data.scan.widths[1])
    parameters = cost(plan.config).parameters
    for sentence in guard_plan(settings, plan, parameters=parameters, image_side=side):
        logger.warning("%s", sentence)
    for sentence in guard_data(data, train, val):
        logger.warning("%s", sentence)
    if plan.total_steps:
        warn_of_length(plan)


def warn_of_length(plan: Plan) -> None:
    """Log what does not fit the length of a run."""
    for sentence in guard_length(plan):
        logger.warning("%s", sentence)
