"""The score of a candidate: top-1 of its path on the choice images. It ranks candidates and is no result.

The images are decoded once and stay in memory; a candidate costs one pass in inference mode, in bfloat16
where the search trains in it. A candidate that falls far behind what the parents reach is stopped early:
after each chunk its accuracy plus three standard errors, those of a draw without replacement (images that are
seen are no longer uncertain), is compared with the least of the parents.
BatchNorm, where a space has it, is given the statistics of the candidate's own path first (SPOS does so with
200 iterations), from the first batches of training.
"""

import contextlib
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vitreous.data.batches import Batches
from vitreous.data.preprocessing import Preprocessing
from vitreous.searching.space import Genome
from vitreous.searching.supernet import Supernet
from vitreous.training.step import MIXED, TYPES

CHUNK = 500
AT_ONCE_CPU = 125  # of more, what lies between two layers leaves the cache of a core
ERRORS = 3.0
RECALIBRATION = 20  # batches


@dataclass(frozen=True)
class Score:
    """What was seen.

    Args:
        top1: share of right answers among the images that were shown, 0 to 1.
        images: how many were shown.
        stopped: whether these are fewer than all, as the candidate was hopeless.
        seconds: that it took.
    """

    top1: float
    images: int
    stopped: bool
    seconds: float


class Scorer:
    """Scores paths of a trained supernet.

    Args:
        net: trained, on its device.
        choice: batches of the choice split; they are read once.
        preprocessing: gives the normalisation.
        precision: of the search.
        calibration: batches of training, for spaces with BatchNorm.
        chunk: images between two looks at whether a candidate is hopeless.
    """

    def __init__(
        self,
        net: Supernet,
        choice: Batches,
        preprocessing: Preprocessing,
        *,
        precision: str,
        calibration: Batches | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self.net, self._preprocessing, self._precision = net, preprocessing, precision
        found = list(choice.all())
        images = torch.cat([each.images for each in found])
        labels = torch.cat([each.labels for each in found])
        # the same random order for all candidates, so that a chunk holds all classes
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).to(labels.device)
        self._images, self._labels = images[order], labels[order]
        self._calibration, self._chunk = calibration, chunk
        self._at_once = AT_ONCE_CPU if labels.device.type == "cpu" else chunk

    @property
    def images(self) -> int:
        """Images of the choice split."""
        return len(self._labels)

    def score(self, genome: Genome, *, least: float | None = None) -> Score:
        """Top-1 of a path.

        Args:
            genome: of the path.
            least: score of the last of the parents; None to look at all images.
        """
        begin = time.perf_counter()
        path = self.net.eval().path(genome)
        with torch.inference_mode(), self._autocast():
            self._recalibrate(path, genome)
            right = seen = 0
            for images, labels in zip(
                self._images.split(self._chunk), self._labels.split(self._chunk), strict=True
            ):
                at_once = zip(images.split(self._at_once), labels.split(self._at_once), strict=True)
                right += sum(self._right(path, *each) for each in at_once)
                seen += len(labels)
                if least is not None and seen < self.images and _hopeless(right, seen, self.images, least):
                    break
        return Score(right / seen, seen, seen < self.images, time.perf_counter() - begin)

    def _right(self, path: list[nn.Module], images: torch.Tensor, labels: torch.Tensor) -> int:
        logits = self._preprocessing.normalize(images)
        for module in path:
            logits = module(logits)
        return int((logits.argmax(1) == labels).sum())

    def _recalibrate(self, path: list[nn.Module], genome: Genome) -> None:
        inner = [each for module in path for each in module.modules()]
        norms = [each for each in inner if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
        if not norms or self._calibration is None:
            return
        before = [each.momentum for each in norms]
        for each in norms:
            each.reset_running_stats()
            each.momentum = None  # the plain mean over the batches
            each.train()
        for _, batch in zip(range(RECALIBRATION), self._calibration.from_step(0), strict=False):
            x: Any = self._preprocessing.normalize(batch.images)
            for module in path:
                x = module(x)
        for each, momentum in zip(norms, before, strict=True):
            each.momentum = momentum
            each.eval()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._precision not in MIXED:
            return contextlib.nullcontext()
        return torch.autocast(self._labels.device.type, TYPES[self._precision])


def _hopeless(right: int, seen: int, images: int, least: float) -> bool:
    share = right / seen
    error = math.sqrt(max(share * (1 - share), 1 / seen) / seen * (1 - seen / images))
    return share + ERRORS * error < least
