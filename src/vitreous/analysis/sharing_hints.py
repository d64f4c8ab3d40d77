"""Which layers could share attention, where tokens could be pooled, and how many MACs that would save.

    share   layer i takes the map of layer i − 1 where their matched correlation less the untrained model's
    is ≥ 0.5
            saves 2 · tokens · width² (queries and keys) + tokens² · width (their product)
    pool    after a layer where neighbours' centred cosine is ≥ 0.5, by 2 × 2 (width unchanged)
            saves of each later layer 3/4 of its maps and 15/16 of its products
    turns   of a recursive layer whose turns all have maps as alike: one turn instead of them
            saves (turns − 1) / turns of the layer

A turn cannot take the map of another, since one block runs in all of them; a recursive layer can take an
earlier layer's in all its turns (`with_shared_map.py`), and is as alike as the least alike of its turns is
to the map before.

PSViT (arXiv 2108.03428) shares and pools where a search says so; taking similarity itself as a guide is the
paper's motivation, the thresholds are ours. It is a suggestion to train, not a claim: what accuracy it
costs is not measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ALIKE = 0.5


@dataclass(frozen=True)
class LayerSize:
    """Name, tokens, width that attention works on, and all MACs of a layer.

    `group` is how many tokens each attends to, where those are not all; `times` its turns.
    """

    name: str
    tokens: int
    width: int
    macs: int
    group: int | None = None
    times: int = 1


@dataclass(frozen=True)
class Hint:
    """A change that could be trained.

    Args:
        kind: `share`, `pool`, `turns`, or `cannot` for a layer that is alike and cannot share.
        layer: which layer would take a map, after which would be pooled, or which would be applied once.
        of: whose map.
        alike: the similarity behind it, the control taken away.
        saved_macs: for one image.
        why: it cannot.
    """

    kind: str
    layer: str
    of: str
    alike: float
    saved_macs: int
    why: str = ""


def sharing(
    sizes: Sequence[LayerSize],
    matched: Sequence[float],
    control: Sequence[float],
    threshold: float = ALIKE,
) -> list[Hint]:
    """Layers that could take the map of the one before; not those in windows, which are shifted in turn.

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
        other = size.tokens != sizes[number - 1].tokens or size.group is not None
        if alike < threshold or other:
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
                products = min(2 * size.tokens * (size.group or size.tokens) * size.width, size.macs)
                saved += (size.macs - products) * 3 / 4 + products * 15 / 16
            return [Hint("pool", sizes[number].name, "", alike, int(saved))]
    return []


def fewer_turns(size: LayerSize, alike: Sequence[float], threshold: float = ALIKE) -> list[Hint]:
    """Whether a recursive layer could be applied once.

    Args:
        size: of the layer.
        alike: of each later turn with the one before, the control taken away.
        threshold: least similarity.
    """
    if not alike or min(alike) < threshold:
        return []
    saved = size.macs * (size.times - 1) // size.times
    return [Hint("turns", size.name, f"{size.name} turn 0", min(alike), saved)]
