"""Random erasing of a whole batch: each image loses its own rectangle, or none, to noise.

Zhong et al. 2020 (Random Erasing Data Augmentation), with timm's figures: a rectangle of 2 % to a third
of the area, sides 0.3 to 3.3, filled with normal noise pixel by pixel after normalisation. torchvision
erases one rectangle a batch: hence ours. A rectangle that would not fit is cut off at the image's size.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

AREA = (0.02, 1 / 3)
RATIO = (0.3, 3.3)


def erase(
    images: Float[Tensor, "batch channels rows columns"],
    probability: float,
    generator: torch.Generator,
    noise: torch.Generator,
) -> Float[Tensor, "batch channels rows columns"]:
    """The images, changed in place where a rectangle was erased.

    Args:
        images: normalised.
        probability: share of images that lose a rectangle, 0 to 1.
        generator: of the CPU, for the rectangles.
        noise: of the images' device, for their filling.
    """
    batch, channels, rows, columns = images.shape
    hit = torch.rand(batch, generator=generator) < probability
    area = rows * columns * torch.empty(batch).uniform_(*AREA, generator=generator)
    ratio = torch.empty(batch).uniform_(math.log(RATIO[0]), math.log(RATIO[1]), generator=generator).exp()
    height = (area * ratio).sqrt().round().clamp(1, rows)
    width = (area / ratio).sqrt().round().clamp(1, columns)
    place = torch.rand(2, batch, generator=generator)
    top = ((rows - height + 1) * place[0]).floor()
    left = ((columns - width + 1) * place[1]).floor()
    which = hit.nonzero()[:, 0]
    if not len(which):
        return images
    box = torch.stack([top, top + height, left, left + width])[:, which].to(images.device)
    row = torch.arange(rows, device=images.device)[:, None]
    column = torch.arange(columns, device=images.device)
    above, below, before, after = (edge[:, None, None] for edge in box)
    inside = (row >= above) & (row < below) & (column >= before) & (column < after)
    which = which.to(images.device)
    filling = torch.randn(
        (len(which), channels, rows, columns), generator=noise, device=images.device, dtype=images.dtype
    )
    images[which] = torch.where(inside[:, None], filling, images[which])
    return images
