"""Whether a model needs what a map marks: its answer with that greyed out, beside as much at random.

    p(class | image)      p(class | image without the places marked most)      … without random places

Deletion of Petsiuk et al., "RISE", BMVC 2018, arXiv 1806.07421, section 4.2, at one step instead of along a
curve (ours), and beside random places, which is the control: a map that says what counts costs more. Grey
is the mean pixel of the training images, 0 after normalisation.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

SHARE = 0.2
BATCH = 16


@dataclass(frozen=True)
class Deletion:
    """Mean probability of the class, 0 to 1: of images, without what is marked, without random places."""

    whole: float
    without_marked: float
    without_random: float


def most_marked(
    maps: Float[Tensor, "batch rows columns"], share: float
) -> Bool[Tensor, "batch rows columns"]:
    """The places of the largest values, so large a share of all, at least one."""
    flat = maps.flatten(1)
    count = max(1, round(share * flat.shape[1]))
    marked = torch.zeros_like(flat, dtype=torch.bool)
    marked.scatter_(1, flat.topk(count, dim=1).indices, True)
    return marked.view(maps.shape)


def greyed(
    images: Float[Tensor, "batch channels height width"], marked: Bool[Tensor, "batch rows columns"]
) -> Float[Tensor, "batch channels height width"]:
    """Images with marked places at 0."""
    mask = nn.functional.interpolate(marked[:, None].to(images), size=images.shape[-2:], mode="nearest")
    return images * (1 - mask)


def deletion(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    maps: Float[Tensor, "batch rows columns"],
    classes: Int[Tensor, " batch"],
    *,
    share: float = SHARE,
    seed: int = 0,
) -> Deletion:
    """Three passes over the images.

    Args:
        model: in evaluation mode.
        images: normalised.
        maps: larger where more is marked.
        classes: whose probability.
        share: of the places that are greyed out.
        seed: of the random places.
    """
    drawn = torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed)).to(maps)
    changed = (images, greyed(images, most_marked(maps, share)), greyed(images, most_marked(drawn, share)))
    with torch.no_grad():
        means = [
            torch.cat([model(batch).float().softmax(dim=1) for batch in each.split(BATCH)])
            .gather(1, classes[:, None])
            .mean()
            .item()
            for each in changed
        ]
    return Deletion(*means)
