"""Whether a supernet learns from mixed images: training's own rule, by the passes over them that it makes.

A step moves the weights of one path alone, but each image is learned from at every pass, and it is images
that are learned by heart.
"""

import logging

from vitreous.data.augment import Augmentation
from vitreous.training.automatic import Reasons, choose_by_length
from vitreous.training.plan import Plan

logger = logging.getLogger("vitreous")


def with_mixing(augment: Augmentation, plan: Plan, total_steps: int) -> Augmentation:
    """The augmentation of a supernet that takes so many steps.

    Args:
        augment: made before their number was known.
        plan: of the supernet; its recipe may say itself how much is mixed.
        total_steps: of the whole training.
    """
    reasons = Reasons()
    share = choose_by_length(plan.recipe, total_steps, plan.steps_per_epoch, reasons).mix_probability
    if share == "auto":  # neither mixup nor cutmix
        return augment
    logger.info("mixing     %g of the batches (%s)", share, reasons.sentences["recipe.mix_probability"])
    return augment.mixing_at(share)
