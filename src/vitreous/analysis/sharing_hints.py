"""Which layers could share attention, where tokens could be pooled, and how many MACs that would save.

    share   layer i takes the map of layer i − 1 where their matched correlation less the untrained model's
    is ≥ 0.5
            saves 2 · tokens · width² (queries and keys) + tokens² · width (their product)
    pool    after a layer where neighbours' centred cosine is ≥ 0.5, by 2 × 2 (width unchanged)
            saves of each later layer 3/4 of its maps and 15/16 of its products

PSViT (arXiv 2108.03428) shares and pools where a search says so; taking similarity itself as a guide is the
paper's motivation, the thresholds are ours. It is a suggestion to train, not a claim: what accuracy it
costs is not measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ALIKE = 0.5


@dataclass(frozen=True)
class LayerSize:
    """Name, tokens, width that attention works on, and all MACs of a layer."""

    name: str
    tokens: int
    width: int
    macs: int


@dataclass(frozen=True)
class Hint:
    """A change that could be trained.

    Args:
        kind: `share` or `pool`.
        layer: which layer would take a map, or after which would be pooled.
        of: whose map.
        alike: the similarity behind it, the control taken away.
        saved_macs: for one image.
    """

    kind: str
    layer: str
    of: str
    alike: float
    saved_macs: int


def sharing(
    sizes: Sequence[LayerSize],
    matched: Sequence[float],
    control: Sequence[float],
    threshold: float = ALIKE,
) -> list[Hint]:
    """Layers that could take the map of the one before.

    Args:
        sizes: of the layers with attention, in order.
        matched: similarity of layer i with layer i + 1.
        control: the same of the untrained model.
        threshold: least similarity above the control.
    """
    hints, lender = [], 0
    for number in range(1, len(sizes)):
        alike = matched[number - 1] - control[number - 1]
        size = sizes[number]
        if alike < threshold or size.tokens != sizes[number - 1].tokens:
            lender = number
            continue
        saved = 2 * size.tokens * size.width**2 + size.tokens**2 * size.width
        hints.append(Hint("share", size.name, sizes[lender].name, alike, saved))
    return hints


def pooling(sizes: Sequence[LayerSize], neighbours: Sequence[float], threshold: float = ALIKE) -> list[Hint]:
    """The first layer behind which neighbours are alike, if any; the last layer saves nothing.

    Args:
        sizes: of all layers, in order.
        neighbours: centred cosine of neighbouring tokens after each.
        threshold: least cosine.
    """
    for number, alike in enumerate(neighbours[:-1]):
        if alike >= threshold:
            saved = 0.0
            for size in sizes[number + 1 :]:
                products = min(2 * size.tokens**2 * size.width, size.macs)
                saved += (size.macs - products) * 3 / 4 + products * 15 / 16
            return [Hint("pool", sizes[number].name, "", alike, int(saved))]
    return []
