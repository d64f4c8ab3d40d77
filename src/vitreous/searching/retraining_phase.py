"""Retraining of a search: its winners, and the baselines that they are held against, one after another."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.analysis.cost import cost
from vitreous.models.catalog import config as catalog_config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.searching.clock import CORRELATION, EVOLUTION, SUPERNET
from vitreous.searching.decisions import told
from vitreous.searching.evolution_phase import Found
from vitreous.searching.ledger import Candidate
from vitreous.searching.named import HYBRID, WIDE
from vitreous.searching.plain import DEIT_DEPTH, plain_hybrid, plain_vit
from vitreous.searching.retrain import Retrained, retrain, seconds_each
from vitreous.searching.task import Task

PSVIT = "psvit_2d_small_image_12"  # whose widths and pools the wide space has
logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class Wanted:
    """A network to be retrained: what it is, the model, and the candidate that it was."""

    what: str
    config: VisionTransformer
    candidate: Candidate | None


def retrained(task: Task, found: Found) -> list[Retrained]:
    """The winners, the best on validation images first, then the baselines; raises what `train` raises."""
    task.folder.note("retraining")
    with task.clock.phase("retraining"):
        wanted = _wanted(task, found)
        networks = len({it.config for it in wanted})
        each_s = task.world.by_first(lambda: _seconds_each(task, networks))
        done: dict[VisionTransformer, Retrained] = {}
        results = []
        for each in wanted:
            if each.config not in done:  # the random search may have found a winner, too
                logger.info("retraining %s from scratch", each.what)
                done[each.config] = retrain(
                    task, each.config, each.what, candidate=each.candidate,
                    epochs=task.settings.retrain_epochs, seconds=each_s,
                )  # fmt: skip
            results.append(dataclasses.replace(done[each.config], what=each.what))
    winners = [each for each in results if each.what.startswith("winner")]
    winners.sort(key=lambda it: it.top1, reverse=True)
    return [*winners, *(each for each in results if each not in winners)]


def _wanted(task: Task, found: Found) -> Sequence[Wanted]:
    wanted = [
        Wanted(f"winner {number}", task.space.resolve(each.genome), each)
        for number, each in enumerate(found.winners(task), start=1)
    ]
    if task.settings.compare:
        best = next(each for each in found.compared if each.rank[0])
        wanted.append(Wanted("random search", task.space.resolve(best.genome), best))
        preset = _preset(task)
        if preset is not None:
            wanted.append(Wanted("preset", preset, None))
        plain = _plain(task, wanted[0].config)
        if plain is not None:
            wanted.append(Wanted("plain ViT", plain, None))
    return wanted


def _seconds_each(task: Task, networks: int) -> float | None:
    """The time of each network, which is told when it is decided."""
    decided = "retrain_s" in task.folder.plan
    share = 1 - CORRELATION / (1 - SUPERNET - EVOLUTION) if task.settings.correlate else 1.0
    each_s = seconds_each(task, "retrain_s", networks, share=share)
    if each_s is not None and not decided:
        logger.info("%s", told("retraining", f"{networks} networks, {each_s:.0f} s each", "what is left"))
    return each_s


def _plain(task: Task, winner: VisionTransformer) -> VisionTransformer | None:
    """A plain ViT of the first winner's MACs and depth, or DeiT's where convolutions do most of the work."""
    macs = cost(winner).macs
    depth = DEIT_DEPTH if task.space_name == HYBRID else len(winner.layers)
    within = dataclasses.replace(task.budget, macs=macs)
    found = plain_vit(winner.image, winner.head.classes, within, depth=depth)
    if found is None:
        logger.info("no plain ViT is within %s MACs; the search is compared without one", f"{macs:,}")
    return found


def _preset(task: Task) -> VisionTransformer | None:
    """The hand-made model of the space's family, where there is one."""
    image, classes = task.space.config.image, task.space.config.head.classes
    if task.space_name == HYBRID:
        return plain_hybrid(image, classes, task.budget)
    name = PSVIT if task.space_name == WIDE else task.space_name
    if name.endswith((".py", ".json")):
        logger.info("a space of your own has no hand-made preset to compare with")
        return None
    size = (image.height, image.width)
    preset = catalog_config(name, image_size=size, classes=classes, channels=image.channels)
    counted = cost(preset)
    if not task.budget.allows(counted.macs, counted.parameters):
        logger.warning(
            "the hand-made preset %s has %s MACs and %s parameters, more than the budget: it is compared all "
            "the same", name, f"{counted.macs:,}", f"{counted.parameters:,}",
        )  # fmt: skip
    return preset
