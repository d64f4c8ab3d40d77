"""Is a ranking worth anything? Kendall's τ between what ranked candidates and what retraining gave.

    τ = (concordant − discordant pairs) / √(pairs without ties in one · in the other)        τ-b, scipy's

with a 95 % bootstrap interval over the candidates. The supernet's score stands beside rankings that cost
nothing: MACs alone, parameters alone, and SNIP, one of the zero-cost proxies of Abdelfattah et al., ICLR
2021 (arXiv 2101.08134, section 3): Σ |θ · ∂loss/∂θ| of a freshly drawn network on one batch (Lee et al., ICLR
2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.models.vision_transformer import VisionTransformer, build

DRAWS = 2000
FEWEST = 8


@dataclass(frozen=True)
class Agreement:
    """Kendall's τ-b, −1 to 1, with its interval, over n candidates; None where it is not defined."""

    tau: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.tau is None:
            return f"not defined (n = {self.n})"
        return f"{self.tau:+.2f} [{self.low:+.2f}, {self.high:+.2f}] (n = {self.n})"


def agreement(ranked_by: Sequence[float], reached: Sequence[float], *, seed: int = 0) -> Agreement:
    """How far two rankings of the same candidates agree."""
    from scipy.stats import kendalltau

    first, second = np.asarray(ranked_by, float), np.asarray(reached, float)
    tau = float(kendalltau(first, second).statistic) if len(first) > 1 else float("nan")
    if np.isnan(tau):
        return Agreement(None, None, None, len(first))
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        rows = generator.integers(len(first), size=len(first))
        if len(set(first[rows])) > 1 and len(set(second[rows])) > 1:
            drawn.append(float(kendalltau(first[rows], second[rows]).statistic))
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (tau, tau)
    return Agreement(tau, float(low), float(high), len(first))


def snip(config: VisionTransformer, images: Tensor, labels: Tensor, *, seed: int = 0) -> float:
    """The proxy of a model that nobody has trained.

    Args:
        config: the model.
        images: (batch, channels, height, width), normalised, float32.
        labels: int64 (batch,).
        seed: of its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(config).to(images.device)
    F.cross_entropy(model(images), labels).backward()
    return sum(
        float((each * each.grad).detach().abs().sum()) for each in model.parameters() if each.grad is not None
    )
