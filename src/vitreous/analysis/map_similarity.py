"""How alike the attention maps of two layers are, for layers with equally many tokens and heads.

    pearson     correlation of the N² entries of head h in both layers, mean over images and heads
    matched     heads paired so that the mean correlation is largest (Hungarian), since heads have no order
    cosine      of column t in both layers, mean over columns                              DeepViT, arXiv
    2103.11886 jsd         Jensen–Shannon divergence of rows, in nats: 0 for equal, log 2 at most tv
    total variation ½ Σ |p − q| of rows: 0 for equal, 1 at most            Reuse Transformers, 2110.06821

PSViT (arXiv 2108.03428) argues from "strong correlation among adjacent layers" without saying which;
Pearson is the abstract's word, the others are the field's. Controls: an untrained model has nearly uniform
maps, so its cosine, JSD and TV already say "alike" (0.99, 0.00, 0.04) while Pearson is 0; and `matched` is
a maximum, biased upward by what chance offers. Never read one of these without the untrained row beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.analysis.entropy import entropy

MEASURES = ("pearson", "matched", "cosine", "jsd", "tv")


@dataclass(frozen=True)
class Similarity:
    """Matrices over layers, and the entropy of each layer's rows over the largest possible, 0 to 1.

    `images` were looked at for `pearson`, `matched` and `cosine`, `images_apart` for `jsd` and `tv`.
    """

    layers: tuple[str, ...]
    pearson: Float[Tensor, "layers layers"]
    matched: Float[Tensor, "layers layers"]
    cosine: Float[Tensor, "layers layers"]
    jsd: Float[Tensor, "layers layers"]
    tv: Float[Tensor, "layers layers"]
    entropy: Float[Tensor, " layers"]
    images: int
    images_apart: int

    def by_distance(self, measure: str) -> dict[int, float]:
        """Mean over pairs of layers, by how many layers lie between."""
        matrix = getattr(self, measure)
        return {each: float(matrix.diagonal(each).mean()) for each in range(1, len(self.layers))}


class MapSimilarity:
    """Sums over batches; nothing of a map is kept.

    Args:
        layers: names, in order.
        images_apart: JSD and TV cost a logarithm an entry and pair, so they see the first images only.
    """

    def __init__(self, layers: Sequence[str], images_apart: int = 32) -> None:
        self.layers = tuple(layers)
        self.most_apart = images_apart
        self.images = self.apart = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, maps: Sequence[Float[Tensor, "batch heads tokens tokens"]]) -> None:
        """One batch: a map for each layer."""
        stacked = torch.stack(list(maps), dim=1).float()  # (batch, layers, heads, tokens, tokens)
        self._sum("corr", correlations(stacked).sum(dim=0))
        self._sum("cosine", column_cosines(stacked).sum(dim=0))
        self._sum("entropy", row_entropy(stacked).sum(dim=0))
        self.images += len(stacked)
        few = stacked[: max(0, self.most_apart - self.apart)]
        if len(few):
            jsd, tv = divergences(few)
            self._sum("jsd", jsd.sum(dim=0))
            self._sum("tv", tv.sum(dim=0))
            self.apart += len(few)

    def result(self) -> Similarity:
        """Means over images; the heads are matched on the mean correlation."""
        corr = self.sums["corr"] / self.images  # (layers, heads, layers, heads)
        return Similarity(
            self.layers,
            corr.diagonal(dim1=1, dim2=3).mean(dim=-1),
            matched(corr),
            self.sums["cosine"] / self.images,
            self.sums["jsd"] / self.apart,
            self.sums["tv"] / self.apart,
            self.sums["entropy"] / self.images,
            self.images,
            self.apart,
        )

    def _sum(self, name: str, value: Tensor) -> None:
        value = value.double().cpu()
        self.sums[name] = self.sums[name] + value if name in self.sums else value


def correlations(
    maps: Float[Tensor, "batch layers heads tokens tokens"],
) -> Float[Tensor, "batch layers heads layers2 heads2"]:
    """Pearson's ρ of the entries of every two maps of an image; a constant map correlates with none."""
    flat = maps.flatten(3)
    flat = flat - flat.mean(dim=-1, keepdim=True)
    flat = flat / flat.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    rows = flat.flatten(1, 2)
    gram = rows @ rows.transpose(1, 2)
    apart: Tensor = gram.unflatten(2, maps.shape[1:3]).unflatten(1, maps.shape[1:3])
    return apart


def matched(corr: Float[Tensor, "layers heads layers2 heads2"]) -> Float[Tensor, "layers layers2"]:
    """Mean correlation over the best pairing of heads."""
    from scipy.optimize import linear_sum_assignment

    layers = corr.shape[0]
    best = corr.new_zeros(layers, layers)
    for i in range(layers):
        for j in range(layers):
            pairs = corr[i, :, j].numpy()
            rows, columns = linear_sum_assignment(pairs, maximize=True)
            best[i, j] = float(pairs[rows, columns].mean())
    return best


def column_cosines(
    maps: Float[Tensor, "batch layers heads tokens tokens"],
) -> Float[Tensor, "batch layers layers2"]:
    """Cosine of column t of a head in two layers, mean over columns and heads."""
    unit = maps / maps.norm(dim=-2, keepdim=True).clamp_min(1e-12)
    flat = unit.flatten(2)
    cosines: Tensor = flat @ flat.transpose(1, 2) / (maps.shape[2] * maps.shape[-1])
    return cosines


def row_entropy(maps: Float[Tensor, "batch layers heads tokens tokens"]) -> Float[Tensor, "batch layers"]:
    """Entropy of rows over log N: 1 for uniform attention, 0 for attention to one token."""
    largest = torch.log(torch.tensor(float(maps.shape[-1])))
    return entropy(maps).mean(dim=(2, 3)) / largest


def divergences(
    maps: Float[Tensor, "batch layers heads tokens tokens"],
) -> tuple[Float[Tensor, "batch layers layers2"], Float[Tensor, "batch layers layers2"]]:
    """(Jensen–Shannon divergence in nats, total variation), mean over rows and heads."""
    batch, layers = maps.shape[:2]
    own = entropy(maps)  # (batch, layers, heads, tokens)
    jsd, tv = maps.new_zeros(2, batch, layers, layers)
    for i in range(layers):
        for j in range(i + 1, layers):
            p, q = maps[:, i], maps[:, j]
            middle = entropy((p + q) / 2)
            jsd[:, i, j] = (middle - (own[:, i] + own[:, j]) / 2).mean(dim=(1, 2)).clamp_min(0)
            tv[:, i, j] = (p - q).abs().sum(dim=-1).mean(dim=(1, 2)) / 2
    return jsd + jsd.transpose(1, 2), tv + tv.transpose(1, 2)
