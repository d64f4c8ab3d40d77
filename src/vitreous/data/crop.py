"""Random crops of a whole batch at once, each image with its own window, mirrored or not.

`shifted` is the small-image crop: a window of the image's size out of the image with a black margin of
`padding` pixels, as one gather: out[b, c, i, j] = padded[b, c, top_b + i, left_b + j]. A mirrored image
reads its columns backwards, so the flip costs nothing.
`resized` is the large-image crop of Inception training (Szegedy et al. 2015, in torchvision's
parameters): a window of `smallest`..1 of the area and 3:4..4:3 in shape, scaled back by one bilinear
grid sample. torchvision draws one window a batch, and PIL pipelines work image by image: hence ours.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor

Windows = tuple[
    Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"]
]
CACHED_PIXELS = 1 << 16
TRIES = 10  # draws before falling back to the whole image, as torchvision


def shifted(
    images: Shaped[Tensor, "batch channels rows columns"],
    top: Int64[Tensor, " batch"],
    left: Int64[Tensor, " batch"],
    mirrored: Bool[Tensor, " batch"],
    padding: int,
) -> Shaped[Tensor, "batch channels rows columns"]:
    """Windows of the images' own size out of the padded images.

    Args:
        images: of any type.
        top: first row of the window in the padded image, 0 to 2·padding.
        left: first column, 0 to 2·padding; `padding` is the image as it was.
        mirrored: which images to turn left to right.
        padding: black pixels around the image.
    """
    batch, channels, rows, columns = images.shape
    device = images.device
    padded = F.pad(images, (padding,) * 4)
    column = torch.arange(columns, device=device)
    column = torch.where(mirrored[:, None], column.flip(0), column) + left[:, None]
    row = torch.arange(rows, device=device) + top[:, None]
    index = row[:, :, None] * padded.shape[3] + column[:, None, :]
    index = index.view(batch, 1, rows * columns).expand(batch, channels, -1)
    return padded.flatten(2).gather(2, index).view(images.shape)


def draw_windows(batch: int, shape: tuple[int, int], smallest: float, generator: torch.Generator) -> Windows:
    """Top, left, height and width of a random window for each image, in pixels, not rounded.

    Args:
        batch: how many.
        shape: rows and columns of the images.
        smallest: least share of the area, 0 to 1.
        generator: of the CPU.
    """
    rows, columns = shape
    area = rows * columns * torch.empty(batch, TRIES).uniform_(smallest, 1, generator=generator)
    widest = math.log(4 / 3)
    ratio = torch.empty(batch, TRIES).uniform_(-widest, widest, generator=generator).exp()
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()
    fits = (width <= columns) & (height <= rows)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)  # the first that fits
    none = ~fits.any(1)
    width = torch.where(none, float(columns), width.gather(1, first)[:, 0])
    height = torch.where(none, float(rows), height.gather(1, first)[:, 0])
    place = torch.rand(2, batch, generator=generator)
    return (rows - height) * place[0], (columns - width) * place[1], height, width


def resized(
    images: UInt8[Tensor, "batch channels rows columns"],
    windows: Windows,
    mirrored: Bool[Tensor, " batch"],
    size: tuple[int, int],
) -> UInt8[Tensor, "batch channels new_rows new_columns"]:
    """Each image's window scaled to `size`.

    Args:
        images: as stored.
        windows: top, left, height and width of `draw_windows`.
        mirrored: which images to turn left to right.
        size: rows and columns of the result.
    """
    rows, columns = images.shape[2:]
    top, left, height, width = (value.to(images.device) for value in windows)
    across = _places(left, width, size[1], columns)
    across = torch.where(mirrored[:, None], across.flip(1), across)
    down = _places(top, height, size[0], rows)
    result = images.new_empty(*images.shape[:2], *size)
    # on a CPU, floats of a whole batch would leave its cache; on a GPU, every piece would be a launch
    piece = len(images) if images.is_cuda else max(1, CACHED_PIXELS // (rows * columns))
    pieces = zip(
        images.split(piece), across.split(piece), down.split(piece), result.split(piece), strict=True
    )
    for image, x, y, out in pieces:
        grid = torch.stack([x[:, None].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], 3)
        sampled = F.grid_sample(
            image.to(torch.float32), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        out.copy_(sampled.add_(0.5).clamp_(0, 255))
    return result


def _places(start: Tensor, length: Tensor, count: int, whole: int) -> Tensor:
    """Where pixel centres of the result lie on one axis of the image, as −1..1: (batch, count)."""
    middle = (torch.arange(count, device=start.device) + 0.5) / count
    return (start[:, None] + middle * length[:, None]) * (2 / whole) - 1
