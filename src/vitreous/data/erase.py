"""Random erasing of a whole batch: each image loses its own rectangle, or none, to noise.

Zhong et al. 2020 (Random Erasing Data Augmentation), with timm's figures: a rectangle of 2 % to a third
of the area, sides 0.3 to 3.3, filled with normal noise pixel by pixel after normalisation. torchvision
erases one rectangle a batch: hence ours. A rectangle that would not fit is cut off at the image's size.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

AREA = (0.02, 1 / 3)
RATIO = (0.3, 3.3)


Rectangles = tuple[Bool[Tensor, " batch"], Float[Tensor, "4 batch"]]


def draw_rectangles(
    batch: int, shape: tuple[int, int], probability: float, generator: torch.Generator
) -> Rectangles:
    """Which images lose a rectangle, and each image's first and last row and column (the last one outside).

    Args:
        batch: how many images.
        shape: rows and columns of the images.
        probability: share of images that lose a rectangle, 0 to 1.
        generator: of the CPU.
    """
    rows, columns = shape
    hit = torch.rand(batch, generator=generator) < probability
    area = rows * columns * torch.empty(batch).uniform_(*AREA, generator=generator)
    ratio = torch.empty(batch).uniform_(math.log(RATIO[0]), math.log(RATIO[1]), generator=generator).exp()
    height = (area * ratio).sqrt().round().clamp(1, rows)
    width = (area / ratio).sqrt().round().clamp(1, columns)
    place = torch.rand(2, batch, generator=generator)
    top = ((rows - height + 1) * place[0]).floor()
    left = ((columns - width + 1) * place[1]).floor()
    return hit, torch.stack([top, top + height, left, left + width])


def erase(
    images: Float[Tensor, "batch channels rows columns"],
    rectangles: Rectangles,
    noise: Float[Tensor, "hits channels rows columns"],
) -> Float[Tensor, "batch channels rows columns"]:
    """The images, changed in place where a rectangle was erased.

    Args:
        images: normalised.
        rectangles: of `draw_rectangles`, for these images.
        noise: what fills them, one picture for each image that is hit.
    """
    hit, box = rectangles
    which = hit.nonzero()[:, 0]
    if not len(which):
        return images
    box = box[:, which].to(images.device)
    row = torch.arange(images.shape[2], device=images.device)[:, None]
    column = torch.arange(images.shape[3], device=images.device)
    above, below, before, after = (edge[:, None, None] for edge in box)
    inside = (row >= above) & (row < below) & (column >= before) & (column < after)
    which = which.to(images.device)
    images[which] = torch.where(inside[:, None], noise, images[which])
    return images
